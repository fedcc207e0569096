"""What a step takes from a release of the store: the model's artifact and the data set it was measured on.

The setting that `Stage.release` names says which release, as everywhere: `name`, `name@3`, `name:alias`. The digests it
leads to stand in the run's key instead of the words, so that an alias that moves is another key and one that does not
is none. The outputs are the released artifacts themselves, with all their evidence: nothing is copied.
"""

from __future__ import annotations

import json
from typing import Any

from modelyard.base.messages import did_you_mean, t
from modelyard.core.release import Release
from modelyard.engine.bound import BoundProject, BoundStep
from modelyard.engine.context import StageContext
from modelyard.engine.releases import resolve, verified_bundle
from modelyard.errors import InputError, StoreError
from modelyard.store import Store

PART = "release"
MODEL, DATA = "model", "data"
WHOLE = {"train", "validation", "test"}


def digests_of(store: Store, bound: BoundProject, step: BoundStep) -> dict[str, str]:
    """Output port to the digest of the released artifact.

    Raises:
        StoreError: there is no such release, or what it keeps is gone.
        InputError: another step takes the data, and it cannot be told which data set it is.
    """
    release = _release(store, step)
    found = {MODEL: release.model}
    if any((step.name, DATA) in item.parents() for item in bound.steps):
        found[DATA] = _data(store, release, step)
    gone = [digest for digest in found.values() if not store.artifacts.has(digest)]
    if gone:
        raise StoreError(
            t("what the release {name}@{version} keeps is gone", name=release.name, version=release.version),
            where=gone[0],
            remedy=t("run its project again: equal bytes come back under the same digest"),
        )
    return found


def adopt(store: Store, step: BoundStep, digests: dict[str, str], context: StageContext) -> None:
    """Make the released artifacts the step's outputs, after the bundle's signature and every byte were checked."""
    release = _release(store, step)
    verified_bundle(store, release)
    for digest in digests.values():
        store.artifacts.use(digest)
    context.adopted.update(digests)
    name, version = release.name, release.version
    context.say(t("{name}@{version}, model {digest}", name=name, version=version, digest=release.model[:19]))
    if release.state == "draft":
        context.say(t("{name}@{version} is a draft: it has passed no rule", name=name, version=version))


def data_of(store: Store, release: Release) -> str | None:
    """Digest of the data set a release was measured on; None if the store has none, or several."""
    found = _datasets(store, release) if store.artifacts.has(release.bundle) else {}
    return next(iter(found.values())) if len(found) == 1 else None


def _release(store: Store, step: BoundStep) -> Release:
    return resolve(store, str(getattr(step.config, step.stage.release)))


def _data(store: Store, release: Release, step: BoundStep) -> str:
    """The data set with all three splits that the release's evidence is about; by its step if there are several."""
    made = _datasets(store, release)
    wanted = getattr(step.config, DATA, None)
    if wanted is None and len(made) == 1:
        return next(iter(made.values()))
    if wanted in made:
        return made[wanted]
    where = f"{release.name}@{release.version}"
    if not made:
        raise InputError(
            t("the release was measured on no data set with train, validation and test"),
            where=where,
            remedy=t("read and split its data in a step of this project instead"),
        )
    raise InputError(
        t("the release has several data sets") if wanted is None else t("it has no data set of `{step}`", step=wanted),
        where=where,
        expected=t("`data`: one of {known}", known=", ".join(made)),
        remedy=did_you_mean(wanted or "", list(made)),
    )


def _datasets(store: Store, release: Release) -> dict[str, str]:
    """Step to digest of the data sets named in the bundle's record that hold all splits, in the record's order."""
    record: Any = json.loads((store.artifacts.path(release.bundle) / "card.json").read_text(encoding="utf-8"))
    measured = {item["dataset"] for item in record["evidence"]}
    found: dict[str, str] = {}
    for run in record["runs"]:
        for output in run["outputs"]:
            digest = output["digest"]
            if digest in measured and digest not in found.values() and _is_whole(store, digest):
                found[run["step"]] = digest
    return found


def _is_whole(store: Store, digest: str) -> bool:
    return store.artifacts.has(digest) and set(store.artifacts.manifest(digest).splits()) >= WHOLE
