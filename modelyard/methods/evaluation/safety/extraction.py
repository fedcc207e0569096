"""Extraction: does a language model, given the beginning of a text, write the next tokens of it word for word?

Source: Carlini et al. 2023, "Quantifying memorization across neural language models", ICLR: a text is extractable with
k tokens of context if greedy writing after them gives its next tokens. Held-out texts give what is mere predictability.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError


@dataclass(frozen=True)
class Cut:
    """A text divided: what the model is given, and what it should not know."""

    prompt: str
    wanted: str


def tokenizer_of(folder: Path) -> Any:
    """The model's own. Raises InputError if the folder has none."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise InputError(t("the model has no tokenizer of its own to count tokens with"), where=str(folder))
    return Tokenizer.from_file(str(path))


def cut(text: str, tokenizer: Any, prefix: int, length: int) -> Cut | None:
    """After `prefix` tokens; None if fewer than `prefix + length` are there."""
    spans = tokenizer.encode(text, add_special_tokens=False).offsets
    if len(spans) < prefix + length:
        return None
    start, end = spans[prefix - 1][1], spans[prefix + length - 1][1]
    wanted = text[start:end]
    return Cut(text[:start], wanted) if wanted.strip() and text[:start].strip() else None


def cuts(texts: Iterable[str], tokenizer: Any, prefix: int, length: int) -> list[Cut]:
    return [found for found in (cut(text, tokenizer, prefix, length) for text in texts) if found]


def reproduced(predictor: Any, rows: Sequence[Cut], length: int) -> list[bool]:
    """Whether greedy writing gives the wanted text, [n]; blanks at the ends do not count.

    A few tokens more are written than wanted: the model may cut the same text differently.
    """
    records = [{"prompt": row.prompt, "max_new_tokens": length + 4, "temperature": 0} for row in rows]
    answers = predictor.predict(records)
    return [one.text.strip().startswith(row.wanted.strip()) for one, row in zip(answers, rows, strict=True)]
