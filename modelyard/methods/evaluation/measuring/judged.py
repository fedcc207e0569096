"""The rows of a split that a model is judged on, by one rule for every step that judges.

A row without a record or a truth is left out and counted. A label that the model does not know is no mistake of the
model's but of the data: it is refused with its rows, and never counted as a wrong answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation import measuring
from modelyard.methods.evaluation.measuring.classification import Classification, refuse_unknown
from modelyard.methods.evaluation.measuring.examples import Examples
from modelyard.methods.evaluation.settings import Measuring


def judged(data: Dataset, split: str, task: str, labels: Sequence[str]) -> Examples:
    """Rows of a split as a model of the task reads them.

    Args:
        labels: that the model knows; looked at where an answer is one of them.

    Raises:
        InputError: rows have other labels.
    """
    family = measuring.find(task)
    examples = Examples.read(data, split, family.reader(data, task, Measuring()))
    if isinstance(family, Classification):
        refuse_unknown(examples.truths, labels)
    return examples
