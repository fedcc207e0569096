"""Measures how fast the model answers on this machine, and how large it is.

Single test records one after the other, in random order after a warm-up: p50, p95 and p99 in milliseconds with
distribution-free 95 % intervals; rows a second at several batch sizes; the time to load; the bytes of its files. The
figures hold for the machine that measured, whose fingerprint belongs to the run.

The report holds `latency.json`: percentiles, by batch size, by length of the text, a histogram, memory (approximate).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelyard.methods.evaluation.latency import Timings
    from modelyard.methods.runtimes.predictor import Record

MOST_RECORDS = 10_000  # different ones; more are drawn at random
LEAST_CALLS = 30  # of each batch size: fewer give no p95 and a poor rate


class Config(BaseModel):
    """Settings of evaluate.latency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    records: int = Field(500, ge=30, le=100_000, description="single records timed (records); 370 are needed for p99")
    warmup: int = Field(50, ge=0, le=10_000, description="calls before timing begins (calls)")
    threads: int = Field(1, ge=1, le=1024, description="threads of the runtime (threads)")
    batches: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        (1, 8, 32), min_length=1, max_length=8, description="batch sizes for rows a second (records)"
    )
    loads: int = Field(3, ge=2, le=100, description="times the model is loaded to time that (loads)")


def run(config: Config, context: Context) -> None:
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import document, measuring
    from modelyard.methods.evaluation.latency import resident_bytes
    from modelyard.methods.evaluation.measuring.examples import some_records
    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.runtimes.model_folder import ModelCard
    from modelyard.methods.runtimes.recorded import spent

    data, model = Dataset.open(context.input("data")), context.input("model")
    asked = spent(model)
    if asked is not None:
        document.write(context.output("report"), _of_endpoint(context, asked.seconds), "latency.json")
        return
    task = ModelCard.read(model).task
    fields = measuring.find(task).fields(data, task)
    records = some_records(data, "test", fields, MOST_RECORDS, context.seed)
    if not records:
        raise InputError(t("the test split has no record to time"), expected=t("at least one record"))
    value: dict[str, Any] = {"version": 1, "threads": config.threads}
    _size(context, model)
    memory_before = resident_bytes()
    with opened(model, config.threads) as predictor:  # the first load also imports libraries: not timed
        value |= {"runtime": predictor.runtime, "digest": predictor.digest}
        timings = _time(config, context, predictor, records)
        memory_after = resident_bytes()
    value |= _report(context, timings)
    value["memory"] = _memory(memory_before, memory_after)
    value["load_ms"] = _loads(config, context, model)
    value["machine"] = _machine()
    document.write(context.output("report"), value, "latency.json")


def _of_endpoint(context: Context, seconds: Sequence[float]) -> dict[str, Any]:
    """The times of a service as they were when it was asked: over the network, several requests under way."""
    import numpy as np

    from modelyard.errors import InputError
    from modelyard.methods.evaluation.latency import Timings, histogram

    if not seconds:
        raise InputError(t("the endpoint answered nothing that could be timed"))
    timings = Timings(1, np.array(seconds) * 1000, np.zeros(len(seconds), np.int64))
    found = {}
    for name, (value, interval) in timings.percentiles().items():
        _measure(context, name, value, interval, len(seconds), "ms")
        found[name] = {"value": value, "interval": interval, "n": len(seconds)}
    context.say(t("times of the endpoint, network included, as they were when it was asked; not its size or load"))
    return {"version": 1, "percentiles": found, "histogram": histogram(timings.milliseconds)}


