"""The gate: a pure function from rules and evidence to a decision. It reads nothing, measures nothing, fails closed.

The rules of evidence it keeps:

1. No evidence fails. Evidence about another artifact is no evidence; the finding names what was measured instead.
2. A claim declares its subject. `bytes`: the released model, or the artifact named by `of`. `lineage`: the released
   model or any artifact it descends from; with `of`, that artifact, which must be an ancestor. `pair`: as bytes, and
   the measurement must name what it was compared `against`. Rules accept the split they name (`test` unless they say
   otherwise); a claim with `any_split` is accepted on any data, or on none, unless the rule names another split.
3. The interval's bad end is compared: the lower for `min`, the upper for `max`. No interval fails, unless exact.
4. The worst of all evidence by a current evaluator on the project's data counts. Withdrawn evidence (with a name and a
   reason) does not, and is listed. Timing pools: the ends are averaged with n as weight, so that every timing has one
   voice and more runs neither hide a slow one nor punish a machine for being measured twice.
5. NaN, infinity, n = 0 and broken intervals fail, however good the other measurements are. Comparisons say "ok if at
   least", so that what cannot be compared is not ok.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelyard.core.evidence import Claim, Evidence, Interval
from modelyard.core.finding import Decision, Finding, Instead, Mismatch
from modelyard.core.project import Rule

__all__ = ["Decision", "Finding", "Instead", "Source", "World", "decide", "judge"]


@dataclass(frozen=True)
class Source:
    """Who may speak for a claim now: an evaluator (code and settings) of the project, on a data set of the project.

    `dataset` is what `Evidence.dataset` would be for that step as the project stands now; `` for a step without data.
    """

    evaluator: str
    dataset: str = ""


@dataclass(frozen=True)
class World:
    """What is known when a gate decides. Everything is given; nothing is looked up.

    Attributes:
        model: digest of the model to be released.
        artifacts: digest by the name that rules use in `of` (`clean`, `split.data`).
        ancestors: digests of every artifact the model descends from, and of the data its evidence was measured on.
        claims: declared claims by name.
        current: by claim, who may speak for it (see `Source`). A claim that is missing here has no current evidence.
        evidence: everything the ledger knows; other claims and projects do no harm.
        names: what people call an artifact, by digest; only for the words of a finding.
    """

    model: str
    artifacts: Mapping[str, str]
    ancestors: Collection[str]
    claims: Mapping[str, Claim]
    current: Mapping[str, Collection[Source]]
    evidence: Sequence[Evidence]
    names: Mapping[str, str] = field(default_factory=dict)


def decide(rules: Sequence[Rule], world: World) -> Decision:
    """Judge every rule. Without rules the decision is a draft, which has not passed anything."""
    return Decision.of(world.model, tuple(judge(rule, world) for rule in rules))


def judge(rule: Rule, world: World) -> Finding:
    """The finding for one rule."""
    bound = _bound(rule)
    if bound is None:
        return Finding(rule, False, "no bound", names=world.names)
    claim = world.claims.get(rule.claim)
    if claim is None:
        return Finding(rule, False, "unknown claim", bound=bound, names=world.names)
    subject = world.artifacts.get(rule.of, "") if rule.of else world.model
    if not subject:
        return Finding(rule, False, "no artifact", bound=bound, names=world.names)
    family = {world.model, *world.ancestors}
    if claim.subject == "lineage" and subject not in family:
        return Finding(rule, False, "not an ancestor", subject, bound=bound, names=world.names)
    subjects = family if claim.subject == "lineage" and rule.of is None else {subject}
    counted, instead = _sort_out(rule, claim, subjects, world)
    return _weigh(rule, claim, bound, Finding(rule, False, "no evidence", subject, counted, instead, names=world.names))


def _bound(rule: Rule) -> float | None:
    """The one bound a rule has; None if it has none or two."""
    if (rule.min is None) == (rule.max is None):
        return None
    return rule.min if rule.min is not None else rule.max


def _sort_out(
    rule: Rule, claim: Claim, subjects: Collection[str], world: World
) -> tuple[tuple[Evidence, ...], tuple[Instead, ...]]:
    """Evidence that counts, and measurements of the claim that do not, both in the ledger's order."""
    counted, instead = [], []
    sources = world.current.get(rule.claim, ())
    for evidence in sorted(world.evidence, key=lambda e: e.sequence):
        if evidence.claim != rule.claim:
            continue
        mismatch = _mismatch(evidence, rule, claim, subjects, sources)
        if mismatch is None:
            counted.append(evidence)
        else:
            instead.append(Instead(evidence, mismatch))
    return tuple(counted), tuple(instead)


