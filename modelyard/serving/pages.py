"""`/docs`: one page that holds all it needs. It loads nothing from anywhere, so it works offline."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path

from modelyard.base.messages import language, t
from modelyard.serving.endpoint import ModelSource
from modelyard.serving.errors import STATUS
from modelyard.serving.http import Reply
from modelyard.serving.inputs import Inputs
from modelyard.serving.settings import ServingSettings

_SECURITY = (
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _SECURITY),
    (b"x-content-type-options", b"nosniff"),
)


def docs_reply(
    models: Mapping[str, ModelSource], settings: ServingSettings, inputs: Mapping[str, Inputs] | None = None
) -> Reply:
    """The page for people: a form to try each model, examples for curl and Python, limits and error codes."""
    template = (Path(__file__).parent / "docs.html").read_text(encoding="utf-8")
    reads = {name: (inputs or {}).get(name, Inputs()) for name in models}
    first = next(iter(models))
    words = {
        "lang": language(),
        "title": t("Models served here"),
        "models": "".join(_model(name, source) for name, source in models.items()),
        "try_it": t("Try it"),
        "ask": t("Ask"),
        "placeholder": t("A text …"),
        "options": "".join(f"<option>{html.escape(name)}</option>" for name in models),
        "examples": t("Examples"),
        "curl": html.escape("\n\n".join(_curl(name, reads[name]) for name in models)),
        "python": html.escape(_python(first, reads[first])),
        "limits": t("Limits of a request"),
        "limit_rows": _limits(settings, {each.kind for each in reads.values()}),
        "errors": t("Errors"),
        "error_text": t("An error reply is {shape}.", shape='<code>{"error", "message", "trace"}</code>'),
        "error_rows": "".join(f"<tr><td><code>{code}</code><td>{status}" for code, status in STATUS.items()),
        "addresses": t("Other addresses"),
        "forms": _forms(reads),
        "words": _script(
            {
                "placeholder": t("A text …"),
                "prompt": t("The beginning of a text …"),
                "message": t("A message …"),
                "image": t("An image file"),
                "unknown": t("not known"),
                "again": t("Start again"),
                "nothing": t("Choose a file first."),
            }
        ),
    }
    for key, value in words.items():
        template = template.replace("{{" + key + "}}", value)
    return Reply(200, _HEADERS, template.encode())


def _model(name: str, source: ModelSource) -> str:
    address = f"/v1/models/{name}"
    return (
        f"<li><b>{html.escape(name)}</b> {html.escape(t('version {number}', number=source.version))}: "
        f"<code>POST {address}:predict</code>, <a href='{address}'>{address}</a>, "
        f"<a href='{address}/metadata'>{address}/metadata</a></li>"
    )


def _script(value: object) -> str:
    """A value as JSON that can stand inside a script element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _forms(reads: Mapping[str, Inputs]) -> str:
    """What the page's script needs to make a form for each model."""
    found = {
        name: {"kind": inputs.kind, "columns": list(inputs.columns.items()), "chats": inputs.chats}
        for name, inputs in reads.items()
    }
    return _script(found)


def _example(inputs: Inputs) -> dict[str, object]:
    """An instance as the model reads it."""
    if inputs.kind == "table":
        return {name: "…" if kind == "string" else 0 for name, kind in inputs.columns.items()}
    if inputs.kind == "prompt":
        return {"messages": [{"role": "user", "content": "…"}]} if inputs.chats else {"prompt": "…"}
    return {next(iter(inputs.columns)): {"b64": "…"} if inputs.kind == "image" else "…"}


def _curl(name: str, inputs: Inputs) -> str:
    address = f"ORIGIN/v1/models/{name}:predict"
    if inputs.kind == "image":
        return f"curl -s {address} -H 'content-type: image/png' --data-binary @image.png"
    body = json.dumps({"instances": [_example(inputs)]}, ensure_ascii=False).replace("'", "'\\''")
    return f"curl -s {address} -H 'content-type: application/json' -d '{body}'"


def _python(name: str, inputs: Inputs) -> str:
    instance, first = json.dumps(_example(inputs), ensure_ascii=False), "import json, urllib.request\n"
    if inputs.kind == "image":
        first = (
            'import base64, json, urllib.request\nimage = base64.b64encode(open("image.png", "rb").read()).decode()\n'
        )
        instance = json.dumps({next(iter(inputs.columns)): {"b64": 0}}).replace("0", "image")
    return (
        f'{first}body = json.dumps({{"instances": [{instance}]}}).encode()\n'
        f'request = urllib.request.Request("ORIGIN/v1/models/{name}:predict", body, '
        '{"content-type": "application/json"})\n'
        'print(json.load(urllib.request.urlopen(request))["predictions"])'
    )


def _limits(settings: ServingSettings, kinds: set[str]) -> str:
    rows = {
        t("bytes of a body"): settings.max_body_bytes,
        t("instances in a request"): settings.max_instances,
        t("characters of a text"): settings.max_text_chars,
        t("rows waiting"): settings.max_queue_rows,
        t("milliseconds to an answer"): settings.deadline_ms,
        t("seconds to send a request"): settings.receive_timeout_s,
        t("open connections"): settings.max_connections,
    }
    if "image" in kinds:
        rows[t("bytes of an image")] = settings.max_image_bytes
    if "prompt" in kinds:
        rows[t("tokens to write")] = settings.max_new_tokens
    return "".join(f"<tr><td>{html.escape(name)}<td>{value:,}" for name, value in rows.items())
