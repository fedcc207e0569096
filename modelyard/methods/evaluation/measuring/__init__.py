"""What is measured of a model, by its task: a closed table, one module a family, imported when asked.

A family says how a split's rows become records and truths, asks the model, and gives estimates with intervals and what
the report draws; see `family.py`. A new task names its family here, or brings a module with a `FAMILY`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelyard.base.messages import t
from modelyard.errors import InputError

if TYPE_CHECKING:
    from modelyard.methods.evaluation.measuring.family import Family

FAMILIES: Mapping[str, str] = {
    "fill-mask": "fill_mask",
    "image-classification": "classification",
    "multitask": "many",
    "sentence-embedding": "embeddings",
    "tabular-classification": "classification",
    "tabular-regression": "regression",
    "text-classification": "classification",
    "text-generation": "generation",
    "text-multi-label": "multi_label",
    "text-regression": "regression",
    "text-to-text": "generation",
    "token-classification": "spans",
}
"""Task to module of this package."""


def find(task: str) -> Family:
    """The family that measures a task. Raises InputError if none does."""
    if task not in FAMILIES:
        raise InputError(
            t("models of the task `{task}` cannot be measured yet", task=task), expected=", ".join(FAMILIES)
        )
    family: Family = importlib.import_module(f"{__name__}.{FAMILIES[task]}").FAMILY
    return family
