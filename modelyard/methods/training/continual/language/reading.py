"""What a language model learns on from: new documents, and some of the old ones among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.training.continual import replay
from modelyard.methods.training.continual.lessons import replayed
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import instruction, rows, saving, texts
from modelyard.methods.training.language.documents import Documents, Ints

QUESTIONS, ANSWERS = {"instruction", "prompt", "question"}, {"output", "response", "answer"}
GOLDEN = 8


@dataclass(frozen=True)
class Lesson:
    """Documents as the model reads them.

    Attributes:
        training: new documents, and the replayed ones among them.
        num_new, num_replayed: documents.
        old, old_validation: of the old data; None without.
        num_bytes: of the new validation texts; None for chats, of which only answers are learned.
        golden: records for golden answers.
    """

    training: Documents
    num_new: int
    num_replayed: int
    validation: Documents
    num_bytes: int | None
    golden: Sequence[Mapping[str, Any]]
    old: Documents | None = None
    old_validation: Documents | None = None


@dataclass(frozen=True)
class Mixed:
    """Some old documents spread over the windows of the new ones; an old row's number is `first` and more.

    Attributes:
        chosen: rows of the old documents.
        lengths: tokens of each of them.
    """

    new: Documents
    old: Documents
    chosen: Ints
    lengths: Ints
    first: int = field(default=1 << 40)

    @property
    def num_windows(self) -> int:
        return self.new.num_windows

    def window(self, number: int) -> tuple[Ints, Ints]:
        found, sizes = self.new.window(number)
        part = slice(number, None, self.num_windows)
        return np.concatenate([found, self.chosen[part] + self.first]), np.concatenate([sizes, self.lengths[part]])

    def take(self, rows: Ints, offsets: Ints, counts: Ints) -> Ints:
        found = np.empty(int(counts.sum()), np.int64)
        for mine, documents, places in self._parts(rows, counts):
            found[places] = documents.take(self._own(rows[mine]), offsets[mine], counts[mine])
        return found

    def learned(self, rows: Ints, offsets: Ints, counts: Ints) -> NDArray[np.bool_] | None:
        found = np.ones(int(counts.sum()), np.bool_)
        for mine, documents, places in self._parts(rows, counts):
            marks = documents.learned(self._own(rows[mine]), offsets[mine], counts[mine])
            if marks is not None:
                found[places] = marks
        return found

    def name(self, row: int) -> str:
        return f"old {self.old.name(row - self.first)}" if row >= self.first else self.new.name(row)

    def _own(self, rows: Ints) -> Ints:
        return np.where(rows >= self.first, rows - self.first, rows)

    def _parts(self, rows: Ints, counts: Ints) -> list[tuple[NDArray[np.bool_], Documents, NDArray[np.bool_]]]:
        """(which rows, whose they are, which tokens are theirs) of the new and of the old ones, if any."""
        is_old = rows >= self.first
        found = [(~is_old, self.new), (is_old, self.old)]
        return [(mine, whose, np.repeat(mine, counts)) for mine, whose in found if mine.any()]


def read(
    tokenizer: Any,
    context: int,
    data: Dataset,
    old: Dataset | None,
    share: float,
    seed: int,
    scratch: Path,
    hooks: Hooks,
) -> Lesson:
    """The lesson of a language model.

    Args:
        share: of the old training documents, how many are learned again.

    Raises:
        InputError: no texts or chats; chats for a model that knows none; no old document in the share.
    """
    reading = _Reading(tokenizer, context, hooks)
    training, validation = (reading.documents(data, split, scratch / "new") for split in ("train", "validation"))
    before = before_validation = None
    num_new, num_replayed, mixed = len(_lengths(training)[0]), 0, training
    if old is not None:
        before, before_validation = (
            reading.documents(old, split, scratch / "old") for split in ("train", "validation")
        )
        mixed, num_replayed = _with_old(training, before, share, seed)
    return Lesson(
        training=mixed,
        num_new=num_new,
        num_replayed=num_replayed,
        validation=validation,
        num_bytes=None if is_chat(data) else texts.num_bytes(data, "validation", data.need("text")),
        golden=reading.golden(data),
        old=before,
        old_validation=before_validation,
    )


def is_chat(data: Dataset) -> bool:
    """Whether rows are chats, or questions and answers; else they are texts."""
    there = {column.name for column in data.columns}
    return bool(there & set(rows.CHATS)) or bool(there & QUESTIONS and there & ANSWERS)


@dataclass(frozen=True)
class _Reading:
    tokenizer: Any
    context: int
    hooks: Hooks

    def documents(self, data: Dataset, split: str, scratch: Path) -> Documents:
        if not is_chat(data):
            return texts.documents(data, split, data.need("text"), self.tokenizer, scratch)
        if not self.tokenizer.chat_template:
            raise InputError(
                t("the model knows no chats"),
                where="data",
                expected=t("a column of texts"),
                remedy=t("teach it chats first: train.instruct with the model as base"),
            )
        found = rows.chats(data, split, rows.InstructionColumns(), self.hooks)
        return instruction.documents(found, self.tokenizer, self.context, "cut", split, self.hooks)

    def golden(self, data: Dataset) -> Sequence[Mapping[str, Any]]:
        if is_chat(data):
            return instruction.golden(rows.chats(data, "validation", rows.InstructionColumns(), Hooks()))
        return saving.prompts(list(islice(texts.texts_of(data, "validation", data.need("text")), GOLDEN)))


def _with_old(new: Documents, old: Documents, share: float, seed: int) -> tuple[Documents, int]:
    numbers, sizes = _lengths(old)
    count = replayed(share, len(numbers))
    if not count:
        return new, 0
    names = [old.name(row) for row in numbers.tolist()]
    places = replay.choose(np.zeros(len(numbers), np.int64), names, count, seed)
    return Mixed(new, old, numbers[places], sizes[places]), count


def _lengths(documents: Documents) -> tuple[Ints, Ints]:
    """(rows that have something to learn, tokens of each), in the order of the rows."""
    found = [documents.window(number) for number in range(documents.num_windows)]
    numbers, sizes = (np.concatenate([one[part] for one in found]) for part in (0, 1))
    kept = np.flatnonzero(sizes > 1)
    order = kept[np.argsort(numbers[kept], kind="stable")]
    return numbers[order], sizes[order]
