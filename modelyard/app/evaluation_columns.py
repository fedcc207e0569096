"""Which columns of a file of rows a model is measured on: those it was made from, else those that hold its classes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.app.served_model import settings_of
from modelyard.base.files import is_file, is_folder
from modelyard.base.messages import t
from modelyard.engine.guess import columns_of, guess
from modelyard.engine.guessed import ColumnStatistics, Guessed
from modelyard.errors import InputError, UsageError

if TYPE_CHECKING:
    from modelyard.core.release import Release
    from modelyard.store import Store

ROLES = ("text", "label", "target")
CLASSES = ("text-classification", "tabular-classification", "image-classification")
NAMED = 10
"""Unknown labels named in an error."""


@dataclass(frozen=True)
class Subject:
    """A model that is to be measured, as far as it is known before anything runs.

    Attributes:
        kind: `release`, `folder` or `endpoint`.
        step: the step of a project that brings it, without its inputs.
        task, labels: of the model, empty if it does not say.
        columns: by role the columns it was made from, the first source first.
        names: of values of the label column, where its data step gave them other names.
        trained: `name@version` of the release whose training rows the store has, `` if there is none.
    """

    kind: str
    step: Mapping[str, Any]
    task: str = ""
    labels: tuple[str, ...] = ()
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    trained: str = ""

    @property
    def classifies(self) -> bool:
        """Whether each row has one of a list of classes that is known."""
        return self.task in CLASSES and bool(self.labels)


def subject(reference: str | Path, store: Store) -> Subject:
    """What is known of a release, a bundle's or a model's folder, or a service.

    Raises:
        UsageError: a folder that holds neither.
        StoreError: there is no such release.
    """
    path = Path(reference)
    if re.match(r"https?://", str(reference)):
        settings = settings_of(str(reference))
        labels = tuple(settings.get("classes") or ())
        return Subject("endpoint", {"uses": "evaluate.endpoint", "with": settings}, settings.get("task") or "", labels)
    if is_file(path / "model.json"):
        return _folder(path, path.parent, store)
    if is_file(path / "release.json") and is_file(path / "model" / "model.json"):
        return _folder(path / "model", path, store)
    if is_folder(path) and ("/" in str(reference) or isinstance(reference, Path)):
        raise UsageError(
            t("this folder holds no model"), where=str(reference),
            expected=t("a model folder with model.json, or a release's folder with release.json and model/"),
        )  # fmt: skip
    return _released(str(reference), store)


def _folder(model: Path, bundle: Path, store: Store) -> Subject:
    from modelyard.methods.runtimes.manifest import manifest

    digest = manifest(model).digest
    made = next((one for one in store.ledger.releases() if one.model == digest), None)
    place = bundle if is_file(bundle / "release.json") else store.artifacts.path(made.bundle) if made else None
    step = {"uses": "model.folder", "with": {"path": str(model.resolve())}}
    return Subject("folder", step, *_about(model), *_columns(place), _trained(made, store))


def _released(reference: str, store: Store) -> Subject:
    from modelyard.engine.releases import resolve

    release = resolve(store, reference)
    step = {"uses": "model.release", "with": {"release": reference}}
    if not store.artifacts.has(release.bundle):
        return Subject("release", step)
    bundle = store.artifacts.path(release.bundle)
    return Subject("release", step, *_about(bundle / "model"), *_columns(bundle), _trained(release, store))


def _trained(release: Release | None, store: Store) -> str:
    from modelyard.engine.released import data_of

    return f"{release.name}@{release.version}" if release and data_of(store, release) else ""


def _about(model: Path) -> tuple[str, tuple[str, ...]]:
    """Task and classes. A card that cannot be read is for the step that opens it to refuse."""
    value = _json(model / "model.json")
    labels = value.get("labels")
    return str(value.get("task") or ""), tuple(map(str, labels)) if isinstance(labels, list) else ()


def _columns(bundle: Path | None) -> tuple[dict[str, list[str]], dict[str, str]]:
    """By role the columns that the data steps of a release name, and their names of labels."""
    found: dict[str, list[str]] = {role: [] for role in ROLES}
    names: dict[str, str] = {}
    steps = _json(bundle / "release.json").get("steps") if bundle else None
    for step in steps if isinstance(steps, list) else []:
        settings = step.get("settings", {}) if str(step.get("uses", "")).startswith("data.") else {}
        for role in ROLES:
            if isinstance(settings.get(role), str):
                found[role].append(settings[role])
        if isinstance(settings.get("labels"), dict) and isinstance(settings.get("label"), str):
            names |= {str(value): str(name) for value, name in settings["labels"].items()}
    return found, names


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Taken:
    """Settings of `data.read`, and what they took, in words."""

    settings: Mapping[str, Any]
    told: str


def taken(file: Path, given: Mapping[str, str], subjects: Sequence[Subject]) -> Taken:
    """The columns of a file of rows. What was given goes before what the models were made from, and that before what
    the values look like.

    Args:
        given: columns by role.
        subjects: the model, and what it is compared with.

    Raises:
        InputError: no column or more than one holds the model's classes, or labels that the model does not know.
    """
    return _Looking(file, given, subjects).taken()


class _Looking:
    """A file and the models that are to be measured on it."""

    def __init__(self, file: Path, given: Mapping[str, str], subjects: Sequence[Subject]) -> None:
        self._file, self._given, self._subjects = file, given, subjects
        self._model = next((one for one in subjects if one.classifies), None)

    @cached_property
    def _there(self) -> dict[str, ColumnStatistics]:
        return {} if self._file.is_dir() else {one.name: one for one in columns_of(self._file)}

    @cached_property
    def _guessed(self) -> Guessed:
        return guess(self._file)

    def taken(self) -> Taken:
        found = dict(self._given)
        if not {"label", "target"} & set(found) and (goal := self._goal()):
            found[goal[0]] = goal[1]
        if "text" not in found and (text := self._text()):
            found["text"] = text
        settings: dict[str, Any] = {role: found[role] for role in ROLES if role in found}
        if "label" in found and found["label"] in self._there:
            settings |= self._judged(self._there[found["label"]])
        told = ", ".join(f"{role} = `{found[role]}`" for role in ROLES if role in found)
        return Taken(settings, t("columns taken of {file}: {columns}", file=self._file.name, columns=told or "-"))

    def _made_from(self, role: str) -> str | None:
        """A column the models were made from, if the file has it."""
        named = (name for one in self._subjects for name in one.columns.get(role, ()))
        return next((name for name in named if name in self._there), None)

    def _text(self) -> str | None:
        task = next((one.task for one in self._subjects if one.task), "")
        if task.startswith(("tabular-", "image-")) or (self._given and not task):
            return None
        return self._made_from("text") or self._guessed.text

    def _goal(self) -> tuple[str, str] | None:
        for role in ("label", "target"):
            if name := self._made_from(role):
                return role, name
        if self._model is not None and self._there:
            return "label", self._of_classes(self._model)
        if self._guessed.label:
            return "label", self._guessed.label
        return ("target", self._guessed.target) if self._guessed.target else None

    def _of_classes(self, model: Subject) -> str:
        """The column whose values are the model's classes; one that holds some of them is refused by its values."""
        known = {*model.labels, *model.names}
        there = list(self._there.values())
        whole = [one.name for one in there if one.values and not one.many and set(one.values) <= known]
        some = whole or [one.name for one in there if set(one.values) & set(model.labels)]
        if len(some) == 1:
            return some[0]
        guessed = self._guessed.label
        if guessed in some:
            return str(guessed)
        raise InputError(
            t("columns that hold the model's classes: {names}", names=", ".join(f"`{name}`" for name in some))
            if some
            else t("no column holds the model's classes"),
            where=str(self._file),
            expected=t("labels of the model: {known}", known=_some(model.labels)),
            remedy=t("name the column: `--label COLUMN`"),
        )

    def _judged(self, column: ColumnStatistics) -> dict[str, Any]:
        """Further settings of `data.read` for the labels. Raises InputError for those the model does not know."""
        model = self._model
        if model is None:
            return {}
        known = set(model.labels)
        unknown = list(_strange(column, known))
        if unknown and model.names and set(column.values) <= set(model.names):
            return {"labels": dict(model.names)}
        if not unknown:
            return {}
        named = ", ".join(f"`{value}` ({column.values[value]})" for value in unknown[:NAMED])
        raise InputError(
            t(
                "the data has labels that the model does not know: {named}",
                named=named + ", …" * (len(unknown) > NAMED),
            ),
            where=f"{self._file}: {column.name}",
            expected=t("labels of the model: {known}", known=_some(model.labels)),
            remedy=t("name the column: `--label COLUMN`"),
        )


def _strange(column: ColumnStatistics, known: set[str]) -> Iterator[str]:
    return (value for value, _ in column.values.most_common() if value not in known and value.strip() not in known)


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:NAMED]) + ", …" * (len(labels) > NAMED)
