"""One served model: loaded, tested against its own golden answers, and put behind a batcher."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.errors import InputError, ServingError
from modelyard.methods.runtimes.predictor import Predictor, Record
from modelyard.methods.tasks import find
from modelyard.serving.batching import Answer, Batcher, Job, text_size
from modelyard.serving.errors import Refusal
from modelyard.serving.http import JSON, Header, Reply
from modelyard.serving.inputs import Inputs, inputs_of
from modelyard.serving.metrics import Metrics
from modelyard.serving.rest import TEXTS, Asked, Encoder
from modelyard.serving.settings import ServingSettings

Loader = Callable[[Path, ServingSettings], Predictor]
"""From a model folder to a predictor that has passed its golden self-test. Raises ModelyardError."""


@dataclass(frozen=True)
class ModelSource:
    """Where a served model lies.

    Attributes:
        folder: a model folder, or a bundle that holds one as `model/`.
        version: of the release; 1 for a model that is no release.
    """

    folder: Path
    version: int = 1

    def model_folder(self) -> Path:
        inner = self.folder / "model"
        return inner if (inner / "model.json").is_file() else self.folder

    def inputs(self) -> Inputs:
        """What the model reads."""
        return inputs_of(self.model_folder())


def load_predictor(folder: Path, settings: ServingSettings) -> Predictor:
    """Load a model folder and replay its golden inputs. Raises InputError, IntegrityError or ServingError."""
    from modelyard.methods import runtimes
    from modelyard.methods.runtimes.golden import check_golden
    from modelyard.methods.runtimes.model_folder import ModelCard

    card = ModelCard.read(folder)
    predictor = runtimes.load(folder, threads=settings.threads_for(card.format))
    try:
        problems = check_golden(folder, predictor)
    except BaseException:
        predictor.close()
        raise
    if problems:
        predictor.close()
        raise ServingError.of(problems)
    return predictor


class Endpoint:
    """A model that answers: its names, its batcher, its headers and counters."""

    def __init__(
        self,
        name: str,
        version: int,
        predictor: Predictor,
        settings: ServingSettings,
        metrics: Metrics,
        loop: asyncio.AbstractEventLoop,
        padding_costs: bool = True,
        inputs: Inputs = TEXTS,
    ) -> None:
        self.name = name
        self.inputs = inputs
        self.version = version
        self.predictor = predictor
        self.digest = predictor.digest
        self.settings = settings
        self.in_flight = 0
        self._encode = Encoder(predictor.labels)
        self._size = text_size if inputs.kind == "text" else _no_size
        self._metrics = metrics.of(name)
        self.batcher = Batcher(predictor, settings, loop, self._metrics.batch, padding_costs)
        self._metrics.watch(lambda: self.batcher.waiting_rows, lambda: self.in_flight)
        metrics.info(name, version, self.digest, predictor.runtime)
        self.identity: tuple[Header, ...] = (
            (b"x-model-name", name.encode()),
            (b"x-model-version", str(version).encode()),
            (b"x-model-digest", self.digest.encode()),
        )
        self.headers: tuple[Header, ...] = (JSON, *self.identity)

    def submit(
        self,
        asked: Asked,
        seconds: float,
        reply: Callable[[Reply | Refusal], None],
        part: Callable[[str], None] | None = None,
    ) -> Job:
        """Queue records; `reply` is called once on the event loop unless the job is cancelled. Raises Refusal.

        Args:
            asked: the records, and how answers to them are written.
            seconds: until the deadline.
            reply: gets the answer, or the refusal to send instead.
            part: gets each piece of an answer that is wanted in pieces, before `reply` gets what ends it.
        """
        began = time.monotonic()

        def done(answer: Answer) -> None:
            self.in_flight -= 1
            reply(self._reply(answer, asked, began))

        job = Job(asked.records, began + seconds, done, self._size, part, asked.field)
        self.batcher.submit(job)
        self.in_flight += 1
        return job

    def cancel(self, job: Job) -> None:
        """The client of a job is gone."""
        if job.open:
            job.cancel()
            self.in_flight -= 1

    def _reply(self, answer: Answer, asked: Asked, began: float) -> Reply | Refusal:
        if isinstance(answer, Refusal):
            return answer
        try:
            body = asked.write(self._encode, answer)
        except Refusal as refusal:
            return refusal
        self._metrics.answered(len(asked.records), time.monotonic() - began)
        return Reply(200, self.headers, body)

    def status(self) -> dict[str, Any]:
        """TensorFlow Serving's `model_version_status` entry."""
        return {
            "version": str(self.version),
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
            "digest": self.digest,
        }

    def metadata(self) -> dict[str, Any]:
        """TensorFlow Serving's metadata, and under `modelyard` what it has no field for."""
        signature = {
            "inputs": {
                name: _tensor(name, DTYPES.get(kind, "DT_STRING")) for name, kind in self.inputs.columns.items()
            },
            "outputs": self._outputs() | {name: ADDED[name] for name in self.inputs.more if name in ADDED},
            "method_name": "tensorflow/serving/predict",
        }
        return {
            "model_spec": {"name": self.name, "signature_name": "", "version": str(self.version)},
            "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
            "modelyard": {
                "digest": self.digest,
                "task": self.predictor.task,
                "inputs": {name: {"type": kind} for name, kind in self.inputs.columns.items()},
                "labels": list(self.predictor.labels),
                "adds": list(self.inputs.more),
                "repairs": list(self.inputs.repairs),
                "runtime": self.predictor.runtime,
            },
        }

    def _outputs(self) -> dict[str, Any]:
        """Labels with their scores, or what the model's card says of its answers."""
        outputs = dict(self.inputs.outputs)
        if "scores" not in outputs and outputs:
            return {name: _tensor(name, DTYPES.get(str(about["type"]), "DT_STRING")) for name, about in outputs.items()}
        count = str(len(self.predictor.labels))
        return {"label": _tensor("label", "DT_STRING"), "scores": _tensor("scores", "DT_DOUBLE", count)}

    def close(self) -> None:
        """Finish what is queued and free the model; not on the event loop."""
        if self.batcher.close():
            self.predictor.close()


