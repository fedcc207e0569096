"""Pairs of texts as sentence embeddings learn from them: rows out of a data set, batches out of rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.preprocessing.tokens import Tokens, pad_ids
from modelyard.methods.training import batching
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.random import generator

NAMED = 8


@dataclass(frozen=True)
class Columns:
    """Where the parts of a pair are.

    Attributes:
        score: of how alike they are; None: the texts of every row belong together.
        negative: a text that does not belong to the first; None: there is none.
    """

    text: str
    other: str
    score: str | None = None
    negative: str | None = None

    @property
    def named(self) -> list[str]:
        return [name for name in (self.text, self.other, self.score, self.negative) if name]


@dataclass(frozen=True)
class Pairs:
    """Pairs of a split.

    Attributes:
        sides: the first texts, the others, and the negatives if there are any.
        scores: [rows], or None.
        names: row ids.
    """

    sides: tuple[Sequence[str], ...]
    scores: NDArray[np.float32] | None
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Sequence[int]) -> Pairs:
        """Some of the pairs."""
        sides = tuple([side[row] for row in rows] for side in self.sides)
        return Pairs(sides, None if self.scores is None else self.scores[list(rows)], [self.names[row] for row in rows])

    @property
    def is_binary(self) -> bool:
        """Whether the scores are 0 and 1, and both occur."""
        return self.scores is not None and set(np.unique(self.scores).tolist()) == {0.0, 1.0}


def columns_of(data: Dataset, other: str, negative: str | None) -> Columns:
    """The columns of pairs: the text, the other text, the label or target as their score.

    Raises:
        InputError: a column is not there.
    """
    there = {column.name for column in data.columns}
    for name in (other, negative):
        if name is not None and name not in there:
            raise InputError(
                t("no column `{name}`", name=name),
                where="data",
                expected=t("pairs of texts; there are the columns {names}", names=", ".join(sorted(there))),
                remedy=did_you_mean(name, sorted(there)) or t("name the columns in the step's settings"),
            )
    return Columns(data.need("text"), other, data.role("target") or data.role("label"), negative)


def read(data: Dataset, split: str, columns: Columns, hooks: Hooks) -> Pairs:
    """The pairs of a split. Rows that cannot be used are counted by reason, and it is said.

    Raises:
        InputError: no row can be used.
    """
    sides: list[list[str]] = [[] for _ in range(3 if columns.negative else 2)]
    scores: list[float] = []
    names: list[str] = []
    reasons: Counter[str] = Counter()
    wanted = [columns.text, columns.other, *([columns.negative] if columns.negative else [])]
    for batch in data.batches(split, [*dict.fromkeys(columns.named), ROW_ID]):
        for row in batch.to_pylist():
            values = [row[name] for name in wanted]
            score = _score(row[columns.score]) if columns.score else 1.0
            if not all(isinstance(value, str) and value.strip() for value in values):
                reasons[t("a text is missing")] += 1
            elif score is None:
                reasons[t("the score is no number")] += 1
            else:
                for side, value in zip(sides, values, strict=True):
                    side.append(value)
                scores.append(score)
                names.append(str(row[ROW_ID]))
    for reason, count in sorted(reasons.items()):
        hooks.say(t("{count:,} {split} rows were left out: {reason}", count=count, split=split, reason=reason))
    if not names:
        raise InputError(
            t("no {split} row can be learned from", split=split),
            where=f"data/{split}",
            expected=t("two texts in each row, and a number where there is a label"),
            remedy=t("check the columns, data.read and data.split"),
        )
    return Pairs(tuple(sides), np.array(scores, np.float32) if columns.score else None, names)


def _score(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


@dataclass(frozen=True)
class Tokenized:
    """Pairs as ids, each side a list of rows of ids; `same` numbers equal texts equally: [sides, rows]."""

    sides: tuple[list[list[int]], ...]
    same: NDArray[np.int64]
    scores: NDArray[np.float32]
    names: Sequence[str]
    pad_id: int

    @classmethod
    def of(cls, pairs: Pairs, reader: Tokens) -> Tokenized:
        """Read with a tokenizer."""
        sides = tuple(reader.ids(side) for side in pairs.sides)
        numbers: dict[tuple[int, ...], int] = {}
        same = [[numbers.setdefault(tuple(ids), len(numbers)) for ids in side] for side in sides]
        scores = np.ones(len(pairs), np.float32) if pairs.scores is None else pairs.scores
        return cls(sides, np.array(same, np.int64), scores, pairs.names, reader.pad_id)

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, rows: Sequence[int], device: torch.device) -> Batch:
        """These pairs: all texts in one forward pass, side after side."""
        ids = [side[row] for side in self.sides for row in rows]
        inputs = {name: torch.from_numpy(array).to(device) for name, array in pad_ids(ids, self.pad_id).items()}
        return Batch(
            inputs=inputs,
            targets={
                "scores": torch.from_numpy(self.scores[list(rows)]).to(device),
                "same": torch.from_numpy(self.same[:, list(rows)]).to(device),
            },
            weight=float(len(rows)),
            names=[self.names[row] for row in rows[:NAMED]],
            tokens=sum(map(len, ids)),
        )


class PairFeed:
    """Batches of pairs drawn from all over the data: who is in a batch with whom is part of what is learned.

    A last batch that is smaller than the others goes without: a pair alone has nothing to be told from.
    """

    def __init__(self, pairs: Tokenized, batch_size: int, accumulation: int, seed: int, device: torch.device) -> None:
        self._pairs, self._size, self._device, self._seed = pairs, min(batch_size, len(pairs)), device, seed
        self._accumulation = accumulation
        self.num_batches = max(1, len(pairs) // self._size)
        self.epoch_steps = -(-self.num_batches // accumulation)
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    def step(self, epoch: int, position: int) -> Sequence[Batch]:
        if self._order[0] != epoch:
            self._order = (epoch, generator(self._seed, "order", epoch).permutation(len(self._pairs)))
        first = position * self._accumulation
        numbers = range(first, min(first + self._accumulation, self.num_batches))
        order = self._order[1]
        return [
            self._pairs.batch(order[one * self._size : (one + 1) * self._size].tolist(), self._device)
            for one in numbers
        ]


def vectors(module: torch.nn.Module, rows: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> NDArray[Any]:
    """[rows, D] of texts as ids, in fp32 and evaluation mode, as the predictor computes."""
    was_training = module.training
    module.eval()
    lengths = np.array([len(row) for row in rows], np.int64)
    found: list[NDArray[Any]] = [np.zeros(0)] * len(rows)
    with torch.inference_mode():
        for places in batching.by_length(lengths, 8192):
            arrays: Mapping[str, NDArray[Any]] = pad_ids([rows[place] for place in places], pad_id)
            made = module(**{name: torch.from_numpy(array).to(device) for name, array in arrays.items()})
            for place, vector in zip(places.tolist(), made.float().cpu().numpy(), strict=True):
                found[place] = vector
    module.train(was_training)
    return np.stack(found)
