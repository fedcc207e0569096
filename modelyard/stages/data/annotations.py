"""Labels by several annotators: votes read, agreement measured, one label made of them, disagreement kept.

Reads Label Studio's JSON export (the full one, or JSON-MIN) and tables: a row a vote (`item`, `annotator`, `label`), a
row an item with a column an annotator (`annotators`), or a row an item with counts (`vote_counts`). What was labelled
stands in the other columns, or comes from another step: `in: {items: STEP}`. Rows without a label (no vote, a tie, too
little agreement) go to `removed` for review. Krippendorff's alpha and Fleiss' kappa have 95 % bootstrap intervals over
items; Dawid and Skene's method estimates how reliable each annotator is and weighs votes by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS
from modelyard.methods.data.settings import ColumnName, ColumnRoles, roles_of

if TYPE_CHECKING:
    from modelyard.methods.data.annotators.ballots import Layout
    from modelyard.methods.data.annotators.gathering import Gathered
    from modelyard.methods.data.annotators.resolution import Resolution
    from modelyard.methods.data.annotators.votes import Votes
    from modelyard.methods.data.changes import ChangeLog

PathText = Annotated[str, Field(min_length=1)]
ClassName = Annotated[str, Field(min_length=1, max_length=200)]
LEAST_COMPARED = 20


class _Where(BaseModel):
    """What is read. A base, so that it stands before the roles in the help."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: PathText | list[PathText] = Field(description="file or pattern, relative to the project; or a list")
    item: ColumnName | None = Field(None, description="column of the item's id; without it every row is an item")
    annotator: ColumnName | None = Field(None, description="a row a vote: column of who gave it; `label` is the class")
    annotators: list[ColumnName] | None = Field(None, min_length=2, description="a row an item: a column an annotator")
    vote_counts: dict[ClassName, ColumnName] | None = Field(
        None, min_length=2, description="a row an item: the column that counts each class's votes: `{spam: num_spam}`"
    )
    question: ColumnName | None = Field(None, description="Label Studio: name of the control, if there are several")
    items_key: ColumnName | None = Field(None, description="column of `items` that holds the item's id; or the row id")


