"""Decisions as blocks of a report: rules that nearly say the same, the rule of a row, the box it stays in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from modelyard.methods.evaluation.blocks import Block, Cell, Phrase, Table
from modelyard.methods.evaluation.explanation.game import Floats
from modelyard.methods.evaluation.explanation.local import Explained
from modelyard.methods.evaluation.explanation.surrogate import Surrogate
from modelyard.methods.runtimes.predictor import Record

BOXES = 5
"""Rows whose box is shown: it is a table each."""


def rules(found: Surrogate, records: Sequence[Record], outputs: Floats) -> Table:
    """A row a rule, with how often it holds and answers like the model on test rows it has not seen.

    Args:
        records: test rows; outputs: the model's answers to them [n, outputs].
    """
    at, said = found.leaves(records), found.answers(records)
    rows: list[tuple[Cell, ...]] = []
    for rule in found.rules():
        here = at == rule.leaf
        count = int(here.sum())
        if found.labels:
            same = f"{(outputs[here].argmax(1) == said[here]).mean():.2f}" if count else None
        else:
            same = f"{np.abs(outputs[here, 0] - said[here]).mean():.4g}" if count else None
        rows.append((rule.conditions, rule.answer, rule.training_rows, count, same))
    last = "answered like the model" if found.labels else "mean difference from the model"
    note = "A small tree that learned the model's answers; its fidelity on test rows is among the figures."
    return Table(
        "The model as rules, nearly", ("if", "answer", "training rows", "test rows", last), tuple(rows), note
    )  # fmt: skip


def paths(found: Sequence[Explained], tree: Surrogate) -> list[Block]:
    """The rule each explained row falls under: the decision path of the small tree."""
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        conditions, answer = tree.path(one.case.record)
        rows.append((one.case.row_id, one.case.answer, answer, " · ".join(conditions)))
    note = "Where the rule's answer is not the model's, the rules do not explain that row."
    heads = ("row", "answer", "the rule's answer", "decision path")
    return [Table("The rule each row falls under", heads, tuple(rows), note)] if rows else []


def boxes(folder: Path, found: Sequence[Explained]) -> list[Block]:
    """For the first rows: within these limits every tree of a boosted model takes the same path."""
    from modelyard.methods.evaluation.explanation.trees import Trees

    trees, blocks = Trees(folder), []
    note = "All decision paths of all trees together: while every line holds, no tree answers anything else."
    for one in found[:BOXES]:
        record = one.case.record
        rows = tuple((name, _cell(record.get(name)), said) for name, said in trees.box(record))
        title = Phrase("Where {row} stays {answer}", {"row": one.case.row_id, "answer": one.case.answer})
        blocks.append(Table(title, ("column", "value", "while"), rows, note))
    return list(blocks)


def _cell(value: object) -> Cell:
    return None if value is None else str(value)
