"""Whom a model serves worse: rates by group with intervals, gaps between groups, and words of identity swapped.

`columns` names columns of the data: values are groups, a number is cut by `bins`, and columns are also taken together
(`together: 2`). Measured by group: selection rate, true and false positive rate, precision, accuracy, calibration; of
numbers the errors. Gaps (demographic parity, equal opportunity, equalised odds …) are the largest over all groups,
with intervals that hold for the largest of many; groups with fewer rows than `min_n` are listed and not compared.
A rule for the gate: `{claim: fairness.demographic_parity_difference, max: 0.1}`; with `slice: {by: sex}` for one
column alone.

`swaps` asks a model of texts again with `he` for `she`, `河南` for `浙江`: the share of answers that flip.

The report is `fairness.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.canonical import Json
from modelyard.base.messages import t
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.data.settings import ColumnName
from modelyard.methods.evaluation.fairness import claims
from modelyard.methods.evaluation.settings import Label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.group_columns import Grouping
    from modelyard.methods.evaluation.estimates import Estimate
    from modelyard.methods.evaluation.fairness.classes import Found
    from modelyard.methods.evaluation.fairness.swapping import Asked
    from modelyard.methods.evaluation.measuring.examples import Examples
    from modelyard.methods.runtimes.predictor import Predictor

Cut = Annotated[float, Field(ge=-1e18, le=1e18)]
Kind = Literal["age", "gender", "orientation", "origin", "region", "religion"]
SAID = 10  # groups named in one line; the report lists all
NAMED = 3  # figures named beside the reason why they are not measured; the report lists all
TOO_FEW = "fewer than two groups have enough rows"


class Config(BaseModel):
    """Settings of evaluate.fairness."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[ColumnName, ...] = Field((), max_length=10, description="columns whose values are groups")
    bins: dict[ColumnName, Annotated[tuple[Cut, ...], Field(min_length=1, max_length=20)]] = Field(
        {}, description="where a number is cut into groups (`{age: [25, 45]}`: below 25, 25 to below 45, 45 and more)"
    )
    together: int = Field(2, ge=1, le=3, description="also groups of so many columns together at most (columns)")
    positive: Label | None = Field(
        None, description="the class that rates are of; none: the second of two, or each of several against the rest"
    )
    min_n: int = Field(100, ge=10, le=1_000_000, description="rows that a rate of a group needs to be compared (rows)")
    max_classes: int = Field(
        10, ge=2, le=1000, description="with more classes than this accuracies alone are compared (classes)"
    )
    swaps: tuple[Kind, ...] = Field(
        (), max_length=6, description="texts: kinds of words of identity to swap, Chinese and English built in"
    )
    terms: str | None = Field(
        None, min_length=1, max_length=1000,
        description="texts: CSV file of own pairs, relative to the project, with the columns kind, first, second",
    )  # fmt: skip
    examples: int = Field(20, ge=0, le=200, description="texts that flipped kept in the report (rows)")
    texts: bool = Field(True, description="show the first 200 characters of those texts; off keeps only row ids")
    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to the model at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if not (self.columns or self.swaps or self.terms):
            raise ValueError("name `columns` to divide by, or `swaps` of words to try")
        strange = sorted(set(self.bins) - set(self.columns))
        if strange:
            raise ValueError(f"`bins` cut columns that `columns` does not name: {', '.join(strange)}")
        for name, cuts in self.bins.items():
            if list(cuts) != sorted(set(cuts)):
                raise ValueError(f"the bins of `{name}` must rise")
        if len(set(self.columns)) != len(self.columns) or len(set(self.swaps)) != len(self.swaps):
            raise ValueError("a name stands twice in `columns` or `swaps`")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import blocks
    from modelyard.methods.evaluation.fairness import page, swapping
    from modelyard.methods.evaluation.measuring.family import Shown
    from modelyard.methods.evaluation.opening import opened

    data = Dataset.open(context.input("data"))
    drawn: list[blocks.Block] = []
    found: Found | None = None
    groupings: Sequence[Grouping] = ()
    asked: Sequence[Asked] = ()
    with opened(context.input("model"), config.threads) as predictor:
        examples = _examples(data, predictor)
        if config.columns:
            found, groupings, positive = _by_group(config, context, predictor, examples)
            drawn += page.of_groups(found, groupings, positive, config.min_n)
        if config.swaps or config.terms:
            texts = _texts(predictor, examples)
            asked = _swap(config, context, predictor, texts)
            swaps = swapping.measure(asked, config.min_n, context.seed)
            _tell(context, swaps.estimates)
            _say_swaps(context, asked, config.min_n)
            shown = Shown(config.examples, config.texts)
            drawn += page.of_swaps(asked, swaps, texts, examples.row_ids, shown)
    blocks.write(context.output("report"), "fairness", "Fairness", drawn, page.data(found, groupings, asked))


