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
from modelyard.methods import MODEL_CODE
from modelyard.methods.data.settings import ColumnName
from modelyard.methods.evaluation.settings import Measuring

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.methods.evaluation.comparing.costing import Times
    from modelyard.methods.evaluation.comparing.finding import Finding, Search
    from modelyard.methods.evaluation.comparing.scoring import Scored
    from modelyard.methods.evaluation.comparing.testing import Difference
    from modelyard.methods.evaluation.measuring.examples import Examples
    from modelyard.methods.runtimes.predictor import Predictor

SAID = 5
"""Regressions told while it runs; the report lists all."""
FLIPS = 1_000


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
    from modelyard.methods.evaluation.comparing import finding, scoring, showing, testing
    from modelyard.methods.evaluation.measuring.examples import Examples
    from modelyard.methods.evaluation.opening import opened

    data = Dataset.open(context.input("data"))
    with (
        opened(context.input("model"), config.threads) as model,
        opened(context.input("against"), config.threads) as against,
    ):
        measures = scoring.measures_of(model.task, against.task)
        family = measuring.find(model.task)
        examples = Examples.read(data, "test", family.reader(data, model.task, config))
        answers = _answers(config, context, examples, model), _answers(config, context, examples, against)
        times = _times(config, context, (model, against), examples) if config.timed_rows else None
    scored = [scoring.score(one, answers, examples.truths) for one in measures]
    differences = [testing.compare(one, context.seed) for one in scored]
    for one, difference in zip(scored, differences, strict=True):
        _measure(context, one, difference)
    flips = _flips(context, scored[0], examples)
    groups = _groups(config, context, data, examples)
    search = finding.search(scored[0], groups, config.false_discoveries, context.seed)
    _measure_groups(context, scored[0], search, groups)
    _costs(context, times)
    drawn = showing.blocks(scored, differences, search)
    blocks.write(context.output("report"), "comparison", "Two models on the same rows", drawn,
                 showing.data(search, flips))  # fmt: skip


