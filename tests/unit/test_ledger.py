"""The ledger keeps its promises, the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.base import clock
from modelyard.core.artifact import Artifact
from modelyard.core.evidence import Evidence
from modelyard.core.run import Binding
from modelyard.errors import ConflictError, StoreError, UsageError, VersionError
from modelyard.store.ledger import Ledger, connect, schema

pytest_plugins = ("support.postgres",)


def digest(n: int) -> str:
    return f"sha256:{n:064x}"


@pytest.fixture(params=["sqlite", "postgresql"])
def connect_again(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Ledger]:
    """Connects to one and the same ledger each time it is called."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    return lambda: connect(tmp_path / "ledger.db", url)


@pytest.fixture
def ledger(connect_again: Callable[[], Ledger]):
    opened = connect_again()
    yield opened
    opened.close()


def start(ledger: Ledger, key: int = 1, inputs: tuple[Binding, ...] = (), step: str = "train", **more) -> int:
    return ledger.start_run(
        key=digest(key), project="reviews", step=step, uses="train.it", seed=3, settings={"epochs": 2, "text": "é\x00"},
        identity={"code": "c"}, environment={"python": "3.11"}, inputs=inputs, **more,
    )  # fmt: skip


def bind(n: int, port: str = "data", splits: tuple[str, ...] = ("train",)) -> Binding:
    return Binding(port, digest(n), digest(n + 1000), splits)


def make(ledger: Ledger, key: int, sources: list[int], made: list[int], step: str = "train") -> int:
    run = start(ledger, key, tuple(bind(n) for n in sources), step)
    artifacts = [Artifact(digest(n), "model", 10 * n, n) for n in made]
    ledger.finish_run(run, outputs=[bind(n, "model", ()) for n in made], artifacts=artifacts, seconds=0.5)
    return run


def piece(subject: int, value: float = 0.9, interval=(0.8, 0.95), **more) -> Evidence:
    return Evidence(
        "quality.accuracy", value, interval, 100, "", digest(subject), digest(7), "test", "evaluator", 0, 0, **more
    )


def test_a_finished_run_reads_back_whole(ledger: Ledger) -> None:
    run = start(ledger, 1, (bind(1), bind(2, "extra", ())))
    ledger.finish_run(
        run, outputs=[bind(3, "model", ())], artifacts=[Artifact(digest(3), "model", 30, 2)],
        curves={"loss": [(1, 0.5), (2, math.nan), (2, 0.25)]}, notes=["chose a", "did b"], seconds=1.5,
    )  # fmt: skip
    found = ledger.completed(digest(1))
    assert found is not None
    assert found == ledger.run(run)
    assert (found.id, found.status, found.seed, found.seconds) == (run, "done", 3, 1.5)
    assert found.settings == {"epochs": 2, "text": "é\x00"}
    assert found.inputs == (bind(1), bind(2, "extra", ()))
    assert found.outputs == (bind(3, "model", ()),)
    assert found.notes == ("chose a", "did b")
    points = ledger.curves(run)["loss"]
    assert [step for step, _ in points] == [1, 2, 2]
    assert math.isnan(points[1][1])
    assert points[2][1] == 0.25
    assert ledger.artifact(digest(3)) == Artifact(digest(3), "model", 30, 2)


def test_only_done_runs_with_all_outputs_count_as_completed(ledger: Ledger) -> None:
    assert ledger.completed(digest(1)) is None
    running = start(ledger)
    assert ledger.completed(digest(1)) is None
    ledger.fail_run(running, "it broke \x00 here")
    assert ledger.completed(digest(1)) is None
    assert ledger.run(running).error == "it broke \\x00 here"
    first, second = make(ledger, 1, [5], [6]), make(ledger, 1, [5], [6])
    assert second > first
    assert ledger.completed(digest(1)).id == second
    ledger.forget_artifacts([digest(6)])
    assert ledger.completed(digest(1)) is None
    assert ledger.artifact(digest(6)) is None
    make(ledger, 2, [5], [6])
    assert ledger.completed(digest(1)).id == second, "made again, it serves the old key too"


