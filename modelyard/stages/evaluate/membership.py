"""Measures whether a row's loss tells that it was in the training data: membership inference.

The attack compares rows of train with rows of test. What matters is how many members it finds at a low false positive
rate (`membership.tpr`, slices `fpr` 0.01 and 0.001), beside the area under the curve. With `shadows` named (models of
the same kind that saw neither split's rows) the attack takes into account what is usual for a row, which finds more.

Members and others must be of one distribution, as a random split makes them. `membership.blind_auc` is that of a model
of the rows alone, which never asks the attacked one: where it can tell them apart, so can any attack, and the figures
say nothing about memory. That is said, and `{claim: membership.blind_auc, max: 0.55}` refuses it.

The report is `membership.json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RATES = (0.01, 0.001)


class Config(BaseModel):
    """Settings of evaluate.membership."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(5000, ge=20, le=1_000_000, description="rows of train, and of test, drawn at random (rows)")
    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to a model at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
    import numpy as np

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.blocks import write
    from modelyard.methods.evaluation.safety import membership

    data = Dataset.open(context.input("data"))
    rows, mine = _attacked(config, context, data)
    split = len(rows.members)
    scores = {"loss": (-mine[:split], -mine[split:])}
    shadows = [
        _losses(config, context, folder, rows)
        for folder in (context.inputs("shadows") if context.bound("shadows") else [])
    ]
    if shadows:
        found = membership.calibrated(mine, np.stack(shadows))
        scores["calibrated"] = found[:split], found[split:]
    else:
        context.say(t("only the plain attack was tried: no shadow models are named (`in: {shadows: […]}`)"))
    for name, (inside, outside) in scores.items():
        _measure(context, name, inside, outside)
    _blind(context, rows)
    write(context.output("report"), "membership", "Membership inference", _shown(scores))


@dataclass(frozen=True)
class _Rows:
    """Records and truths of members, then of others."""

    members: list[Any]
    others: list[Any]
    truths: list[Any]
    task: str


def _attacked(config: Config, context: Context, data: Any) -> tuple[_Rows, Any]:
    """The rows, and the attacked model's losses."""
    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.evaluation.safety import losses

    found, truths = [], []
    with opened(context.input("model"), config.threads) as predictor:
        for split in ("train", "test"):
            records, known, left_out = losses.rows_of(
                data, split, predictor.task, predictor.labels, config.rows, context.seed
            )
            if left_out:
                context.say(t("{split}: {n} rows cannot be judged and were left out", split=split, n=left_out))
            _need(records, split, left_out)
            found.append(records)
            truths += known
        rows = _Rows(found[0], found[1], truths, predictor.task)
        return rows, losses.losses(
            predictor, [*rows.members, *rows.others], truths, config.batch_rows, _note(context, rows)
        )


def _need(records: list[Any], split: str, left_out: int) -> None:
    """Raises InputError if a side has no row: the attack tells one from the other."""
    from modelyard.errors import InputError

    if not records:
        raise InputError(
            t("membership is measured on rows of train beside rows of test, and {split} has none", split=split),
            where=f"data/{split}",
            expected=t("rows that can be judged; {n} cannot", n=left_out) if left_out else t("at least one row"),
            remedy=t("give the data set the model was trained on, with its test split (`data.split`)"),
        )


def _losses(config: Config, context: Context, folder: Path, rows: _Rows) -> Any:
    """Of members then others under a shadow."""
    from modelyard.errors import InputError
    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.evaluation.safety import losses

    with opened(folder, config.threads) as predictor:
        if predictor.task != rows.task:
            raise InputError(
                t("a shadow of the task `{found}` cannot stand beside `{task}`", found=predictor.task, task=rows.task),
                where="in: {shadows: […]}",
                expected=rows.task,
            )
        records = [*rows.members, *rows.others]
        return losses.losses(predictor, records, rows.truths, config.batch_rows, _note(context, rows))


def _note(context: Context, rows: _Rows) -> Callable[[int], None]:
    total = len(rows.members) + len(rows.others)
    return lambda done: context.progress(done, total, "rows")


