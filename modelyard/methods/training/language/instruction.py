"""Learning to answer: chats of an instruction set, packed, loss on the answers alone (Ouyang et al. 2022, step 1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import chats
from modelyard.methods.training.language.documents import HeldDocuments
from modelyard.methods.training.language.rows import Chat
from modelyard.methods.training.language.settings import TooLong

CHUNK = 1000
"""Chats written out and tokenized at a time."""
GOLDEN = 8


def documents(
    found: Sequence[Chat], tokenizer: Any, context: int, too_long: TooLong, split: str, hooks: Hooks
) -> HeldDocuments:
    """Chats as documents of at most `context` inputs; says how many were too long.

    Args:
        too_long: `cut` keeps the beginning, without an end mark that was not reached; `leave_out` takes none of it.

    Raises:
        InputError: no chat has an answer within the context.
    """
    ids, marks, names = [], [], []
    num_cut = num_lost = 0
    # The last token is a target only.
    most = context + 1
    for start in range(0, len(found), CHUNK):
        some = found[start : start + CHUNK]
        for chat, encoded in zip(some, chats.encode(tokenizer, [chat.turns for chat in some]), strict=True):
            length = len(encoded.ids)
            if length > most and too_long == "leave_out":
                num_lost += 1
                continue
            # What follows the last answer teaches nothing.
            end = max((place + 1 for place, mark in enumerate(encoded.marks[:most]) if mark), default=0)
            if end < 2:
                num_lost += 1
                continue
            num_cut += length > most
            ids.append(encoded.ids[:end])
            marks.append(encoded.marks[:end])
            names.append(chat.name)
    _tell(num_cut, num_lost, split, context, hooks)
    if not ids:
        raise InputError(
            t("no answer of {split} lies within {context} tokens", split=split, context=context),
            where=f"data/{split}",
            expected=t("shorter chats, or a longer `context`"),
        )
    return HeldDocuments.of(ids, marks, names)


def _tell(num_cut: int, num_lost: int, split: str, context: int, hooks: Hooks) -> None:
    if num_cut:
        hooks.say(
            t("{count:,} {split} chats are longer than {context} tokens and were cut there", count=num_cut, split=split,
              context=context)
        )  # fmt: skip
    if num_lost:
        hooks.say(
            t("{count:,} {split} chats were left out: no answer within {context} tokens, or too long", count=num_lost,
              split=split, context=context)
        )  # fmt: skip


def golden(found: Sequence[Chat]) -> list[dict[str, Any]]:
    """Golden records: the first chats up to their first answer."""
    records = []
    for chat in islice(found, GOLDEN):
        place = next(place for place, turn in enumerate(chat.turns) if turn["role"] == chats.ANSWERS)
        if place:
            records.append({"messages": chat.turns[:place]})
    return records or [{"messages": [{"role": "user", "content": "?"}]}]