def test_a_run_ends_once(ledger: Ledger) -> None:
    run = make(ledger, 1, [], [2])
    with pytest.raises(ConflictError):
        ledger.finish_run(run)
    with pytest.raises(ConflictError):
        ledger.fail_run(run, "late")
    ledger.kill_runs([run], "gone")
    assert ledger.run(run).status == "done"
    alive = start(ledger, 2)
    ledger.kill_runs([run, alive], "gone")
    assert ledger.run(alive).status == "killed"
    with pytest.raises(StoreError):
        ledger.run(10_000)


def test_nothing_of_a_finish_that_fails_is_kept(ledger: Ledger) -> None:
    run = start(ledger)
    changes = len(ledger.audit())
    with pytest.raises(StoreError):
        ledger.finish_run(
            run, outputs=[bind(3)], artifacts=[Artifact(digest(3), "model", 1, 1)], evidence=[piece(3)],
            curves={None: [(1, 1.0)]},  # type: ignore[dict-item]  # the last table refuses it
        )  # fmt: skip
    assert ledger.run(run).status == "running"
    assert ledger.run(run).outputs == ()
    assert ledger.artifact(digest(3)) is None
    assert ledger.evidence_about([digest(3)]) == ()
    assert len(ledger.audit()) == changes
    ledger.finish_run(run, outputs=[bind(3)], evidence=[piece(3)])
    assert ledger.evidence_about([digest(3)])[0].sequence == 1, "a counter that was rolled back is not spent"


def test_evidence_keeps_every_field_and_its_order(ledger: Ledger) -> None:
    run = start(ledger)
    given = [
        piece(1, slice={"language": "zh"}),
        piece(2, 3.0, "exact", against=digest(9)),
        piece(1, math.nan, None),
        piece(1, math.inf, (0.5, math.nan)),
    ]
    ledger.finish_run(run, evidence=given)
    found = ledger.evidence_about([digest(1), digest(2), digest(1)])
    assert [e.sequence for e in found] == [1, 2, 3, 4]
    assert {e.run for e in found} == {run}
    assert found[0].slice == {"language": "zh"}
    assert found[0].interval == (0.8, 0.95)
    assert (found[1].interval, found[1].against, found[1].value) == ("exact", digest(9), 3.0)
    assert found[2].interval is None
    assert math.isnan(found[2].value)
    assert math.isinf(found[3].value)
    assert math.isnan(found[3].interval[1])
    assert [e.sequence for e in ledger.evidence_about([digest(2)])] == [2]
    assert [e.sequence for e in ledger.evidence_of(run)] == [1, 2, 3, 4]
    again = start(ledger)
    ledger.finish_run(again, evidence=[piece(1)])
    assert ledger.evidence_of(again)[0].sequence == 5


def test_evidence_about_more_subjects_than_one_query_takes(ledger: Ledger) -> None:
    ledger.finish_run(start(ledger), evidence=[piece(n) for n in range(1200)])
    assert len(ledger.evidence_about(digest(n) for n in range(1200))) == 1200


def test_withdrawing_needs_a_name_and_a_reason_and_shows_both(ledger: Ledger) -> None:
    ledger.finish_run(start(ledger), evidence=[piece(1)])
    with pytest.raises(UsageError):
        ledger.withdraw(1, " ", "why")
    with pytest.raises(UsageError):
        ledger.withdraw(1, "Ann", "")
    ledger.withdraw(1, "Ann", "wrong labels")
    assert ledger.evidence_about([digest(1)])[0].withdrawn == "Ann: wrong labels"
    with pytest.raises(StoreError):
        ledger.withdraw(1, "Bob", "again")
    with pytest.raises(StoreError):
        ledger.withdraw(99, "Bob", "none")
    assert ledger.audit(1)[0].action == "evidence.withdrawn"


