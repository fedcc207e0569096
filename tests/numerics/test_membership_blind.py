"""The blind attack: no false alarm where members and others are of one kind, found where they are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from modelyard.methods.evaluation.safety import blind, membership

WORDS = ("noodles", "rice", "late", "hot", "cold", "rider", "price", "again", "never", "soup", "很好吃", "太慢", "味道")


def texts(draw: np.random.Generator, count: int, more: str = "") -> list[dict[str, str]]:
    return [{"text": " ".join(draw.choice(WORDS, size=6)) + more} for _ in range(count)]


def cells(draw: np.random.Generator, count: int, shift: float = 0.0) -> list[dict[str, object]]:
    return [
        {"age": float(draw.normal(40 + shift, 10)), "job": str(draw.choice(["cook", "clerk", "driver"])), "gone": None}
        for _ in range(count)
    ]


def pictures(draw: np.random.Generator, count: int, light: int = 0) -> list[dict[str, bytes]]:
    found = []
    for _ in range(count):
        file = io.BytesIO()
        Image.fromarray((draw.integers(0, 200, (20, 16)) + light).astype(np.uint8)).save(file, "PNG")
        found.append({"image": file.getvalue()})
    return found


@pytest.mark.parametrize("make", [texts, cells])
def test_rows_of_one_kind_raise_no_alarm_more_often_than_chance(make) -> None:
    alarms, values = 0, []
    for seed in range(60):
        draw = np.random.default_rng(seed)
        value, ends = membership.area(*blind.scores(make(draw, 100), make(draw, 140), seed))
        alarms += ends[0] > 0.5
        values.append(value)
    # One end of a 95 % interval: 2.5 % of 60. Binomial(60, 0.025) is above 5 once in 500.
    assert alarms <= 5
    assert abs(np.mean(values) - 0.5) < 0.02


@pytest.mark.parametrize(("make", "other"), [(texts, " (sent in May)"), (cells, 15.0), (pictures, 40)])
def test_rows_of_another_kind_are_told_apart(make, other) -> None:
    draw = np.random.default_rng(1)
    value, ends = membership.area(*blind.scores(make(draw, 120), make(draw, 120, other), 0))
    assert value > 0.75
    assert ends[0] > 0.5


def test_too_few_rows_are_not_judged_and_the_same_rows_give_the_same_scores() -> None:
    draw = np.random.default_rng(2)
    rows = texts(draw, 200)
    assert blind.scores(rows[:49], rows[49:], 0) is None
    first, second = blind.scores(rows[:90], rows[90:], 0), blind.scores(rows[:90], rows[90:], 0)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


@pytest.mark.parametrize(("shift", "num"), [(0.0, 2000), (1.5, 3000)])
def test_the_interval_of_a_rate_at_one_in_a_thousand_covers(shift: float, num: int) -> None:
    from scipy.stats import norm

    truth, draw, kept = norm.sf(norm.isf(0.001) - shift), np.random.default_rng(num), 0
    for _ in range(300):
        rate = membership.tpr_at(draw.normal(shift, 1, num), draw.normal(0, 1, num), 0.001)
        kept += rate.interval[0] <= truth <= rate.interval[1]
    assert kept / 300 >= 0.94
