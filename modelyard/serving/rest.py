"""TensorFlow Serving's REST form (tensorflow/serving, g3doc/api_rest.md): requests to records, answers to replies.

Row format: `{"instances": ["text" | {"text": …}, …]}` is answered by `{"predictions": [{"label": …, "scores": …}]}`.
Columnar format: `{"inputs": {"text": […]} | […]}` is answered by `{"outputs": {"label": […], "scores": […]}}`.
A table's instances are `{column: value}`, an image is `{"b64": …}`, a chat `{"messages": […]}`: see inputs.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from modelyard.base.messages import t
from modelyard.methods.runtimes.predictor import Prediction, Record
from modelyard.methods.tasks.text_classification import Classification
from modelyard.serving import strict_json
from modelyard.serving.errors import Refusal
from modelyard.serving.inputs import Inputs, bad, image_too_large, record
from modelyard.serving.settings import ServingSettings

SIGNATURE = "serving_default"
PROMPTS = ("text", "prompt", "messages")
TEXTS = Inputs()
_KEYS = {"instances", "inputs", "signature_name"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was read, whichever protocol brought it.

    Attributes:
        model: the served name it asks.
        records: what it asks.
        write: the reply's body, from the model's encoder and its answers.
        field: what the client calls its list of records.
        events: how pieces of an answer are written, if it is wanted in pieces; then there is one record.
    """

    model: str
    records: list[Record]
    write: Callable[[Encoder, Sequence[Prediction]], bytes]
    field: str = "instances"
    events: Events | None = None


class Events(Protocol):
    """Server-sent events of an answer that is written in pieces."""

    def piece(self, text: str) -> bytes: ...

    def end(self, answer: Prediction) -> bytes: ...

    def failed(self, refusal: Refusal) -> bytes: ...


def form(model: str, inputs: Inputs, settings: ServingSettings) -> Callable[[bytes], Asked]:
    """How a predict request of one model is read."""

    def read(body: bytes) -> Asked:
        records, columnar = records_of(body, settings, inputs)
        return Asked(model, records, _write_columns if columnar else _write_rows)

    return read


def raw_form(model: str, inputs: Inputs, settings: ServingSettings) -> Callable[[bytes], Asked]:
    """How a body that is one image is read."""

    def read(body: bytes) -> Asked:
        if not body:
            raise bad(t("the body is empty"), "")
        if len(body) > settings.max_image_bytes:
            raise Refusal("too_large", image_too_large(settings))
        return Asked(model, [{next(iter(inputs.columns)): body}], _write_rows)

    return read


def _write_rows(encoder: Encoder, answers: Sequence[Prediction]) -> bytes:
    return encoder(answers, False)


def _write_columns(encoder: Encoder, answers: Sequence[Prediction]) -> bytes:
    return encoder(answers, True)


def body_of(body: bytes) -> dict[str, Any]:
    """The object that a body is. Raises Refusal."""
    try:
        value = strict_json.parse(body)
    except strict_json.BadJson as error:
        raise Refusal("bad_json", str(error)) from None
    if not isinstance(value, dict):
        raise bad(t("the body is not an object"), "")
    return value


def records_of(body: bytes, settings: ServingSettings, inputs: Inputs = TEXTS) -> tuple[list[Record], bool]:
    """Records of a predict request, and whether it was columnar. Raises Refusal."""
    value = body_of(body)
    unknown = value.keys() - _KEYS
    if unknown or value.get("signature_name", SIGNATURE) != SIGNATURE:
        raise bad(t("the body has a field or a signature this server does not know"), "")
    if ("instances" in value) == ("inputs" in value):
        raise bad(t('the body needs "instances" or "inputs", and not both'), "")
    columnar = "inputs" in value
    items = _column(value["inputs"], inputs, settings) if columnar else value["instances"]
    if not isinstance(items, list):
        raise bad(t("a list is needed"), "inputs" if columnar else "instances")
    check_count(len(items), settings)
    return [record(inputs, item, position, settings) for position, item in enumerate(items)], columnar


