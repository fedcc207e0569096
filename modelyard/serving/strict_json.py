"""JSON from strangers: RFC 8259 and nothing more.

Python's parser takes NaN, Infinity, 1e400 (as inf), duplicate keys (the last wins) and lone surrogates, and fails
with RecursionError and ValueError on deep nesting and long integers. Here each of these is a `BadJson`.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from modelyard.base.messages import t

MAX_INT_DIGITS = 64


class BadJson(ValueError):
    """The text is not JSON that this server accepts; `str()` says why, for the client."""


def _constant(name: str) -> NoReturn:
    raise BadJson(t("{name} is not JSON", name=name))


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadJson(t("a number is too large for a double"))
    return value


def _int(text: str) -> int:
    if len(text) > MAX_INT_DIGITS:
        raise BadJson(t("an integer has more than {digits} digits", digits=MAX_INT_DIGITS))
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJson(t("an object has the same key twice"))
    return found


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int, strict=True
)


def parse(body: bytes) -> Any:
    """The value in `body` (UTF-8, no byte order mark). Raises BadJson.

    Lone surrogates written as escapes pass the parser; `is_text` finds them in the strings that are used.
    """
    try:
        return _decoder.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadJson(t("the body is not UTF-8")) from None
    except RecursionError:
        raise BadJson(t("the body is nested too deeply")) from None
    except json.JSONDecodeError as error:
        raise BadJson(t("the body is not JSON at character {position}", position=error.pos)) from None


def is_text(value: str) -> bool:
    """Whether a string is Unicode text: no lone surrogate, so that it can be encoded and tokenized."""
    if value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
