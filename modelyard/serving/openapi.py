"""The server described as OpenAPI 3.1. Every field carries its limit (RULES 2, 16): the limits are the settings'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.base.lookup import version_of
from modelyard.serving.endpoint import ModelSource
from modelyard.serving.errors import STATUS
from modelyard.serving.settings import ServingSettings

Schema = dict[str, Any]

_MAX_LABELS = 100_000


def document(models: Mapping[str, ModelSource], settings: ServingSettings) -> Schema:
    """The OpenAPI document of a server over `models`."""
    paths: dict[str, Schema] = {
        "/healthz": _get("Whether the process lives; 200 while draining too", "text"),
        "/readyz": _get("Whether to send work here; 503 while loading and draining", "text", 503),
        "/metrics": {"get": {**_get("Counters for Prometheus", "text")["get"], "responses": _plain()}},
    }
    for name, source in models.items():
        for base in (f"/v1/models/{name}", f"/v1/models/{name}/versions/{source.version}"):
            paths[base] = _get("State of the model, in TensorFlow Serving's form", "object")
            paths[f"{base}/metadata"] = _get("Inputs, outputs, labels, digest", "object", 503)
            operation = "predict_" + base.removeprefix("/v1/models/").replace("/", "_")
            paths[f"{base}:predict"] = {"post": _predict(name, operation)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Modelyard", "version": version_of("modelyard") or "0"},
        "paths": paths,
        "components": {"schemas": _schemas(settings), "headers": _identity_headers()},
    }


def _get(summary: str, kind: str, *errors: int) -> Schema:
    content = {"application/json": {"schema": {"type": "object", "maxProperties": 64}}}
    replies: Schema = {"200": {"description": summary, "content": content}}
    for status in errors:
        replies[str(status)] = _error(status)
    return {"get": {"summary": summary, "responses": replies, "tags": [kind]}}


def _plain() -> Schema:
    schema = {"type": "string", "maxLength": 10_000_000}
    return {"200": {"description": "Prometheus text format", "content": {"text/plain": {"schema": schema}}}}


def _predict(name: str, operation: str) -> Schema:
    reply = {
        "description": "One answer an instance, in order",
        "headers": {key: {"$ref": f"#/components/headers/{key}"} for key in _identity_headers()},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PredictReply"}}},
    }
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/PredictRequest"}}}
    errors = sorted({status for code, status in STATUS.items() if code not in {"client_gone", "not_found"}})
    return {
        "summary": f"Ask {name}",
        "operationId": operation,
        "requestBody": {"required": True, "content": body},
        "responses": {"200": reply, **{str(status): _error(status) for status in errors}},
        "tags": ["predict"],
    }


def _error(status: int) -> Schema:
    codes = ", ".join(code for code, value in STATUS.items() if value == status)
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": codes, "content": content}


def _identity_headers() -> Schema:
    text = {"type": "string", "maxLength": 128}
    return {name: {"schema": text} for name in ("X-Model-Name", "X-Model-Version", "X-Model-Digest")}


def _schemas(settings: ServingSettings) -> Schema:
    text = {"type": "string", "maxLength": settings.max_text_chars}
    texts = {"type": "array", "minItems": 1, "maxItems": settings.max_instances, "items": text}
    instance = _object({"text": text})
    rows = {**texts, "items": {"anyOf": [text, instance]}}
    signature = {"const": "serving_default"}
    columns = {"anyOf": [texts, _object({"text": texts})]}
    row_request = _object({"instances": rows, "signature_name": signature}, ["instances"])
    column_request = _object({"inputs": columns, "signature_name": signature}, ["inputs"])
    label = {"type": "string", "maxLength": 10_000}
    score = {"type": "number", "minimum": 0, "maximum": 1}
    scores = {"type": "object", "additionalProperties": score, "maxProperties": _MAX_LABELS}
    answers = {"type": "array", "maxItems": settings.max_instances}
    row_reply = _object({"predictions": {**answers, "items": _object({"label": label, "scores": scores})}})
    outputs = _object({"label": {**answers, "items": label}, "scores": {**answers, "items": scores}})
    short = {"type": "string", "maxLength": 1000}
    return {
        "PredictRequest": {"oneOf": [row_request, column_request]},
        "PredictReply": {"oneOf": [row_reply, _object({"outputs": outputs})]},
        "Error": _object(
            {"error": {"enum": list(STATUS)}, "message": short, "trace": {"type": "string", "maxLength": 16}}
        ),
    }


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
        "maxProperties": len(properties),
    }
