"""Agreement and adjudication against published examples and slow references."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence

import numpy as np
import pytest

from modelyard.methods.data.annotators import adjudication, agreement, bootstrap, pairwise
from modelyard.methods.data.annotators.votes import Votes, ordered

NONE = None
# Krippendorff 2011, section C: four observers, twelve units, missing values.
KRIPPENDORFF = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3),
    (NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE),
)
# Fleiss 1971, table 1: diagnoses of 30 patients by 6 raters each, as sorted classes.
FLEISS = re.findall(
    r"\d+",
    "444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444 224445 "
    "333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 133333 555555",
)
# Dawid and Skene 1979, table 1: 45 patients; three votes of observer 1, one of observers 2 to 5.
ANAESTHETISTS = re.findall(
    r"\d+",
    "1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223 2322223 4444444 2223343 1111111 2223212 "
    "1211111 1112111 1111111 1111111 2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111 2322222 1111111 "
    "1111111 1121121 1111111 3333233 1111111 2222222 2223232 4334343 2212232 2323233 3333432 1111111 1111111 1212111 "
    "2322222 1211111 2222222",
)


def votes_of(rows: Sequence[Sequence[tuple[str, str]]]) -> Votes:
    """Votes of items, each a list of (annotator, class)."""
    annotators = sorted({name for row in rows for name, _ in row})
    classes = ordered({label for row in rows for _, label in row}, None, "nominal")
    triples = [
        (place, annotators.index(name), classes.index(label)) for place, row in enumerate(rows) for name, label in row
    ]
    item, annotator, label = (np.array(column, dtype=np.int64) for column in zip(*triples, strict=True))
    return Votes([f"i{place}" for place in range(len(rows))], annotators, classes, item, annotator, label)


def krippendorff() -> Votes:
    columns = zip(*KRIPPENDORFF, strict=True)
    return votes_of([[(f"o{who}", str(label)) for who, label in enumerate(column) if label] for column in columns])


def anaesthetists() -> Votes:
    return votes_of([[(f"o{who}", label) for who, label in zip("1112345", row, strict=True)] for row in ANAESTHETISTS])


@pytest.mark.parametrize(("scale", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_krippendorffs_example(scale: agreement.Scale, published: float) -> None:
    votes = krippendorff()
    found = agreement.krippendorff_alpha(votes.counts(), scale, np.array([float(name) for name in votes.classes]))
    assert found is not None
    assert round(found.value, 3) == published
    assert found.low < found.value < found.high <= 1
    assert found.n == 11


def slow_alpha(items: Sequence[Sequence[int]], scale: str) -> float:
    """Krippendorff's definition, pair by pair."""
    units = [unit for unit in items if len(unit) >= 2]
    pooled = [value for unit in units for value in unit]
    times = {value: pooled.count(value) for value in pooled}

    def unlike(first: int, second: int) -> float:
        if scale == "nominal":
            return float(first != second)
        if scale == "interval":
            return float((first - second) ** 2)
        low, high = sorted((first, second))
        return (sum(n for v, n in times.items() if low <= v <= high) - (times[low] + times[high]) / 2) ** 2

    observed = sum(unlike(a, b) / (len(unit) - 1) for unit in units for a, b in itertools.permutations(unit, 2))
    expected = sum(unlike(a, b) for a, b in itertools.permutations(pooled, 2)) / (len(pooled) - 1)
    return 1 - observed / expected


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scale", ["nominal", "ordinal", "interval"])
def test_alpha_equals_its_definition_pair_by_pair(scale: agreement.Scale, seed: int) -> None:
    source = np.random.default_rng(seed)
    items = [source.integers(0, 4, size=source.integers(0, 5)).tolist() for _ in range(25)]
    counts = np.array([[item.count(value) for value in range(4)] for item in items])
    found = agreement.krippendorff_alpha(counts, scale, np.arange(4.0))
    assert found is not None
    assert found.value == pytest.approx(slow_alpha(items, scale), abs=1e-12)


def test_fleiss_example() -> None:
    counts = np.array([[row.count(digit) for digit in "12345"] for row in FLEISS])
    assert counts.sum(axis=0).tolist() == [26, 26, 30, 55, 43]
    found = agreement.fleiss_kappa(counts)
    assert found is not None
    assert found.value == pytest.approx(0.4302445, abs=5e-8)
    assert 0.3 < found.low < 0.43 < found.high < 0.56