def _examples(data: Dataset, predictor: Predictor) -> Examples:
    from modelyard.errors import InputError
    from modelyard.methods.evaluation import measuring
    from modelyard.methods.evaluation.measuring.examples import Examples
    from modelyard.methods.evaluation.settings import Measuring

    if measuring.FAMILIES.get(predictor.task) not in ("classification", "regression"):
        raise InputError(
            t("models of the task `{task}` cannot be measured by group yet", task=predictor.task),
            where="model",
            expected=t("a model that answers with one class or one number"),
        )
    family = measuring.find(predictor.task)
    return Examples.read(data, "test", family.reader(data, predictor.task, Measuring()))


def _by_group(
    config: Config, context: Context, predictor: Predictor, examples: Examples
) -> tuple[Found, Sequence[Grouping], str]:
    from modelyard.methods.data import group_columns as groups
    from modelyard.methods.evaluation import measuring
    from modelyard.methods.evaluation.fairness import classes, numbers
    from modelyard.methods.evaluation.quality import Answers
    from modelyard.methods.evaluation.settings import Measuring

    columns = {name: examples.column(name) for name in config.columns}
    groupings = groups.divide(columns, config.bins, config.together)
    family = measuring.find(predictor.task)
    context.say(t("measuring {count} test rows with {runtime}", count=len(examples), runtime=predictor.runtime))
    settings = Measuring(batch_rows=config.batch_rows)
    answers: Any = family.answer(
        predictor, examples, settings, lambda done, total: context.progress(done, total, "rows")
    )
    positive = ""
    if isinstance(answers, Answers):
        places = _classes(config, context, answers.labels)
        found = classes.measure(answers, groupings, places, config.min_n, context.seed)
        positive = answers.labels[places[0]] if len(places) == 1 else ""
    else:
        found = numbers.measure(answers, groupings, config.min_n, context.seed)
    _tell(context, found.estimates)
    _say_groups(context, found, groupings, config.min_n)
    return found, groupings, positive


def _classes(config: Config, context: Context, labels: tuple[str, ...]) -> list[int]:
    """Places of the classes that rates are of."""
    from modelyard.errors import InputError

    if config.positive is not None:
        if config.positive not in labels:
            raise InputError(
                t("`{setting}` does not fit the labels of the model", setting="positive"),
                where=f"positive: {config.positive}",
                expected=", ".join(labels[:10]),
            )
        return [labels.index(config.positive)]
    if len(labels) == 2:
        context.say(t("rates are of the class `{label}`; `positive` names another", label=labels[1]))
        return [1]
    if len(labels) > config.max_classes:
        context.say(
            t("{count} classes: accuracies alone are compared; `positive` looks at one class", count=len(labels))
        )
        return []
    context.say(t("{count} classes: each is compared with the rest", count=len(labels)))
    return list(range(len(labels)))


def _texts(predictor: Predictor, examples: Examples) -> list[str]:
    from modelyard.errors import InputError

    if predictor.task != "text-classification":
        raise InputError(
            t("words are swapped in texts alone, and the model's task is `{task}`", task=predictor.task),
            where="swaps",
            expected=t("a classifier of texts"),
            remedy=t("leave `swaps` and `terms` out"),
        )
    return [str(record["text"]) for record in examples.records()]


