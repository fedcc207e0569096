"""A small life of a store, for tests that interrupt it: two runs, evidence, curves, a release, an alias, then `gc`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import modelyard.store
from modelyard.core.artifact import Artifact
from modelyard.core.evidence import Evidence
from modelyard.core.run import Binding
from modelyard.store import Store, collect

Acknowledge = Callable[[str], None]
POINTS = [(step, 1.0 / (step + 1)) for step in range(5)]


def make(store: Store, text: str, kind: str = "dataset") -> Artifact:
    """Commit two small files, one in a folder."""
    folder = store.artifacts.workspace()
    (folder / "train").mkdir()
    (folder / "train" / "rows").write_text(text * 50, encoding="utf-8")
    (folder / "dataset.json").write_text("{}", encoding="utf-8")
    return store.artifacts.commit(folder, kind)


def run(store: Store, key: str, step: str, artifact: Artifact, inputs: tuple[Binding, ...] = ()) -> int:
    """Record a run that made `artifact`."""
    number = store.ledger.start_run(
        key=key, project="p", step=step, uses="u", seed=0, settings={}, identity={}, environment={}, inputs=inputs
    )
    subject = artifact.digest
    evidence = [Evidence("a.b", 0.5, (0.4, 0.6), 10, "", subject, "", "", "e", 0, 0) for _ in range(3)]
    store.ledger.finish_run(
        number, outputs=[Binding("data", subject, subject, ("train",))], artifacts=[artifact], evidence=evidence,
        curves={"loss": POINTS}, notes=["done"], seconds=0.1,
    )  # fmt: skip
    return number


def live(root: Path, acknowledge: Acknowledge) -> None:
    """Do it all; what `acknowledge` was told must be there for ever. Can be repeated on what an earlier life left."""
    with modelyard.store.open(root) as store:
        first = make(store, "first")
        with store.artifacts.lock("key 1"):
            acknowledge(f"run {run(store, 'key 1', 'one', first)}")
        second = make(store, "second", "model")
        (store.artifacts.scratch("key 2") / "checkpoint").write_text("half")
        with store.artifacts.lock("key 2"):
            bound = Binding("data", first.digest, first.digest, ("train",))
            acknowledge(f"run {run(store, 'key 2', 'two', second, (bound,))}")
        store.artifacts.drop_scratch("key 2")
        make(store, "nobody needs this")
        release = store.ledger.create_release(
            name="p", state="draft", model=second.digest, bundle=first.digest, decision="d"
        )
        acknowledge(f"release {release.version}")
        alias = store.ledger.alias("p", "production")
        moved = store.ledger.move_alias("p", "production", release.version, alias.revision if alias else 0)
        acknowledge(f"alias {moved.revision}")
    with modelyard.store.open(root) as store:
        collect.gc(store)


def check(root: Path, acknowledged: list[str]) -> None:
    """The store opens, is whole, holds what was acknowledged, and shows nothing half."""
    with modelyard.store.open(root) as store:
        scrub = collect.verify_store(store)
        assert scrub.problems == ()
        runs = store.ledger.runs()
        for found in runs:
            whole = found.status == "done"
            assert len(found.outputs) == (1 if whole else 0)
            assert len(store.ledger.evidence_of(found.id)) == (3 if whole else 0)
            assert len(store.ledger.curves(found.id).get("loss", ())) == (len(POINTS) if whole else 0)
            for binding in found.outputs:
                store.artifacts.verify(binding.digest, deep=True)
        done = {found.id for found in runs if found.status == "done"}
        releases = {release.version for release in store.ledger.releases("p")}
        alias = store.ledger.alias("p", "production")
        assert releases <= {1}
        for line in acknowledged:
            word, number = line.split()
            there = {"run": done, "release": releases, "alias": set(range(1, alias.revision + 1)) if alias else set()}
            assert int(number) in there[word], line
        changes = [change.change for change in store.ledger.audit(1000)]
        assert changes == sorted(changes, reverse=True)
        assert [change.change for change in store.ledger.undelivered(1000)] == changes[::-1]
        collect.gc(store)
        assert collect.verify_store(store).problems == ()
        assert collect.verify_store(store).orphans == ()