def test_cohens_kappa_and_its_interval_as_sas_prints_them() -> None:
    # SAS FREQ on this table: kappa 0.4842, standard error 0.1380, limits 0.2137 and 0.7547.
    table = np.array([[0, 4, 1], [0, 8, 0], [0, 1, 5]], dtype=float)
    agree, kappa, low, high = pairwise.cohen_kappa(table)
    assert agree == pytest.approx(13 / 19)
    assert [round(value, 4) for value in (kappa, low, high)] == [0.4842, 0.2137, 0.7547]


def test_pairwise_kappa_equals_a_count_by_hand() -> None:
    votes = krippendorff()
    pairs = pairwise.cohen_kappas(votes)
    assert len(pairs) == 6
    for pair in pairs:
        rows = zip(KRIPPENDORFF[pair.first], KRIPPENDORFF[pair.second], strict=True)
        shared = [(a, b) for a, b in rows if a and b]
        agree = sum(a == b for a, b in shared) / len(shared)
        chance = (
            sum([a for a, _ in shared].count(k) * [b for _, b in shared].count(k) for k in range(1, 6))
            / len(shared) ** 2
        )
        assert pair.n == len(shared)
        assert pair.agreement == pytest.approx(agree)
        assert pair.kappa == pytest.approx((agree - chance) / (1 - chance))


def test_an_annotator_is_held_against_the_majority_of_the_others() -> None:
    rows = [
        [("a", "x"), ("b", "x"), ("c", "y")],
        [("a", "y"), ("b", "x"), ("c", "x")],
        [("a", "x"), ("b", "y")],
        [("a", "x")],
        [("a", "x"), ("b", "x"), ("c", "x")],
    ]
    found = dict(zip("abc", pairwise.standings(votes_of(rows)), strict=True))
    # a: others tie on the first, agree on x on the second (a says y), b alone says y on the third, agree on the last.
    assert (found["a"].num_votes, found["a"].n, found["a"].hits) == (5, 3, 1)
    assert (found["c"].num_votes, found["c"].n, found["c"].hits) == (3, 2, 1)


def test_full_agreement_is_one_but_not_certain() -> None:
    few = agreement.krippendorff_alpha(np.array([[2, 0]] * 5 + [[0, 2]] * 5))
    many = agreement.krippendorff_alpha(np.array([[2, 0]] * 500 + [[0, 2]] * 500))
    assert few is not None
    assert many is not None
    assert few.value == many.value == 1
    assert few.low < 0.6
    assert 0.98 < many.low < 1


@pytest.mark.parametrize("counts", [[[2, 0], [3, 0]], [[1, 0], [0, 1]], np.zeros((0, 2), dtype=int).tolist()])
def test_without_variation_or_pairs_agreement_is_undefined(counts: list[list[int]]) -> None:
    table = np.array(counts, dtype=np.int64).reshape(-1, 2)
    assert agreement.krippendorff_alpha(table) is None
    assert agreement.fleiss_kappa(table) is None


def test_the_interval_covers_the_truth_about_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "RESAMPLES", 300)
    source = np.random.default_rng(7)

    def sample(n: int) -> np.ndarray:
        true = source.random(n) < 0.3
        given = np.where(source.random((3, n)) < 0.8, true, source.random((3, n)) < 0.3)
        positive = given.sum(axis=0)
        return np.stack([3 - positive, positive], axis=1).astype(np.int64)

    whole = agreement.krippendorff_alpha(sample(400_000))
    assert whole is not None
    assert whole.value == pytest.approx(0.64, abs=0.01)
    estimates = [agreement.krippendorff_alpha(sample(60), seed=trial) for trial in range(150)]
    covered = sum(found is not None and found.low <= whole.value <= found.high for found in estimates)
    # 150 trials at 95 %: fewer than 134 or more than 149 has probability below 0.002 each way.
    assert 134 <= covered <= 149


def test_the_interval_is_the_same_for_the_same_seed_whatever_the_order() -> None:
    counts = krippendorff().counts()
    assert agreement.krippendorff_alpha(counts, seed=3) == agreement.krippendorff_alpha(counts[::-1], seed=3)
    assert agreement.krippendorff_alpha(counts, seed=3) != agreement.krippendorff_alpha(counts, seed=4)


