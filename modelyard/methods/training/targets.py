"""What must hold of the classes of train and validation, whatever the rows are."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.base.messages import t
from modelyard.errors import Problem

SHOWN = 5


def row_problems(split: str, num_rows: int) -> list[Problem]:
    """A split without a row that can be used."""
    if num_rows:
        return []
    found = t("no {split} row has a label", split=split)
    return [Problem(f"data/{split}", found, t("rows with a label"), t("check data.read and data.split"))]


def class_problems(training: Sequence[str], validation: Sequence[str]) -> list[Problem]:
    """One class only, or classes of validation that train has not.

    Args:
        training, validation: the label of each row.
    """
    labels = sorted(set(training))
    if len(labels) < 2:
        found = t("all training rows have the label `{label}`", label=labels[0])
        return [Problem("data/train", found, t("at least two classes"), t("check the column named as label"))]
    strange = sorted(set(validation) - set(labels))
    if not strange:
        return []
    some = ", ".join(strange[:SHOWN])
    found = t("{count} labels of validation are not in train: {labels}", count=len(strange), labels=some)
    remedy = t("use data.split with `by: label`, and merge or drop classes of a row or two")
    return [Problem("data/validation", found, t("labels that train has too"), remedy)]
