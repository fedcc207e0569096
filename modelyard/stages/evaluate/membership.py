"""Measures whether a row's loss tells that it was in the training data: membership inference.

The attack compares rows of train with rows of test. What matters is how many members it finds at a low false positive
rate (`membership.tpr`, slices `fpr` 0.01 and 0.001), beside the area under the curve. With `shadows` named (models of
the same kind that saw neither split's rows) the attack takes into account what is usual for a row, which finds more.

The report is `membership.json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE

if TYPE_CHECKING:
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
    mine, members, others = _losses(config, context, data, context.input("model"), 0)
    split = members
    scores = {"loss": (-mine[:split], -mine[split:])}
    shadows = [
        _losses(config, context, data, folder, place)[0]
        for place, folder in enumerate(context.inputs("shadows") if context.bound("shadows") else [], start=1)
    ]
    if shadows:
        found = membership.calibrated(mine, np.stack(shadows))
        scores["calibrated"] = found[:split], found[split:]
    else:
        context.say(t("only the plain attack was tried: no shadow models are named (`in: {shadows: […]}`)"))
    for name, (inside, outside) in scores.items():
        _measure(context, name, inside, outside, others)
    write(context.output("report"), "membership", "Membership inference", _shown(scores))


def _losses(config: Config, context: Context, data: Any, folder: Path, place: int) -> tuple[Any, int, int]:
    """Losses of members then others under one model, and how many there are of each."""
    import numpy as np

    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.evaluation.safety import losses

    found, sizes = [], []
    with opened(folder, config.threads) as predictor:
        for split in ("train", "test"):
            records, truths, left_out = losses.rows_of(data, split, predictor.task, config.rows, context.seed)
            if left_out and not place:
                context.say(t("{split}: {n} rows cannot be judged and were left out", split=split, n=left_out))
            total = len(records)

            def note(done: int, total: int = total) -> None:
                context.progress(done, total, "rows")

            found.append(losses.losses(predictor, records, truths, config.batch_rows, note))
            sizes.append(total)
    return np.concatenate(found), sizes[0], sizes[1]


def _measure(context: Context, attack: str, inside: Any, outside: Any, others: int) -> None:
    from modelyard.methods.evaluation.safety.membership import area, tpr_at

    n = min(len(inside), others)
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
        Figures("Members found", ("membership.",)),
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
        Claim("membership.tpr", "share of members found at a false positive rate, by the attack", better="lower"),
    ),
    libraries=("numpy", "scipy", "pyarrow", "tokenizers", "torch", "transformers", "onnxruntime", "openvino"),
    loads=(*MODEL_CODE, "modelyard.methods.evaluation.measuring"),
)
