"""What a served model reads, as its own card says: a text, a row of a table, an image, or a prompt or chat.

One instance of a request becomes one record here, and is refused with its position before it waits in the queue. What
only the model can judge (whether bytes are an image, whether a word is a number) it judges later; its refusal of a
record reaches the client in the same form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods import postprocessing, tasks
from modelyard.methods.runtimes import reading
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.tasks import image_classification, text_classification, text_generation
from modelyard.methods.text import travelling
from modelyard.serving import strict_json
from modelyard.serving.errors import Refusal, refusal_of_record
from modelyard.serving.settings import ServingSettings

TEXT, IMAGE = text_classification.FIELD, image_classification.FIELD
DATA_URL_CHARS = 64
"""What a data URL may bring before its base64."""
SHOWN = 12
"""Columns named in a message."""
WRITERS = ("text-generation", "text-to-text")
"""Tasks that write a text: what they answer takes seconds, not milliseconds."""

Kind = Literal["text", "table", "image", "prompt"]


@dataclass(frozen=True)
class Inputs:
    """What one model reads.

    Attributes:
        columns: fields of a record and their types, as in `model.json`.
        outputs: fields of an answer, likewise.
        chats: whether it has a template for chats.
        repairs: what is done to each text before the model reads it, as `model.json` has it.
        more: fields that its decision layer adds to an answer: `set`, `abstained`, `interval`, `quantiles`.
    """

    task: str = text_classification.NAME
    kind: Kind = "text"
    columns: Mapping[str, str] = field(default_factory=lambda: {TEXT: "string"})
    outputs: Mapping[str, Any] = field(default_factory=dict)
    chats: bool = False
    more: tuple[str, ...] = ()
    repairs: tuple[Mapping[str, Any], ...] = ()

    @property
    def writes(self) -> bool:
        return self.task in WRITERS


def inputs_of(folder: Path) -> Inputs:
    """What the model in a folder reads; of a folder that holds none, texts (loading it says what is wrong)."""
    try:
        card = ModelCard.read(folder)
        fields = card.inputs or tasks.find(card.task).inputs
        columns = {name: str(about["type"]) for name, about in fields.items()}
        more = postprocessing.fields(card.postprocessing)
        repairs = tuple(travelling.specs(reading.repairs_of(card)))
    except (InputError, KeyError, TypeError):
        return Inputs()
    return Inputs(card.task, _kind(card.task, columns), columns, card.outputs, _chats(folder), more, repairs)


def _kind(task: str, columns: Mapping[str, str]) -> Kind:
    if task == text_generation.NAME:
        return "prompt"
    if columns.keys() == {TEXT}:
        return "text"
    return "image" if list(columns.values()) == ["bytes"] else "table"


def _chats(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    try:
        return bool(json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template"))
    except (OSError, ValueError, AttributeError):
        return False


def record(inputs: Inputs, item: Any, position: int, settings: ServingSettings) -> Record:
    """The record of one instance. Raises Refusal naming its position."""
    return READERS[inputs.kind](inputs, item, position, settings)


def bad(message: str, where: str) -> Refusal:
    return Refusal("bad_instances", f"{where}: {message}" if where else message)


def check_text(text: Any, where: Callable[[], str], settings: ServingSettings) -> str:
    """A string from a client. Raises Refusal if it is none, too long, or no Unicode text."""
    if not isinstance(text, str):
        raise bad(t("a string is needed"), where())
    if len(text) > settings.max_text_chars:
        message = t("a text has {found} characters; {most} are accepted", found=len(text), most=settings.max_text_chars)
        raise Refusal("too_large", f"{where()}: {message}")
    if not strict_json.is_text(text):
        raise bad(t("the text holds a lone surrogate, which is no character"), where())
    return text


def _text(inputs: Inputs, item: Any, position: int, settings: ServingSettings) -> Record:
    if isinstance(item, dict):
        item = _only(item, TEXT, position)
    return {TEXT: check_text(item, lambda: f"instances[{position}]", settings)}


def _only(item: Mapping[str, Any], name: str, position: int) -> Any:
    if item.keys() != {name}:
        raise bad(t('an instance has exactly the field "{name}"', name=name), f"instances[{position}]")
    return item[name]


def _row(inputs: Inputs, item: Any, position: int, settings: ServingSettings) -> Record:
    """A row of a table: exactly the model's columns, each a plain value."""
    where = f"instances[{position}]"
    if not isinstance(item, dict):
        raise bad(t("an object of columns is needed"), where)
    names = inputs.columns
    if item.keys() != names.keys():
        raise bad(_columns_problem(item, names), where)
    for name, value in item.items():
        if isinstance(value, str):
            check_text(value, lambda name=name: f"{where}.{name}", settings)  # type: ignore[misc]
        elif value is not None and not isinstance(value, int | float):
            raise bad(t("a number, a string, true, false or null is needed"), f"{where}.{name}")
    return item