def _time(config: Config, context: Context, predictor: Any, records: Sequence[Record]) -> list[Timings]:
    from modelyard.methods.evaluation.latency import time_calls

    sizes = sorted({1, *config.batches})
    found = []
    for size in sizes:
        calls = config.records if size == 1 else max(LEAST_CALLS, config.records // size)
        warmup = config.warmup if size == 1 else max(1, config.warmup // size)

        def note(done: int, total: int, size: int = size) -> None:
            context.progress(done * size, total * size, "rows")

        found.append(time_calls(predictor, records, size, calls, warmup, context.seed, note))
    return found


def _report(context: Context, timings: Sequence[Timings]) -> dict[str, Any]:
    """Measure the claims and return what the page draws."""
    from modelyard.methods.evaluation.latency import by_length, histogram

    single, by_batch, percentiles = timings[0], [], {}
    for name, (value, interval) in single.percentiles().items():
        n = single.milliseconds.size
        _measure(context, name, value, interval, n, "ms")
        percentiles[name] = {"value": value, "interval": interval, "n": n}
        if interval is None:
            context.say(t("{name}: too few timings ({n}) for an interval, so no rule can pass on it", name=name, n=n))
    for one in timings:
        value, interval = one.rows_per_second(context.seed)
        n = one.milliseconds.size
        _measure(context, "throughput", value, interval, n, "rows/s", {"batch": str(one.batch)})
        points = {name: point for name, (point, _) in one.percentiles().items()}
        by_batch.append({"batch": one.batch, "n": n, "rows_per_second": value, "interval": interval, **points})
    best = max(timings, key=lambda one: one.rows_per_second(context.seed)[0])
    value, interval = best.rows_per_second(context.seed)
    _measure(context, "throughput", value, interval, best.milliseconds.size, "rows/s")
    context.say(
        t(
            "one record: {p50} ms, p95 {p95} ms; {rate} rows/s in batches of {batch}",
            p50=f"{percentiles['p50_ms']['value']:.2f}",
            p95=f"{percentiles['p95_ms']['value']:.2f}",
            rate=f"{value:.0f}",
            batch=best.batch,
        )
    )
    drawn = {"histogram": histogram(single.milliseconds), "by_length": by_length(single)}
    return {"percentiles": percentiles, "by_batch": by_batch, **drawn}


def _measure(
    context: Context,
    name: str,
    value: float,
    interval: tuple[float, float] | None,
    n: int,
    unit: str,
    part: dict[str, str] | None = None,
) -> None:
    context.measure(
        f"latency.{name}", value, about="model", on="data/test", n=n, unit=unit, interval=interval, slice=part
    )


def _size(context: Context, model: Path) -> None:
    from modelyard.methods.runtimes.manifest import manifest

    files = manifest(model)
    n = len(files.files)
    context.measure("size.bytes", files.size, about="model", on="", n=n, unit="bytes", interval="exact")
    context.measure("size.mb", files.size / 1e6, about="model", on="", n=n, unit="MB", interval="exact")


def _loads(config: Config, context: Context, model: Path) -> dict[str, Any]:
    """Time loads with libraries already imported and files in the system's cache, as a swap in a running server is."""
    import time

    import numpy as np

    from modelyard.methods.evaluation.latency import log_mean_interval
    from modelyard.methods.evaluation.opening import opened

    times = []
    for _ in range(config.loads):
        start = time.perf_counter_ns()
        with opened(model, config.threads):
            times.append((time.perf_counter_ns() - start) / 1e6)
    values = np.asarray(times)
    typical, interval = float(np.exp(np.log(values).mean())), log_mean_interval(values)
    _measure(context, "load_ms", typical, interval, len(times), "ms")
    return {"value": typical, "interval": interval, "n": len(times)}


def _memory(before: int | None, after: int | None) -> dict[str, Any]:
    """What loading and answering added to this process, libraries included where they were not yet imported."""
    if before is None or after is None:
        return {"increase_bytes": None, "note": "this system does not tell"}
    return {"increase_bytes": max(0, after - before), "note": "approximate, libraries included"}


def _machine() -> dict[str, Any]:
    import os
    import platform

    return {"system": platform.system(), "architecture": platform.machine(), "cores": os.cpu_count()}


CLAIMS = (
    Claim("latency.p50_ms", "median time to answer one record", unit="ms", better="lower", timing=True),
    Claim("latency.p95_ms", "95th percentile of the time to answer one record", "ms", "lower", timing=True),
    Claim("latency.p99_ms", "99th percentile of the time to answer one record", "ms", "lower", timing=True),
    Claim("latency.throughput", "rows answered in a second, at the best batch size; by batch", "rows/s", timing=True),
    Claim("latency.load_ms", "time to load the model, libraries imported and files cached", "ms", "lower", timing=True),
    Claim("size.bytes", "bytes of all files of the model", "bytes", "lower", any_split=True),
    Claim("size.mb", "megabytes (10^6 bytes) of all files of the model", "MB", "lower", any_split=True),
)

STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model to time"),
        "data": Port("dataset", splits=("test",), description="the texts it is timed on"),
    },
    outputs={"report": Port("report", description="latency.json")},
    claims=CLAIMS,
    libraries=("numpy", "scipy", "pyarrow", "tokenizers", "torch", "transformers", "onnxruntime", "openvino"),
    loads=MODEL_CODE,
    timing=True,
)
