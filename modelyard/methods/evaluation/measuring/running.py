"""What both measuring stages do: open the model, find its family, ask it, measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation import document as documents
from modelyard.methods.evaluation import measuring
from modelyard.methods.evaluation.estimates import as_json
from modelyard.methods.evaluation.measuring.examples import Examples, Note
from modelyard.methods.evaluation.measuring.family import Family, Measured, Shown
from modelyard.methods.evaluation.opening import opened
from modelyard.methods.evaluation.settings import Measuring

WITH_LABELS = "classification"


@dataclass(frozen=True)
class Result:
    """A split that was measured.

    Attributes:
        about: runtime and digest of what answered.
    """

    task: str
    family: Family
    examples: Examples
    measured: Measured
    about: Mapping[str, str]

    def document(self, shown: Shown, seed: int) -> dict[str, Any]:
        """`quality.json` without what was learned from train."""
        parts = self.family.document(self.measured, self.examples, shown, seed)
        whole = {
            "version": documents.VERSION,
            "n": len(self.examples),
            "overall": {one.name: as_json(one) for one in self.measured.estimates if not one.slice},
            "missing": dict(self.measured.missing),
            "left_out": list(self.examples.left_out),
            "predictor": dict(self.about),
        }
        return whole | ({} if "confusion" in parts else {"task": self.task}) | parts


def run(
    model: Path,
    data: Dataset,
    split: str,
    settings: Measuring,
    seed: int,
    begin: Callable[[int, str], None],
    note: Note,
) -> Result:
    """Measure a split. `begin(rows, runtime)` hears before the first question.

    Raises InputError if the task has no family, the data no such columns, or the split no row that can be judged.
    """
    with opened(model, settings.threads) as predictor:
        family = measuring.find(predictor.task)
        examples = Examples.read(data, split, family.reader(data, predictor.task, settings))
        begin(len(examples), predictor.runtime)
        answers = family.answer(predictor, examples, settings, note)
        task, about = predictor.task, {"runtime": predictor.runtime, "digest": predictor.digest}
    return Result(task, family, examples, family.measure(answers, examples, settings, seed), about)
