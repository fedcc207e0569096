"""Models by name or path: from a release, a bundle folder or a model folder to a predictor."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.app.releases import folder_of
from modelyard.app.session import open_store
from modelyard.base.files import is_file
from modelyard.base.messages import t
from modelyard.errors import InputError

if TYPE_CHECKING:
    from modelyard.methods.runtimes.predictor import Prediction, Predictor
    from modelyard.serving import ServingSettings

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Located:
    """A model folder that may be loaded, and what it is called.

    Attributes:
        name: the release's name, or the folder's.
        version: of the release; 1 for a folder.
        released: whether it comes from a release that passed its rules.
    """

    path: Path
    name: str
    version: int
    released: bool


def locate(reference: str | Path, *, project: str | Path | None = None, profile: str | None = None) -> Located:
    """Find a model and check its bytes.

    Args:
        reference: `name`, `name@version`, `name:alias`; or a bundle's folder, or a model folder.

    Raises:
        IntegrityError: the bytes or the signature do not fit.
        StoreError: there is no such release.
    """
    path = Path(reference)
    if is_file(path / "release.json"):
        from modelyard.app.releases import verify_release

        verified = verify_release(path)
        about = json.loads((path / "release.json").read_text(encoding="utf-8"))
        return Located(path / "model", verified.name, about["version"], about["state"] == "released")
    if is_file(path / "model.json"):
        return Located(path, path.resolve().name, 1, False)
    from modelyard.engine.releases import resolve, verified_bundle

    with open_store(folder_of(project), profile) as (_, store):
        item = resolve(store, str(reference))
        folder = verified_bundle(store, item)
        return Located(folder / "model", item.name, item.version, item.state == "released")


def load(
    reference: str | Path,
    *,
    project: str | Path | None = None,
    profile: str | None = None,
    threads: int | None = None,
) -> Predictor:
    """Open a release or a model folder as a predictor; see `locate` for what a reference may be."""
    from modelyard.methods.runtimes import load as open_model

    return open_model(locate(reference, project=project, profile=profile).path, threads=threads)


def predict(
    reference: str | Path,
    records: Sequence[str | Mapping[str, Any]],
    *,
    project: str | Path | None = None,
    profile: str | None = None,
) -> list[Prediction]:
    """Ask a release or a model folder. A string stands for `{"text": …}`; for a model that reads no text it is a
    record as JSON.

    Raises InputError if a text holds half a character (its bytes were not UTF-8), or is no JSON where it must be.
    """
    for position, item in enumerate(records):
        text = item if isinstance(item, str) else item.get("text") if isinstance(item, Mapping) else None
        if isinstance(text, str) and _SURROGATE.search(text):
            raise InputError(t("the text is not UTF-8"), where=f"records[{position}]", expected="UTF-8")
    from modelyard.methods.tasks import find

    predictor = load(reference, project=project, profile=profile)
    try:
        reads_text = "text" in find(predictor.task).inputs
        return predictor.predict([_record(item, place, reads_text) for place, item in enumerate(records)])
    finally:
        predictor.close()


def _record(item: str | Mapping[str, Any], place: int, reads_text: bool) -> Mapping[str, Any]:
    """A string as the record it stands for."""
    if not isinstance(item, str):
        return item
    if reads_text:
        return {"text": item}
    try:
        value = json.loads(item)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(
            t("the model reads no text"),
            where=f"records[{place}]",
            expected=t("a record as JSON: {example}", example="{…}"),
        )
    return value


def serve(
    references: Sequence[str | Path],
    settings: ServingSettings,
    *,
    project: str | Path | None = None,
    profile: str | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve releases until stopped. Each is verified, loaded and tested on its golden inputs before the port opens.

    Args:
        say: told the address and what is loaded.

    Raises ServingError if an address is refused or a model does not pass its self-test.
    """
    from modelyard import serving

    found = [locate(reference, project=project, profile=profile) for reference in references]
    names = [item.name for item in found]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise InputError(t("two models are called {names}", names=", ".join(double)))
    serving.serve({item.name: serving.ModelSource(item.path, item.version) for item in found}, settings, say=say)
