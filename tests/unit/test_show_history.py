"""`modelyard show history`: one line a claim and version, nothing that was cut, drawn on one scale."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from modelyard.cli.show import WIDTH, _history
from modelyard.core.evidence import Evidence
from modelyard.engine.release_history import history_json, latest_of


def evidence(sequence: int, value: float, run: int = 1, **more: Any) -> Evidence:
    about = {"claim": "uncertainty.ece", "n": 10, "unit": "", "subject": "m", "dataset": "d", "split": "test"}
    return Evidence(value=value, interval=None, evaluator="e", run=run, sequence=sequence, **{**about, **more})


def latest(items: list[Evidence], cut: tuple[int, ...] = (), **more: Any) -> list[float]:
    ledger = SimpleNamespace(
        evidence_about=lambda models: items,
        run=lambda run: SimpleNamespace(identity={"partly": True} if run in cut else {}),
    )
    releases: Any = [SimpleNamespace(model="m", version=1)]
    store: Any = SimpleNamespace(ledger=ledger)
    return [item.value for _, item in latest_of(store, releases, **more)]


def test_the_latest_run_speaks_and_a_cut_one_never() -> None:
    items = [evidence(1, 0.1), evidence(2, 0.2, run=2), evidence(3, 0.3, run=3)]
    assert latest(items) == [0.3]
    assert latest(items, cut=(3,)) == [0.2]
    assert latest(items, cut=(1, 2, 3)) == []


def test_groups_are_lines_of_their_own_and_only_asked_for() -> None:
    items = [evidence(1, 0.1), evidence(2, 0.2, slice={"sex": "f"}), evidence(3, 0.3, slice={"sex": "m"})]
    assert latest(items) == [0.1]
    assert latest(items, slices=True) == [0.1, 0.2, 0.3]


def test_tasks_are_lines_without_being_asked_for_and_their_groups_are_not() -> None:
    items = [evidence(1, 0.1, slice={"task": "mood"}), evidence(2, 0.2, slice={"task": "length"}),
             evidence(3, 0.3, slice={"task": "mood", "class": "happy"})]  # fmt: skip
    assert latest(items) == [0.1, 0.2]
    assert latest(items, slices=True) == [0.1, 0.2, 0.3]


def test_the_record_for_a_page_keeps_tasks_apart() -> None:
    items = [evidence(1, 0.1, slice={"task": "mood"}), evidence(2, 0.2, slice={"task": "length"})]
    ledger = SimpleNamespace(
        releases=lambda name: [SimpleNamespace(model="m", version=1), SimpleNamespace(model="m", version=2)],
        evidence_about=lambda models: items,
        run=lambda run: SimpleNamespace(identity={}),
    )
    store: Any = SimpleNamespace(ledger=ledger)
    found = [(one["task"], one["version"], one["value"]) for one in history_json(store, "shop")]
    assert found == [("length", 1, 0.2), ("length", 2, 0.2), ("mood", 1, 0.1), ("mood", 2, 0.1)]


def line(version: int, value: float, interval: Any, **more: Any) -> dict[str, Any]:
    return {"claim": "quality.accuracy", "dataset": "d" * 64, "version": version, "value": value, "n": 100,
            "interval": interval, "slice": {}, "better": "higher", **more}  # fmt: skip


def test_overlapping_intervals_look_so() -> None:
    rows = _history([line(1, 0.80, [0.70, 0.90]), line(2, 0.82, [0.72, 0.92])]).splitlines()
    first, second = (next(word for word in row.split() if "●" in word) for row in rows[-2:])
    assert len(first) == len(second) == WIDTH
    assert first.startswith("─")
    assert first.endswith("·")
    assert second.startswith("·")
    assert second.endswith("─")
    assert 0 < second.index("●") - first.index("●") < 5
    assert all("higher is better" in row for row in rows[-2:])
    assert "sex=f" in _history([line(1, 0.5, None, slice={"sex": "f"})])
