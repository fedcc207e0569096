"""How the templates, pairs and rows of a test become cases."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.row_random import ranks
from modelyard.methods.evaluation.checklist.mistakes import names_in
from modelyard.methods.evaluation.checklist.suite import Suite, Test
from modelyard.methods.runtimes.predictor import Record

MOST_PRODUCT = 1_000_000
"""Texts that the templates of one test make."""
Marked = tuple[str, str]
"""Text and label of a span."""


@dataclass(frozen=True)
class Case:
    """Records that are judged together: one for MFT, the first and its variants for INV, before and after for DIR.

    Attributes:
        spans: that should be marked in the first (MFT of models that mark spans).
    """

    records: tuple[Record, ...]
    spans: tuple[Marked, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """What a person reads: the text, or the columns."""
        return tuple(shown(record) for record in self.records)


def shown(record: Record) -> str:
    return str(record["text"]) if "text" in record else ", ".join(f"{name}={value}" for name, value in record.items())


def key(record: Record) -> str:
    """What two records share that ask the same."""
    return canonical_json(dict(record)).decode()


def cases(test: Test, suite: Suite, most: int, seed: int) -> list[Case]:
    """All cases of a test, or `most` of them, chosen by their texts. Raises InputError for too many fillings."""
    values = {**suite.fill, **test.fill}
    total = sum(_fillings(template, values) for template in test.templates)
    if total > MOST_PRODUCT:
        raise InputError(
            t("the templates have {count} fillings", count=total), where=test.name, expected=str(MOST_PRODUCT)
        )
    found = [Case(tuple({"text": text} for text in pair)) for pair in test.pairs]
    for template in test.templates:
        found += _filled(test, template, values)
    for row in test.rows:
        found += _of_row(test, {**suite.base, **row}, values)
    named = {"\n".join(map(key, case.records)): case for case in reversed(found)}
    unique = [named[name] for name in dict.fromkeys("\n".join(map(key, case.records)) for case in found)]
    if len(unique) <= most:
        return unique
    order = ranks(seed, f"checklist/{test.name}", ["\n".join(case.texts) for case in unique]).argsort(kind="stable")
    return [unique[place] for place in sorted(order[:most].tolist())]


def _fillings(template: str, values: Mapping[str, Sequence[str]]) -> int:
    """How many texts the template makes, those of `vary` among them."""
    return math.prod(len(values[name]) for name in names_in(template))


def _filled(test: Test, template: str, values: Mapping[str, Sequence[str]]) -> list[Case]:
    names = names_in(template)
    if test.vary is not None and test.vary not in names:
        return []
    free = [name for name in names if name != test.vary]
    found = []
    for chosen in itertools.product(*(values[name] for name in free)):
        case = _case(test, template, dict(zip(free, chosen, strict=True)), values)
        if case is not None:
            found.append(case)
    return found


def _case(test: Test, template: str, filling: Mapping[str, str], values: Mapping[str, Sequence[str]]) -> Case | None:
    if test.vary is not None:
        texts = [template.format(**filling, **{test.vary: value}) for value in values[test.vary]]
        return Case(tuple({"text": text} for text in texts))
    text = template.format(**filling)
    if test.change is None:
        spans = tuple((_put_in(one.text, filling), one.label) for one in test.spans or ())
        return Case(({"text": text},), spans)
    after = text.replace(test.change[0], test.change[1])
    return None if after == text else Case(({"text": text}, {"text": after}))


def _put_in(text: str, filling: Mapping[str, str]) -> str:
    """Fill-ins of a span's text; braces that name none stay as they are."""
    for name, value in filling.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _of_row(test: Test, row: Mapping[str, Any], values: Mapping[str, Sequence[str]]) -> list[Case]:
    if test.vary is not None:
        return [Case(tuple({**row, test.vary: value} for value in values[test.vary]))]
    if test.set is None:
        return [Case((dict(row),))]
    after = {**row, **test.set}
    return [] if after == row else [Case((dict(row), after))]
