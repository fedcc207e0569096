"""A small decision tree that answers like the model, printed as rules, and how often it really answers like it.

Craven & Shavlik 1996, "Extracting Tree-Structured Representations of Trained Networks". It learns the model's answers
to training rows; its fidelity is measured on rows it has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.explanation.game import Floats
from modelyard.methods.evaluation.explanation.players import units
from modelyard.methods.preprocessing.table import number_of, word_of
from modelyard.methods.runtimes.predictor import Record

MOST_FEATURES = 1000
MOST_VALUES = 30


@dataclass(frozen=True)
class Feature:
    """What a rule can ask: a number column against a threshold, or whether a column (a text) has a value (a word).

    Attributes:
        value: None for a number.
    """

    column: str
    value: str | None = None

    def says(self, threshold: float, left: bool) -> str:
        if self.value is None:
            return f"{self.column} {'≤' if left else '>'} {threshold:.4g}"
        sign = ("∌" if left else "∋") if self.column == "text" else ("≠" if left else "=")
        return f"{self.column} {sign} {self.value}"


@dataclass(frozen=True)
class Rule:
    """A leaf: what leads to it, what it answers, the training rows in it.

    Attributes:
        leaf: its number in the tree.
    """

    conditions: str
    answer: str
    training_rows: int
    leaf: int


@dataclass(frozen=True)
class Surrogate:
    """A fitted tree.

    Attributes:
        labels: the model's; empty for numbers.
        medians: what stands for a missing number, by column.
    """

    tree: Any
    features: tuple[Feature, ...]
    labels: tuple[str, ...]
    medians: dict[str, float]

    def answers(self, records: Sequence[Record]) -> Floats:
        """Places of labels, or values, [n]."""
        found: Floats = self.tree.predict(_matrix(records, self.features, self.medians)).astype(np.float64)
        return found

    def leaves(self, records: Sequence[Record]) -> NDArray[np.int64]:
        """The leaf each record ends in [n]."""
        found: NDArray[np.int64] = self.tree.apply(_matrix(records, self.features, self.medians))
        return found

    def rules(self) -> list[Rule]:
        """One a leaf, the largest first."""
        inner = self.tree.tree_
        found: list[Rule] = []

        def visit(node: int, asked: list[tuple[Feature, float, bool]]) -> None:
            if inner.children_left[node] < 0:
                said = " · ".join(shortened(asked))
                found.append(Rule(said, self._answer(node), int(inner.n_node_samples[node]), node))
                return
            feature, threshold = self.features[inner.feature[node]], float(inner.threshold[node])
            visit(int(inner.children_left[node]), [*asked, (feature, threshold, True)])
            visit(int(inner.children_right[node]), [*asked, (feature, threshold, False)])

        visit(0, [])
        return sorted(found, key=lambda one: (-one.training_rows, one.conditions))

    def path(self, record: Record) -> tuple[list[str], str]:
        """The conditions a record meets, from the root, and the answer at their end."""
        row = _matrix([record], self.features, self.medians)
        inner, nodes = self.tree.tree_, self.tree.decision_path(row).indices.tolist()
        asked = [
            (self.features[inner.feature[node]], float(inner.threshold[node]), child == inner.children_left[node])
            for node, child in pairwise(nodes)
        ]
        return shortened(asked), self._answer(nodes[-1])

    def _answer(self, node: int) -> str:
        value = self.tree.tree_.value[node][0]
        if not self.labels:
            return f"{float(value[0]):.4g}"
        return self.labels[int(self.tree.classes_[int(np.argmax(value))])]


def shortened(asked: Sequence[tuple[Feature, float, bool]]) -> list[str]:
    """Conditions (feature, threshold, whether it is at most that) in words; of several of one kind the narrowest."""
    kept: dict[tuple[Feature, bool], float] = {}
    for feature, threshold, left in asked:
        before = kept.get((feature, left), threshold)
        kept[feature, left] = min(before, threshold) if left else max(before, threshold)
    return [feature.says(threshold, left) for (feature, left), threshold in kept.items()]


def surrogate(
    records: Sequence[Record], outputs: Floats, labels: Sequence[str], columns: Sequence[str], leaves: int
) -> Surrogate:
    """A tree of at most `leaves` leaves on the model's outputs [n, outputs] to these records.

    Args:
        columns: that the model reads; `("text",)` asks for words.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    medians: dict[str, float] = {}
    features = _features(records, columns, medians)
    kind = DecisionTreeClassifier if labels else DecisionTreeRegressor
    target = outputs.argmax(1) if labels else outputs[:, 0]
    tree = kind(max_leaf_nodes=leaves, min_samples_leaf=max(1, len(records) // 200), random_state=0)
    tree.fit(_matrix(records, features, medians), target)
    return Surrogate(tree, tuple(features), tuple(labels), medians)


def _features(records: Sequence[Record], columns: Sequence[str], medians: dict[str, float]) -> list[Feature]:
    found: list[Feature] = []
    for column in columns:
        cells = [record[column] for record in records]
        if column == "text":
            found += [Feature(column, word) for word in _common(_words(str(cell)) for cell in cells)[:MOST_FEATURES]]
            continue
        numbers = [number_or_none(cell) for cell in cells]
        if any(number is None for number in numbers):
            words = _common({_word(cell)} for cell in cells)
            found += [Feature(column, word) for word in words[:MOST_VALUES]]
        else:
            there = np.array([number for number in numbers if number is not None and np.isfinite(number)])
            medians[column] = float(np.median(there)) if there.size else 0.0
            found.append(Feature(column))
    return found


def _common(sets: Any) -> list[str]:
    """Words in at least two rows, the commonest first."""
    from collections import Counter

    counts = Counter(word for one in sets for word in one)
    return [word for word, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])) if count > 1]


def _words(text: str) -> set[str]:
    lower = text.lower()
    return {lower[start:end] for start, end in units(lower)}


def number_or_none(cell: Any) -> float | None:
    """NaN if nothing is there, None if it is no number."""
    try:
        return number_of(cell)
    except ValueError:
        return None


def _word(cell: Any) -> str:
    try:
        return word_of(cell) or "—"
    except ValueError:
        return "—"


def _matrix(records: Sequence[Record], features: Sequence[Feature], medians: dict[str, float]) -> Floats:
    found = np.zeros((len(records), max(1, len(features))))
    words = [_words(str(record["text"])) for record in records] if any(one.column == "text" for one in features) else []
    for place, feature in enumerate(features):
        for row, record in enumerate(records):
            if feature.value is None:
                number = number_or_none(record[feature.column])
                sound = number is not None and np.isfinite(number)
                found[row, place] = number if sound else medians[feature.column]
            elif feature.column == "text":
                found[row, place] = feature.value in words[row]
            else:
                found[row, place] = _word(record[feature.column]) == feature.value
    return found
