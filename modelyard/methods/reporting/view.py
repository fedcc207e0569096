"""What the sections of the page share: the record, the words, and which evidence speaks about the released model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from modelyard.base.canonical import short
from modelyard.methods.reporting import quality_report
from modelyard.methods.reporting.charts.bars import interval
from modelyard.methods.reporting.markup import Markup, Node, el, isolated, join
from modelyard.methods.reporting.quality_report import Quality
from modelyard.methods.reporting.record import About, Claim, Evidence, Record, Run
from modelyard.methods.reporting.words import Words, count

FEW_ROWS = 100
"""Below so many test rows a class's figures say little: at n = 100 the 95 % interval of a rate is about 0.2 wide."""


@dataclass(frozen=True)
class View:
    """A record seen in one language."""

    record: Record
    words: Words
    about: About

    def t(self, template: str, /, **values: object) -> str:
        return self.words.t(template, **values)

    @property
    def digest(self) -> str:
        return self.record.model.digest if self.record.model else ""

    def standing(self) -> list[Evidence]:
        """Evidence about the model's own bytes that nobody withdrew."""
        return [item for item in self.record.evidence if item.subject == self.digest and not item.withdrawn]

    def measured(self, family: str, split: str | None = "test") -> list[Evidence]:
        """One whole-split measurement a claim of a family (`quality.`), the worst of several, in the order measured."""
        chosen: dict[str, Evidence] = {}
        for item in self.standing():
            if not item.claim.startswith(family) or item.slice:
                continue
            if split is not None and item.split not in (split, ""):
                continue
            chosen[item.claim] = self.worse(chosen[item.claim], item) if item.claim in chosen else item
        return list(chosen.values())

    def find(self, claim: str) -> Evidence | None:
        """The measurement of one claim that the page shows, or None."""
        return next((item for item in self.measured(claim) if item.claim == claim), None)

    def worse(self, first: Evidence, second: Evidence) -> Evidence:
        """The one with the worse bad end; the later if neither direction is good."""
        better = self.claim(first.claim).better
        if better == "none" or first.value is None or second.value is None:
            return second
        if better == "higher":
            return min(first, second, key=lambda item: _end(item.low, item.value))
        return max(first, second, key=lambda item: _end(item.high, item.value))

    def claim(self, name: str) -> Claim:
        return self.record.claims.get(name, Claim())

    @cached_property
    def quality(self) -> Quality:
        """The quality report about this model; an empty one if there is none."""
        found = self.report("confusion", "per_class", "baselines", "reliability")
        return quality_report.read(found[1]) if found else Quality()

    def run_of(self, step: str) -> Run | None:
        return next((run for run in self.record.runs if run.step == step), None)

    def report(self, *keys: str) -> tuple[str, Mapping[str, Any]] | None:
        """Step and content of the report that holds one of `keys` and is about this model, on test if there is one."""
        found = [(step, value) for step, value in self.record.reports.items() if any(key in value for key in keys)]
        about = [(step, value) for step, value in found if self._speaks_of_model(step)]
        on_test = [(step, value) for step, value in about if value.get("split", "test") == "test"]
        return next(iter(on_test or about), None)

    def _speaks_of_model(self, step: str) -> bool:
        run = self.run_of(step)
        models = [item.digest for item in run.inputs if item.port == "model"] if run else []
        return not models or self.digest in models

    def figure(self, item: Evidence, class_: str = "num") -> Markup:
        """A measured value: the text, and in data attributes exactly which evidence it is."""
        text = self.words.value(item.value, item.unit, item.claim)
        return el("span", text, class_=class_, title=self.words.basis(item), **proof(item))

    def spark(self, item: Evidence, domain: tuple[float, float], bound: float | None = None) -> Markup | None:
        """The measurement's interval as a small bar."""
        return interval(item.value, item.low, item.high, domain, self.words.basis(item), bound)

    def uncertainty(self, item: Evidence) -> str:
        """The interval in words."""
        if item.exact:
            return self.t("exact")
        if item.low is None or item.high is None:
            return self.t("no interval")
        return self.words.interval(item.low, item.high, item.unit, item.claim)

    def claim_name(self, name: str) -> Markup:
        """A claim's title with its definition behind it."""
        known = self.claim(name)
        shown = el(
            "span", self.words.title(name, known), title=self.t(known.description) if known.description else name
        )
        return el("span", shown, el("code", name, class_="claim"), class_="claimed")


def _end(end: float | None, value: float | None) -> float:
    found = value if end is None else end
    return 0.0 if found is None else found


def proof(item: Evidence) -> dict[str, Any]:
    """Data attributes that tie a figure to its evidence; numbers in full."""
    part = item.slice | ({"task": item.task} if item.task else {})
    return {
        "data_claim": item.claim,
        "data_value": repr(item.value),
        "data_low": repr(item.low) if item.low is not None else None,
        "data_high": repr(item.high) if item.high is not None else None,
        "data_n": item.n,
        "data_subject": short(item.subject),
        "data_split": item.split or None,
        "data_slice": "; ".join(f"{name}={value}" for name, value in sorted(part.items())) or None,
        "data_run": short(str(item.run)) if item.run is not None else None,
    }


@dataclass(frozen=True)
class Section:
    """A section of the page: its anchor (without the language), its title, what stands in it."""

    name: str
    title: str
    content: Markup


def section(name: str, title: str, *content: Node, lead: Node = None) -> Section | None:
    """A section; None if it has nothing to show."""
    if not any(part for part in content):
        return None
    return Section(name, title, join(el("p", lead, class_="lead") if lead else None, *content))


def table(heads: Iterable[Node], rows: Iterable[Iterable[Node]], class_: str = "") -> Markup | None:
    """A table in a box of its own that scrolls sideways; a head that begins with `#` is a column of numbers."""
    body = [list(row) for row in rows]
    if not body:
        return None
    names = list(heads)
    numeric = [isinstance(name, str) and name.startswith("#") for name in names]
    shown = [
        el("th", str(name)[1:] if number else name, scope="col", class_="n" if number else None)
        for name, number in zip(names, numeric, strict=True)
    ]
    lines = [
        el("tr", *(el("td", cell, class_="n" if number else None) for cell, number in zip(row, numeric, strict=True)))
        for row in body
    ]
    drawn = el("table", el("thead", el("tr", *shown)), el("tbody", *lines), class_=class_ or None)
    return el("div", drawn, class_="scroll", tabindex=0)


def facts(pairs: Iterable[tuple[str, Node]], class_: str = "facts") -> Markup | None:
    """Names and values below each other; pairs without a value are left out."""
    rows = [el("div", el("dt", name), el("dd", value)) for name, value in pairs if value not in (None, "")]
    return el("dl", *rows, class_=class_) if rows else None


def fold(title: Node, *content: Node, opened: bool = False) -> Markup:
    """Content behind a line that opens it; printed open."""
    return el("details", el("summary", title), *content, open=opened)


def digest_code(digest: str) -> Markup:
    """A digest's first 12 digits; all of it behind."""
    return el("code", short(digest), title=digest, class_="digest")


def label(text: str, limit: int = 60) -> Markup:
    """A class's name as the data spells it, cut if huge; all of it behind (up to 300 characters)."""
    return el("span", isolated(text, limit), class_="label", title=text[:300] if len(text) > limit else None)


def rows_text(words: Words, number: float | None) -> str:
    return words.t("{count} rows", count=count(number)) if number is not None else ""
