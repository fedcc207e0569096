"""`tokens`: a text as sub-words of a `tokenizer.json` (the tokenizers library's format, which transformers reads).

Spec: `{"kind": "tokens", "tokenizer": "tokenizer.json", "max_length": 256, "pad_id": 0, "max_chars": 16384}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from modelyard.base.messages import t
from modelyard.errors import InputError

FILE = "tokenizer.json"
CHARS_PER_TOKEN = 64
"""Past this many characters a token, the rest of a text cannot reach the network: it is not even read."""


@dataclass(frozen=True)
class Tokens:
    """A loaded tokenizer.

    Attributes:
        tokenizer: set to truncate at `max_length` and not to pad.
        max_length: tokens, special ones included.
        pad_id: what fills the end of short rows.
        max_chars: characters of a text that are read.
    """

    tokenizer: Any
    max_length: int
    pad_id: int
    max_chars: int

    input_names = ("input_ids", "attention_mask")

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens included, at most `max_length`."""
        cut = [_sound(text[: self.max_chars]) for text in texts]
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(cut)]

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """`input_ids` and `attention_mask`, both [texts, longest] int64."""
        return pad_ids(self.ids(texts), self.pad_id)

    def spec(self) -> dict[str, Any]:
        """What `model.json` says of this preprocessor."""
        return {
            "kind": "tokens",
            "tokenizer": FILE,
            "max_length": self.max_length,
            "pad_id": self.pad_id,
            "max_chars": self.max_chars,
        }


def _sound(text: str) -> str:
    """The text with lone surrogates (half of an emoji, from somebody's cutting) replaced: they have no UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def pad_ids(rows: Sequence[Sequence[int]], pad_id: int) -> dict[str, NDArray[Any]]:
    """Rows of ids padded to the longest (at least 1), with the mask that is 1 on what is real."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    longest = max(int(lengths.max(initial=0)), 1)
    mask = np.arange(longest) < lengths[:, None]
    ids = np.full((len(rows), longest), pad_id, np.int64)
    ids[mask] = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
    return {"input_ids": ids, "attention_mask": mask.astype(np.int64)}


def wrap(tokenizer: Any, max_length: int, pad_id: int, max_chars: int | None = None) -> Tokens:
    """Take a `tokenizers.Tokenizer` over: its own padding is switched off, truncation set to `max_length`."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return Tokens(tokenizer, max_length, pad_id, max_chars or max_length * CHARS_PER_TOKEN)


def load(folder: Path, spec: Mapping[str, Any]) -> Tokens:
    """Raises InputError if the tokenizer's file is missing or not one."""
    path = folder / str(spec["tokenizer"])
    if not path.is_file():
        raise InputError(t("no tokenizer in the model folder"), where=str(path), expected=FILE)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for every unreadable file
        raise InputError(t("the tokenizer cannot be read: {error}", error=error), where=str(path)) from None
    max_length = int(spec["max_length"])
    return wrap(tokenizer, max_length, int(spec.get("pad_id", 0)), spec.get("max_chars"))
