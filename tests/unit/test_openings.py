"""What counts as a look at the test rows: runs that told something of them, and each question once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from modelyard.core.run import Binding, Run
from modelyard.engine.identity import PARTLY
from modelyard.engine.openings import openings_of

MODEL, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def run(uses: str = "evaluate.robustness", status: Any = "done", model: str = MODEL, **more: Any) -> Run:
    settings = {"rows": 48, "kinds": ["typos"]} | more.pop("settings", {})
    return Run(
        id=0, key="k", project="p", step="s", uses=uses, status=status, seed=0, settings=settings,
        identity={PARTLY: True} if more.pop("partly", False) else {}, environment={}, started="",
        inputs=(Binding("model", model, model),),
    )  # fmt: skip


def looks(*runs: Run) -> tuple[int, int]:
    ledger = SimpleNamespace(
        openings=lambda dataset: tuple(range(len(runs))),
        run=lambda number: runs[number],
        artifacts=lambda: [SimpleNamespace(digest=digest, kind="model") for digest in (MODEL, OTHER)],
    )
    store: Any = SimpleNamespace(ledger=ledger)
    found = openings_of(store, "d")
    return found.runs, found.models


def test_a_part_counts_as_long_as_the_whole_has_not_followed() -> None:
    part = run(settings={"rows": 6}, partly=True)
    assert looks(part) == (1, 1)
    assert looks(part, run()) == (1, 1)
    assert looks(part, run(status="killed")) == (1, 1)
    assert looks(part, run(status="running")) == (1, 1)


def test_a_part_counts_beside_a_whole_that_asked_something_else() -> None:
    part = run(settings={"rows": 6}, partly=True)
    assert looks(part, run(settings={"kinds": ["homophones"]})) == (2, 1)
    assert looks(part, run(model=OTHER)) == (2, 2)
    assert looks(part, run("evaluate.quality")) == (2, 1)


def test_whole_runs_count_one_by_one() -> None:
    assert looks(run(), run()) == (2, 1)
    assert looks(run(settings={"rows": 6}), run()) == (2, 1)


def test_what_measures_has_told_nothing_before_it_is_done_and_other_stages_may_have() -> None:
    for status in ("running", "killed", "failed"):
        assert looks(run(status=status)) == (0, 0)
        assert looks(run("./score.py", status=status)) == (1, 1)
