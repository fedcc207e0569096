"""Apply people's answers about labels: a new version of the data, with author and time of every change.

`path` names files that `modelyard label` wrote, one JSON object a line. An answer is applied if the row still has the
label it was judged by; what does not fit (an unknown row, another label, a misspelt one) is kept in `rejected` with
the reason. Rows without a label get one, so that a pool can be labelled too. It runs before the split.

Where authors differ, the order of the lines in a file counts; times only order answers of different files.

Answers about rows drawn at random (`audit` of data.label_errors) also give the share of wrong labels, with an
interval that owes nothing to any model. For that the queue must be on the input `queue`: only rows that it drew, from
its first on without a gap, are a sample. What an answer says of itself is no proof.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS
from modelyard.methods.data.settings import ColumnName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.methods.data.labelling.fitting import Outcome
    from modelyard.methods.data.sources import Source

PathText = Annotated[str, Field(min_length=1)]


class Config(BaseModel):
    """Settings of data.correct."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: PathText | list[PathText] = Field(
        description="files of answers, relative to the project: `labels/errors.jsonl`, a pattern, or a list"
    )
    optional: bool = Field(False, description="no such file is no error: nothing is corrected yet")
    adjudicate: Literal["last", "leave", "refuse"] = Field(
        "last", description="where authors differ: the last answer holds, the row is left as it is, or the step fails"
    )
    new_labels: bool = Field(False, description="answers may give labels that no row has yet")
    rematch: bool = Field(True, description="an answer whose row id is gone finds rows of the same text")
    label: ColumnName = Field("label", description="name of the label column to make where the data has none")
    max_bad_fraction: float = Field(
        0.05, ge=0, le=1, description="more answers that do not fit than this share fail the step"
    )


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.labelling.answers import Answer, BadLine, parse
    from modelyard.methods.data.labelling.applying import apply
    from modelyard.methods.data.labelling.fitting import Correcting

    answers: list[Answer] = []
    bad: list[BadLine] = []
    sources = _sources(config, context.base)
    for source in sources:
        found, wrong = parse(source.path.read_bytes(), source.name)
        answers += found
        bad += wrong
    if not sources:
        context.say(t("there is no file of answers yet: nothing is corrected"))
    outcome = apply(
        Dataset.open(context.input("data")),
        answers,
        bad,
        Correcting(config.adjudicate, config.new_labels, config.rematch, config.label, config.max_bad_fraction),
        context.output("data"),
        context.output("removed"),
        context.output("rejected"),
        lambda done, total: context.progress(done, total, "rows"),
    )
    outcome.account.tell(context)
    _say(outcome, config, context)
    _measure(outcome, context)
    _audit(outcome, context)


def _say(outcome: Outcome, config: Config, context: Context) -> None:
    from collections import Counter

    from modelyard.base.messages import t

    counts = [
        (t("{n:,} labels were confirmed", n=outcome.num_confirmed), outcome.num_confirmed),
        (t("{n:,} rows already had the label of their answer", n=outcome.num_already), outcome.num_already),
        (t("{n:,} answers found their rows by text: their row ids are gone", n=outcome.num_rematched),
         outcome.num_rematched),
    ]  # fmt: skip
    for line, count in counts:
        if count:
            context.say(line)
    if outcome.num_disputed:
        context.say(
            t("the authors differ about {n:,} rows; {how}", n=outcome.num_disputed,
              how=t("they stay as they are") if config.adjudicate == "leave" else t("the last answer holds"))
        )  # fmt: skip
    kinds = Counter(one.kind for one in outcome.bad)
    if kinds:
        named = ", ".join(f"{t(kind)} {count:,}" for kind, count in kinds.most_common())
        context.say(t("{n:,} answers were not applied, kept in `rejected` ({kinds})", n=kinds.total(), kinds=named))


def _measure(outcome: Outcome, context: Context) -> None:
    num_in, changed = max(1, outcome.account.num_in), outcome.account.num_changed
    context.measure("data.corrected_rate", changed / num_in, about="data", on="", n=num_in, interval="exact")
    if outcome.num_answers:
        context.measure(
            "data.rejected_answers_rate", len(outcome.bad) / outcome.num_answers, about="data", on="",
            n=outcome.num_answers, interval="exact",
        )  # fmt: skip


def _audit(outcome: Outcome, context: Context) -> None:
    """Measure what the rows drawn at random say, if it can be verified that they were."""
    from modelyard.base.messages import t
    from modelyard.methods.data.labelling.auditing import audited, claimed
    from modelyard.methods.statistics.wilson import wilson

    if not context.bound("queue"):
        if n := claimed(outcome.fitting):
            context.say(
                t("{n:,} answers say that their rows were drawn at random; that is not verified and no error rate is "
                  "measured, since `queue` is not bound", n=n)
            )  # fmt: skip
        return
    found = audited(context.input("queue"), outcome.fitting)
    if found.num_left_out:
        context.say(
            t("{n:,} answers about rows drawn at random do not count: of another queue, or after a row of it without "
              "a fitting answer", n=found.num_left_out)
        )  # fmt: skip
    if found.num:
        context.measure(
            "data.audited_error_rate", found.num_wrong / found.num, about="data", on="", n=found.num,
            interval=wilson(found.num_wrong, found.num),
        )  # fmt: skip


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of every file of answers, by its name; none if it is optional and not there."""
    return [[source.name, source.digest] for source in _sources(config, base)]


def _sources(config: Config, base: Path) -> Sequence[Source]:
    import glob

    from modelyard.methods.data.sources import resolve

    paths = [config.path] if isinstance(config.path, str) else config.path
    if config.optional:
        paths = [path for path in paths if (base / path).exists() or glob.glob(str(base / path), recursive=True)]
    return resolve(paths, base) if paths else []


def _share(name: str, description: str, better: Literal["lower", "none"]) -> Claim:
    return Claim(name, description, better=better, subject="lineage", any_split=True)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("all",), description="rows, with labels or without"),
        "queue": Port(
            "dataset",
            ("all",),
            optional=True,
            side=True,
            description="whose rows drawn at random are counted",
        ),
    },
    outputs={
        "data": Port("dataset", ("all",), description="the same rows, labels corrected"),
        "removed": Port("dataset", ("all",), side=True, description="every label changed, with author and time"),
        "rejected": Port("dataset", ("all",), side=True, description="answers that do not fit, with the reason"),
    },
    claims=(
        *CLAIMS,
        _share("data.corrected_rate", "share of the rows whose label was corrected or given", "none"),
        _share("data.rejected_answers_rate", "share of the answers that do not fit the data", "lower"),
        _share(
            "data.audited_error_rate",
            "share of rows drawn at random whose label a person found wrong, before correction",
            "lower",
        ),
    ),
    libraries=("pyarrow",),
    external=("path",),
    fingerprint=fingerprint,
)
