"""Boosted trees explained from inside: exact TreeSHAP, and the box in which an answer does not change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.methods import preprocessing
from modelyard.methods.evaluation.explanation.game import Floats
from modelyard.methods.preprocessing.table import FIRST, Table
from modelyard.methods.runtimes import gbdt
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.runtimes.validation import check, refuse
from modelyard.methods.tasks import find


class Trees:
    """The trees of a model folder of the format `gbdt`. Raises InputError if it is unsound."""

    def __init__(self, folder: Path) -> None:
        self.card = ModelCard.read(folder)
        refuse(check(folder, self.card))
        self.booster = gbdt.open_booster((folder / gbdt.FILE).read_text(encoding="utf-8"), str(folder))
        encoder: Any = preprocessing.load(folder, self.card.preprocessing)
        self.table: Table = encoder
        self._trees: list[Mapping[str, Any]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.columns)

    def contributions(self, records: Sequence[Record]) -> Floats:
        """TreeSHAP [rows, outputs, columns + 1], the last the base, in the raw score (log-odds, or the value).

        Path-dependent: an absent column follows both branches by their training rows (Lundberg et al. 2020, "From local
        explanations to global understanding with explainable AI for trees"), computed by LightGBM. A two-class model
        has one output, the log-odds of the second class.
        """
        width = len(self.table.columns) + 1
        found = self.booster.predict(self._encoded(records), pred_contrib=True, num_threads=1)
        result: Floats = np.asarray(found, np.float64).reshape(len(records), -1, width)
        return result

    def box(self, record: Record) -> list[tuple[str, str]]:
        """For each column the trees ask about: the condition under which every tree gives the same leaf as now."""
        row = self._encoded([record])[0]
        low, high = [-math.inf] * len(row), [math.inf] * len(row)
        kept: dict[int, set[int]] = {}
        for tree in self._dumped():
            node = tree["tree_structure"]
            while "split_feature" in node:
                column = int(node["split_feature"])
                left = self._goes_left(node, float(row[column]))
                if node["decision_type"] == "==":
                    group = {int(code) for code in str(node["threshold"]).split("||")}
                    every = set(range(len(self.table.columns[column].words) + FIRST))
                    kept[column] = kept.get(column, every) & (group if left else every - group)
                elif not math.isnan(row[column]):
                    side, bound = (high, min) if left else (low, max)
                    side[column] = bound(side[column], float(node["threshold"]))
                else:
                    kept.setdefault(column, set())
                node = node["left_child"] if left else node["right_child"]
        return [(name, text) for name, text in self._conditions(row, low, high, kept) if text]

    def _conditions(
        self, row: Floats, low: list[float], high: list[float], kept: Mapping[int, set[int]]
    ) -> list[tuple[str, str]]:
        found = []
        for place, column in enumerate(self.table.columns):
            if column.kind == "category" and place in kept:
                words = [column.words[code - FIRST] for code in sorted(kept[place]) if code >= FIRST]
                text = "{" + ", ".join(words[:8]) + (", …" if len(words) > 8 else "") + "}"
            elif math.isnan(row[place]):
                text = "—" if place in kept else ""
            else:
                least = f"{low[place]:.4g} < " if low[place] > -math.inf else ""
                most = f" ≤ {high[place]:.4g}" if high[place] < math.inf else ""
                text = f"{least}{row[place]:.4g}{most}" if least or most else ""
            found.append((column.name, text))
        return found

    def _goes_left(self, node: Mapping[str, Any], value: float) -> bool:
        if node["decision_type"] == "==":
            return not math.isnan(value) and int(value) in {int(code) for code in str(node["threshold"]).split("||")}
        missing = str(node["missing_type"])
        nothing = math.isnan(value)
        if (missing == "NaN" and nothing) or (missing == "Zero" and (nothing or abs(value) < 1e-35)):
            return bool(node["default_left"])
        return (0.0 if nothing else value) <= float(node["threshold"])

    def _dumped(self) -> list[Mapping[str, Any]]:
        if self._trees is None:
            self._trees = self.booster.dump_model()["tree_info"]
        return self._trees

    def _encoded(self, records: Sequence[Record]) -> Floats:
        found: Floats = self.table.encode(find(self.card.task).values(records))["table"]
        return found