def test_dawid_and_skenes_anaesthetists() -> None:
    found = adjudication.dawid_skene(anaesthetists(), smoothing=0.0, tolerance=1e-12)
    assert found.converged
    # The paper's class marginals, table 2.
    assert [round(share, 2) for share in found.prior.tolist()] == [0.40, 0.42, 0.11, 0.07]
    # Observer 1 never takes class 1 for 3 or 4, and is the most consistent on class 2.
    assert found.confusion[0, 0, 2] == found.confusion[0, 0, 3] == 0
    assert np.allclose(found.confusion.sum(axis=2), 1)
    certain = found.posterior.max(axis=1)
    assert np.count_nonzero(certain > 0.99) >= 40


@pytest.mark.parametrize("smoothing", [0.0, 0.01, 1.0])
def test_em_never_goes_down(smoothing: float) -> None:
    found = adjudication.dawid_skene(anaesthetists(), smoothing, tolerance=1e-12)
    steps = np.diff(found.objective)
    assert (steps >= -1e-9).all()
    assert found.objective[-1] > found.objective[0] + 1


def slow_dawid_skene(votes: Votes, iterations: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The paper's equations, loop by loop, with products instead of logarithms."""
    num_items, num_annotators, num_classes = len(votes.items), len(votes.annotators), len(votes.classes)
    n = np.zeros((num_items, num_annotators, num_classes))
    for item, annotator, label in zip(votes.item, votes.annotator, votes.label, strict=True):
        n[item, annotator, label] += 1
    truth = n.sum(axis=1) / n.sum(axis=(1, 2))[:, None]
    likelihood = 0.0
    for _ in range(iterations):
        prior = truth.mean(axis=0)
        error = np.einsum("ij,ikl->kjl", truth, n)
        error /= error.sum(axis=2, keepdims=True)
        joint = np.array(
            [[prior[j] * np.prod(error[:, j, :] ** n[i]) for j in range(num_classes)] for i in range(num_items)]
        )
        likelihood = float(np.log(joint.sum(axis=1)).sum())
        truth = joint / joint.sum(axis=1, keepdims=True)
    return prior, truth, likelihood


def test_em_equals_the_papers_equations_loop_by_loop() -> None:
    votes = anaesthetists()
    found = adjudication.dawid_skene(votes, smoothing=0.0, max_iterations=40, tolerance=-1.0)
    assert not found.converged
    _, truth, likelihood = slow_dawid_skene(votes, 40)
    assert found.log_likelihood[-1] == pytest.approx(likelihood, abs=1e-8)
    assert np.allclose(found.posterior, truth, atol=1e-9)


def test_a_careless_annotator_is_found_out_and_outvoted() -> None:
    source = np.random.default_rng(5)
    truth = source.integers(0, 3, size=600)
    right = {"good": 0.95, "fair": 0.8, "bad1": 0.35, "bad2": 0.35, "bad3": 0.35}
    rows = []
    for label in truth:
        row = []
        for name, share in right.items():
            given = label if source.random() < share else (label + 1) % 3
            row.append((name, str(given)))
        rows.append(row)
    votes = votes_of(rows)
    estimated = adjudication.dawid_skene(votes)
    by_votes = adjudication.majority(votes, "first", 0)
    hits = [np.mean(found.label == truth) for found in (adjudication.adjudicated(estimated.posterior), by_votes)]
    assert hits[0] > hits[1] + 0.03
    accuracy = dict(zip(votes.annotators, estimated.accuracy(), strict=True))
    assert accuracy == pytest.approx(right, abs=0.06)


def test_majority_and_its_ties() -> None:
    rows = [[("a", "x"), ("b", "x"), ("c", "y")], [("a", "y"), ("b", "x")], [("c", "y")]]
    votes = votes_of(rows)
    review = adjudication.majority(votes, "review", 0)
    assert review.label.tolist() == [0, -1, 1]
    assert review.tied.tolist() == [False, True, False]
    assert adjudication.majority(votes, "first", 0).label.tolist() == [0, 1, 1]
    drawn = [adjudication.majority(votes, "random", seed).label[1] for seed in range(40)]
    assert 5 < sum(drawn) < 35
    assert drawn == [adjudication.majority(votes, "random", seed).label[1] for seed in range(40)]
    assert adjudication.soft_label(votes.classes, review.shares[0]) == {"x": 0.666667, "y": 0.333333}


def test_row_agreement_is_the_share_of_pairs() -> None:
    found = agreement.row_agreement(np.array([[3, 0], [2, 1], [1, 1], [1, 0], [0, 0]]))
    assert found[:3].tolist() == pytest.approx([1, 1 / 3, 0])
    assert all(math.isnan(value) for value in found[3:])
