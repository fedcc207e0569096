"""How many rows a rule needs: against scipy's Wilson interval and binomial, by brute force."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from modelyard.core.project import Rule
from modelyard.engine import catalog
from modelyard.engine.sample_size import MARGINS, fewest_hits, of_test_rows, power, rows_for, sample_size
from modelyard.methods.statistics.wilson import wilson


def scipy_low(hits, rows):
    return stats.binomtest(hits, rows).proportion_ci(0.95, method="wilson").low


def scipy_fewest(bound, rows):
    return next((hits for hits in range(rows + 1) if scipy_low(hits, rows) >= bound), None)


def scipy_power(bound, true, rows):
    """Vectorised over nothing: Wilson's end by the score test, the tail by scipy."""
    z = stats.norm.ppf(0.975)
    hits = np.arange(rows + 1)
    rate = hits / rows
    low = (rate + z * z / (2 * rows) - z * np.sqrt(rate * (1 - rate) / rows + z * z / (4 * rows**2))) / (
        1 + z * z / rows
    )
    passing = np.flatnonzero(low >= bound - 1e-12)
    return float(stats.binom.sf(passing[0] - 1, rows, true)) if passing.size else 0.0


@pytest.mark.parametrize("rows", [1, 7, 50, 333, 2000])
def test_the_lower_end_is_scipys_wilson(rows):
    for hits in {0, 1, rows // 3, rows // 2, rows - 1, rows}:
        assert wilson(hits, rows)[0] == pytest.approx(max(0.0, scipy_low(hits, rows)), abs=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 10, 73, 74, 200])
@pytest.mark.parametrize("bound", [0.0, 0.01, 0.3, 0.5, 0.8, 0.95, 0.99, 1.0])
def test_the_fewest_hits_that_pass_are_those_of_a_search_through_all(bound, rows):
    assert fewest_hits(bound, rows) == scipy_fewest(bound, rows)


@pytest.mark.parametrize(
    ("bound", "true", "rows"), [(0.8, 0.82, 3104), (0.5, 0.51, 19706), (0.98, 0.99, 1356), (0.1, 0.3, 5)]
)
def test_the_power_is_the_exact_binomials(bound, true, rows):
    assert power(bound, true, rows) == pytest.approx(scipy_power(bound, true, rows), abs=1e-10)


@pytest.mark.parametrize("bound", [0.02, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98])
@pytest.mark.parametrize("margin", [0.02, 0.05])
def test_from_the_answer_on_every_number_of_rows_has_the_power_and_the_one_before_has_not(bound, margin):
    rows = rows_for(bound, margin)
    if bound + margin > 1:
        assert rows is None
        return
    assert scipy_power(bound, bound + margin, rows - 1) < 0.8
    ahead = [*range(rows, rows + 150), *range(rows + 150, 2 * rows, max(1, rows // 40))]
    assert min(scipy_power(bound, bound + margin, more) for more in ahead) >= 0.8


def test_it_agrees_with_the_text_book_formula():
    """Fleiss, Statistical Methods for Rates and Proportions: one sample, without continuity correction."""
    z_a, z_b = stats.norm.ppf(0.975), stats.norm.ppf(0.8)
    for bound, margin in [(0.8, 0.01), (0.5, 0.02), (0.9, 0.02)]:
        true = bound + margin
        book = ((z_a * math.sqrt(bound * (1 - bound)) + z_b * math.sqrt(true * (1 - true))) / margin) ** 2
        assert rows_for(bound, margin) == pytest.approx(book, rel=0.03)


def test_a_simulation_passes_as_often_as_promised():
    rows = rows_for(0.8, 0.05)
    draws = np.random.default_rng(0).binomial(rows, 0.85, 20_000)
    passed = np.mean([wilson(int(hits), rows)[0] >= 0.8 for hits in draws])
    assert 0.79 < passed < 0.84


def test_what_must_be_observed_on_the_rows_at_hand():
    size = sample_size(Rule("quality.accuracy", min=0.8), rows=2000)
    assert size.must_observe == 1636 / 2000
    assert scipy_low(1636, 2000) >= 0.8 > scipy_low(1635, 2000)
    assert size.decidable
    assert set(size.needed) == set(MARGINS)


def test_a_max_rule_is_the_mirror():
    size = sample_size(Rule("data.error_rate", max=0.2), rows=2000)
    assert size.must_observe == pytest.approx(1 - 1636 / 2000)
    assert size.needed == sample_size(Rule("x", min=0.8)).needed


def test_too_few_rows_are_said_to_decide_nothing():
    size = sample_size(Rule("quality.accuracy", min=0.8), rows=10)
    assert size.must_observe is None
    assert not size.decidable
    assert sample_size(Rule("quality.accuracy", min=0.8), rows=16).must_observe == 1.0


def test_margins_that_no_model_can_have_have_no_number():
    assert sample_size(Rule("x", min=0.98)).needed[0.05] is None
    assert sample_size(Rule("x", max=0.01)).needed[0.02] is None
    assert sample_size(Rule("x", min=1.0), rows=100).needed[0.01] is None


@pytest.mark.parametrize("bound", [-0.1, 1.1, 20.0])
def test_a_bound_that_is_no_rate_has_no_sizing(bound):
    assert sample_size(Rule("x", min=bound)) is None


def test_only_rates_of_test_rows_are_sized_by_the_number_of_test_rows():
    used = ("quality", "uncertainty", "checklist", "robustness", "safety", "attacks")
    found = [catalog.find(f"evaluate.{name}", Path())[0] for name in used]
    claims = {claim.name: claim for one in found if one is not None for claim in one.stage.claims}
    assert all(of_test_rows(claims[name]) for name in ("quality.accuracy", "uncertainty.answered"))
    others = ("checklist.failure_rate", "robustness.accuracy", "safety.refusal_rate", "attacks.accuracy",
              "quality.hit_rate", "quality.f1_macro")  # fmt: skip
    assert not [name for name in others if of_test_rows(claims[name])]
