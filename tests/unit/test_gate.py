"""The gate keeps the rules of evidence."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.core.evidence import Claim, Evidence
from modelyard.core.gate import Source, World, decide, judge
from modelyard.core.project import Rule

MODEL, OTHER, DATA, TRAIN = ("sha256:" + letter * 64 for letter in "abcd")
CLAIMS = {
    claim.name: claim
    for claim in (
        Claim("quality.accuracy", "share of right answers", sizing="rate"),
        Claim("data.duplicate_rate", "share", better="lower", subject="lineage", any_split=True),
        Claim("latency.p95_ms", "95th percentile", unit="ms", better="lower", timing=True),
        Claim("size.bytes", "bytes", unit="bytes", better="lower", any_split=True),
        Claim("quality.gain", "paired gain", subject="pair"),
    )
}
ACCURACY = Rule("quality.accuracy", min=0.8)
P95 = Rule("latency.p95_ms", max=20)


def evidence(claim: str = "quality.accuracy", value: float = 0.9, interval=(0.88, 0.92), **changes) -> Evidence:
    base = Evidence(claim, value, interval, 1000, "", MODEL, DATA, "test", "E1", run=1, sequence=1)
    return dataclasses.replace(base, **changes)


def world(*known: Evidence, **changes) -> World:
    current = {name: {Source("E1", DATA)} for name in CLAIMS}
    base = World(MODEL, {"clean": DATA, "split": TRAIN}, {DATA}, CLAIMS, current, known)
    return dataclasses.replace(base, **changes)


def test_good_evidence_about_the_released_bytes_passes_and_is_named():
    finding = judge(ACCURACY, world(evidence()))
    assert finding.passed
    assert (finding.reason, finding.bad_end, finding.bound, finding.n) == ("met", 0.88, 0.8, 1000)


def test_no_evidence_fails_and_the_finding_says_it_was_never_measured():
    finding = judge(ACCURACY, world())
    assert not finding.passed
    assert finding.reason == "no evidence"
    assert "never measured" in finding.text("en")
    assert "从未测量" in finding.text("zh")


@pytest.mark.parametrize(
    ("changes", "mismatch", "words"),
    [
        ({"subject": OTHER}, "subject", "another artifact, float32 (bbbbbbbbbbbb)"),
        ({"dataset": OTHER}, "dataset", "another data set, float32 (bbbbbbbbbbbb)"),
        ({"split": "validation"}, "split", "on split `validation`, the rule accepts `test`"),
        ({"split": ""}, "split", "on split `-`"),
        ({"evaluator": "E0"}, "evaluator", "evaluator that has changed"),
        ({"slice": {"class": "good"}}, "slice", "another subgroup (class=good)"),
        ({"withdrawn": "Li: wrong labels"}, "withdrawn", "withdrawn (Li: wrong labels)"),
    ],
)
def test_evidence_about_anything_else_is_no_evidence_and_is_named(changes, mismatch, words):
    finding = judge(ACCURACY, world(evidence(**changes), names={OTHER: "float32"}))
    assert (finding.passed, finding.reason, finding.evidence) == (False, "no evidence", ())
    assert [item.mismatch for item in finding.instead] == [mismatch]
    assert words in finding.text("en")
    assert finding.text("zh") != finding.text("en")


def test_the_interval_s_bad_end_is_compared_not_the_point():
    assert not judge(ACCURACY, world(evidence(value=0.81, interval=(0.79, 0.83)))).passed
    assert judge(ACCURACY, world(evidence(value=0.81, interval=(0.80, 0.83)))).passed
    high = evidence("latency.p95_ms", 19.0, (18.0, 21.0))
    assert not judge(P95, world(high)).passed
    assert judge(P95, world(dataclasses.replace(high, interval=(18.0, 20.0)))).passed


def test_evidence_without_an_interval_fails_unless_exact():
    assert judge(ACCURACY, world(evidence(value=1.0, interval=None))).reason == "no interval"
    exact = evidence("size.bytes", 900.0, "exact", dataset="", split="")
    finding = judge(Rule("size.bytes", max=1000), world(exact))
    assert (finding.passed, finding.exact) == (True, True)
    assert "exact" in finding.text("en")
    assert not judge(Rule("size.bytes", max=899), world(exact)).passed


def test_only_the_word_exact_replaces_an_interval():
    assert judge(ACCURACY, world(evidence(interval="exactly"))).reason == "unsound"


@pytest.mark.parametrize(
    "changes",
    [
        {"value": math.nan},
        {"value": math.inf},
        {"n": 0},
        {"interval": (math.nan, 0.9)},
        {"interval": (0.85, math.inf)},
        {"interval": (0.95, 0.85)},
        {"interval": "exact", "value": math.nan},
    ],
)
def test_nan_empty_and_broken_intervals_fail_even_beside_good_evidence(changes):
    assert judge(ACCURACY, world(evidence(), evidence(sequence=2, **changes))).reason == "unsound"


def test_a_rerun_cannot_paint_over_a_bad_number():
    bad = evidence(value=0.7, interval=(0.67, 0.73))
    finding = judge(ACCURACY, world(bad, evidence(sequence=2), evidence(sequence=3)))
    assert (finding.passed, finding.value, len(finding.evidence)) == (False, 0.7, 3)


def test_withdrawn_evidence_does_not_count_but_is_listed():
    bad = evidence(value=0.7, interval=(0.67, 0.73), withdrawn="Li: label file was shifted by one row")
    finding = judge(ACCURACY, world(bad, evidence(sequence=2)))
    assert finding.passed
    assert finding.withdrawn == (bad,)
    assert finding.to_json()["withdrawn"][0]["withdrawn"].startswith("Li")


def test_a_withdrawal_without_name_and_reason_is_none():
    bad = evidence(value=0.7, interval=(0.67, 0.73), withdrawn=" ")
    assert not judge(ACCURACY, world(bad, evidence(sequence=2))).passed


def test_older_evaluators_neither_help_nor_harm():
    old_bad = evidence(value=0.1, interval=(0.05, 0.2), evaluator="E0")
    assert judge(ACCURACY, world(old_bad, evidence(sequence=2))).passed


def test_timing_pools_by_n_weighted_means_of_the_ends():
    one = evidence("latency.p95_ms", 30.0, (28.0, 32.0), n=100)
    many = evidence("latency.p95_ms", 10.0, (9.0, 11.0), n=900, sequence=2)
    finding = judge(P95, world(one, many))
    assert finding.passed
    assert (finding.value, *finding.interval, finding.n) == pytest.approx((12.0, 10.9, 13.1, 1000), abs=1e-12)


def test_lineage_evidence_holds_for_descendants_only():
    about = evidence("data.duplicate_rate", 0.001, "exact", subject=DATA, split="all", dataset="")
    rule = Rule("data.duplicate_rate", max=0.01, of="clean")
    assert judge(rule, world(about)).passed
    assert judge(Rule("data.duplicate_rate", max=0.01), world(about)).passed
    assert judge(rule, world(about, ancestors=set())).reason == "not an ancestor"
    assert judge(dataclasses.replace(rule, of="nothing"), world(about)).reason == "no artifact"


def test_a_bytes_claim_of_an_ancestor_says_nothing_about_the_release():
    about_parent = evidence(subject=DATA)
    assert judge(ACCURACY, world(about_parent)).reason == "no evidence"
    assert judge(Rule("quality.accuracy", min=0.8, of="clean"), world(about_parent)).passed


def test_pair_evidence_must_name_what_it_was_compared_with():
    gain = evidence("quality.gain", 0.02, (0.01, 0.03))
    rule = Rule("quality.gain", min=0.0)
    assert not judge(rule, world(gain)).passed
    assert judge(rule, world(dataclasses.replace(gain, against=OTHER))).passed


def test_a_rule_that_names_a_split_accepts_that_split_only():
    rule = Rule("quality.accuracy", min=0.8, on="validation")
    assert judge(rule, world(evidence(split="validation"))).passed
    assert not judge(rule, world(evidence())).passed
    chosen = Rule("data.duplicate_rate", max=0.01, of="clean", on="train")
    about = evidence("data.duplicate_rate", 0.001, "exact", subject=DATA, split="all")
    assert not judge(chosen, world(about)).passed


def test_a_slice_rule_reads_that_slice():
    rule = Rule("quality.accuracy", min=0.8, slice={"class": "good"})
    assert judge(rule, world(evidence(slice={"class": "good"}))).passed
    assert not judge(rule, world(evidence())).passed


def test_undeclared_claims_and_rules_without_one_bound_fail():
    assert judge(Rule("quality.beauty", min=0.1), world()).reason == "unknown claim"
    assert judge(Rule("quality.accuracy"), world(evidence())).reason == "no bound"
    assert judge(Rule("quality.accuracy", min=0.1, max=1.0), world(evidence())).reason == "no bound"
    assert not judge(Rule("quality.accuracy", min=math.nan), world(evidence())).passed


def test_a_claim_no_step_measures_any_more_has_no_evidence():
    assert judge(ACCURACY, world(evidence(), current={})).reason == "no evidence"


def test_without_rules_the_decision_is_a_draft_that_passed_nothing():
    decision = decide((), world(evidence()))
    assert (decision.draft, decision.passed, decision.releasable) == (True, False, True)


def test_one_failed_rule_fails_the_decision():
    decision = decide((ACCURACY, P95), world(evidence()))
    assert (decision.passed, decision.releasable) == (False, False)
    assert [finding.rule for finding in decision.failed] == [P95]


def test_the_digest_is_of_facts_not_of_words_or_run_numbers(monkeypatch):
    first = decide((ACCURACY,), world(evidence(), names={MODEL: "int8"}))
    monkeypatch.setenv("MODELYARD_LANG", "zh")
    assert decide((ACCURACY,), world(evidence(run=7, sequence=9))).digest == first.digest
    assert decide((ACCURACY,), world(evidence(value=0.91))).digest != first.digest
    assert decide((Rule("quality.accuracy", min=0.81),), world(evidence())).digest != first.digest
    assert decide((), world()).digest != decide((), world(model=OTHER)).digest
    assert decide((ACCURACY,), world(evidence(value=math.nan))).digest  # NaN has a digest too


numbers = st.floats(allow_nan=True, allow_infinity=True)
ends = st.one_of(st.none(), st.just("exact"), st.tuples(numbers, numbers))
anything = st.builds(
    lambda value, interval, n, sequence: evidence(value=value, interval=interval, n=n, sequence=sequence),
    st.one_of(numbers, st.floats(0, 1)),
    st.one_of(ends, st.tuples(st.floats(0.5, 0.9), st.floats(0.9, 1))),
    st.integers(-1, 1000),
    st.integers(0, 50),
)


@given(st.lists(anything, max_size=6), anything)
@settings(max_examples=400, deadline=None)
def test_more_evidence_of_any_kind_never_turns_a_fail_with_evidence_into_a_pass(known, extra):
    if known and not judge(ACCURACY, world(*known)).passed:
        assert not judge(ACCURACY, world(*known, extra)).passed


@given(st.lists(anything, max_size=6))
@settings(max_examples=400, deadline=None)
def test_a_pass_means_every_measurement_that_counts_is_inside_the_bound(known):
    finding = judge(ACCURACY, world(*known))
    inside = [e.n > 0 and e.ends() is not None and e.ends()[0] >= 0.8 and math.isfinite(e.value) for e in known]
    assert not finding.passed or (inside and all(inside))


@given(
    st.permutations(
        [evidence(value=v, interval=(v - 0.02, v + 0.02), sequence=i) for i, v in enumerate((0.9, 0.85, 0.95))]
    )
)
def test_the_order_in_which_evidence_is_given_does_not_matter(known):
    assert decide((ACCURACY,), world(*known)) == decide((ACCURACY,), world(*sorted(known, key=lambda e: e.sequence)))


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 500)), min_size=1, max_size=5), st.floats(20, 60))
@settings(deadline=None)
def test_slower_timings_never_turn_a_fail_into_a_pass(timings, slow):
    known = [evidence("latency.p95_ms", v, (v, v), n=n, sequence=i) for i, (v, n) in enumerate(timings)]
    slower = evidence("latency.p95_ms", slow + 1e-6, (slow, slow + 1e-6), sequence=99)
    if not judge(P95, world(*known)).passed:
        assert not judge(P95, world(*known, slower)).passed


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        (ACCURACY, {}),
        (ACCURACY, {"evidence": [evidence(interval=None)]}),
        (ACCURACY, {"evidence": [evidence(n=0)]}),
        (ACCURACY, {"evidence": [evidence(), evidence(sequence=2)]}),
        (ACCURACY, {"evidence": [evidence(value=0.5, interval=(0.4, 0.6))]}),
        (ACCURACY, {"evidence": [evidence(interval="exact")]}),
        (ACCURACY, {"evidence": [evidence(value=0.1, interval="exact")]}),
        (ACCURACY, {"claims": {}}),
        (Rule("quality.accuracy"), {}),
        (Rule("data.duplicate_rate", max=0.01, of="nowhere"), {}),
        (Rule("data.duplicate_rate", max=0.01, of="split"), {}),
    ],
)
def test_every_finding_is_said_in_chinese_too(rule, changes):
    finding = judge(rule, world(**changes))
    english, chinese = finding.text("en"), finding.text("zh")
    assert english.startswith(rule.text() if (rule.min or rule.max) else "quality.accuracy")
    assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in english)


def test_evidence_without_data_counts_only_for_claims_that_need_none():
    assert not judge(ACCURACY, world(evidence(dataset=""))).passed
    bare = evidence("size.bytes", 900.0, "exact", dataset="", split="")
    assert judge(Rule("size.bytes", max=1000), world(bare)).passed


def test_of_names_one_ancestor_and_evidence_about_another_does_not_count():
    about_train = evidence("data.duplicate_rate", 0.0, "exact", subject=TRAIN, split="all")
    known = world(about_train, ancestors={DATA, TRAIN})
    assert judge(Rule("data.duplicate_rate", max=0.01), known).passed
    finding = judge(Rule("data.duplicate_rate", max=0.01, of="clean"), known)
    assert (finding.reason, finding.instead[0].mismatch) == ("no evidence", "subject")
