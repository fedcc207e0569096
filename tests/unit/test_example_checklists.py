"""The bundled checklists can be used: every file is read, every test has cases and labels of its example."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.methods.evaluation.checklist import cases, judges, suite

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LABELS = {"reviews-zh": ("neg", "pos"), "spam-en": ("ham", "spam")}
FILES = sorted(EXAMPLES.glob("*/checklist*.yaml"))


def test_there_are_checklists_in_both_languages() -> None:
    assert {f"{one.parent.name}/{one.name}" for one in FILES} >= {
        "reviews-zh/checklist.yaml",
        "reviews-zh/checklist-en.yaml",
        "spam-en/checklist.yaml",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_bundled_checklist_can_be_asked(path: Path) -> None:
    read = suite.read(path)
    assert {one.kind for one in read.tests} == {"MFT", "INV", "DIR"}
    for test in read.tests:
        assert cases.cases(test, read, 500, 0)
        assert not list(judges.problems(test, "", "text-classification", LABELS[path.parent.name]))