def _answers(config: Config, context: Context, examples: Examples, predictor: Predictor) -> list[Any]:
    from modelyard.methods.evaluation.measuring.examples import asked

    def note(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    context.say(t("measuring {count} test rows with {runtime}", count=len(examples), runtime=predictor.runtime))
    return list(asked(predictor, examples, config.batch_rows, note))


def _times(config: Config, context: Context, both: tuple[Predictor, Predictor], examples: Examples) -> Times | None:
    import numpy as np

    from modelyard.methods.evaluation.comparing.costing import time_pairs

    if any(one.runtime.startswith("recorded") for one in both):
        context.say(t("not timed side by side: the answers of an endpoint were recorded, its times with them"))
        return None
    count = min(config.timed_rows, len(examples))
    places = np.random.default_rng(context.seed).permutation(len(examples))[:count].tolist()

    def note(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    return time_pairs(both, examples.pick(places), context.seed, note)


def _measure(context: Context, scored: Scored, difference: Difference) -> None:
    from modelyard.methods.evaluation.intervals import bootstrap_t
    from modelyard.methods.statistics.wilson import wilson

    name, n = scored.measure.name, difference.n
    for port, values in (("model", scored.model), ("against", scored.against)):
        ends = (
            wilson(float(values.sum()), n)
            if scored.measure.binary
            else bootstrap_t(values, seed=context.seed, non_negative=True)
        )
        context.measure(f"comparison.{name}", float(values.mean()), about=port, on="data/test", n=n, interval=ends)
    _pair(context, f"{name}_gain", difference.value, n, difference.interval, {})
    for test in difference.tests:
        _pair(context, "p_value", test.p, n, "exact", {"metric": name, "test": test.name})
    low, high = difference.interval or (float("nan"), float("nan"))
    context.say(
        t(
            "{metric}: {model} here, {against} there, gain {gain} [{low}, {high}], {test} p = {p}",
            metric=name,
            model=f"{scored.model.mean():.4f}",
            against=f"{scored.against.mean():.4f}",
            gain=f"{difference.value:+.4f}",
            low=f"{low:+.4f}",
            high=f"{high:+.4f}",
            test=difference.tests[0].name,
            p=f"{difference.tests[0].p:.3g}",
        )
    )


def _pair(context: Context, name: str, value: float, n: int, interval: Any, part: Mapping[str, str]) -> None:
    context.measure(
        f"comparison.{name}", value, about="model", on="data/test", n=n, interval=interval, slice=part,
        against="against",
    )  # fmt: skip


def _flips(context: Context, scored: Scored, examples: Examples) -> dict[str, list[str]]:
    """Rows that changed sides, measured; the first of their ids."""
    import numpy as np

    from modelyard.methods.statistics.wilson import wilson

    if not scored.measure.binary:
        return {}
    right, other, n = scored.model > 0.5, scored.against > 0.5, len(examples)
    found = {}
    for name, rows in (("lost", other & ~right), ("won", right & ~other)):
        count = int(rows.sum())
        _pair(context, name, count / n, n, wilson(count, n), {})
        found[name] = [examples.row_ids[place] for place in np.flatnonzero(rows)[:FLIPS].tolist()]
    context.say(
        t(
            "{lost} rows are wrong now that the other has right, {won} the other way round",
            lost=int((other & ~right).sum()),
            won=int((right & ~other).sum()),
        )
    )
    return found


def _groups(config: Config, context: Context, data: Any, examples: Examples) -> list[Any]:
    from modelyard.methods.evaluation.comparing.grouping import Looking, groups

    look = Looking(config.columns, config.least_rows, config.clusters, config.pairs, config.most_groups)
    found, left_out = groups(data, examples, look, context.seed)
    if left_out:
        context.say(t("{count} more pairs of groups were not tested; `most_groups` says how many are", count=left_out))
    return found


def _measure_groups(context: Context, scored: Scored, search: Search, groups: Sequence[Any]) -> None:
    """Regressions counted; the gain in every group found, and in every group of one column that has the flips."""
    from modelyard.methods.evaluation.comparing.grouping import told
    from modelyard.methods.evaluation.comparing.testing import interval_of

    n = int(scored.gain.size)
    _pair(context, "regressions", float(len(search.regressions)), n, "exact", {})
    _pair(context, "groups_tested", float(search.num_tested), n, "exact", {})
    shown: dict[tuple[tuple[str, str], ...], Finding] = {tuple(one.part.items()): one for one in search.findings}
    for one in groups:
        part = tuple(one.part.items())
        if part in shown:
            _pair(context, f"{scored.measure.name}_gain", shown[part].gain, one.n, shown[part].interval, one.part)
        elif len(part) == 1:
            mine = scored.only(one.rows)
            ends = interval_of(mine, context.seed)
            _pair(context, f"{scored.measure.name}_gain", float(mine.gain.mean()), one.n, ends, one.part)
        if len(part) == 1 and scored.measure.binary:
            _flips_of(context, scored.only(one.rows), one.part)
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


def _flips_of(context: Context, scored: Scored, part: Mapping[str, str]) -> None:
    from modelyard.methods.statistics.wilson import wilson

    right, other, n = scored.model > 0.5, scored.against > 0.5, int(scored.gain.size)
    for name, rows in (("lost", other & ~right), ("won", right & ~other)):
        _pair(context, name, float(rows.mean()), n, wilson(int(rows.sum()), n), part)


def _costs(context: Context, times: Times | None) -> None:
    from modelyard.methods.evaluation.comparing.costing import median, price_per_1000
    from modelyard.methods.runtimes.manifest import manifest
    from modelyard.methods.runtimes.recorded import spent

    for port in ("model", "against"):
        bill = spent(context.input(port))
        if bill is None:
            files = manifest(context.input(port))
            context.measure("comparison.bytes", files.size, about=port, on="", n=len(files.files), unit="bytes",
                            interval="exact")  # fmt: skip
            continue
        _seconds(context, port, bill.seconds)
        if bill.costs:
            value, ends = price_per_1000(bill.costs, context.seed)
            context.measure("comparison.price_per_1000", value, about=port, on="data/test", n=len(bill.costs),
                            unit=bill.currency, interval=ends)  # fmt: skip
    if times is None:
        return
    n = times.model.size
    for port, taken in (("model", times.model), ("against", times.against)):
        value, ends = median(taken)
        context.measure("comparison.p50_ms", value, about=port, on="data/test", n=n, unit="ms", interval=ends)
    context.measure("comparison.latency_ratio", times.ratio, about="model", on="data/test", n=n,
                    interval=times.ratio_interval, against="against")  # fmt: skip


def _seconds(context: Context, port: str, seconds: Sequence[float]) -> None:
    """Of an endpoint: as they were when it was asked."""
    import numpy as np

    from modelyard.methods.evaluation.comparing.costing import median

    value, ends = median(np.array(seconds) * 1000)
    context.measure("comparison.p50_ms", value, about=port, on="data/test", n=len(seconds), unit="ms", interval=ends)


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
    libraries=(
        "numpy",
        "scipy",
        "scikit-learn",
        "pyarrow",
        "tokenizers",
        "torch",
        "transformers",
        "onnxruntime",
        "openvino",
    ),
    loads=MODEL_CODE,
)
