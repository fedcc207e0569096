"""Scrubbing finds what is wrong; `gc` frees what nothing needs, and nothing else, beside living runs."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest
from support import store_workload

import modelyard.store
from modelyard.core.run import Binding
from modelyard.errors import IntegrityError, UsageError
from modelyard.store import Ledger, Store, collect, sessions


@pytest.fixture
def store(tmp_path: Path):
    with modelyard.store.open(tmp_path / "store") as opened:
        yield opened


def reopen(store: Store) -> Store:
    """As the next process sees it: pins of this one are gone."""
    store.close()
    return modelyard.store.open(store.root)


def run(store: Store, text: str, step: str = "train", inputs: tuple[Binding, ...] = ()) -> str:
    artifact = store_workload.make(store, text)
    store_workload.run(store, f"key of {text}", step, artifact, inputs)
    return artifact.digest


def test_only_what_nothing_needs_is_removed_and_counted(store: Store) -> None:
    source = run(store, "source", "read")
    old = [run(store, f"old {n}", "train", (Binding("data", source, source),)) for n in range(3)]
    new = [run(store, f"new {n}") for n in range(2)]
    released = old[0]
    store.ledger.create_release(name="r", state="draft", model=released, bundle=source, decision="d")
    loose = store_workload.make(store, "loose").digest
    store = reopen(store)
    planned = collect.gc(store, keep_recent_runs=2, dry_run=True)
    assert planned.dry_run
    assert len(store.artifacts.digests()) == 7
    freed = collect.gc(store, keep_recent_runs=2)
    assert {artifact.digest for artifact in freed.artifacts} == {old[1], old[2], loose}
    assert freed.artifacts == planned.artifacts
    assert freed.artifact_bytes == sum(artifact.size for artifact in freed.artifacts) > 0
    assert set(store.artifacts.digests()) == {source, released, *new}
    assert store.ledger.completed("key of old 1") is None, "what was removed no longer counts as made"
    assert store.ledger.completed("key of old 0") is not None
    scrub = collect.verify_store(store)
    assert (scrub.problems, scrub.orphans, scrub.num_artifacts) == ((), (), 4)
    assert collect.gc(store, keep_recent_runs=2).artifacts == ()
    run(store, "old 1")
    assert store.ledger.completed("key of old 1") is not None
    store.close()


def test_what_a_running_run_reads_stays(store: Store) -> None:
    digest = store_workload.make(store, "input").digest
    with store.artifacts.lock("running"):
        store.ledger.start_run(
            key="running", project="p", step="s", uses="u", seed=0, settings={}, identity={}, environment={},
            inputs=[Binding("data", digest, digest)],
        )  # fmt: skip
        other = modelyard.store.open(store.root)
        store.artifacts._session.close()
        assert collect.gc(other).artifacts == ()
    assert collect.gc(other).killed == (1,)
    assert [artifact.digest for artifact in collect.gc(other).artifacts] in ([], [digest])
    assert not other.artifacts.has(digest)
    other.close()


def test_what_a_living_process_committed_or_views_stays_until_it_ends(store: Store, tmp_path: Path) -> None:
    committed = store_workload.make(store, "not yet in the ledger").digest
    other = modelyard.store.open(store.root)
    assert collect.gc(other).artifacts == ()
    store = reopen(store)
    store.artifacts.view(committed, ["train"], tmp_path / "view")
    assert collect.gc(other).artifacts == ()
    store = reopen(store)
    store.artifacts.use(committed)
    assert collect.gc(other).artifacts == ()
    store = reopen(store)
    assert [artifact.digest for artifact in collect.gc(other).artifacts] == [committed]
    other.close()
    store.close()


def test_a_commit_of_the_same_bytes_while_gc_works_is_never_lost(store: Store) -> None:
    """Children commit and record the same bytes again and again while `gc` runs as often as it can."""
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            try:
                for turn in range(15):
                    with modelyard.store.open(store.root) as mine:
                        artifact = store_workload.make(mine, f"shared {turn % 3}")
                        with mine.artifacts.lock(f"k {number} {turn}"):  # else gc takes the run for a dead one
                            store_workload.run(mine, f"k {number} {turn}", f"step {turn % 3}", artifact)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        children.append(child)
    statuses = []
    while children:
        collect.gc(store, keep_recent_runs=1)
        done, status = os.waitpid(children[0], os.WNOHANG)
        if done:
            statuses.append(status)
            children.pop(0)
    assert statuses == [0, 0, 0]
    assert collect.verify_store(store).problems == ()
    for found in store.ledger.runs(status="done", limit=3):
        assert store.ledger.artifact(found.outputs[0].digest) is not None
        store.artifacts.verify(found.outputs[0].digest, deep=True)


def test_a_run_that_ends_while_gc_looks_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever gc reads first, pins or ledger, the run ends right after: its pin goes, its record comes."""
    other = modelyard.store.open(store.root)
    artifact = store_workload.make(other, "made just now")
    ended = []

    def then_the_run_ends(look):
        def call(*arguments):
            seen = look(*arguments)
            if not ended:
                ended.append(store_workload.run(other, "key", "step", artifact))
                other.close()
            return seen

        return call

    monkeypatch.setattr(sessions, "pinned", then_the_run_ends(sessions.pinned))
    monkeypatch.setattr(Ledger, "needed", then_the_run_ends(Ledger.needed))
    assert collect.gc(store).artifacts == ()
    assert ended
    store.artifacts.verify(artifact.digest, deep=True)


