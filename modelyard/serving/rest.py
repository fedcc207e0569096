"""TensorFlow Serving's REST form (tensorflow/serving, g3doc/api_rest.md): requests to records, answers to replies.

Row format: `{"instances": ["text" | {"text": …}, …]}` is answered by `{"predictions": [{"label": …, "scores": …}]}`.
Columnar format: `{"inputs": {"text": […]} | […]}` is answered by `{"outputs": {"label": […], "scores": […]}}`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from modelyard.base.messages import t
from modelyard.methods.runtimes.predictor import Prediction, Record
from modelyard.methods.tasks.text_classification import FIELD, Classification
from modelyard.serving import strict_json
from modelyard.serving.errors import Refusal
from modelyard.serving.settings import ServingSettings

SIGNATURE = "serving_default"
_KEYS = {"instances", "inputs", "signature_name"}


def records_of(body: bytes, settings: ServingSettings) -> tuple[list[Record], bool]:
    """Records of a predict request, and whether it was columnar. Raises Refusal."""
    try:
        value = strict_json.parse(body)
    except strict_json.BadJson as error:
        raise Refusal("bad_json", str(error)) from None
    if not isinstance(value, dict):
        raise _bad(t("the body is not an object"), "")
    unknown = value.keys() - _KEYS
    if unknown or value.get("signature_name", SIGNATURE) != SIGNATURE:
        raise _bad(t("the body has a field or a signature this server does not know"), "")
    if ("instances" in value) == ("inputs" in value):
        raise _bad(t('the body needs "instances" or "inputs", and not both'), "")
    columnar = "inputs" in value
    items = _column(value["inputs"]) if columnar else value["instances"]
    if not isinstance(items, list):
        raise _bad(t("a list is needed"), "inputs" if columnar else "instances")
    if not 1 <= len(items) <= settings.max_instances:
        message = t("{found} rows; between 1 and {most} are accepted", found=len(items), most=settings.max_instances)
        raise Refusal("bad_instances" if not items else "too_large", message)
    return [{FIELD: _text(item, position, settings)} for position, item in enumerate(items)], columnar


def _column(inputs: Any) -> Any:
    """The texts of columnar inputs: a named column, or the column itself (a model has one input)."""
    if not isinstance(inputs, dict):
        return inputs
    if inputs.keys() != {FIELD}:
        raise _bad(t('the only input is "{name}"', name=FIELD), "inputs")
    return inputs[FIELD]


def _text(item: Any, position: int, settings: ServingSettings) -> str:
    """The text of one instance. Raises Refusal naming its position."""
    if isinstance(item, dict):
        if item.keys() != {FIELD}:
            raise _bad(t('an instance has exactly the field "{name}"', name=FIELD), f"instances[{position}]")
        item = item[FIELD]
    if not isinstance(item, str):
        raise _bad(t("a string is needed"), f"instances[{position}]")
    if len(item) > settings.max_text_chars:
        message = t("a text has {found} characters; {most} are accepted", found=len(item), most=settings.max_text_chars)
        raise Refusal("too_large", f"instances[{position}]: {message}")
    if not strict_json.is_text(item):
        raise _bad(t("the text holds a lone surrogate, which is no character"), f"instances[{position}]")
    return item


def _bad(message: str, where: str) -> Refusal:
    return Refusal("bad_instances", f"{where}: {message}" if where else message)


class Encoder:
    """Replies of one model as bytes; the labels are encoded once.

    Args:
        labels: in the order of the model's scores.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._encoded = {label: json.dumps(label, ensure_ascii=False) for label in labels}

    def __call__(self, predictions: Sequence[Prediction], columnar: bool) -> bytes:
        """The reply's body. Raises Refusal if a score is not a number: silence about it would be a wrong answer."""
        if not all(isinstance(prediction, Classification) for prediction in predictions):
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


def _plain(predictions: Sequence[Prediction], columnar: bool) -> bytes:
    """The reply of a task that has no faster form: each answer as its task says it in JSON."""
    rows = [prediction.to_json() for prediction in predictions]
    value = {"outputs": {name: [row[name] for row in rows] for name in rows[0]}} if columnar else {"predictions": rows}
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except ValueError:
        raise Refusal("model_output", t("the model gave a score that is not a number")) from None