def _mismatch(
    evidence: Evidence, rule: Rule, claim: Claim, subjects: Collection[str], sources: Collection[Source]
) -> Mismatch | None:
    """Why a measurement does not count, or None. The checks run from the farthest miss to the nearest."""
    if evidence.subject not in subjects:
        return "subject"
    if dict(evidence.slice) != dict(rule.slice):
        return "slice"
    if claim.subject == "pair" and not evidence.against:
        return "against"
    if not _split_accepted(evidence, rule, claim):
        return "split"
    if not any(_same_data(evidence, source, claim) for source in sources):
        return "dataset"
    if not any(_same_data(evidence, s, claim) and evidence.evaluator == s.evaluator for s in sources):
        return "evaluator"
    # A withdrawal without a name and a reason is none.
    return "withdrawn" if (evidence.withdrawn or "").strip() else None


def _split_accepted(evidence: Evidence, rule: Rule, claim: Claim) -> bool:
    if claim.any_split and rule.on == "test":  # the default: the rule did not ask for a split
        return True
    return evidence.split == rule.on


def _same_data(evidence: Evidence, source: Source, claim: Claim) -> bool:
    if claim.any_split and not evidence.dataset:  # a size needs no data
        return True
    return evidence.dataset == source.dataset


def _weigh(rule: Rule, claim: Claim, bound: float, found: Finding) -> Finding:
    """Compare the bad end of what counts with the bound."""
    counted = found.evidence
    if not counted:
        return _with(found, bound=bound)
    worst_first = sorted(counted, key=lambda e: _badness(e, rule), reverse=True)
    unusable = next((e for e in worst_first if not _usable(e)), None)
    if unusable is not None:
        reason = "no interval" if unusable.interval is None else "unsound"
        return _with(found, reason=reason, value=unusable.value, n=unusable.n, bound=bound)
    value, ends, n = _pooled(counted) if claim.timing else _single(worst_first[0])
    bad_end = ends[0] if rule.min is not None else ends[1]
    passed = _inside(rule, ends)
    return _with(
        found,
        passed=passed,
        reason="met" if passed else "missed",
        value=value,
        interval=ends,
        n=n,
        bad_end=bad_end,
        bound=bound,
        exact=all(e.exact for e in counted) if claim.timing else worst_first[0].exact,
    )


def _with(found: Finding, **changes: object) -> Finding:
    return Finding(**{**vars(found), **changes})


def _usable(evidence: Evidence) -> bool:
    known = not isinstance(evidence.interval, str) or evidence.exact
    return known and evidence.sound()


def _badness(evidence: Evidence, rule: Rule) -> float:
    """Larger is worse for this rule; what cannot be compared is worst."""
    ends = evidence.ends()
    if ends is None or not _usable(evidence):
        return math.inf
    return -ends[0] if rule.min is not None else ends[1]


def _single(evidence: Evidence) -> tuple[float, Interval, int]:
    return evidence.value, evidence.ends() or (math.nan, math.nan), evidence.n


def _pooled(counted: Iterable[Evidence]) -> tuple[float, Interval, int]:
    """n-weighted means of points and ends."""
    parts = [(_single(evidence), evidence.n) for evidence in counted]
    total = sum(n for _, n in parts)
    value = math.fsum(point * n for (point, _, _), n in parts) / total
    low = math.fsum(ends[0] * n for (_, ends, _), n in parts) / total
    high = math.fsum(ends[1] * n for (_, ends, _), n in parts) / total
    return value, (low, high), total


def _inside(rule: Rule, ends: Interval) -> bool:
    """Written "ok if", so that NaN is not ok."""
    low, high = ends
    return low >= rule.min if rule.min is not None else rule.max is not None and high <= rule.max