def _blind(context: Context, rows: _Rows) -> None:
    """Whether members and others differ by themselves."""
    from modelyard.methods.evaluation.safety import blind, membership

    found = blind.scores(rows.members, rows.others, context.seed)
    if found is None:
        context.say(t("whether members and others differ by themselves was not measured: too few rows"))
        return
    value, ends = membership.area(*found)
    n = min(len(rows.members), len(rows.others))
    context.measure("membership.blind_auc", value, about="model", on="data/test", n=n, interval=ends)
    if ends is not None and ends[0] > 0.5:
        words = t("members and others can be told apart without the model (AUC {value:.3f}): they are not of one kind, "
                  "and the figures say nothing about memory", value=value)  # fmt: skip
        context.say(words)


def _measure(context: Context, attack: str, inside: Any, outside: Any) -> None:
    from modelyard.methods.evaluation.safety.membership import area, tpr_at

    n = min(len(inside), len(outside))
    value, ends = area(inside, outside)
    context.measure(
        "membership.auc", value, about="model", on="data/test", n=n, interval=ends, slice={"attack": attack}
    )
    said = [t("AUC {value:.3f}", value=value)]
    for fpr in RATES:
        rate = tpr_at(inside, outside, fpr)
        if rate.value is None:
            context.say(t("{attack}: not measured at a false positive rate of {fpr}: {reason}", attack=attack,
                          fpr=fpr, reason=t(rate.why)))  # fmt: skip
            continue
        context.measure("membership.tpr", rate.value, about="model", on="data/test", n=n, interval=rate.interval,
                        slice={"attack": attack, "fpr": f"{fpr:g}"})  # fmt: skip
        said.append(t("{tpr:.2%} of the members found at {fpr:.1%} false alarms", tpr=rate.value, fpr=fpr))
    context.say(f"{attack}: " + "; ".join(said))


def _shown(scores: dict[str, Any]) -> list[Any]:
    import numpy as np

    from modelyard.methods.evaluation.blocks import Figures, Lines, Phrase, Series, Text
    from modelyard.methods.evaluation.ranking import roc_curve

    series = []
    for name, (inside, outside) in scores.items():
        positive = np.concatenate([np.ones(len(inside), bool), np.zeros(len(outside), bool)])
        curve = roc_curve(positive, np.concatenate([inside, outside]))
        points = tuple((float(x), float(y)) for x, y in zip(curve.x, curve.y, strict=True))
        series.append(Series(name, points))
    return [
        Text(
            Phrase(
                "An attacker who sees a row's loss says whether it was in training. On the diagonal it is a guess; "
                "what counts is the left edge, where hardly anyone is accused falsely."
            )
        ),
        Figures("Members found", ("membership.auc", "membership.tpr")),
        Text(
            Phrase(
                "An attack that sees the rows and not the model should be a guess, AUC 0.5. If it is not, members and "
                "others differ by themselves, and nothing above is about memory."
            )
        ),
        Figures("Without the model", ("membership.blind_auc",)),
        Lines("Membership attack", "false positive rate", "true positive rate", tuple(series), diagonal=True),
    ]


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model that is attacked"),
        "data": Port("dataset", ("train", "test"), description="rows it learned from, and rows it did not"),
        "shadows": Port("model", optional=True, side=True, many=True, description="models that saw none of these rows"),
    },
    outputs={"report": Port("report", description="membership.json")},
    claims=(
        Claim("membership.auc", "area under the curve of members against others, by the attack", better="lower"),
        Claim(
            "membership.blind_auc",
            "area under the curve of members against others by the rows alone, without the "
            "model: above 0.5 they are not of one kind",
            better="lower",
        ),
        Claim("membership.tpr", "share of members found at a false positive rate, by the attack", better="lower"),
    ),
    libraries=(*MODEL_LIBRARIES, "scikit-learn", "pillow"),
    loads=(*MODEL_CODE, "modelyard.methods.evaluation.measuring"),
)
