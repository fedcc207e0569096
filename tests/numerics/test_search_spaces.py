"""Search spaces: what is drawn is what the space says, evenly; what wins is on the front."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from modelyard.engine.repeat.goals import Goal, Trial, front, winner
from modelyard.engine.repeat.settings import Choices, Span
from modelyard.engine.repeat.space import Dimension, dimension, random_values
from modelyard.engine.repeat.suggest import Grid, Tpe, settle

INTEGER, NUMBER, TEXT = (frozenset([kind]) for kind in ("integer", "number", "string"))


def test_a_list_of_two_numbers_is_a_range_only_where_a_number_is_asked_for():
    assert dimension("a.b", [2, 8], INTEGER).values() == [2, 3, 4, 5, 6, 7, 8]
    assert dimension("a.b", [2, 8, 4], INTEGER).values() == [2, 8, 4]
    assert dimension("a.b", ["x", "y"], TEXT).values() == ["x", "y"]
    assert dimension("a.b", Choices(choices=(2, 8)), INTEGER).values() == [2, 8]
    assert dimension("a.b", [0.0, 1.0], NUMBER).values() is None
    assert dimension("a.b", Span(low=0, high=1, step=0.25), NUMBER).values() == [0, 0.25, 0.5, 0.75, 1.0]
    assert dimension("a.b", [0.5, 2], INTEGER) == "whole numbers"


@pytest.mark.parametrize(
    ("item", "edges"),
    [
        (Dimension("a.b", low=2, high=5, whole=True), None),
        (Dimension("a.b", low=0.0, high=4.0), np.linspace(0, 4, 5)),
        (Dimension("a.b", low=0.001, high=10.0, log=True), np.geomspace(0.001, 10, 5)),
        (Dimension("a.b", choices=("a", "b", "c", "d")), None),
    ],
)
def test_draws_are_even_over_the_range(item, edges):
    values = [random_values([item], 0, number)["a.b"] for number in range(4000)]
    counts = np.unique(values, return_counts=True)[1] if edges is None else np.histogram(values, edges)[0]
    assert counts.sum() == 4000
    assert np.abs(counts - 1000).max() < 130  # 4.7 standard errors


def test_whole_numbers_over_magnitudes_reach_both_ends():
    item = Dimension("a.b", low=1, high=100, whole=True, log=True)
    values = [item.draw(share) for share in (0.0, 0.5, 0.999999)]
    assert values[0] == 1
    assert values[1] == pytest.approx(10, abs=1)
    assert values[2] == 100


def test_a_grid_is_every_combination():
    space = [Dimension("a.x", choices=(1, 2)), Dimension("a.y", low=1, high=3, whole=True)]
    found = Grid(space).next(100)
    assert [tuple(item.values()) for item in found] == list(itertools.product((1, 2), (1, 2, 3)))
    assert settle("auto", space, None) == ("grid", 6)
    assert settle("auto", space, 5) == ("tpe", 5)
    assert settle("grid", space, 4) == ("grid", 4)


def test_tpe_beats_random_on_a_bowl_and_repeats_itself():
    space = [Dimension(f"a.{name}", low=-5.0, high=5.0) for name in "xyz"]

    def best(values):
        return max(-sum((float(part) - 1) ** 2 for part in item.values()) for item in values)

    def tpe(seed):
        source, tried = Tpe(space, seed, 1, 60, 4), []
        while len(tried) < 60:
            batch = source.next(60 - len(tried))
            source.tell([(best([item]),) for item in batch])
            tried += batch
        return tried

    assert tpe(0) == tpe(0)
    learned = [best(tpe(seed)) for seed in range(5)]
    drawn = [best([random_values(space, seed, number) for number in range(60)]) for seed in range(5)]
    assert np.mean(learned) > np.mean(drawn)


def test_the_front_is_what_brute_force_says():
    draw = np.random.default_rng(1)
    goals = [Goal("a", "x", True), Goal("a", "y", False)]
    points = draw.integers(0, 12, (60, 2))
    trials = [Trial(n, {}, "done", tuple(map(float, point))) for n, point in enumerate(points, 1)]

    def beaten(one):
        return any(
            other[0] >= one[0] and other[1] <= one[1] and tuple(other) != tuple(one) for other in points
        )  # fmt: skip

    expected = {tuple(map(float, point)) for point in points if not beaten(point)}
    found = front(trials, goals)
    assert {trial.scores for trial in found} == expected
    assert len(found) == len(expected)
    assert winner(trials, goals).scores == max(expected, key=lambda point: (point[0], -point[1]))
    near = [point for point in expected if point[0] >= max(p[0] for p in expected) - 2]
    assert winner(trials, goals, within=2).scores == min(near, key=lambda point: (point[1], -point[0]))


def test_of_equal_trials_the_first_wins_and_failed_ones_never():
    goals = [Goal("a", "x", False)]
    trials = [Trial(1, {}, "failed"), Trial(2, {}, "done", (3.0,)), Trial(3, {}, "done", (3.0,))]
    assert winner(trials, goals).number == 2
    assert winner(trials[:1], goals) is None
