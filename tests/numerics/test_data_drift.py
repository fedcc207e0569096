"""Drift figures against closed forms and independent libraries; alarms neither at chance nor at mere size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from support.small_data import make

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.statistics import drift
from modelyard.methods.data.statistics.drift import Moved, compare, psi, psi_interval


def numbers(folder: Path, values: Sequence[float | None]) -> Dataset:
    return make(folder, {"n": ("feature", "double", list(values))})


def both(tmp_path: Path, one: Sequence[float | None], other: Sequence[float | None]) -> Moved:
    return compare(numbers(tmp_path / "a", one), numbers(tmp_path / "b", other), (["all"], ["all"]))[0]


def test_the_index_is_the_smoothed_closed_form() -> None:
    reference, rows = np.array([9, 89]), np.array([49, 49])
    p, q = np.array([0.1, 0.9]), np.array([0.5, 0.5])
    assert psi(reference, rows) == pytest.approx(float(((p - q) * np.log(p / q)).sum()))
    assert psi(reference, rows) == pytest.approx(psi(rows, reference))
    assert math.isfinite(psi(np.array([1_000, 0]), np.array([0, 1_000])))


def test_bins_hold_equal_shares_of_the_reference_and_are_not_fitted_again(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    found = both(tmp_path, generator.normal(size=5_000).tolist(), (3 + generator.normal(size=2_000)).tolist())
    assert all(abs(num - 500) <= 1 for num in found.reference)
    assert len(found.reference) == 10
    assert sum(found.rows) == 2_000
    assert found.rows[-1] > 1_800


def test_missing_values_are_a_bin_of_their_own(tmp_path: Path) -> None:
    values: list[float | None] = [float(i) for i in range(1_000)]
    found = both(tmp_path, values, [*values[:500], *[None] * 500])
    assert found.bins[-1] == "missing"
    assert (found.reference[-1], found.rows[-1]) == (0, 500)
    assert found.psi > 0.5


def test_the_kolmogorov_smirnov_figures_are_scipys(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    one, other = generator.normal(size=800), generator.normal(0.2, 1, size=700)
    found, expected = both(tmp_path, one.tolist(), other.tolist()), stats.ks_2samp(one, other, method="asymp")
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert (found.num_tested, found.test) == (700, "ks")


def test_the_chi_square_figures_are_scipys_with_rare_names_joined(tmp_path: Path) -> None:
    def labels(folder: Path, counts: dict[str, int]) -> Dataset:
        values = [name for name, num in counts.items() for _ in range(num)]
        return make(folder, {"label": ("label", "string", values)})

    old, new = {"a": 600, "b": 400, "x": 1, "y": 1}, {"a": 500, "b": 500, "z": 2}
    found = compare(labels(tmp_path / "a", old), labels(tmp_path / "b", new), (["all"], ["all"]))[0]
    expected = stats.chi2_contingency([[600, 400, 2], [500, 500, 2]], correction=False)
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.by_chance == pytest.approx((5 - 1) * (1 / 1_002 + 1 / 1_002))


def test_the_index_without_drift_is_on_average_what_chance_gives(tmp_path: Path) -> None:
    generator = np.random.default_rng(2)
    counts = [generator.multinomial(1_000, [0.1] * 10, size=400) for _ in range(2)]
    mean = np.mean([psi(one, other) for one, other in zip(*counts, strict=True)])
    assert mean == pytest.approx(9 * (1 / 1_000 + 1 / 1_000), rel=0.1)


def test_the_correction_is_holms() -> None:
    raw = [0.01, 0.04, 0.03, 0.005]
    made = [Moved(str(i), "value", 0.0, 0.0, 1, 1, "ks", 0.0, 1, p) for i, p in enumerate(raw)]
    corrected = {item.column: item.p_value for item in drift._holm(made)}
    assert corrected == pytest.approx({"3": 0.02, "0": 0.03, "2": 0.06, "1": 0.06})


def test_chance_and_mere_size_raise_no_alarm_and_a_real_shift_does(tmp_path: Path) -> None:
    """Two samples of the same thing; a difference too small to matter in many rows; one that matters."""
    generator = np.random.default_rng(3)
    alarms = 0
    for turn in range(40):
        one, other = generator.normal(size=(2, 600))
        alarms += both(tmp_path / str(turn), one.tolist(), other.tolist()).moved(0.1, 0.01)
    assert alarms <= 1
    many = both(tmp_path / "m", generator.normal(size=30_000).tolist(), generator.normal(0.08, 1, 30_000).tolist())
    assert many.p_value < 1e-6
    assert not many.moved(0.1, 0.01)
    assert both(tmp_path / "s", generator.normal(size=800).tolist(), generator.normal(0.7, 1, 800).tolist()).moved(
        0.1, 0.01
    )


def test_the_interval_holds_the_point_and_covers_the_truth() -> None:
    """Counts drawn from two known distributions: the interval covers their true index about as often as it says."""
    p, q = np.full(10, 0.1), np.array([0.05, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.15, 0.15])
    truth = float(((p - q) * np.log(p / q)).sum())
    generator = np.random.default_rng(4)
    covered = 0
    for turn in range(60):
        sides = [tuple(generator.multinomial(2_000, share).tolist()) for share in (p, q)]
        value = psi(*map(np.array, sides))
        item = Moved("n", "value", value, 0.0, 2_000, 2_000, "ks", 0.0, 1, 0.0, tuple("abcdefghij"), *sides)
        low, high = psi_interval([item], turn)
        assert low <= value <= high
        assert psi_interval([item], turn) == (low, high)
        covered += low <= truth <= high
    assert covered >= 52


def test_texts_are_compared_by_length_and_times_and_groups_not_at_all(tmp_path: Path) -> None:
    def texts(folder: Path, words: int) -> Dataset:
        return make(folder, {
            "text": ("text", "string", ["w" * (words + i % 7) for i in range(600)]),
            "who": ("group", "string", [f"g{i}{words}" for i in range(600)]),
        })  # fmt: skip

    found = compare(texts(tmp_path / "a", 10), texts(tmp_path / "b", 40), (["all"], ["all"]))
    assert [(item.column, item.what) for item in found] == [("text", "length")]
    assert found[0].moved(0.1, 0.01)
