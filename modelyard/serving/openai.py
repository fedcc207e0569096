"""The forms that clients of OpenAI's HTTP interface speak: completions, chats and embeddings.

https://platform.openai.com/docs/api-reference: the fields below mean what they mean there. A field that is not
supported is refused by its name, unless it has the value that changes nothing. Left out, `temperature`, `top_p` and
`max_tokens` are the model's own. Errors keep this server's shape.
"""

from __future__ import annotations

import base64
import json
import secrets
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelyard.base.messages import did_you_mean, t
from modelyard.methods.runtimes.predictor import Prediction, Record
from modelyard.serving.errors import Refusal
from modelyard.serving.inputs import TEXT, Inputs, bad, check_prompt, check_text
from modelyard.serving.rest import Asked, body_of, check_count
from modelyard.serving.settings import ServingSettings

COMPLETIONS, CHATS, EMBEDDINGS = "/v1/completions", "/v1/chat/completions", "/v1/embeddings"
EMBEDDER = "sentence-embedding"
LENGTHS = ("max_tokens", "max_completion_tokens")
SETTINGS = ("temperature", "top_p", "stop", "seed")
WRITING = ("model", "stream", "stream_options", "user", *LENGTHS, *SETTINGS)
NEUTRAL: Mapping[str, Sequence[Any]] = {
    "n": (1,),
    "best_of": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logprobs": (False,),
    "echo": (False,),
    "store": (False,),
    "logit_bias": ({},),
    "tools": ([],),
    "response_format": ({"type": "text"},),
}
"""Fields that are not supported, and their values that ask for nothing."""

Models = Mapping[str, Inputs]
Form = Callable[[bytes], Asked]


def forms(models: Models, settings: ServingSettings) -> dict[str, Form]:
    """Addresses and how their requests are read; those that a served model can answer."""
    writers = {name: inputs for name, inputs in models.items() if inputs.kind == "prompt"}
    embedders = {name: inputs for name, inputs in models.items() if inputs.task == EMBEDDER}
    found: dict[str, Form] = {}
    if writers:
        found[COMPLETIONS] = lambda body: completion(body, writers, settings)
        found[CHATS] = lambda body: chat(body, writers, settings)
    if embedders:
        found[EMBEDDINGS] = lambda body: embedding(body, embedders, settings)
    return found


def completion(body: bytes, models: Models, settings: ServingSettings) -> Asked:
    """`POST /v1/completions`: each prompt is continued as it stands."""
    value = _fields(body, ("prompt", *WRITING))
    prompts = value.get("prompt")
    listed = prompts if isinstance(prompts, list) else [prompts]
    check_count(len(listed), settings)
    writing = _writing(value)
    records = [check_prompt({"prompt": one, **writing}, place, "prompt", settings) for place, one in enumerate(listed)]
    return _asked(value, models, records, "prompt", "text_completion")


def chat(body: bytes, models: Models, settings: ServingSettings) -> Asked:
    """`POST /v1/chat/completions`: the turn that follows."""
    value = _fields(body, ("messages", *WRITING))
    turns = value.get("messages")
    if not isinstance(turns, list) or not turns:
        raise bad(t("the messages are a list of turns"), "messages")
    if len(turns) > settings.max_instances:
        message = t("{found} turns; {most} are accepted", found=len(turns), most=settings.max_instances)
        raise Refusal("too_large", f"messages: {message}")
    asked = {"messages": [_turn(turn, f"messages[{place}]") for place, turn in enumerate(turns)], **_writing(value)}
    return _asked(value, models, [check_prompt(asked, 0, "chat", settings)], "chat", "chat.completion")


def embedding(body: bytes, models: Models, settings: ServingSettings) -> Asked:
    """`POST /v1/embeddings`."""
    value = _fields(body, ("model", "input", "encoding_format", "user"))
    texts = value.get("input")
    listed = texts if isinstance(texts, list) else [texts]
    check_count(len(listed), settings)
    form = value.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise bad(t("`float` or `base64` is needed"), "encoding_format")
    records: list[Record] = [
        {TEXT: check_text(text, lambda place=place: f"input[{place}]", settings)}  # type: ignore[misc]
        for place, text in enumerate(listed)
    ]
    model = _model(value, models)
    return Asked(model, records, lambda _, answers: _embeddings(model, answers, form), "input")


def listing(models: Models) -> dict[str, Any]:
    """`GET /v1/models`."""
    return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "modelyard"} for name in models]}


# -- requests


def _fields(body: bytes, known: Sequence[str]) -> dict[str, Any]:
    """The body's fields that say something. Raises Refusal for one that is not supported."""
    value = {name: part for name, part in body_of(body).items() if part is not None}
    for name, part in list(value.items()):
        if name in known:
            continue
        if not any(_same(part, neutral) for neutral in NEUTRAL.get(name, ())):
            near = did_you_mean(name[:80], list(known))
            found = t("the field `{name}` is not supported", name=name[:80])
            raise bad(f"{found} ({near})" if near else found, "")
        del value[name]
    return value


