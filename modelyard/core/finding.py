"""What a gate answers: a finding for each rule, a decision over all, and the words in which people read them.

A finding keeps facts, not sentences: `text(lang)` puts them into words, so that one decision is shown in several
languages and its digest does not depend on any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modelyard.base.canonical import digest_json, short
from modelyard.base.messages import t
from modelyard.core.evidence import Evidence, Interval
from modelyard.core.project import Rule

Reason = Literal[
    "met",  # the bad end is inside the bound
    "missed",  # it is not
    "no evidence",  # nothing that counts is known; `instead` says what is
    "no interval",  # a counted measurement has no interval and is not exact
    "unsound",  # a counted measurement is NaN, infinite, rests on n = 0 or has an interval that is not one
    "no artifact",  # the step named by `of` has no artifact
    "not an ancestor",  # the released model does not descend from the artifact named by `of`
    "unknown claim",  # no stage declares the claim
    "no bound",  # the rule has neither `min` nor `max`, or both
]

Mismatch = Literal["withdrawn", "subject", "slice", "against", "split", "dataset", "evaluator"]
"""Why a known measurement of the claim does not count, nearest miss last."""

SHOWN = 3  # measurements named in a sentence; all are in `instead`


@dataclass(frozen=True)
class Instead:
    """A measurement of the same claim that does not count, and why."""

    evidence: Evidence
    mismatch: Mismatch


@dataclass(frozen=True)
class Finding:
    """What a gate found about one rule.

    Attributes:
        rule: the rule.
        passed: True only if everything that counts is sound and inside the bound.
        reason: why, as a code (`Reason`).
        subject: digest of the artifact the rule is about; `` if it has none.
        evidence: the measurements that count, in the ledger's order; for one claim the worst of them decides.
        instead: measurements of the claim that do not count, withdrawn ones included, each with the reason.
        value: point of the deciding measurement (timing: n-weighted mean), None without one.
        interval: its interval (timing: n-weighted means of the ends); the point twice if exact.
        n: its rows (timing: all timings together).
        bad_end: the end of the interval that was compared with the bound.
        bound: `min` or `max` of the rule.
        exact: the deciding measurement is exact.
        names: what people call an artifact, by digest.
    """

    rule: Rule
    passed: bool
    reason: Reason
    subject: str = ""
    evidence: tuple[Evidence, ...] = ()
    instead: tuple[Instead, ...] = ()
    value: float | None = None
    interval: Interval | None = None
    n: int = 0
    bad_end: float | None = None
    bound: float | None = None
    exact: bool = False
    names: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def withdrawn(self) -> tuple[Evidence, ...]:
        """Measurements of this rule's claim that a person withdrew; shown on the card."""
        return tuple(item.evidence for item in self.instead if item.mismatch == "withdrawn")

    def text(self, lang: str | None = None) -> str:
        """One line: the rule, and what was found. `lang` as in `t`."""
        rule = self.rule.claim if self.bound is None else self.rule.text()
        return f"{rule}: {_explain(self, lang)}"

    def to_json(self, lang: str | None = None) -> dict[str, Any]:
        return {
            **_facts(self),
            "withdrawn": [{**_measurement(e), "withdrawn": e.withdrawn} for e in self.withdrawn],
            "text": self.text(lang),
        }


@dataclass(frozen=True)
class Decision:
    """The outcome of a gate.

    Attributes:
        model: digest of the model that was judged.
        passed: there are rules and each passed.
        draft: there are no rules; the release must say so.
        findings: one a rule, in the rules' order.
        digest: of rules and findings, without run numbers and words: equal facts decide equally.
    """

    model: str
    passed: bool
    draft: bool
    findings: tuple[Finding, ...]
    digest: str

    @classmethod
    def of(cls, model: str, findings: tuple[Finding, ...]) -> Decision:
        facts = {"model": model, "findings": [_facts(finding) for finding in findings]}
        passed = bool(findings) and all(finding.passed for finding in findings)
        return cls(model, passed, not findings, findings, digest_json(facts))

    @property
    def releasable(self) -> bool:
        """True if a release may be made: every rule passed, or there are none and it will be a draft."""
        return self.passed or self.draft

    @property
    def failed(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.passed)

    def to_json(self, lang: str | None = None) -> dict[str, Any]:
        return {
            "model": self.model,
            "passed": self.passed,
            "draft": self.draft,
            "digest": self.digest,
            "findings": [finding.to_json(lang) for finding in self.findings],
        }


def number(value: float | None) -> float | str | None:
    """A float as canonical JSON takes it: NaN and infinities by name."""
    return value if value is None or math.isfinite(value) else str(value)


