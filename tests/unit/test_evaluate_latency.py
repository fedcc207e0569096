"""The stage evaluate.latency and the mathematics of timings, with a clock that the test moves."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from scipy.stats import binom
from support.fake_context import FakeContext
from support.small_model import reviews, write_dataset, write_linear_model

from modelyard.errors import InputError
from modelyard.methods.evaluation import latency as timing
from modelyard.methods.evaluation.opening import opened
from modelyard.methods.runtimes.manifest import manifest
from modelyard.stages.evaluate import latency


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_linear_model(tmp_path_factory.mktemp("timed") / "model", reviews(40, 1))


@pytest.fixture(scope="module")
def made(model, tmp_path_factory):
    root = tmp_path_factory.mktemp("latency")
    data = write_dataset(root / "data", {"test": [*reviews(30, 2), (None, "good")]})
    context = FakeContext(root, {"model": model, "data": data})
    latency.STAGE.run(latency.Config(records=400, warmup=3, batches=(4,), loads=2), context)
    return context, json.loads((root / "outputs/report/latency.json").read_text())


class Counting:
    """Answers nothing; remembers the records of each call."""

    digest, task, labels, runtime = "", "", (), ""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def predict(self, records):
        self.calls.append([record["text"] for record in records])
        return []

    def close(self) -> None: ...


def found(context: FakeContext, claim: str, **part: str):
    return next(m for m in context.measurements if m.claim == claim and dict(m.slice) == part)


def test_percentiles_of_single_records_have_intervals_n_and_milliseconds(made):
    context, report = made
    values = []
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        m = found(context, f"latency.{name}")
        assert (m.about, m.on, m.n, m.unit) == ("model", "data/test", 400, "ms")
        assert 0 < m.interval[0] <= m.value <= m.interval[1]
        assert report["percentiles"][name]["value"] == m.value
        values.append(m.value)
    assert values == sorted(values)


def test_throughput_is_measured_at_each_batch_size_and_at_the_best(made):
    context, report = made
    rates = {batch: found(context, "latency.throughput", batch=batch).value for batch in ("1", "4")}
    assert found(context, "latency.throughput").value == max(rates.values())
    assert [row["batch"] for row in report["by_batch"]] == [1, 4]
    assert found(context, "latency.throughput", batch="4").n == 100


def test_size_is_exact_from_the_files_and_needs_no_data(made, model):
    context, _ = made
    m = found(context, "size.bytes")
    total = sum(path.stat().st_size for path in model.iterdir())
    assert (m.value, m.interval, m.on, m.n) == (total, "exact", "", len(list(model.iterdir())))
    assert found(context, "size.mb").value == pytest.approx(total / 1e6, abs=1e-12)
    claims = {claim.name: claim for claim in latency.STAGE.claims}
    assert claims["size.bytes"].any_split
    assert not claims["size.bytes"].timing


def test_the_report_names_model_runtime_threads_histogram_lengths_memory_and_loads(made, model):
    context, report = made
    assert report["digest"] == manifest(model).digest
    assert report["threads"] == 1
    assert sum(report["histogram"]["counts"]) == 400
    assert sum(row["n"] for row in report["by_length"]) == 400
    assert "increase_bytes" in report["memory"]
    assert found(context, "latency.load_ms").n == 2
    assert {claim.name for claim in latency.STAGE.claims} == {m.claim for m in context.measurements}
    assert latency.STAGE.timing


def test_too_few_timings_for_a_p99_give_no_interval_and_are_said(model, tmp_path):
    data = write_dataset(tmp_path / "data", {"test": reviews(30, 2)})
    context = FakeContext(tmp_path, {"model": model, "data": data})
    latency.STAGE.run(latency.Config(records=100, warmup=0, batches=(1,), loads=2), context)
    assert found(context, "latency.p99_ms").interval is None
    assert found(context, "latency.p95_ms").interval is not None
    assert any("p99_ms" in line and "100" in line for line in context.said)


def test_a_test_split_without_records_is_an_error(model, tmp_path):
    data = write_dataset(tmp_path / "data", {"test": []})
    with pytest.raises(InputError, match="no record to time"):
        latency.STAGE.run(latency.Config(), FakeContext(tmp_path, {"model": model, "data": data}))


def test_threads_of_the_process_are_put_back(model):
    import torch

    before = torch.get_num_threads()
    with opened(model, before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_only_the_call_is_timed_and_warm_up_does_not_count():
    ticks = itertools.count(0, 2_000_000)  # each look at the clock is 2 ms later: a call lasts one step
    predictor = Counting()
    told = []
    found = timing.time_calls(
        predictor,
        [{"text": text} for text in ("a", "bb", "ccc")],
        2,
        5,
        3,
        clock=lambda: next(ticks),
        note=lambda *n: told.append(n),
    )
    assert found.milliseconds.tolist() == [2.0] * 5
    assert len(predictor.calls) == 8
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert found.rows_per_second()[0] == 1000.0


def test_every_text_is_taken_once_in_random_seeded_order_before_any_again():
    texts = [str(number) for number in range(50)]

    def order(seed: int) -> list[str]:
        predictor = Counting()
        timing.time_calls(predictor, [{"text": text} for text in texts], 1, 100, 0, seed)
        return [call[0] for call in predictor.calls]

    assert sorted(order(1)[:50]) == sorted(order(1)[50:]) == sorted(texts)
    assert order(1) == order(1) != order(2)
    assert order(1)[:50] != texts


def test_records_of_any_task_are_timed_and_equal_lengths_have_no_diagram(tmp_path):
    class Any(Counting):
        def predict(self, records):
            return []

    found = timing.time_calls(Any(), [{"age": 3, "sex": "f"}, {"age": 4, "sex": "m"}], 1, 8, 0)
    assert found.characters.tolist() == [1] * 8
    assert timing.by_length(found) == []
    assert timing.length_of({"image": b"1234"}) == 4


def test_no_records_cannot_be_timed():
    with pytest.raises(ValueError, match="no records"):
        timing.time_calls(Counting(), [], 1, 1, 0)


def slow_interval(values, q):
    """All pairs of ranks, the largest lower and the smallest upper that keep their half of 5 %."""
    n = len(values)
    chances = [binom.pmf(k, n, q) for k in range(n + 1)]
    below = [rank for rank in range(1, n + 1) if sum(chances[:rank]) <= 0.025]
    above = [rank for rank in range(1, n + 1) if sum(chances[rank:]) <= 0.025]
    if not below or not above:
        return None
    ranked = sorted(values)
    return ranked[max(below) - 1], ranked[min(above) - 1]


@pytest.mark.parametrize("q", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 5, 6, 40, 100])
def test_quantile_intervals_equal_the_slow_search_over_ranks(q, n):
    values = np.random.default_rng(n).permutation(n).astype(float)
    assert timing.quantile_interval(values, q) == slow_interval(values.tolist(), q)


def test_a_p99_gets_an_interval_from_368_timings_on():
    values = np.arange(1000.0)
    assert timing.quantile_interval(values[:367], 0.99) is None
    assert timing.quantile_interval(values[:368], 0.99) is not None


def test_quantiles_are_values_that_were_seen():
    assert timing.quantile(np.array([1.0, 2.0, 3.0, 100.0]), 0.5) == 2.0
    assert timing.quantile(np.array([1.0, 2.0, 3.0, 100.0]), 0.95) == 100.0
    assert math.isnan(timing.quantile(np.empty(0), 0.5))


def test_throughput_s_interval_is_around_it_and_turns_over():
    times = np.random.default_rng(0).gamma(5, 1, 200)
    value, (low, high) = timing.Timings(8, times, np.ones(200, dtype=np.int64)).rows_per_second()
    assert low < value < high
    assert value == pytest.approx(8000 / times.mean(), abs=1e-9)


def test_a_few_loads_have_student_s_interval_on_logarithms():
    low, high = timing.log_mean_interval(np.array([100.0, 100.0, 110.0]))
    assert low < 103 < high
    assert timing.log_mean_interval(np.array([100.0])) is None


def test_histograms_hold_every_timing_also_when_all_are_equal():
    assert timing.histogram(np.array([2.0, 2.0]))["counts"] == [2]
    values = np.random.default_rng(0).lognormal(size=500)
    made = timing.histogram(values)
    assert sum(made["counts"]) == 500
    assert len(made["edges_ms"]) == len(made["counts"]) + 1
