"""Charts draw what they are given: positions by scale, extremes kept, edges that do not lie on each other."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.methods.reporting.charts.bars import interval
from modelyard.methods.reporting.charts.frame import Scale, log_ticks, nice_ticks, tick_text
from modelyard.methods.reporting.charts.graph import Stop, lanes
from modelyard.methods.reporting.charts.lines import Bin, Series, line_chart, reliability, thin
from modelyard.methods.reporting.charts.matrix import confusion


def test_scales_map_ends_to_ends_and_clamp_what_lies_outside() -> None:
    scale = Scale(0.0, 10.0, 100.0, 200.0)
    assert [scale(value) for value in (0, 5, 10, 12, -3)] == [100, 150, 200, 200, 100]
    assert Scale(1.0, 100.0, 0.0, 10.0, log=True)(10.0) == 5.0


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 7e-4, [0.0, 2e-4, 4e-4, 6e-4]),
        (-3.0, 12.0, [0.0, 5.0, 10.0]),
        (5.0, 5.0, [5.0]),
    ],
)
def test_ticks_are_round_numbers_inside_the_domain(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(ticks)


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9))
def test_ticks_never_leave_the_domain_and_are_few(low: float, span: float) -> None:
    high = low + span
    ticks = nice_ticks(low, high)
    assert len(ticks) <= 11
    air = 1e-6 * (span + abs(low))
    assert all(low - air <= tick <= high + air for tick in ticks)


def test_log_ticks_are_powers_of_ten_and_tick_texts_are_short() -> None:
    assert log_ticks(0.5, 2000) == [1, 10, 100, 1000]
    assert log_ticks(0.8, 7) == [1, 2, 5]
    assert [tick_text(value) for value in (0.2, 50_000, 0.0001, 2e6, 0)] == ["0.2", "50k", "1e-4", "2M", "0"]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000))
def test_thinned_curves_keep_their_ends_and_extremes(values: list[float]) -> None:
    points = list(enumerate(values))
    kept = thin(points, 240)
    assert len(kept) <= 242
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert {max(v for _, v in kept), min(v for _, v in kept)} == {max(values), min(values)}


def test_an_interval_is_drawn_from_its_low_to_its_high_end() -> None:
    drawn = interval(0.5, 0.25, 0.75, (0.0, 1.0), "", bound=0.9, width=104)
    assert drawn is not None
    span = re.search(r'class="span" x="([\d.]+)" y="4" width="([\d.]+)"', drawn)
    assert span is not None
    assert (float(span[1]), float(span[2])) == (27.0, 50.0)
    assert 'class="bound" x="91.2"' in drawn
    assert interval(None, None, None, (0, 1), "") is None


@st.composite
def graphs(draw: st.DrawFn) -> list[Stop]:
    stops = []
    for index in range(draw(st.integers(1, 12))):
        above = st.sets(st.integers(0, index - 1), max_size=3) if index else st.just(set())
        stops.append(Stop(str(index), "", "", tuple(sorted(draw(above)))))
    return stops


@given(graphs())
def test_edges_of_a_lineage_in_one_lane_do_not_overlap(stops: list[Stop]) -> None:
    chosen = lanes(stops)
    assert set(chosen) == {(parent, child) for child, stop in enumerate(stops) for parent in stop.parents}
    for (a, b), lane in chosen.items():
        for (c, d), other in chosen.items():
            if lane == other and (a, b) != (c, d):
                assert b <= c or d <= a


def test_a_confusion_matrix_of_few_classes_shows_each_count_and_share() -> None:
    drawn = confusion("t", [[838, 128], [109, 871]], ["no", "yes"], "true", "predicted")
    assert drawn is not None
    assert re.findall(r"<b>([\d,]+)</b><small>([\d.]+) %", drawn) == [
        ("838", "86.7"),
        ("128", "13.3"),
        ("109", "11.1"),
        ("871", "88.9"),
    ]


def test_a_confusion_matrix_of_many_classes_draws_every_cell_that_is_not_empty() -> None:
    num = 30
    matrix = [[5 if row == column else (1 if column == row + 1 else 0) for column in range(num)] for row in range(num)]
    drawn = confusion("t", matrix, [f"class {index}" for index in range(num)], "true", "predicted")
    assert drawn is not None
    assert drawn.count('class="right"') == num
    assert drawn.count('class="wrong"') == num - 1
    assert "class 3 → class 4: 1 / 6" in drawn


def test_a_matrix_that_does_not_fit_its_labels_is_not_drawn() -> None:
    assert confusion("t", [[1, 2]], ["a", "b"], "", "") is None
    assert confusion("t", [], [], "", "") is None


def test_a_line_chart_without_points_is_left_out_and_one_point_is_a_dot() -> None:
    assert line_chart("t", [Series("a", [])], "x", "y") is None
    drawn = line_chart("t", [Series("a", [(1.0, 2.0)])], "x", "y")
    assert drawn is not None
    assert "<circle" in drawn


def test_a_reliability_bin_carries_its_numbers_and_its_interval() -> None:
    drawn = reliability("t", [Bin(0.8, 0.75, 0.7, 0.79, 195)], "x", "y", "rows")
    assert drawn is not None
    assert "0.800 → 0.750 (n = 195, rows)" in drawn
    assert drawn.count('class="whisker s0"') == 1
