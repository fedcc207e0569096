"""Learn from a stream of labelled rows, one after the other, in bounded memory.

Every train row, in the order of the data, is answered with what was learned before it and learned then: the share of
right answers is measured on rows the model had not seen. What learns is logistic regression on hashed n-grams (texts)
or hashed columns (tables) with AdaGrad; classes may appear at any time. ADWIN watches the errors; when their share
rises it says so, and learning starts fast again. The model is a model folder like any other and holds the state of the
stream: named as `in: {model: …}`, it is gone on from, and ends in the same bytes as if the stream had come in one part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.data.settings import ColumnName
from modelyard.methods.training.online.settings import Drift, Learning

if TYPE_CHECKING:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training.online.state import State
    from modelyard.methods.training.online.work import Online


class Config(BaseModel):
    """Settings of train.online."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: list[ColumnName] | None = Field(
        None,
        min_length=1,
        description="Columns of a table to learn from; by default the text, or every column without another role",
    )
    leave_out: list[ColumnName] = Field([], description="Columns not to learn from")
    categories: list[ColumnName] = Field([], description="Columns of names that look like numbers (postcodes)")
    learning: Learning = Field(default_factory=Learning, description="How weights follow rows")
    drift: Drift = Field(default_factory=Drift, description="What happens when the share of errors rises")
    max_chars: int = Field(20_000, ge=1, le=1_000_000, description="Characters of a text that are read")
    window: int = Field(500, ge=10, le=1_000_000, description="Rows of a point of the curve, at first")
    checkpoint_rows: int = Field(20_000, ge=1, le=10**9, description="Rows between two checkpoints")
    licence: str = Field("unknown", min_length=1, max_length=100, description="SPDX expression for the model made")


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training import carrying
    from modelyard.methods.training.hooks import Hooks
    from modelyard.methods.training.online import saving, state, work
    from modelyard.methods.training.tables import odd_numbers

    hooks = Hooks(context.log, context.progress, context.say)
    data = Dataset.open(context.input("data"))
    fields, reader = _reading(config, data)
    if problems := [one for split in data.splits() for one in odd_numbers.weight_problems(data, split)]:
        raise InputError.of(problems)
    for note in odd_numbers.notes(data, list(fields.values())):
        context.say(note)
    learning, delta = config.learning, config.drift.delta
    rate = learning.learning_rate or work.rate_for(reader)
    fresh = state.new(reader, rate, learning.l2, delta, config.window)
    former = context.input("model") if context.bound("model") else None
    begun = work.begin(context.scratch(), former, fresh, rate, learning.l2, delta, hooks)
    online = work.Online(begun, config.drift, learning.max_labels, hooks)
    online.run(data, fields, context.scratch(), config.checkpoint_rows)
    if len(online.state.labels) < 2:
        raise InputError(
            t("the stream has {count} classes", count=len(online.state.labels)),
            where="data/train",
            expected=t("at least two classes"),
        )
    saving.write_model(online.state, context.output("model"), _provenance(online.state), config.licence)
    if set(fields) == {"text"}:
        carrying.carry(data, context.output("model"), context.say)
    _tell(online, context)
    _measure(online.state, context)
    _validate(online.state, data, fields, context)


def _reading(config: Config, data: Dataset) -> tuple[dict[str, str], Any]:
    """Fields of a record to columns, and what reads them before the first row."""
    from modelyard.methods.preprocessing.ngrams_hashed import HashedNgrams
    from modelyard.methods.preprocessing.table_hashed import Column, HashedTable
    from modelyard.methods.training.tables.rows import feature_names

    data.need("label")
    text = data.role("text")
    if text is not None and config.columns is None:
        return {"text": text}, HashedNgrams(config.learning.bits, config.max_chars)
    names = feature_names(data, config.columns, config.leave_out)
    columns = tuple(Column(name, name in config.categories) for name in names)
    return {name: name for name in names}, HashedTable(columns, config.learning.bits)


def _provenance(state: State) -> dict[str, Any]:
    """What is so of the whole stream, in however many parts it came."""
    return {
        "stage": "train.online",
        "rows": state.curve.rows,
        "counts": dict(zip(state.labels, state.counts, strict=True)),
        "prequential_accuracy": state.curve.hits / state.curve.rows,
        "drifts": state.num_drifts,
    }


def _tell(online: Online, context: Context) -> None:
    from modelyard.base.messages import t

    curve = online.state.curve
    if online.unlabelled:
        context.say(t("{count} {split} rows without a label were left out", count=online.unlabelled, split="train"))
    if online.unreadable:
        context.say(t("{count} rows that cannot be read were left out", count=online.unreadable))
    context.say(
        t(
            "right before learning: {share:.1%} of {rows:,} rows; always the commonest class: {majority:.1%}, always "
            "the class before: {last:.1%}",
            share=curve.hits / curve.rows,
            rows=curve.rows,
            majority=curve.majority / curve.rows,
            last=curve.last / curve.rows,
        )
    )


def _measure(state: State, context: Context) -> None:
    from modelyard.methods.statistics.wilson import wilson

    curve = state.curve
    for claim, hits in (
        ("prequential_accuracy", curve.hits),
        ("prequential_baseline", max(curve.majority, curve.last)),
    ):
        context.measure(
            f"train.{claim}",
            hits / curve.rows,
            about="model",
            on="data/train",
            n=curve.rows,
            interval=wilson(hits, curve.rows),
        )
    context.measure(
        "train.drifts", state.num_drifts, about="model", on="data/train", n=curve.rows, unit="drifts", interval="exact"
    )
    num = state.learner.weights.size + state.learner.bias.size
    context.measure("train.parameters", num, about="model", on="", n=1, unit="weights", interval="exact")


def _validate(state: State, data: Dataset, fields: dict[str, str], context: Context) -> None:
    """The model as it ended, on rows it never learned; nothing if there are none."""
    from modelyard.methods.statistics.wilson import wilson
    from modelyard.methods.training.online import work

    hits, rows = work.validate(state, data, fields)
    if rows:
        context.measure(
            "train.validation_accuracy",
            hits / rows,
            about="model",
            on="data/validation",
            n=rows,
            interval=wilson(hits, rows),
        )


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("train", "validation"), description="labelled texts or rows, in the order they came"),
        "model": Port("model", optional=True, side=True, description="a model of train.online to go on from"),
    },
    outputs={"model": Port("model", description="a model folder")},
    claims=(
        Claim(
            "train.prequential_accuracy",
            "share of rows of the whole stream answered rightly before they were learned",
            any_split=True,
        ),
        Claim(
            "train.prequential_baseline",
            "the same of the better of two who do not learn: always the commonest class, always the class before",
            any_split=True,
        ),
        Claim(
            "train.drifts", "times the share of errors rose over the whole stream", "drifts", better="lower",
            any_split=True,
        ),
        Claim(
            "train.validation_accuracy",
            "share of validation rows answered rightly; validation chose the model, so it flatters",
            sizing="rate",
            any_split=True,
        ),
        Claim("train.parameters", "weights that were learned", "weights", better="lower", any_split=True),
    ),
    libraries=("torch", "numpy", "safetensors", "pyarrow"),
    loads=MODEL_CODE,
)  # fmt: skip
