"""Text regression: a record is a text, a prediction one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.methods.tasks.tabular_regression import TabularRegression
from modelyard.methods.tasks.text_classification import FIELD, texts

NAME = "text-regression"


class TextRegression(TabularRegression):
    """Answers as any regression does; other records."""

    name = NAME
    inputs: Mapping[str, Any] = {FIELD: {"type": "string", "shape": []}}

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        return texts(records)

    def sample(self) -> Mapping[str, Any]:
        return {FIELD: "a"}


TASK = TextRegression()
