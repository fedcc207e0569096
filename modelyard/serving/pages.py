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


def docs_reply(models: Mapping[str, ModelSource], settings: ServingSettings) -> Reply:
    """The page for people: a form to try each model, examples for curl and Python, limits and error codes."""
    template = (Path(__file__).parent / "docs.html").read_text(encoding="utf-8")
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
        "curl": html.escape(_curl(first)),
        "python": html.escape(_python(first)),
        "limits": t("Limits of a request"),
        "limit_rows": _limits(settings),
        "errors": t("Errors"),
        "error_text": t("An error reply is {shape}.", shape='<code>{"error", "message", "trace"}</code>'),
        "error_rows": "".join(f"<tr><td><code>{code}</code><td>{status}" for code, status in STATUS.items()),
        "addresses": t("Other addresses"),
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


def _curl(name: str) -> str:
    body = json.dumps({"instances": [{"text": "…"}]}, ensure_ascii=False)
    return f"curl -s ORIGIN/v1/models/{name}:predict -H 'content-type: application/json' -d '{body}'"


def _python(name: str) -> str:
    return (
        "import json, urllib.request\n"
        'body = json.dumps({"instances": [{"text": "…"}]}).encode()\n'
        f'request = urllib.request.Request("ORIGIN/v1/models/{name}:predict", body, '
        '{"content-type": "application/json"})\n'
        'print(json.load(urllib.request.urlopen(request))["predictions"])'
    )


def _limits(settings: ServingSettings) -> str:
    rows = {
        t("bytes of a body"): settings.max_body_bytes,
        t("instances in a request"): settings.max_instances,
        t("characters of a text"): settings.max_text_chars,
        t("rows waiting"): settings.max_queue_rows,
        t("milliseconds to an answer"): settings.deadline_ms,
        t("seconds to send a request"): settings.receive_timeout_s,
        t("open connections"): settings.max_connections,
    }
    return "".join(f"<tr><td>{html.escape(name)}<td>{value:,}" for name, value in rows.items())
