"""The goal for structured types: recall's lower end at least 0.99 and precision at least 0.98 on made-up numbers.

4,000 values of 20 types in the forms people write them, 20,000 texts that only look like it; the benchmark's table
is of another seed.
"""

from __future__ import annotations

from support.personal_data import KINDS, negatives, positives

from modelyard.methods.privacy.measuring import Annotated, Measured
from modelyard.methods.privacy.scanning import Scanner
from modelyard.methods.privacy.spans import STRUCTURED
from modelyard.methods.statistics.wilson import wilson

NAMES = {kind: kind for kind in STRUCTURED}


def test_recall_and_precision_of_20_structured_types_in_every_form() -> None:
    measured, scanner = Measured(), Scanner(STRUCTURED)
    for text in [*positives(4_000, seed=100), *negatives(20_000, seed=100)]:
        marks = [Annotated(*span) for span in text.spans]
        measured.add(text.text, marks, scanner.scan(text.text), NAMES, coverage=0.9)
    found, spans = measured.found.total(), measured.spans.total()
    assert (len(KINDS), spans) == (20, 4_000)
    assert wilson(found, spans)[0] >= 0.99
    assert measured.right.total() / measured.finds.total() >= 0.98
    assert {kind for kind, count in measured.spans.items() if measured.found[kind] < 0.98 * count} == set()
