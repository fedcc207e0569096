"""A folder that the library `datasets` wrote with `save_to_disk`, read without that library.

dataset_dict.json                      {"splits": ["train", "test"]}, one folder each; or no such file and one set
dataset_info.json                      what each column is: `ClassLabel` with its names, `Image` …
state.json                             the Arrow files in order
data-00000-of-00001.arrow              rows, as an Arrow stream
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.files.tree import Tree
from modelyard.methods.data.roles import SPLIT_WORDS
from modelyard.methods.data.rows import Bad, Row
from modelyard.methods.data.sources import Source
from modelyard.methods.data.structured import TableReader

DICT, INFO, STATE = "dataset_dict.json", "dataset_info.json", "state.json"
MAX_JSON_BYTES = 1 << 24


@dataclass(frozen=True)
class Part:
    """One Arrow file of a saved set: its name in the tree, its split, and the names of its classes by column."""

    name: str
    split: str | None
    classes: Mapping[str, list[str]]


def is_saved(names: set[str]) -> bool:
    """Whether a folder holding these files was saved by `datasets`."""
    return DICT in names or (INFO in names and STATE in names)


def parts_of(tree: Tree, may_split: bool) -> Iterator[Part]:
    """The Arrow files in order.

    Args:
        may_split: False where the split is named for the whole folder.

    Raises:
        InputError: a file is missing or none of the kind, or a split is neither train, validation nor test.
    """
    names = {entry.name for entry in tree.entries}
    if DICT not in names:
        yield from _parts(tree, "", None, names)
        return
    for split in _texts(_json(tree, DICT).get("splits"), f"{tree.name}/{DICT}"):
        word = SPLIT_WORDS.get(split.lower())
        if not may_split or word is None:
            raise InputError(
                t("it comes in splits of its own, `{split}` among them", split=split),
                where=tree.name,
                expected=t("train, validation and test") if may_split else t("a folder of one split"),
                remedy=t("name one folder for each: `{example}`", example=f"path: {{train: {tree.name}/{split}}}"),
            )
        yield from _parts(tree, f"{split}/", word, names)


def _parts(tree: Tree, folder: str, split: str | None, names: set[str]) -> Iterator[Part]:
    info, state = _json(tree, folder + INFO), _json(tree, folder + STATE)
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise InputError(
            t("rows are picked by an index of their own, as old versions of `datasets` saved it"),
            where=f"{tree.name}/{folder}{STATE}",
            remedy=t("load it and save it again with a newer version"),
        )
    classes = _classes(info.get("features"))
    where = f"{tree.name}/{folder}{STATE}"
    files = [item.get("filename") if isinstance(item, dict) else None for item in state.get("_data_files") or []]
    for file in _texts(files, where):
        if "/" in file or folder + file not in names:
            raise InputError(t("it names the file {file}, which is not there", file=ascii(file)[:100]), where=where)
        yield Part(folder + file, split, classes)


def _classes(features: Any) -> dict[str, list[str]]:
    """Names of classes by column, of the columns that are `ClassLabel`."""
    found = {}
    for column, feature in features.items() if isinstance(features, dict) else ():
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
            names = feature.get("names")
            if isinstance(names, list) and all(isinstance(name, str) for name in names):
                found[column] = names
    return found


def _json(tree: Tree, name: str) -> dict[str, Any]:
    where = f"{tree.name}/{name}"
    if all(entry.name != name for entry in tree.entries):
        raise InputError(t("no such file"), where=where, expected=t("a folder that `datasets` saved, whole"))
    with tree.open(name) as stream:
        data = stream.read(MAX_JSON_BYTES)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(t("not a JSON object"), where=where)
    return value


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value) or not value:
        raise InputError(t("it names no file"), where=where)
    return value


class SavedReader:
    """The rows of one Arrow file, with the names of classes instead of their numbers. See `rows.Reader`.

    A column of images, or of classes, that is the only one of its kind is known by itself (`own_roles`).
    """

    def __init__(self, source: Source, classes: Mapping[str, list[str]]) -> None:
        self._table = TableReader(source, "arrow-stream")
        self.names = self._table.names
        self._classes = {place: classes[name] for place, name in enumerate(self.names) if name in classes}
        self.types: list[pa.DataType] = [
            pa.string() if place in self._classes else kind for place, kind in enumerate(self._table.types)
        ]
        images = [name for name, kind in zip(self.names, self.types, strict=True) if kind == pa.binary()]
        labels = [self.names[place] for place in self._classes]
        self.own_roles = {
            **({images[0]: "image"} if len(images) == 1 else {}),
            **({labels[0]: "label"} if len(labels) == 1 else {}),
        }
        self.described = t("saved by `datasets`")
        if labels:
            self.described += ", " + t("classes by name: {names}", names=", ".join(labels))

    def rows(self) -> Iterator[Row]:
        for line, values, raw in self._table.rows():
            yield line, values if isinstance(values, Bad) else self._named(values), raw

    def _named(self, values: list[Any]) -> list[Any] | Bad:
        for place, names in self._classes.items():
            number = values[place]
            if number is None or number == -1:  # what `datasets` writes for a label that is not known
                values[place] = None
            elif isinstance(number, int) and 0 <= number < len(names):
                values[place] = names[number]
            else:
                return Bad("class number without a name", f"{self.names[place]}: {number}", str(number))
        return values