def check_count(found: int, settings: ServingSettings) -> None:
    """Raises Refusal for too many rows, or none."""
    if not 1 <= found <= settings.max_instances:
        message = t("{found} rows; between 1 and {most} are accepted", found=found, most=settings.max_instances)
        raise Refusal("too_large" if found else "bad_instances", message)


def _column(inputs: Any, reads: Inputs, settings: ServingSettings) -> Any:
    """The instances of columnar inputs: a named column, the column itself where there is one, rows of a table."""
    if reads.kind == "table":
        return _rows(inputs, settings)
    if not isinstance(inputs, dict):
        return inputs
    names = [str(name) for name in reads.columns] if reads.kind != "prompt" else list(PROMPTS)
    if len(inputs) != 1 or next(iter(inputs)) not in names:
        raise bad(t('the only input is "{name}"', name=names[0]), "inputs")
    name, column = next(iter(inputs.items()))
    if reads.kind == "prompt" and isinstance(column, list):
        return [{name: item} for item in column]
    return column


def _rows(inputs: Any, settings: ServingSettings) -> list[dict[str, Any]]:
    """Columns of equal length as rows."""
    if not isinstance(inputs, dict) or not all(isinstance(column, list) for column in inputs.values()):
        raise bad(t("an object of columns is needed, each a list"), "inputs")
    lengths = {name: len(column) for name, column in inputs.items()}
    if len(set(lengths.values())) > 1:
        first, other = (
            next(iter(lengths)),
            next(name for name in lengths if lengths[name] != next(iter(lengths.values()))),
        )
        found = t(
            "the columns are not of one length: `{first}` has {count}, `{other}` has {other_count}",
            first=first[:80],
            count=lengths[first],
            other=other[:80],
            other_count=lengths[other],
        )
        raise bad(found, "inputs")
    check_count(next(iter(lengths.values()), 0), settings)
    return [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=True)]


class Encoder:
    """Replies of one model as bytes; the labels are encoded once.

    Args:
        labels: in the order of the model's scores.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._encoded = {label: json.dumps(label, ensure_ascii=False) for label in labels}

    def __call__(self, predictions: Sequence[Prediction], columnar: bool) -> bytes:
        """The reply's body. Raises Refusal if a score is not a number: silence about it would be a wrong answer."""
        if not all(isinstance(one, Classification) and _plain_label(one) for one in predictions):
            return _plain(predictions, columnar)
        names = self._encoded
        labels = [names[prediction.label] for prediction in predictions]
        scores = [self._scores(prediction) for prediction in predictions]
        if columnar:
            return f'{{"outputs": {{"label": [{", ".join(labels)}], "scores": [{", ".join(scores)}]}}}}\n'.encode()
        rows = [f'{{"label": {label}, "scores": {row}}}' for label, row in zip(labels, scores, strict=True)]
        return f'{{"predictions": [{", ".join(rows)}]}}\n'.encode()

    def _scores(self, prediction: Classification) -> str:
        names = self._encoded
        parts = []
        for label, score in prediction.scores.items():
            if not math.isfinite(score):
                raise Refusal("model_output", t("the model gave a score that is not a number"))
            parts.append(f"{names[label]}: {float(score)!r}")
        return "{" + ", ".join(parts) + "}"


def _plain_label(answer: Classification) -> bool:
    """Whether a label and its scores are all there is to say."""
    return answer.set is None and answer.abstained is None


def _plain(predictions: Sequence[Prediction], columnar: bool) -> bytes:
    """The reply of a task that has no faster form: each answer as its task says it in JSON."""
    rows = [prediction.to_json() for prediction in predictions]
    names = list(dict.fromkeys(name for row in rows for name in row))  # an answer may lack what is not always there
    columns = {name: [row.get(name) for row in rows] for name in names}
    value = {"outputs": columns} if columnar else {"predictions": rows}
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except ValueError:
        raise Refusal("model_output", t("the model gave a score that is not a number")) from None