def _measurement(evidence: Evidence) -> dict[str, Any]:
    interval = evidence.interval
    return {
        "claim": evidence.claim,
        "value": number(evidence.value),
        "interval": interval if interval is None or isinstance(interval, str) else [number(end) for end in interval],
        "n": evidence.n,
        "unit": evidence.unit,
        "subject": evidence.subject,
        "dataset": evidence.dataset,
        "split": evidence.split,
        "slice": dict(evidence.slice),
        "against": evidence.against,
        "evaluator": evidence.evaluator,
    }


def _facts(finding: Finding) -> dict[str, Any]:
    rule = finding.rule
    return {
        "rule": {
            "claim": rule.claim,
            "min": number(rule.min),
            "max": number(rule.max),
            "of": rule.of,
            "on": rule.on,
            "slice": dict(rule.slice),
        },
        "passed": finding.passed,
        "reason": finding.reason,
        "subject": finding.subject,
        "value": number(finding.value),
        "interval": [number(end) for end in finding.interval] if finding.interval else None,
        "n": finding.n,
        "bad_end": number(finding.bad_end),
        "bound": number(finding.bound),
        "exact": finding.exact,
        "evidence": [_measurement(evidence) for evidence in finding.evidence],
    }


def _explain(finding: Finding, lang: str | None) -> str:
    if finding.reason in ("met", "missed"):
        return _compared(finding, lang)
    if finding.reason == "no evidence":
        return _missing(finding, lang)
    words = {
        "no interval": "a measurement has no interval and is not exact, so it passes no rule",
        "unsound": "a measurement is not a number, rests on no rows, or has no valid interval",
        "no artifact": "step `{of}` has no artifact",
        "not an ancestor": "the released model does not descend from the artifact of `{of}` ({subject})",
        "unknown claim": "no stage of this project declares the claim `{claim}`",
        "no bound": "the rule must have exactly one of `min` and `max`",
    }
    rule = finding.rule
    subject = _name(finding.subject, finding)
    return t(words[finding.reason], lang=lang, of=rule.of or "", claim=rule.claim, subject=subject)


def _compared(finding: Finding, lang: str | None) -> str:
    value, end = f"{finding.value:.6g}", f"{finding.bad_end:.6g}"
    if finding.exact:
        template = "{value}, exact, passes" if finding.passed else "{value}, exact, fails"
        return t(template, lang=lang, value=value)
    low, high = finding.interval or (math.nan, math.nan)
    interval = f"[{low:.6g}, {high:.6g}]"
    template = (
        "{value}, 95 % interval {interval}, n = {n}: the bad end {end} passes"
        if finding.passed
        else "{value}, 95 % interval {interval}, n = {n}: the bad end {end} fails"
    )
    text = t(template, lang=lang, value=value, interval=interval, n=finding.n, end=end)
    if len(finding.evidence) > 1:
        text += t(" ({count} measurements count)", lang=lang, count=len(finding.evidence))
    return text


def _missing(finding: Finding, lang: str | None) -> str:
    subject = _name(finding.subject, finding)
    text = t("no evidence about {subject}", lang=lang, subject=subject)
    if not finding.instead:
        return text + t("; the claim was never measured", lang=lang)
    parts = dict.fromkeys(_instead(item, finding, lang) for item in reversed(finding.instead))
    listed = t("; ", lang=lang).join(list(parts)[:SHOWN])
    more = len(parts) - SHOWN
    rest = t(" and {more} more", lang=lang, more=more) if more > 0 else ""
    return text + t("; measured instead: {listed}", lang=lang, listed=listed) + rest


def _instead(item: Instead, finding: Finding, lang: str | None) -> str:
    words: dict[Mismatch, str] = {
        "withdrawn": "{value}, withdrawn ({withdrawn})",
        "subject": "{value} about another artifact, {subject}",
        "slice": "{value} for another subgroup ({slice})",
        "against": "{value}, which names nothing it was compared with",
        "split": "{value} on split `{split}`, the rule accepts `{on}`",
        "dataset": "{value} on another data set, {dataset}",
        "evaluator": "{value} by an evaluator that has changed since",
    }
    evidence = item.evidence
    part = ", ".join(f"{key}={value}" for key, value in sorted(evidence.slice.items()))
    return t(
        words[item.mismatch],
        lang=lang,
        value=f"{evidence.value:.6g}",
        withdrawn=evidence.withdrawn or "",
        subject=_name(evidence.subject, finding),
        slice=part or t("all rows", lang=lang),
        split=evidence.split or "-",
        on=finding.rule.on,
        dataset=_name(evidence.dataset, finding),
    )


def _name(digest: str, finding: Finding) -> str:
    if not digest:
        return "-"
    name = finding.names.get(digest)
    return f"{name} ({short(digest)})" if name else short(digest)
