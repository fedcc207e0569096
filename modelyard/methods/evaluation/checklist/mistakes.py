"""What can be wrong with a checklist, in the words of the person who wrote it: field, found, expected, remedy."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from modelyard.base.messages import did_you_mean, t
from modelyard.base.yaml import Document
from modelyard.errors import Problem

if TYPE_CHECKING:
    from modelyard.methods.evaluation.checklist.suite import Test

MOST = 20
"""Told at once."""
ANSWERS = ("label", "labels", "spans", "value")
Found = tuple[str, Problem]


def problem(item: Mapping[str, Any], lines: Document, test: type[BaseModel], suite: type[BaseModel]) -> Problem:
    """One of pydantic's errors, at the line of its field."""
    place = tuple(item["loc"])
    own = tuple(part for part in place if not (isinstance(part, str) and part in ("str", "int", "float", "bool")))
    field = str(own[-1])
    fields = test if len(own) > 2 else suite
    where, dotted = lines.where(own), ".".join(map(str, own))
    if item["type"] == "extra_forbidden":
        known = sorted(fields.model_fields)
        return Problem(where, t("unknown field `{name}`", name=dotted), ", ".join(known), did_you_mean(field, known))
    if item["type"] == "missing":
        return Problem(where, t("the field `{name}` is missing", name=dotted), remedy=t("add `{name}`", name=field))
    expected = str(item.get("ctx", {}).get("expected", "")) or item["msg"]
    return Problem(where, t("`{name}` is {value}", name=dotted, value=_short(item["input"])), expected)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def of_test(test: Test, shared: Mapping[str, Sequence[str]]) -> Iterator[Found]:
    """What does not go together in one test, and the field it is said at."""
    if test.templates or test.pairs or test.rows:
        yield from {"MFT": _mft, "INV": _inv, "DIR": _dir}[test.kind](test)
    else:
        yield (
            "kind",
            Problem("", t("the test asks nothing"), t("`templates` or `pairs` of texts, or `rows` of a table")),
        )
    if test.rows and (test.templates or test.pairs):
        yield "rows", Problem("", t("a test has texts or rows of a table"), remedy=t("make two tests of it"))
    if test.value is not None and test.value[0] > test.value[1]:
        yield "value", Problem("", t("the lower end is above the upper one"), t("two numbers, the smaller first"))
    yield from _templates(test, {**shared, **test.fill})


def _mft(test: Test) -> Iterator[Found]:
    given = [name for name in ANSWERS if getattr(test, name) is not None]
    if len(given) != 1:
        yield (
            given[0] if given else "kind",
            Problem(
                "",
                t("MFT needs one right answer, {count} are named", count=len(given)),
                t("`label` of a class, all `labels`, the `spans`, or a `value` from … to"),
            ),
        )
    if test.pairs:
        yield "pairs", Problem("", t("MFT needs `templates`, not `pairs`"), remedy=t("write both texts as templates"))


def _inv(test: Test) -> Iterator[Found]:
    if not test.pairs and not (test.vary or test.change or test.set):
        expected = t("`vary` (a name in the templates, or a column), `change` (from, to), `set` (columns) or `pairs`")
        yield "kind", Problem("", t("INV needs something that changes"), expected)
    yield from _kind_of_change(test)


def _dir(test: Test) -> Iterator[Found]:
    if test.direction is None:
        yield "kind", Problem("", t("DIR needs a `direction`"), "falls, rises")
    if not test.pairs and not (test.change or test.set):
        yield "kind", Problem("", t("DIR needs `pairs`, `change` or `set`"), t("what moves the answer"))
    if test.vary:
        yield "vary", Problem("", t("`vary` belongs to INV"), remedy=t("write what changes as `change` or `set`"))
    yield from _kind_of_change(test)


def _kind_of_change(test: Test) -> Iterator[Found]:
    if test.set and not test.rows:
        yield "set", Problem("", t("`set` is for `rows` of a table"), remedy=t("texts have `change`"))
    if test.change and not test.templates:
        yield "change", Problem("", t("`change` is for `templates`"), remedy=t("rows of a table have `set`"))


def _templates(test: Test, values: Mapping[str, Sequence[str]]) -> Iterator[Found]:
    """Names in braces without values, braces that are none, and a `vary` that stands nowhere."""
    seen: set[str] = set()
    for template in test.templates:
        try:
            names = names_in(template)
        except ValueError as error:
            yield "templates", Problem("", t("a template cannot be read: {reason}", reason=error), _braces())
            return
        seen |= set(names)
    unknown = sorted(seen - set(values))
    if unknown:
        near = did_you_mean(unknown[0], list(values))
        yield "templates", Problem("", t("no values for {names}", names=", ".join(unknown)), ", ".join(values), near)
    if test.vary and test.templates and test.vary not in seen:
        expected = ", ".join(f"{{{name}}}" for name in sorted(seen))
        yield "vary", Problem("", t("no template has `{name}`", name=test.vary), expected)
    if test.vary and test.rows and test.vary not in values:
        yield "vary", Problem("", t("no values for {names}", names=test.vary), t("values of that column under `fill`"))


def names_in(template: str) -> list[str]:
    """Names in braces, each once. Raises ValueError for braces that hold anything but a name."""
    found = [(name, more, how) for _, name, more, how in string.Formatter().parse(template) if name is not None]
    strange = [name for name, more, how in found if not name.isidentifier() or more or how]
    if strange:
        raise ValueError(t("strange braces: {names}", names=", ".join(strange)))
    return list(dict.fromkeys(name for name, _, _ in found))


def _braces() -> str:
    return t("names in single braces; a brace itself is doubled")