def _same(part: Any, neutral: Any) -> bool:
    """Equal, and true is not 1."""
    return bool(part == neutral) and isinstance(part, bool) == isinstance(neutral, bool)


def _model(value: Mapping[str, Any], models: Models) -> str:
    name = value.get("model")
    if name is None and len(models) == 1:
        return next(iter(models))
    if not isinstance(name, str) or name not in models:
        raise Refusal("not_found", t("no such model for this address; there are {names}", names=", ".join(models)))
    return name


def _writing(value: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of writing as a record says them."""
    found = {name: value[name] for name in SETTINGS if name in value}
    lengths = [value[name] for name in LENGTHS if name in value]
    if len(lengths) > 1:
        raise bad(t("the field `{name}` is not supported", name="max_tokens + max_completion_tokens"), "")
    return {**found, "max_new_tokens": lengths[0]} if lengths else found


def _turn(turn: Any, where: str) -> Any:
    """A turn whose content may be given in parts of text."""
    if not isinstance(turn, dict):
        return turn
    strange = sorted(turn.keys() - {"role", "content", "name"})
    if strange or turn.get("name") is not None:
        raise bad(t("the field `{name}` is not supported", name=(strange or ["name"])[0][:80]), where)
    content = turn.get("content")
    if isinstance(content, list):
        if not all(
            isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
            for part in content
        ):
            raise bad(t("only parts of text are read"), f"{where}.content")
        content = "".join(part["text"] for part in content)
    return {"role": turn.get("role"), "content": content}


def _asked(value: Mapping[str, Any], models: Models, records: list[Record], field: str, kind: str) -> Asked:
    model = _model(value, models)
    stream, options = value.get("stream", False), value.get("stream_options", {})
    if not isinstance(stream, bool) or not isinstance(options, dict) or options.keys() - {"include_usage"}:
        raise bad(t("`stream` is true or false, `stream_options` holds `include_usage`"), "stream")
    if not stream:
        return Asked(model, records, lambda _, answers: _answer(model, kind, answers), field)
    if len(records) > 1:
        raise bad(t("one prompt at a time can be streamed"), "prompt")
    events = Chunks(model, kind, options.get("include_usage") is True)
    return Asked(model, records, lambda _, answers: events.end(answers[0]), field, events)


# -- replies


def _bytes(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _head(model: str, kind: str) -> dict[str, Any]:
    prefix = "chatcmpl" if kind.startswith("chat") else "cmpl"
    return {"id": f"{prefix}-{secrets.token_hex(12)}", "object": kind, "created": int(time.time()), "model": model}


def _usage(answers: Sequence[Prediction]) -> dict[str, int]:
    read, written = sum(answer.read for answer in answers), sum(answer.tokens for answer in answers)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _answer(model: str, kind: str, answers: Sequence[Prediction]) -> bytes:
    choices = [_choice(kind, place, answer) for place, answer in enumerate(answers)]
    return _bytes({**_head(model, kind), "choices": choices, "usage": _usage(answers)}) + b"\n"


def _choice(kind: str, place: int, answer: Prediction) -> dict[str, Any]:
    said: dict[str, Any] = {"text": answer.text}
    if kind.startswith("chat"):
        said = {"message": {"role": "assistant", "content": answer.text}}
    return {"index": place, **said, "logprobs": None, "finish_reason": answer.finish}


class Chunks:
    """One answer as server-sent events: a chunk a piece, the reason it ended, usage if asked, `[DONE]`."""

    def __init__(self, model: str, kind: str, usage: bool) -> None:
        self._is_chat = kind.startswith("chat")
        self._head = _head(model, "chat.completion.chunk" if self._is_chat else kind)
        self._usage = usage
        self._began = False

    def piece(self, text: str) -> bytes:
        return self._event(self._said(text), None)

    def end(self, answer: Prediction) -> bytes:
        last = self._event(self._said(""), answer.finish)
        if self._usage:
            last += b"data: " + _bytes({**self._head, "choices": [], "usage": _usage([answer])}) + b"\n\n"
        return last + b"data: [DONE]\n\n"

    def failed(self, refusal: Refusal) -> bytes:
        return b"data: " + refusal.body().rstrip(b"\n") + b"\n\n"

    def _said(self, text: str) -> dict[str, Any]:
        if not self._is_chat:
            return {"text": text}
        role = {} if self._began else {"role": "assistant"}
        self._began = True
        return {"delta": {**role, "content": text} if text or role else {}}

    def _event(self, said: Mapping[str, Any], finish: str | None) -> bytes:
        choice = {"index": 0, **said, "logprobs": None, "finish_reason": finish}
        return b"data: " + _bytes({**self._head, "choices": [choice]}) + b"\n\n"


def _embeddings(model: str, answers: Sequence[Prediction], form: str) -> bytes:
    """Lists of numbers, or base64 of little-endian float32 as OpenAI's own clients ask."""
    data = []
    for place, answer in enumerate(answers):
        numbers = answer.to_json()["embedding"]
        if form == "base64":
            numbers = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
        data.append({"object": "embedding", "index": place, "embedding": numbers})
    return _bytes({"object": "list", "data": data, "model": model}) + b"\n"