DTYPES = {"string": "DT_STRING", "bytes": "DT_STRING", "float32": "DT_DOUBLE", "int64": "DT_INT64"}
"""TensorFlow's names of the types in `model.json`; numbers come as JSON's doubles."""


def _tensor(name: str, dtype: str, width: str = "") -> dict[str, Any]:
    """TensorFlow Serving's description of one input or output with a row a record."""
    dims = [{"size": size, "name": ""} for size in ("-1", width) if size]
    return {"dtype": dtype, "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": name}


ADDED = {
    "set": _tensor("set", "DT_STRING"),
    "abstained": _tensor("abstained", "DT_BOOL"),
    "interval": _tensor("interval", "DT_DOUBLE", "2"),
}
"""What the decision layer of a model adds to an answer; quantiles are an object, no tensor."""


def _no_size(record: Record) -> int:
    """What a record costs that is as large as any other."""
    return 0


def warm_up(predictor: Predictor, inputs: Inputs = TEXTS) -> bool:
    """Run the sizes a server will meet, so that no client pays for first use. Returns whether padding costs.

    A model of texts: one long text and seven short ones in one batch against the two kinds apart: a network that pads
    computes several times as much, a model that does not pads only saves a call. Rows of a table and images are all of
    one size, and what writes text puts like lengths together itself: such a model has its golden records behind it.
    """
    if inputs.kind != "text" or inputs.writes:
        return False
    # A text may have to hold something certain (a mask), which the task's own sample does.
    words, more = str(find(predictor.task).sample()["text"]), " b c d e f g h i j k l m"
    short, long = [{"text": words + more}] * 7, [{"text": words + more * 16}]
    try:
        predictor.predict(short + long)
    except InputError:
        return True  # its golden records have warmed it; how it pads is not known
    together, apart = [], []
    for _ in range(3):
        began = time.perf_counter()
        predictor.predict(short + long)
        middle = time.perf_counter()
        predictor.predict(short)
        predictor.predict(long)
        together.append(middle - began)
        apart.append(time.perf_counter() - middle)
    return min(together) > min(apart)