def test_openings_are_counted_even_if_the_run_fails(ledger: Ledger) -> None:
    failed = start(ledger, openings=[(digest(7), "test"), (digest(7), "test")])
    ledger.fail_run(failed, "no")
    done = start(ledger, 2, openings=[(digest(7), "test")])
    ledger.finish_run(done, openings=[(digest(7), "test"), (digest(8), "test")])
    assert ledger.openings(digest(7)) == (failed, done)
    assert ledger.openings(digest(8)) == (done,)
    assert ledger.openings(digest(7), "train") == ()


def test_lineage_goes_both_ways_to_any_depth_and_survives_cycles(ledger: Ledger) -> None:
    make(ledger, 1, [1], [2], "clean")
    make(ledger, 2, [2], [2], "clean again, nothing to do")
    make(ledger, 3, [2, 9], [3, 4], "split")
    make(ledger, 4, [3], [5], "train")
    make(ledger, 5, [8], [6], "other")
    make(ledger, 6, [5], [1], "a cycle")
    start(ledger, 7, (bind(5),), "running")
    up = {(link.parent, link.child) for link in ledger.lineage_up(digest(5))}
    assert up == {(digest(a), digest(b)) for a, b in [(1, 2), (2, 3), (9, 3), (3, 5), (5, 1)]}
    down = {(link.parent, link.child) for link in ledger.lineage_down(digest(9))}
    assert (digest(3), digest(5)) in down
    assert (digest(9), digest(4)) in down
    assert (digest(8), digest(6)) not in down
    assert ledger.lineage_up(digest(8)) == ()
    assert [link.step for link in ledger.lineage_down(digest(8))] == ["other"]


def test_runs_are_found_newest_first_by_project_step_and_status(ledger: Ledger) -> None:
    first, second = make(ledger, 1, [], [2], "a"), make(ledger, 2, [], [3], "b")
    third = start(ledger, 3, step="a")
    assert [run.id for run in ledger.runs()] == [third, second, first]
    assert [run.id for run in ledger.runs(step="a", status="done")] == [first]
    assert [run.id for run in ledger.runs(project="reviews", limit=1)] == [third]
    assert ledger.runs(project="other") == ()
    assert ledger.runs(step="b")[0].outputs == (bind(3, "model", ()),)


def test_needed_are_releases_running_inputs_and_the_last_runs_of_each_step(ledger: Ledger) -> None:
    for n in range(1, 6):
        make(ledger, n, [100 + n], [n], "a")
    make(ledger, 50, [], [50], "b")
    start(ledger, 60, (bind(60),), "c")
    failed = start(ledger, 61, (bind(61),), "c")
    ledger.fail_run(failed, "no")
    ledger.create_release(name="r", state="draft", model=digest(1), bundle=digest(70), decision="d", keeps=[digest(71)])
    expected = {4, 5, 104, 105, 50, 60, 1, 70, 71}
    assert ledger.needed(2) == {digest(n) for n in expected}
    assert ledger.unfinished(3) == {digest(60), digest(61)}


def release(ledger: Ledger, decision: str = "d", name: str = "reviews"):
    return ledger.create_release(
        name=name, state="released", model=digest(1), bundle=digest(2), decision=decision, keeps=[digest(3)]
    )


def test_versions_are_dense_for_each_name_and_a_decision_is_released_once(ledger: Ledger) -> None:
    assert [release(ledger, d).version for d in ("a", "b", "a", "c")] == [1, 2, 1, 3]
    assert release(ledger, "a", "other").version == 1
    assert ledger.release("reviews", 2).decision == "b"
    assert ledger.release_of("reviews", "b").version == 2
    assert ledger.release_of("reviews", "z") is None
    assert [r.version for r in ledger.releases("reviews")] == [3, 2, 1]
    assert len(ledger.releases()) == 4
    with pytest.raises(StoreError, match="reviews@9"):
        ledger.release("reviews", 9)


