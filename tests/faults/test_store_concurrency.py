"""Several processes at once: versions stay dense, no move of an alias is lost, equal artifacts are stored once."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from support import store_workload

import modelyard.store
from modelyard.errors import ConflictError
from modelyard.store import Ledger, Store

pytest_plugins = ("support.postgres", "support.quick_disk")

PROCESSES = 6
TURNS = 8


@pytest.fixture(params=["sqlite", "postgresql"])
def open_store(request: pytest.FixtureRequest, quick_disk: Path) -> Callable[[], Store]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    modelyard.store.open(quick_disk, url).close()
    return lambda: modelyard.store.open(quick_disk, url)


def in_processes(open_store: Callable[[], Store], work: Callable[[Store, int], list]) -> list[list]:
    """Run `work` in several processes at once; what each returned."""
    pipes = []
    for number in range(PROCESSES):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            try:
                with open_store() as store, os.fdopen(writer, "w") as stream:
                    json.dump(work(store, number), stream)
            finally:
                os._exit(0)
        os.close(writer)
        pipes.append((child, reader))
    results = []
    for child, reader in pipes:
        with os.fdopen(reader) as stream:
            results.append(json.loads(stream.read()))
        os.waitpid(child, 0)
    return results


def flat(lists: Iterable[list]) -> list:
    return list(itertools.chain.from_iterable(lists))


def create(ledger: Ledger, decision: str) -> int:
    digest = "sha256:" + "1" * 64
    return ledger.create_release(name="r", state="draft", model=digest, bundle=digest, decision=decision).version


def test_versions_made_at_once_are_dense_and_unique(open_store: Callable[[], Store]) -> None:
    made = in_processes(open_store, lambda store, me: [create(store.ledger, f"{me} {n}") for n in range(TURNS)])
    assert sorted(flat(made)) == list(range(1, PROCESSES * TURNS + 1))
    for versions in made:
        assert versions == sorted(versions)


def test_one_decision_made_at_once_is_released_once(open_store: Callable[[], Store]) -> None:
    made = in_processes(open_store, lambda store, me: [create(store.ledger, f"same {n}") for n in range(TURNS)])
    assert all(sorted(versions) == list(range(1, TURNS + 1)) for versions in made)


def test_no_move_of_an_alias_is_lost_and_who_comes_late_is_told(open_store: Callable[[], Store]) -> None:
    with open_store() as store:
        for number in range(PROCESSES):
            create(store.ledger, str(number))

    def move(store: Store, me: int) -> list:
        moves, conflicts = [], 0
        while len(moves) < TURNS:
            seen = store.ledger.alias("r", "production")
            try:
                moved = store.ledger.move_alias("r", "production", me + 1, seen.revision if seen else 0)
            except ConflictError:
                conflicts += 1
                continue
            assert moved.previous == (seen.version if seen else None)
            moves.append(moved.revision)
        return [moves, conflicts]

    results = in_processes(open_store, move)
    revisions = sorted(flat(moves for moves, _ in results))
    assert revisions == list(range(1, PROCESSES * TURNS + 1))
    with open_store() as store:
        assert store.ledger.alias("r", "production").revision == PROCESSES * TURNS
        moved = [change for change in store.ledger.audit(1000) if change.action == "alias.moved"]
        assert len(moved) == PROCESSES * TURNS
        assert [change.change for change in store.ledger.audit(1000)] == list(
            range(PROCESSES * TURNS + PROCESSES, 0, -1)
        )


def test_a_stale_revision_always_loses(open_store: Callable[[], Store]) -> None:
    with open_store() as store:
        create(store.ledger, "a")
        store.ledger.move_alias("r", "production", 1, 0)

    def try_from_one(store: Store, me: int) -> list:
        try:
            return [store.ledger.move_alias("r", "production", 1, 1).revision]
        except ConflictError:
            return []

    assert sorted(in_processes(open_store, try_from_one)) == [[]] * (PROCESSES - 1) + [[2]]


def test_equal_artifacts_committed_at_once_are_stored_once_and_whole(open_store: Callable[[], Store]) -> None:
    made = in_processes(
        open_store, lambda store, me: [store_workload.make(store, f"text {n}").digest for n in range(TURNS)]
    )
    assert len({tuple(digests) for digests in made}) == 1
    with open_store() as store:
        assert store.artifacts.digests() == sorted(made[0])
        for digest in made[0]:
            store.artifacts.verify(digest, deep=True)
        assert list((store.root / "tmp").iterdir()) == []


def test_one_key_is_made_by_one_process_and_the_others_find_it(open_store: Callable[[], Store]) -> None:
    def make_once(store: Store, me: int) -> list:
        with store.artifacts.lock("key"):
            if store.ledger.completed("key") is None:
                store_workload.run(store, "key", "step", store_workload.make(store, "x"))
                return [1]
        return [0]

    assert sum(flat(in_processes(open_store, make_once))) == 1


def test_opening_a_new_ledger_at_once_migrates_it_once(quick_disk: Path, request: pytest.FixtureRequest) -> None:
    for url in (None, request.getfixturevalue("postgres_url")):
        root = quick_disk / ("a" if url is None else "b")
        made = in_processes(
            lambda root=root, url=url: modelyard.store.open(root, url),
            lambda store, me: [store.ledger.begin_invocation("p")],
        )
        assert sorted(flat(made)) == list(range(1, PROCESSES + 1))