def test_scratch_of_a_run_that_may_resume_stays_and_of_a_done_one_goes(store: Store) -> None:
    for key, outcome in (("fails", "failed"), ("works", "done")):
        number = store.ledger.start_run(
            key=key, project="p", step=key, uses="u", seed=0, settings={}, identity={}, environment={}
        )
        (store.artifacts.scratch(key) / "checkpoint").write_bytes(b"x" * 100)
        if outcome == "done":
            store.ledger.finish_run(number)
        else:
            store.ledger.fail_run(number, "no")
    (store.artifacts.scratch("nobody knows") / "checkpoint").write_bytes(b"x" * 10)
    (store.artifacts.scratch("somebody works here") / "checkpoint").write_bytes(b"x" * 10)
    with store.artifacts.lock("somebody works here"):
        freed = collect.gc(store)
    assert freed.scratch_bytes == 110
    assert (store.artifacts.scratch("fails") / "checkpoint").exists()
    assert not (store.artifacts.scratch("works") / "checkpoint").exists()
    assert (store.artifacts.scratch("somebody works here") / "checkpoint").exists()


def test_keeping_nothing_recent_is_refused(store: Store) -> None:
    with pytest.raises(UsageError):
        collect.gc(store, keep_recent_runs=0)


def test_scrubbing_names_each_damaged_file_and_can_set_it_aside(store: Store) -> None:
    good, bad = run(store, "good", "a"), run(store, "bad", "b")
    file = store.artifacts.path(bad) / "train" / "rows"
    os.chmod(file, 0o644)
    file.write_text("bad" * 49 + "BAD")
    scrub = collect.verify_store(store)
    assert [problem.where for problem in scrub.problems] == [str(file)]
    assert scrub.quarantined == ()
    assert store.ledger.completed("key of bad") is not None
    scrub = collect.verify_store(store, quarantine=True)
    assert scrub.quarantined == (bad,)
    assert store.ledger.completed("key of bad") is None
    assert collect.verify_store(store).problems == ()
    assert collect.gc(store).quarantine_bytes > 0
    assert run(store, "bad", "b") == bad
    store.artifacts.verify(bad, deep=True)
    store.artifacts.verify(good, deep=True)


def test_scrubbing_reports_what_is_referenced_and_not_there(store: Store) -> None:
    lost = run(store, "lost")
    store.ledger.create_release(name="r", state="draft", model=lost, bundle=lost, decision="d")
    store.artifacts.quarantine(lost, "gone")
    places = [problem.where for problem in collect.verify_store(store).problems]
    assert "r@1" in places
    assert str(store.root / "artifacts") in places


def test_halves_of_artifacts_are_orphans_and_go(store: Store) -> None:
    digest = run(store, "whole")
    folder = store.artifacts.path(digest)
    (folder.parent / "half").mkdir()
    (folder.parent / "half" / "file").write_text("x")
    (folder.parent / ".temporary.tmp").write_text("x")
    assert {path.name for path in collect.verify_store(store).orphans} == {"half", ".temporary.tmp"}
    assert collect.gc(store).temporary_bytes == 2
    assert collect.verify_store(store).orphans == ()
    store.artifacts.verify(digest, deep=True)


def test_a_damaged_ledger_is_a_finding_not_a_crash(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.ledger._database, "check", lambda: ["row 3 missing from index"], raising=True)
    assert "row 3" in collect.verify_store(store).problems[0].found


def test_damage_is_an_integrity_error_for_who_reads(store: Store) -> None:
    digest = run(store, "x")
    (store.artifacts.path(digest) / "extra").write_text("x")
    with pytest.raises(IntegrityError, match="extra"):
        store.artifacts.use(digest)
