"""One served model: loaded, tested against its own golden answers, and put behind a batcher."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError, ServingError
from modelyard.methods.runtimes.predictor import Predictor, Record
from modelyard.methods.tasks import find
from modelyard.methods.tasks.text_classification import FIELD
from modelyard.serving.batching import Answer, Batcher, Job
from modelyard.serving.errors import Refusal
from modelyard.serving.http import JSON, Header, Reply
from modelyard.serving.metrics import Metrics
from modelyard.serving.rest import Encoder
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


def load_predictor(folder: Path, settings: ServingSettings) -> Predictor:
    """Load a model folder and replay its golden inputs. Raises InputError, IntegrityError or ServingError."""
    from modelyard.methods import runtimes
    from modelyard.methods.runtimes.golden import check_golden
    from modelyard.methods.runtimes.model_folder import ModelCard

    card = ModelCard.read(folder)
    refuse_other_records(card.task, str(folder))
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
    ) -> None:
        self.name = name
        self.version = version
        self.predictor = predictor
        self.digest = predictor.digest
        self.settings = settings
        self.in_flight = 0
        self._encode = Encoder(predictor.labels)
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
        records: Sequence[Record],
        columnar: bool,
        seconds: float,
        reply: Callable[[Reply | Refusal], None],
    ) -> Job:
        """Queue records; `reply` is called once on the event loop unless the job is cancelled. Raises Refusal.

        Args:
            records: as `rest.records_of` made them.
            columnar: the form of the reply.
            seconds: until the deadline.
            reply: gets the answer, or the refusal to send instead.
        """
        began = time.monotonic()

        def done(answer: Answer) -> None:
            self.in_flight -= 1
            reply(self._reply(answer, columnar, len(records), began))

        job = Job(records, began + seconds, done)
        self.batcher.submit(job)
        self.in_flight += 1
        return job

    def cancel(self, job: Job) -> None:
        """The client of a job is gone."""
        if job.open:
            job.cancel()
            self.in_flight -= 1

    def _reply(self, answer: Answer, columnar: bool, rows: int, began: float) -> Reply | Refusal:
        if isinstance(answer, Refusal):
            return answer
        try:
            body = self._encode(answer, columnar)
        except Refusal as refusal:
            return refusal
        self._metrics.answered(rows, time.monotonic() - began)
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
        column = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
        table = {"dim": [{"size": "-1", "name": ""}, {"size": str(len(self.predictor.labels)), "name": ""}]}
        signature = {
            "inputs": {"text": {"dtype": "DT_STRING", "tensor_shape": column, "name": "text"}},
            "outputs": {
                "label": {"dtype": "DT_STRING", "tensor_shape": column, "name": "label"},
                "scores": {"dtype": "DT_DOUBLE", "tensor_shape": {**table, "unknown_rank": False}, "name": "scores"},
            },
            "method_name": "tensorflow/serving/predict",
        }
        return {
            "model_spec": {"name": self.name, "signature_name": "", "version": str(self.version)},
            "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
            "modelyard": {
                "digest": self.digest,
                "task": self.predictor.task,
                "labels": list(self.predictor.labels),
                "runtime": self.predictor.runtime,
            },
        }

    def close(self) -> None:
        """Finish what is queued and free the model; not on the event loop."""
        if self.batcher.close():
            self.predictor.close()


def refuse_other_records(task: str, where: str) -> None:
    """Raise InputError unless the task reads a text: the protocol has no form for other records yet."""
    if FIELD not in find(task).inputs:
        raise InputError(
            t("a model for {task} is not served yet: the server takes texts only", task=task),
            where=where,
            expected=t("a model that reads a text"),
            remedy=t("ask it with `modelyard predict`, or from Python"),
        )


def warm_up(predictor: Predictor) -> bool:
    """Run the sizes a server will meet, so that no client pays for first use. Returns whether padding costs.

    One long text and seven short ones in one batch against the two kinds apart: a network that pads computes several
    times as much, a model that does not pads only saves a call.
    """
    short, long = [{"text": "a b c d e f g h i j k l"}] * 7, [{"text": "a b c d e f g h i j k l " * 16}]
    predictor.predict(short + long)
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
