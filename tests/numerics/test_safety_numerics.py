"""Exposure by enumeration, true positive rates beside scikit-learn, and what the intervals cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from modelyard.methods.evaluation.safety import exposure, membership


@pytest.mark.parametrize("length", [1, 2])
def test_exposure_is_its_definition_where_all_secrets_can_be_compared(length: int) -> None:
    """log2 |R| - log2 rank, over every rank there is."""
    space = 10**length
    draws = np.random.default_rng(length).permutation(space).astype(float)
    order = {f"{number:0{length}d}": value for number, value in enumerate(draws)}

    def likelihoods(pairs: list[tuple[str, str]]) -> list[float]:
        return [order[answer] for _, answer in pairs]

    total = 0.0
    for secret, value in order.items():
        rank = 1 + sum(other > value for other in order.values())
        found = exposure.measure("", secret, space, 0, secret, likelihoods)
        assert found.bits == pytest.approx(math.log2(space) - math.log2(rank), abs=1e-12)
        assert found.low == found.high == found.bits
        total += found.bits
    null = math.log2(space) - sum(math.log2(rank) for rank in range(1, space + 1)) / space
    assert total / space == pytest.approx(null)
    assert null < exposure.NULL_MEAN


def test_all_equal_likelihoods_are_no_exposure() -> None:
    assert exposure.measure("", "12", 99, 0, "a", lambda pairs: [0.0] * len(pairs)).bits == 0


def test_the_interval_of_a_sampled_exposure_holds_the_true_one() -> None:
    """Ranks from 1 to all; 300 candidates of a million."""
    rng, space, kept, total = np.random.default_rng(0), 10**6, 0, 0
    for rank in np.unique(np.geomspace(1, space, 40).astype(int)):
        truth = math.log2(space) - math.log2(rank)
        for better in rng.binomial(300, (rank - 1) / (space - 1), 25):
            found = exposure.exposure(int(better), 300, space)
            kept += found.low - 1e-9 <= truth <= found.high + 1e-9
            total += 1
            assert found.low <= found.bits <= found.high
            assert found.bits <= math.log2(301)
    assert kept / total >= 0.94


def test_candidates_are_of_the_secrets_form_and_never_the_secret() -> None:
    found = exposure.candidates_of("0007", 500, 3, "a")
    assert len(found) == 500
    assert all(len(one) == 4 and one.isdigit() and one != "0007" for one in found)
    assert found == exposure.candidates_of("0007", 500, 3, "a")
    assert len(set(exposure.candidates_of("07", 99, 3, "a"))) == 99


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("fpr", [0.01, 0.05, 0.001])
def test_rates_and_area_are_those_of_scikit_learn(fpr: float, ties: bool) -> None:
    rng = np.random.default_rng(5)
    for num in (1000, 2500):
        members, others = rng.normal(0.7, 1.2, num), rng.normal(0, 1, num + 33)
        if ties:
            members, others = np.round(members, 1), np.round(others, 1)
        truth = np.r_[np.ones(members.size), np.zeros(others.size)]
        x, y, _ = roc_curve(truth, np.r_[members, others], drop_intermediate=False)
        rate = membership.tpr_at(members, others, fpr)
        assert rate.value == pytest.approx(y[x <= fpr + 1e-12].max(), abs=1e-12)
        assert membership.area(members, others)[0] == pytest.approx(
            roc_auc_score(truth, np.r_[members, others]), abs=1e-12
        )


def test_too_few_rows_have_no_rate() -> None:
    members, others = np.ones(50), np.zeros(999)
    assert membership.tpr_at(members, others, 0.001).value is None
    assert membership.tpr_at(members, np.zeros(1000), 0.001).value == 1.0
    assert membership.tpr_at(members, np.zeros(1000), 0.001).interval == (0.0, 1.0)


@pytest.mark.parametrize(
    ("shift", "fpr", "num"), [(0.0, 0.01, 600), (1.0, 0.01, 600), (2.0, 0.01, 2000), (1.0, 0.05, 300)]
)
def test_the_interval_of_a_rate_covers_the_rate_at_the_true_threshold(shift: float, fpr: float, num: int) -> None:
    from scipy.stats import norm

    truth = norm.sf(norm.isf(fpr) - shift)
    rng, kept = np.random.default_rng(int(10 * shift) + num), 0
    for _ in range(250):
        rate = membership.tpr_at(rng.normal(shift, 1, num), rng.normal(0, 1, num), fpr)
        assert rate.interval is not None
        kept += rate.interval[0] <= truth <= rate.interval[1]
    assert kept / 250 >= 0.94


def test_the_calibrated_score_is_the_difference_of_logits_and_stays_finite_at_the_ends() -> None:
    losses = np.array([1e-15, 0.1, 2.0, 40.0])
    p = np.exp(-losses[1:3])
    assert membership.logit_confidence(losses)[1:3] == pytest.approx(np.log(p / (1 - p)))
    assert np.isfinite(membership.logit_confidence(losses)).all()
    shadows = np.array([[0.2, 0.2, 1.0, 3.0], [0.3, 0.1, 2.0, 5.0]])
    wanted = (
        membership.logit_confidence(losses)
        - (membership.logit_confidence(shadows[0]) + membership.logit_confidence(shadows[1])) / 2
    )
    assert membership.calibrated(losses, shadows) == pytest.approx(wanted)