def test_an_alias_moves_only_from_the_revision_that_was_seen(ledger: Ledger) -> None:
    for decision in "abc":
        release(ledger, decision)
    with pytest.raises(StoreError):
        ledger.move_alias("reviews", "production", 9, 0)
    first = ledger.move_alias("reviews", "production", 1, 0)
    assert (first.version, first.revision, first.previous) == (1, 1, None)
    with pytest.raises(ConflictError):
        ledger.move_alias("reviews", "production", 2, 0)
    with pytest.raises(ConflictError):
        ledger.move_alias("reviews", "canary", 2, 1)
    second = ledger.move_alias("reviews", "production", 3, 1)
    assert (second.version, second.revision, second.previous) == (3, 2, 1)
    assert ledger.alias("reviews", "production") == second
    assert ledger.aliases() == (second,)
    assert ledger.alias("reviews", "canary") is None


def test_every_change_has_one_audit_row_and_one_outbox_row_in_order(ledger: Ledger) -> None:
    run = make(ledger, 1, [], [2])
    release(ledger)
    ledger.move_alias("reviews", "production", 1, 0)
    changes = ledger.audit()
    assert [change.action for change in changes] == ["alias.moved", "release.created", "run.finished", "run.started"]
    assert [change.change for change in changes] == [4, 3, 2, 1]
    assert changes[2].subject == str(run)
    waiting = ledger.undelivered()
    assert [change.change for change in waiting] == [1, 2, 3, 4]
    ledger.delivered(3)
    assert [change.action for change in ledger.undelivered()] == ["alias.moved"]
    assert len(ledger.audit(2)) == 2


def test_order_is_the_ledgers_own_when_the_clock_goes_back(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_utc", lambda: "2030-01-01T00:00:00Z")
    first = make(ledger, 1, [], [2])
    monkeypatch.setattr(clock, "now_utc", lambda: "1999-01-01T00:00:00Z")
    second = make(ledger, 1, [], [2])
    assert ledger.completed(digest(1)).id == second
    assert [run.id for run in ledger.runs()] == [second, first]


def test_invocations_are_remembered_with_their_outcome(ledger: Ledger) -> None:
    one = ledger.begin_invocation("reviews")
    run = start(ledger, invocation=one)
    ledger.finish_invocation(one, "failed", {"step": "train", "exit_code": 6})
    two = ledger.begin_invocation("other")
    assert [found.id for found in ledger.invocations()] == [two, one]
    (found,) = ledger.invocations(project="reviews")
    assert (found.status, found.outcome) == ("failed", {"step": "train", "exit_code": 6})
    assert [r.id for r in ledger.runs(invocation=one)] == [run]


def test_another_connection_sees_what_was_acknowledged(ledger: Ledger, connect_again: Callable[[], Ledger]) -> None:
    run = make(ledger, 1, [], [2])
    other = connect_again()
    assert other.completed(digest(1)).id == run
    assert make(other, 2, [], [3]) == run + 1
    other.close()
    assert ledger.completed(digest(2)).id == run + 1


def test_a_newer_ledger_is_refused(ledger: Ledger, connect_again: Callable[[], Ledger]) -> None:
    with ledger._database.transaction() as transaction:
        transaction.execute("UPDATE ledger_version SET version = 99", {})
    with pytest.raises(VersionError, match="99"):
        connect_again()


def test_a_migration_that_fails_half_way_leaves_the_version_before_it(
    ledger: Ledger, connect_again: Callable[[], Ledger]
) -> None:
    run = make(ledger, 1, [], [2])
    broken = (*schema.MIGRATIONS, ("CREATE TABLE half (x INTEGER)", "CREATE NONSENSE"))
    with pytest.raises(StoreError):
        schema.migrate(ledger._database, broken)
    assert schema.version_of(ledger._database) == 1
    assert not ledger._database.has_table("half")
    mended = (*schema.MIGRATIONS, ("CREATE TABLE half (x INTEGER)",))
    schema.migrate(ledger._database, mended)
    schema.migrate(ledger._database, mended)
    assert schema.version_of(ledger._database) == 2
    assert ledger.completed(digest(1)).id == run


def test_a_password_in_the_url_is_never_shown() -> None:
    with pytest.raises(StoreError) as caught:
        connect(Path("unused"), "postgresql://user:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)