class Config(ColumnRoles, _Where):
    """Settings of data.annotations."""

    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "arrow"] = Field(
        "auto", description="of tables; `auto`: by content, then by extension"
    )
    encoding: str | None = Field(None, max_length=40, description="of text files, such as `gb18030`; found if not set")
    classes: list[ClassName] | None = Field(None, min_length=2, description="the classes, in order if they have one")
    abstain: list[ClassName] = Field([], description="labels that say no class, such as `not sure`; not counted")
    scale: Literal["nominal", "ordinal", "interval"] = Field(
        "nominal", description="of alpha: classes are names, are ordered, or are numbers"
    )
    repeats: Literal["last", "first", "all"] = Field(
        "last", description="which of several votes of one annotator on one item count"
    )
    adjudicate: Literal["majority", "dawid_skene"] = Field("majority", description="how votes become a label")
    tie: Literal["review", "first", "random"] = Field(
        "review", description="equally many votes: to `removed`, the class voted for first, or drawn by the seed"
    )
    smoothing: float = Field(0.01, ge=0, le=10, description="of Dawid and Skene's confusion matrices: votes a cell")
    shares: Literal["auto", "votes", "posterior"] = Field(
        "auto", description="the soft label: shares of the votes or the posterior; auto: posterior if there is one"
    )
    min_annotators: int = Field(1, ge=1, le=1_000, description="items with fewer go to `removed`")
    min_share: float = Field(0.0, ge=0, le=1, description="items whose class has a lower share go to `removed`")
    annotator_names: Literal["keep", "number"] = Field(
        "keep", description="`number`: the outputs say `annotator 1`, …, not who it was"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        forms = [self.annotator is not None, self.annotators is not None, self.vote_counts is not None]
        if sum(forms) > 1:
            raise ValueError("`annotator`, `annotators` and `vote_counts` name different tables: set one")
        if self.annotator is not None and (self.item is None or self.label is None):
            raise ValueError("`annotator` needs `item` and `label`: the columns of the item's id and of the class")
        if self.soft_label is not None:
            raise ValueError("`soft_label` is what this step makes")
        if self.vote_counts is not None and self.adjudicate == "dawid_skene":
            raise ValueError("`adjudicate: dawid_skene` needs to know who gave each vote, not `vote_counts`")
        if self.shares == "posterior" and self.adjudicate != "dawid_skene":
            raise ValueError("`shares: posterior` needs `adjudicate: dawid_skene`")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.annotators.ballots import Rules
    from modelyard.methods.data.annotators.gathering import gather, prepare
    from modelyard.methods.data.annotators.resolution import Resolving, resolve
    from modelyard.methods.data.reading import Reading
    from modelyard.methods.data.sources import resolve as files

    roles = {role: name for role, name in roles_of(config).items() if role not in ("label", "soft_label")}
    reading = Reading(
        roles=roles,
        form=config.format,
        encoding=config.encoding,
        keep=config.keep,
        max_cell_bytes=config.max_cell_bytes,
        max_bad_fraction=config.max_bad_fraction,
    )
    export = prepare(files(config.path, context.base), _layout(config), config.question, context.scratch())
    gathered = gather(
        export,
        reading,
        Rules(config.classes, config.abstain, config.repeats, config.scale),
        context.scratch(),
        context.output("rejected"),
        lambda done, total: context.progress(done, total, "bytes"),
    )
    votes = gathered.collector.votes()
    rules = Resolving(
        config.adjudicate, config.tie, config.smoothing, config.shares, config.min_annotators, config.min_share
    )
    found = resolve(votes, rules, context.seed)
    for note in gathered.outcome.notes:
        context.say(note)
    _label(config, context, gathered, votes, found)
    _measure(config, context, gathered, votes, found)


def _layout(config: Config) -> Layout | None:
    from modelyard.methods.data.annotators.ballots import Layout

    if config.annotator is not None:
        return Layout("long", config.item, config.annotator, config.label or "", text=config.text)
    if config.annotators is not None:
        return Layout("wide", config.item, annotators=tuple(config.annotators), text=config.text)
    if config.vote_counts is not None:
        return Layout("counts", config.item, counts=config.vote_counts, text=config.text)
    return Layout("long", text=config.text)


def _label(config: Config, context: Context, gathered: Gathered, votes: Votes, found: Resolution) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.annotators.exporting import label_rows
    from modelyard.methods.data.annotators.gathering import place_of
    from modelyard.methods.data.changes import ChangeLog
    from modelyard.methods.data.dataset import ROW_ID

    places = gathered.collector.ballots.items
    with ChangeLog(context.output("removed")) as log:
        if context.bound("items"):
            matched = _join(config, context, places, votes, found, log)
            if matched < len(places):
                context.say(t("{n:,} items that were voted on are not in `items`", n=len(places) - matched))
        elif gathered.items is not None:
            own, out = list(votes.items), context.output("data")
            label_rows(gathered.items, lambda row: place_of(row[ROW_ID]), own, votes, found, out, log)
            for item, (reason, raw) in gathered.unusable.items():
                log.account.num_in += 1
                log.removed(item, reason.partition(":")[0], reason, {"raw": raw})
        else:
            raise InputError(
                t("the export holds votes only: what was labelled is not in it"),
                where=str(config.path),
                remedy=t("name the step that reads it: {example}", example="`in: {items: STEP}`"),
            )
    if not log.account.num_kept:
        raise InputError(t("no row has a label"), where="data.annotations", expected=log.account.line())
    log.account.tell(context)


def _join(
    config: Config, context: Context, places: Mapping[str, int], votes: Votes, found: Resolution, log: ChangeLog
) -> int:
    """Label the rows of the input `items`; returns how many of the items that were voted on are among them."""
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.annotators.ballots import name_of
    from modelyard.methods.data.annotators.exporting import label_rows
    from modelyard.methods.data.dataset import ROW_ID, Dataset

    items, key = Dataset.open(context.input("items")), config.items_key or ROW_ID
    names = [column.name for column in items.columns]
    if key not in names:
        expected = t("one of: {names}", names=", ".join(names))
        raise InputError(t("no column `{name}`", name=key), where="data.annotations, items", expected=expected)
    matched: set[int] = set()

    def place(row: Mapping[str, Any]) -> int | None:
        at = places.get(name_of(row[key]) or "")
        if at is not None:
            matched.add(at)
        return at

    label_rows(items, place, None, votes, found, context.output("data"), log)
    return len(matched)


def _measure(config: Config, context: Context, gathered: Gathered, votes: Votes, found: Resolution) -> None:
    import numpy as np

    from modelyard.base.messages import t
    from modelyard.methods.data.annotators.agreement import fleiss_kappa, krippendorff_alpha

    for reason, n in gathered.collector.ballots.reasons().most_common():
        context.say(t("{n:,} votes do not count: {reason}", n=n, reason=t(reason)))
    values = np.array([float(name) for name in votes.classes]) if config.scale == "interval" else None
    counts = votes.counts()
    estimates = {
        "data.agreement_alpha": krippendorff_alpha(counts, config.scale, values, context.seed),
        "data.fleiss_kappa": fleiss_kappa(counts, context.seed),
    }
    _say(context, votes, found, estimates["data.agreement_alpha"])
    for claim, estimate in estimates.items():
        if estimate is not None:
            ends = (estimate.low, estimate.high)
            context.measure(claim, estimate.value, about="data", on="", n=estimate.n, interval=ends)
    differ, several = found.disagreement
    if several:
        rate = differ / several
        context.measure("data.disagreement_rate", rate, about="data", on="", n=several, interval="exact")
    num = len(votes.item)
    context.measure("data.votes", num, about="data", on="", n=num, unit="votes", interval="exact")
    _people(config, context, gathered, votes, found)


def _people(config: Config, context: Context, gathered: Gathered, votes: Votes, found: Resolution) -> None:
    """Write the tables of votes and annotators, and measure the annotator who agrees least."""
    from modelyard.base.messages import t
    from modelyard.methods.data.annotators import exporting, pairwise

    ballots = gathered.collector.ballots
    called = exporting.names_of(ballots, config.annotator_names == "number")
    exporting.write_votes(context.output("votes"), ballots, called)
    for names in exporting.alike(called):
        said = ", ".join(called[name] for name in names)
        context.say(t("annotators whose names differ only in case count as different people: {names}", names=said))
    standings = pairwise.standings(votes) if votes.named else []
    exporting.write_annotators(context.output("annotators"), votes, standings, found, called)
    pairs = pairwise.cohen_kappas(votes) if votes.named else []
    exporting.write_pairs(context.output("pairs"), votes, pairs, called)
    compared = [standing for standing in standings if standing.n >= LEAST_COMPARED]
    if not compared:
        return
    worst = min(compared, key=lambda standing: (standing.accuracy, standing.annotator))
    context.say(
        t(
            "least with the others: {name}, {rate:.1%} of {n:,} items [{low:.1%}, {high:.1%}]",
            name=called[votes.annotators[worst.annotator]],
            rate=worst.accuracy,
            n=worst.n,
            low=worst.low,
            high=worst.high,
        )
    )
    ends = (worst.low, worst.high)
    context.measure("data.annotator_accuracy", worst.accuracy, about="data", on="", n=worst.n, interval=ends)


def _say(context: Context, votes: Votes, found: Resolution, alpha: object) -> None:
    from modelyard.base.messages import t
    from modelyard.methods.data.annotators.agreement import Estimate

    differ, several = found.disagreement
    context.say(
        t(
            "{votes:,} votes on {items:,} items in {classes:,} classes; {several:,} items have two or more, {differ:,} "
            "of them not all alike",
            votes=len(votes.item),
            items=len(votes.items),
            classes=len(votes.classes),
            several=several,
            differ=differ,
        )
    )
    if isinstance(alpha, Estimate):
        context.say(
            t(
                "Krippendorff's alpha {value:.3f} [{low:.3f}, {high:.3f}], bootstrap over items",
                value=alpha.value,
                low=alpha.low,
                high=alpha.high,
            )
        )
    else:
        context.say(t("agreement is undefined: no item has two votes, or all votes name one class"))
    if any("@" in name for name in votes.annotators):
        context.say(t("annotators are called by e-mail addresses; `annotator_names: number` leaves them out"))
    if found.model is not None:
        said = t("converged") if found.model.converged else t("not converged")
        context.say(
            t(
                "Dawid and Skene: {n:,} iterations, {said}, log-likelihood {value:,.1f}",
                n=len(found.model.log_likelihood),
                said=said,
                value=found.model.log_likelihood[-1],
            )
        )


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of every file that is read, by its name relative to the project."""
    from modelyard.methods.data.sources import resolve

    return [[source.name, source.digest] for source in resolve(config.path, base)]


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "items": Port("dataset", ("all",), optional=True, side=True, description="the rows that were labelled"),
    },
    outputs={
        "data": Port("dataset", ("all",), description="rows with a label, its shares, and how far annotators agree"),
        "removed": Port("dataset", ("all",), side=True, description="rows without a label, with the reason"),
        "votes": Port("dataset", ("all",), side=True, description="every vote, and why one does not count"),
        "annotators": Port("dataset", ("all",), side=True, description="every annotator against the others"),
        "pairs": Port("dataset", ("all",), side=True, description="Cohen's kappa of every two annotators"),
        "rejected": Port("dataset", ("all",), side=True, description="lines of the files that cannot be read"),
    },
    claims=(
        *CLAIMS,
        Claim(
            "data.agreement_alpha",
            "Krippendorff's alpha: 1 is full agreement, 0 is chance",
            subject="lineage",
            any_split=True,
        ),
        Claim("data.fleiss_kappa", "Fleiss' kappa of the annotators", subject="lineage", any_split=True),
        Claim(
            "data.disagreement_rate",
            "share of the items with two votes or more whose votes are not all alike",
            better="lower",
            subject="lineage",
            any_split=True,
        ),
        Claim("data.votes", "votes that count", "votes", better="none", subject="lineage", any_split=True),
        Claim(
            "data.annotator_accuracy",
            "the lowest share of an annotator's votes that agree with the majority of the others "
            "(annotators with 20 items or more)",
            subject="lineage",
            any_split=True,
        ),
    ),
    libraries=("pyarrow", "numpy", "charset-normalizer"),
    external=("path",),
    fingerprint=fingerprint,
)