def _columns_problem(item: Mapping[str, Any], names: Mapping[str, str]) -> str:
    missing = [name for name in names if name not in item]
    if missing:
        return t("the column `{name}` is missing; a value that is not known is null", name=missing[0])
    strange = next(name for name in item if name not in names)
    shown = ", ".join(list(names)[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    found = t("there is no column `{name}`; the columns are {columns}", name=strange[:80], columns=shown)
    near = did_you_mean(strange[:80], list(names))
    return f"{found} ({near})" if near else found


def _image(inputs: Inputs, item: Any, position: int, settings: ServingSettings) -> Record:
    """`"base64"`, `{"b64": "base64"}` (TensorFlow Serving's form of bytes), or one of both as the field `image`."""
    where, name = f"instances[{position}]", next(iter(inputs.columns))
    if isinstance(item, dict) and item.keys() != {"b64"}:
        item = _only(item, name, position)
    encoded = item["b64"] if isinstance(item, dict) and item.keys() == {"b64"} else item
    if not isinstance(encoded, str) or not encoded.isascii():
        raise bad(t("an image is base64 text, or {example}", example='{"b64": "…"}'), where)
    if len(encoded) > base64_chars(settings.max_image_bytes) + DATA_URL_CHARS:
        raise Refusal("too_large", f"{where}: {image_too_large(settings)}")
    return {name: encoded}


def image_too_large(settings: ServingSettings) -> str:
    return t("an image has at most {most:,} bytes", most=settings.max_image_bytes)


def base64_chars(num_bytes: int) -> int:
    """Characters of base64 that so many bytes need (RFC 4648, section 4)."""
    return -(-num_bytes // 3) * 4


def _prompt(inputs: Inputs, item: Any, position: int, settings: ServingSettings) -> Record:
    asked = {TEXT: item} if isinstance(item, str) else item
    if not isinstance(asked, dict):
        raise bad(t("a string or an object is needed"), f"instances[{position}]")
    return check_prompt(asked, position, "instances", settings)


def check_prompt(asked: Mapping[str, Any], position: int, name: str, settings: ServingSettings) -> Record:
    """A record for a model that writes, if all of it can be answered. Raises Refusal."""
    where = f"{name}[{position}]"
    try:
        request = text_generation.request(asked, where)
    except InputError as error:
        raise refusal_of_record(error, name) from None
    if (request.max_new_tokens or 0) > settings.max_new_tokens:
        message = t(
            "{found} tokens are asked; {most} are accepted", found=request.max_new_tokens, most=settings.max_new_tokens
        )
        raise Refusal("too_large", f"{where}: {message}")
    content = request.content
    parts = [content] if isinstance(content, str) else [turn[key] for turn in content for key in ("role", "content")]
    for text in (*parts, *request.stop):
        check_text(text, lambda: where, settings)
    if sum(map(len, parts)) > settings.max_text_chars:
        message = t(
            "a chat has {found} characters; {most} are accepted",
            found=sum(map(len, parts)),
            most=settings.max_text_chars,
        )
        raise Refusal("too_large", f"{where}: {message}")
    return asked


READERS: Mapping[Kind, Callable[[Inputs, Any, int, ServingSettings], Record]] = {
    "text": _text,
    "table": _row,
    "image": _image,
    "prompt": _prompt,
}


def body_limit(inputs: Inputs, settings: ServingSettings) -> int:
    """Bytes a request to such a model may have: an image may come beside what others may send."""
    image = base64_chars(settings.max_image_bytes) if inputs.kind == "image" else 0
    return settings.max_body_bytes + image
