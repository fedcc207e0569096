"""The server described as OpenAPI 3.1. Every field carries its limit (RULES 2, 16): the limits are the settings'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.base.lookup import version_of
from modelyard.serving.endpoint import ModelSource
from modelyard.serving.errors import STATUS
from modelyard.serving.inputs import Inputs, base64_chars
from modelyard.serving.openai import CHATS, COMPLETIONS, EMBEDDINGS, forms
from modelyard.serving.settings import ServingSettings

Schema = dict[str, Any]

_MAX_LABELS = 100_000
_LARGEST = 1.7976931348623157e308
_IMAGES = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif")
_OPENAI = {COMPLETIONS: "Completion", CHATS: "ChatCompletion", EMBEDDINGS: "Embedding"}


def document(
    models: Mapping[str, ModelSource], settings: ServingSettings, inputs: Mapping[str, Inputs] | None = None
) -> Schema:
    """The OpenAPI document of a server over `models`, which read `inputs` (texts, if that is not said)."""
    reads = {name: (inputs or {}).get(name, Inputs()) for name in models}
    paths: dict[str, Schema] = {
        "/healthz": _get("Whether the process lives; 200 while draining too", "text"),
        "/readyz": _get("Whether to send work here; 503 while loading and draining", "text", 503),
        "/metrics": {"get": {**_get("Counters for Prometheus", "text")["get"], "responses": _plain()}},
        "/v1/models": _get("Names of the models", "object"),
    }
    for path in forms(reads, settings):
        paths[path] = {"post": _openai(path)}
    for name, source in models.items():
        for base in (f"/v1/models/{name}", f"/v1/models/{name}/versions/{source.version}"):
            paths[base] = _get("State of the model, in TensorFlow Serving's form", "object")
            paths[f"{base}/metadata"] = _get("Inputs, outputs, labels, digest", "object", 503)
            operation = "predict_" + base.removeprefix("/v1/models/").replace("/", "_")
            paths[f"{base}:predict"] = {"post": _predict(name, operation, reads[name])}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Modelyard", "version": version_of("modelyard") or "0"},
        "paths": paths,
        "components": {"schemas": _schemas(settings, reads), "headers": _identity_headers()},
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


def _openai(path: str) -> Schema:
    answer = {"type": "object", "maxProperties": 64}
    content: Schema = {"application/json": {"schema": answer}}
    if path != EMBEDDINGS:
        content["text/event-stream"] = {"schema": {"type": "string", "maxLength": 10_000_000}}
    body = {"application/json": {"schema": {"$ref": f"#/components/schemas/{_OPENAI[path]}"}}}
    return {
        "summary": f"As OpenAI's {path}",
        "operationId": _OPENAI[path],
        "requestBody": {"required": True, "content": body},
        "responses": {"200": {"description": "The answer", "content": content}, **_errors()},
        "tags": ["openai"],
    }


def _errors() -> Schema:
    found = sorted({status for code, status in STATUS.items() if code not in {"client_gone", "not_found"}})
    return {str(status): _error(status) for status in found}


def _suffix(name: str, inputs: Inputs) -> str:
    """Of the schemas of one model: those that classify texts share theirs."""
    plain = inputs.kind == "text" and "scores" in inputs.outputs and not inputs.more
    return "" if inputs == Inputs() or plain else f"_{name}"


def _predict(name: str, operation: str, inputs: Inputs) -> Schema:
    suffix = _suffix(name, inputs)
    reply = {
        "description": "One answer an instance, in order",
        "headers": {key: {"$ref": f"#/components/headers/{key}"} for key in _identity_headers()},
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/PredictReply{suffix}"}}},
    }
    body: Schema = {"application/json": {"schema": {"$ref": f"#/components/schemas/PredictRequest{suffix}"}}}
    if inputs.kind == "image":
        body |= {kind: {"schema": {"contentMediaType": kind}} for kind in _IMAGES}
    return {
        "summary": f"Ask {name}",
        "operationId": operation,
        "requestBody": {"required": True, "content": body},
        "responses": {"200": reply, **_errors()},
        "tags": ["predict"],
    }


def _error(status: int) -> Schema:
    codes = ", ".join(code for code, value in STATUS.items() if value == status)
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": codes, "content": content}


def _identity_headers() -> Schema:
    text = {"type": "string", "maxLength": 128}
    return {name: {"schema": text} for name in ("X-Model-Name", "X-Model-Version", "X-Model-Digest")}


def _schemas(settings: ServingSettings, reads: Mapping[str, Inputs]) -> Schema:
    short = {"type": "string", "maxLength": 1000}
    found: Schema = {
        "Error": _object(
            {"error": {"enum": list(STATUS)}, "message": short, "trace": {"type": "string", "maxLength": 16}}
        ),
    }
    for name, inputs in reads.items():
        found[f"PredictRequest{_suffix(name, inputs)}"] = _request(inputs, settings)
        found[f"PredictReply{_suffix(name, inputs)}"] = _reply(inputs, settings)
    for path in forms(reads, settings):
        found[_OPENAI[path]] = _openai_request(path, settings)
    return found


def _list(settings: ServingSettings, items: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "maxItems": settings.max_instances, "items": items}


def _request(inputs: Inputs, settings: ServingSettings) -> Schema:
    text = {"type": "string", "maxLength": settings.max_text_chars}
    if inputs.kind == "table":
        cells = {name: _cell(kind, text) for name, kind in inputs.columns.items()}
        instance: Schema = _object(cells)
        columns = _object({name: _list(settings, cell) for name, cell in cells.items()})
    else:
        name = next(iter(inputs.columns))
        value = _value(inputs, text, settings)
        instance = {"anyOf": [value, _object({name: value})]}
        columns = {"anyOf": [_list(settings, value), _object({name: _list(settings, value)})]}
        if inputs.kind == "prompt":
            instance["anyOf"] += [_prompt(field, value, settings) for field in ("text", "prompt", "messages")]
            columns = {"anyOf": [_list(settings, instance), _object({name: _list(settings, value)})]}
    signature = {"const": "serving_default"}
    row_request = _object({"instances": _list(settings, instance), "signature_name": signature}, ["instances"])
    column_request = _object({"inputs": columns, "signature_name": signature}, ["inputs"])
    return {"oneOf": [row_request, column_request]}


def _cell(kind: str, text: Schema) -> Schema:
    number = {"type": "number", "minimum": -_LARGEST, "maximum": _LARGEST}
    return {"anyOf": [text, {"type": "null"}, {"type": "boolean"}, number]}


def _value(inputs: Inputs, text: Schema, settings: ServingSettings) -> Schema:
    if inputs.kind != "image":
        return text
    encoded = {"type": "string", "contentEncoding": "base64", "maxLength": base64_chars(settings.max_image_bytes) + 64}
    return {"anyOf": [encoded, _object({"b64": encoded})]}


def _turns(text: Schema, settings: ServingSettings) -> Schema:
    return _list(settings, _object({"role": {"type": "string", "maxLength": 64}, "content": text}))


def _writing(text: Schema, settings: ServingSettings, length: str) -> Schema:
    return {
        length: {"type": "integer", "minimum": 1, "maximum": settings.max_new_tokens},
        "temperature": {"type": "number", "minimum": 0, "maximum": 10},
        "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        "stop": {"anyOf": [text, {"type": "array", "maxItems": 16, "items": text}]},
    }


def _prompt(field: str, text: Schema, settings: ServingSettings) -> Schema:
    content = _turns(text, settings) if field == "messages" else text
    return _object({field: content, **_writing(text, settings, "max_new_tokens")}, [field])


def _openai_request(path: str, settings: ServingSettings) -> Schema:
    text = {"type": "string", "maxLength": settings.max_text_chars}
    texts = {"anyOf": [text, _list(settings, text)]}
    model: Schema = {"model": {"type": "string", "maxLength": 128}, "user": text}
    if path == EMBEDDINGS:
        return _object({**model, "input": texts, "encoding_format": {"enum": ["float", "base64"]}}, ["input"])
    asked: Schema = {"prompt": texts} if path == COMPLETIONS else {"messages": _turns(text, settings)}
    stream = {"stream": {"type": "boolean"}, "stream_options": _object({"include_usage": {"type": "boolean"}})}
    return _object({**model, **asked, **_writing(text, settings, "max_tokens"), **stream}, list(asked))


def _reply(inputs: Inputs, settings: ServingSettings) -> Schema:
    answers = {"type": "array", "maxItems": settings.max_instances}
    if inputs.outputs and "scores" not in inputs.outputs:
        columns = {"type": "object", "maxProperties": 64, "additionalProperties": answers}
        row = {"type": "object", "required": list(inputs.outputs), "maxProperties": 64}
        rows = {**answers, "items": {**row, **({"properties": _more(inputs)} if inputs.more else {})}}
        return {"oneOf": [_object({"predictions": rows}), _object({"outputs": columns})]}
    label = {"type": "string", "maxLength": 10_000}
    score = {"type": "number", "minimum": 0, "maximum": 1}
    scores = {"type": "object", "additionalProperties": score, "maxProperties": _MAX_LABELS}
    fields = {"label": label, "scores": scores, **_more(inputs)}
    row_reply = _object({"predictions": {**answers, "items": _object(fields, ["label", "scores"])}})
    outputs = _object({name: {**answers, "items": one} for name, one in fields.items()}, ["label", "scores"])
    return {"oneOf": [row_reply, _object({"outputs": outputs})]}


def _more(inputs: Inputs) -> Schema:
    """What the decision layer of a model adds to its answers."""
    number = {"type": "number", "minimum": -_LARGEST, "maximum": _LARGEST}
    label = {"type": "string", "maxLength": 10_000}
    known: Schema = {
        "set": {
            "type": "array", "maxItems": _MAX_LABELS, "items": label,
            "description": "Labels that hold the right one with the model's stated probability, the likeliest first",
        },
        "abstained": {"type": "boolean", "description": "Whether the model is too unsure to answer; its label stands"},
        "interval": {
            "type": "array", "minItems": 2, "maxItems": 2, "items": number,
            "description": "Ends between which the truth lies with the model's stated probability; absent: no ends",
        },
        "quantiles": {
            "type": "object", "maxProperties": 99, "additionalProperties": number,
            "description": "By level, what the truth lies below with that probability",
        },
    }  # fmt: skip
    return {name: known[name] for name in inputs.more}


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
        "maxProperties": len(properties),
    }
