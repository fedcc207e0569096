"""Compares the model with another one on the same test rows: is it better, could that be chance, and where is it worse?

Both answer every test row through the predictor that serving loads. The gain has a paired 95 % interval and exact tests
of no difference (McNemar for right and wrong; shuffled signs and the sign test for numbers). Rows that changed sides
are counted. Groups of rows (columns, text length, language, label, clusters, pairs of these) are searched for ones in
which the two differ; of what is listed at most 5 % is chance in the mean, however many groups there are.

The other model is any step's: a second training, `model.release` (what is in production), `compress.…`, or
`evaluate.endpoint` (an API). A rule for the gate: `{claim: comparison.accuracy_gain, min: -0.005}`, or
`{claim: comparison.regressions, max: 0}`.

The report holds `comparison.json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.data.settings import ColumnName
from modelyard.methods.evaluation.settings import Measuring

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.comparing.costing import Times
    from modelyard.methods.evaluation.comparing.evidence import Measured
    from modelyard.methods.evaluation.comparing.finding import Search
    from modelyard.methods.evaluation.comparing.scoring import Scored
    from modelyard.methods.evaluation.comparing.slicing import Slice
    from modelyard.methods.evaluation.comparing.testing import Difference
    from modelyard.methods.evaluation.measuring.examples import Examples
    from modelyard.methods.runtimes.predictor import Predictor

SAID = 5
"""Regressions told while it runs; the report lists all."""


class Config(Measuring):
    """Settings of evaluate.comparison."""

    columns: tuple[ColumnName, ...] = Field(
        (), max_length=100, description="columns whose groups are looked at; none: every one that is no text"
    )
    least_rows: int = Field(30, ge=5, le=1_000_000, description="of a group (rows)")
    clusters: int = Field(8, ge=0, le=100, description="groups of like texts; 0 for none (groups)")
    pairs: bool = Field(True, description="look at pairs of columns too")
    most_groups: int = Field(2_000, ge=1, le=20_000, description="tested at most, the largest first (groups)")
    false_discoveries: float = Field(
        0.05, gt=0, le=0.5, description="share of the groups listed that may be chance, in the mean"
    )
    timed_rows: int = Field(
        0, ge=0, le=10_000, description="also time both on so many rows, in turn; 0: no timing (rows)"
    )


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import blocks, measuring
    from modelyard.methods.evaluation.comparing import evidence, finding, scoring, showing, testing
    from modelyard.methods.evaluation.measuring.examples import Examples
    from modelyard.methods.evaluation.opening import opened

    data = Dataset.open(context.input("data"))
    folders = {port: context.input(port) for port in ("model", "against")}
    with opened(folders["model"], config.threads) as model, opened(folders["against"], config.threads) as against:
        measures = scoring.measures_of(model.task, against.task)
        family = measuring.find(model.task)
        examples = Examples.read(data, "test", family.reader(data, model.task, config))
        _refuse_unknown(examples, model, against)
        answers = _answers(config, context, examples, model), _answers(config, context, examples, against)
        times = _times(config, context, (model, against), examples) if config.timed_rows else None
    scored = [scoring.score(one, answers, examples.truths) for one in measures]
    differences = [testing.compare(one, context.seed) for one in scored]
    groups = _groups(config, context, data, examples)
    search = finding.search(scored[0], groups, config.false_discoveries, context.seed)
    for one, difference in zip(scored, differences, strict=True):
        _note(context, evidence.of_difference(one, difference, context.seed))
        _say_difference(context, one, difference)
    _note(context, evidence.of_flips(scored[0]))
    _note(context, evidence.of_groups(scored[0], search, groups, context.seed))
    _say_groups(context, scored[0], search)
    _note(context, evidence.of_costs(folders, times, context.seed))
    blocks.write(context.output("report"), "comparison", "Two models on the same rows",
                 showing.blocks(scored, differences, search),
                 showing.data(search, showing.flips(scored[0], examples.row_ids)))  # fmt: skip


def _refuse_unknown(examples: Examples, model: Predictor, against: Predictor) -> None:
    """Labels that the model does not know, or of which the other knows none: one side could not be right."""
    from modelyard.methods.evaluation.measuring import find
    from modelyard.methods.evaluation.measuring.classification import Classification, refuse_unknown

    if not isinstance(find(model.task), Classification):
        return
    refuse_unknown(examples.truths, model.labels)
    if not set(examples.truths) & set(against.labels):
        refuse_unknown(examples.truths, against.labels)


def _note(context: Context, found: Iterable[Measured]) -> None:
    for one in found:
        context.measure(**vars(one))


def _answers(config: Config, context: Context, examples: Examples, predictor: Predictor) -> list[Any]:
    from modelyard.methods.evaluation.measuring.examples import asked

    def note(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    context.say(t("measuring {count} test rows with {runtime}", count=len(examples), runtime=predictor.runtime))
    return list(asked(predictor, examples, config.batch_rows, note))


def _times(config: Config, context: Context, both: tuple[Predictor, Predictor], examples: Examples) -> Times:
    import numpy as np

    from modelyard.methods.evaluation.comparing.costing import time_models

    count = min(config.timed_rows, len(examples))
    places = np.random.default_rng(context.seed).permutation(len(examples))[:count].tolist()

    def note(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    times = time_models(both, examples.pick(places), context.seed, note)
    if not times.paired:
        context.say(t("not timed side by side: the answers of an endpoint were recorded, its times with them"))
    return times


def _say_difference(context: Context, scored: Scored, difference: Difference) -> None:
    low, high = difference.interval or (float("nan"), float("nan"))
    context.say(
        t(
            "{metric}: {model} here, {against} there, gain {gain} [{low}, {high}], {test} p = {p}",
            metric=scored.measure.name,
            model=f"{scored.model.mean():.4f}",
            against=f"{scored.against.mean():.4f}",
            gain=f"{difference.value:+.4f}",
            low=f"{low:+.4f}",
            high=f"{high:+.4f}",
            test=difference.tests[0].name,
            p=f"{difference.tests[0].p:.3g}",
        )
    )


def _groups(config: Config, context: Context, data: Dataset, examples: Examples) -> list[Slice]:
    from modelyard.methods.evaluation.comparing.grouping import Looking, groups

    look = Looking(config.columns, config.least_rows, config.clusters, config.pairs, config.most_groups)
    found, left_out = groups(data, examples, look, context.seed)
    if left_out:
        context.say(t("{count} more pairs of groups were not tested; `most_groups` says how many are", count=left_out))
    return found


def _say_groups(context: Context, scored: Scored, search: Search) -> None:
    """Rows that changed sides, and where."""
    from modelyard.methods.evaluation.comparing.grouping import told

    if scored.measure.binary:
        lost, won = int((scored.gain < 0).sum()), int((scored.gain > 0).sum())
        context.say(t("{lost} rows are wrong now that the other has right, {won} the other way round", lost=lost,
                      won=won))  # fmt: skip
    context.say(
        t(
            "{tested} groups tested: the model is worse in {worse}, better in {better}",
            tested=search.num_tested,
            worse=len(search.regressions),
            better=len(search.gains),
        )
    )
    for found in search.regressions[:SAID]:
        context.say(t("worse: {group}, {n} rows, gain {gain}", group=told(found.part), n=found.n,
                      gain=f"{found.gain:+.4f}"))  # fmt: skip


_OF = {
    "accuracy": "share of rows with the right label",
    "subset_accuracy": "share of rows whose labels are exactly right",
    "span_exact": "share of rows whose spans are exactly right",
    "exact_match": "share of answers equal to the wanted one, case, punctuation and articles aside",
    "token_f1": "mean over rows of the F1 of words shared with the wanted answer",
    "squared_error": "mean squared error",
}
CLAIMS = (
    *(
        Claim(f"comparison.{name}", what, better="lower" if name == "squared_error" else "higher")
        for name, what in _OF.items()
    ),
    *(
        Claim(
            f"comparison.{name}_gain",
            f"{what}: what the model has over the other on the same rows; by group",
            subject="pair",
        )
        for name, what in _OF.items()
    ),
    Claim("comparison.p_value", "of no difference; by test and metric", better="none", subject="pair"),
    Claim("comparison.lost", "share of rows the other has right and the model wrong; by group", better="lower",
          subject="pair"),
    Claim("comparison.won", "share of rows the model has right and the other wrong; by group", subject="pair"),
    Claim("comparison.regressions", "groups of rows in which the model is worse, false discoveries controlled",
          better="lower", subject="pair"),
    Claim("comparison.groups_tested", "groups of rows that were looked at", better="none", subject="pair"),
    Claim("comparison.bytes", "bytes of all files of the model", "bytes", "lower", any_split=True),
    Claim("comparison.price_per_1000", "price of 1,000 records, by the tokens the endpoint told", better="lower"),
    Claim("comparison.p50_ms", "median time to answer one record, both in turn", "ms", "lower", timing=True),
    Claim("comparison.latency_ratio", "time of the model by time of the other on the same records, geometric mean",
          better="lower", subject="pair", timing=True),
)  # fmt: skip

STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model that is judged"),
        "against": Port("model", side=True, description="the one it is compared with: a release, a step, an endpoint"),
        "data": Port("dataset", ("test",), description="the rows both answer"),
    },
    outputs={"report": Port("report", description="comparison.json")},
    claims=CLAIMS,
    libraries=(*MODEL_LIBRARIES, "scikit-learn"),
    loads=MODEL_CODE,
)