def _swap(config: Config, context: Context, predictor: Predictor, texts: Sequence[str]) -> list[Asked]:
    from modelyard.methods.evaluation.fairness import swapping, terms

    pairs = terms.built_in(config.swaps)
    if config.terms:
        pairs += terms.read(context.base / config.terms, config.terms)
    labels = tuple(predictor.labels)
    positive = config.positive or (labels[1] if len(labels) == 2 else None)
    kinds = list(dict.fromkeys(pair.kind for pair in pairs))
    asked = []
    for done, kind in enumerate(kinds):
        mine = [pair for pair in pairs if pair.kind == kind]
        asked.append(swapping.ask(predictor, texts, kind, mine, positive, config.batch_rows))
        context.progress(done + 1, len(kinds), "kinds")
    return asked


def _tell(context: Context, estimates: Sequence[Estimate]) -> None:
    from modelyard.methods.evaluation.fairness.classes import exact

    for one in estimates:
        context.measure(
            f"fairness.{one.name}",
            one.value,
            about="model",
            on="data/test",
            n=one.n,
            interval="exact" if exact(one) else one.interval,
            slice=one.slice,
        )


def _say_groups(context: Context, found: Found, groupings: Sequence[Grouping], min_n: int) -> None:
    for grouping in groupings:
        small = [
            f"{name}: {size}"
            for name, size in zip(grouping.names, grouping.sizes().tolist(), strict=True)
            if size < min_n
        ]
        if small:
            named = "; ".join(small[:SAID]) + ("; …" if len(small) > SAID else "")
            context.say(
                t("by {by}: {count} groups have fewer than {least} rows and are not compared: {named}",
                  by=grouping.title, count=len(small), least=min_n, named=named)
            )  # fmt: skip
    for reason in dict.fromkeys(found.missing.values()):
        names = [_named(name) for name, why in found.missing.items() if why == reason]
        more = t(" and {more} more, listed in the report", more=len(names) - NAMED) if len(names) > NAMED else ""
        context.say(
            t("not measured: {name} ({reason})", name=t(", ").join(names[:NAMED]) + more, reason=t(reason))
        )  # fmt: skip
    if TOO_FEW in found.missing.values():
        context.say(
            t("a figure needs two groups with {least} rows each, of the class where it is a rate of that class; the "
              "setting `min_n` lowers this, and intervals become wider; `bins` makes fewer groups", least=min_n)
        )  # fmt: skip


def _named(figure: str) -> str:
    """A gap's name for people: `demographic_parity_difference by sex, class bad`."""
    from modelyard.methods.reporting.claim_names import NAMES

    name, _, rest = figure.partition(" by ")
    by, _, label = rest.partition(", class ")
    shown = t("{claim} by {by}", claim=t(NAMES.get(f"fairness.{name}", name)), by=by)
    return t("{claim}, class {label}", claim=shown, label=label) if label else shown


def _say_swaps(context: Context, asked: Sequence[Asked], min_n: int) -> None:
    for one in asked:
        context.say(
            t("words of {kind}: {found} of {count} texts have one, {flipped} answers flip", kind=one.kind,
              found=len(one.rows), count=one.num_rows, flipped=sum(row.flipped for row in one.rows))
        )  # fmt: skip
        if len(one.rows) < min_n:
            context.say(t("not measured: {name} ({reason})", name=one.kind, reason=t("too few texts have such a word")))


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of the user's table of terms."""
    from modelyard.methods.data.sources import resolve

    return [[one.name, one.digest] for one in resolve([config.terms], base)] if config.terms else []


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model to measure"),
        "data": Port("dataset", splits=("test",), description="test rows with the columns that make groups"),
    },
    outputs={"report": Port("report", description="fairness.json")},
    claims=claims.ALL,
    libraries=MODEL_LIBRARIES,
    external=("terms",),
    fingerprint=fingerprint,
    loads=MODEL_CODE,
)
