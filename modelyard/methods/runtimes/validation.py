"""Is this folder safe to open? Checked before a native parser or transformers sees a file of it.

A model that somebody else made is input: paths that leave the folder, code named in a configuration, weights kept in
files outside and headers that lie are refused here, by what the bytes say and not by their names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError, Problem
from modelyard.methods import tasks
from modelyard.methods.runtimes import FORMATS, members, reading, trees_text
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.safetensors_header import header_problem

WEIGHTS: Mapping[str, tuple[str, ...]] = {
    "ensemble": (),
    "gbdt": ("model.txt",),
    "hf": ("config.json", "model.safetensors"),
    "modelyard": ("model.safetensors",),
    "onnx": ("model.onnx",),
    "openvino": ("model.xml", "model.bin"),
    "recorded": ("answers.jsonl",),
}
CODE_KEYS = ("auto_map", "custom_pipelines", "trust_remote_code")
"""Keys of a Hugging Face configuration that make a loader import somebody's Python."""


def check(folder: Path, card: ModelCard) -> list[Problem]:
    """Everything wrong with a model folder that can be seen without opening the model."""
    if card.format not in FORMATS:
        found = t("no runtime for the format `{format}`", format=card.format)
        return [Problem(str(folder), found, ", ".join(FORMATS), did_you_mean(card.format, list(FORMATS)))]
    problems = list(_card_problems(folder, card)) + links(folder)
    if not problems:
        problems += [problem for name in files_named(card) for problem in file_problems(folder, name)]
    if not problems and card.format == members.FORMAT:
        problems += members.problems(folder, card, check)
    elif not problems:
        problems += weights_problems(folder, card.format)
    return problems


def refuse(problems: Sequence[Problem]) -> None:
    """Raises InputError with all of them, if there are any."""
    if problems:
        raise InputError.of(problems)


def _card_problems(folder: Path, card: ModelCard) -> Iterator[Problem]:
    where = str(folder / "model.json")
    if card.task not in tasks.NAMES:
        yield Problem(where, t("no task `{task}`", task=card.task), ", ".join(tasks.NAMES))
    else:
        problem = tasks.find(card.task).labels_problem(card.labels)
        if problem:
            yield Problem(where, problem, t("one name for each class"))
    yield from reading.problems(card, where)
    if card.format in (members.FORMAT, "recorded"):
        return  # each member reads the record with its own; recorded answers read none
    if card.format == "gbdt":
        try:
            trees_text.names(card.network)
        except ValueError as error:
            yield Problem(where, str(error), t("trees as train.tabular writes them"))
    if not isinstance(card.preprocessing, Mapping) or "kind" not in card.preprocessing:
        yield Problem(where, t("`preprocessing` names no kind"), '{"kind": "tokens", …}')
    elif _records(str(card.preprocessing["kind"])) != _records(card.task):
        kind = str(card.preprocessing["kind"])[:40]
        found = t("the preprocessing `{kind}` does not read the records of {task}", kind=kind, task=card.task)
        yield Problem(where, found, t("the preprocessing the model was trained with"))


def _records(name: str) -> str:
    """What a task or a kind of preprocessing reads: a row of a table, an image, or (all others) a text."""
    return next((kind for kind in ("tab", "image") if name.startswith(kind)), "text")


def files_named(card: ModelCard) -> list[str]:
    """Every file model.json needs: the weights of its format and what the preprocessing names."""
    weights = trees_text.names(card.network) if card.format == "gbdt" else WEIGHTS[card.format]
    return [*weights, *_file_names(card.preprocessing)]


def _file_names(value: Any) -> Iterator[str]:
    """Strings in the preprocessing settings that are file names: with a suffix or a separator."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _file_names(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _file_names(part)
    elif isinstance(value, str) and (PurePosixPath(value).suffix or "/" in value or "\\" in value):
        yield value


def file_problems(folder: Path, name: str) -> list[Problem]:
    """A file name must stay inside the folder, on any system, and be a regular file there."""
    inside = t("a file inside the folder")
    windows = PureWindowsPath(name)
    parts = windows.parts
    if windows.drive or windows.root or PurePosixPath(name).is_absolute() or ".." in parts or "\0" in name:
        found = t("`{name}` is not a path inside the folder", name=name)
        return [Problem(str(folder), found, inside, t("do not use this model: its files point elsewhere"))]
    path = folder / name
    if not path.is_file():
        return [Problem(str(folder), t("`{name}` is missing", name=name), inside, t("copy the whole folder again"))]
    return []


def links(folder: Path) -> list[Problem]:
    """Symbolic links that lead out of the folder."""
    root = folder.resolve()
    problems = []
    for base, folders, files in os.walk(folder):
        for path in (Path(base) / name for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                found = t("`{name}` is a link that leaves the folder", name=path.name)
                problems.append(Problem(str(path), found, t("a regular file"), t("copy the file itself")))
    return problems


def weights_problems(folder: Path, format: str) -> list[Problem]:
    """Problems of the weights themselves, by format."""
    problems = safetensors_problems(folder)
    if format == "hf":
        problems += code_problems(folder)
    if format == "gbdt":
        problems += [problem for path in sorted(folder.glob("model*.txt")) for problem in trees_problems(path)]
    if format == "onnx":
        problems += external_data_problems(folder / "model.onnx")
    return problems


def safetensors_problems(folder: Path) -> list[Problem]:
    found = ((path, header_problem(path)) for path in sorted(folder.glob("*.safetensors")))
    remedy = t("copy the file again, or export the weights again with safetensors")
    return [Problem(str(path), problem, t("a sound safetensors file"), remedy) for path, problem in found if problem]


def trees_problems(path: Path) -> list[Problem]:
    found = trees_text.trees_problem(path)
    remedy = t("copy the file again, or train the model again")
    return [Problem(str(path), found, t("sound trees as LightGBM writes them"), remedy)] if found else []


def code_problems(folder: Path) -> list[Problem]:
    """Configurations that name code, Python files, and adapters that pull another model in."""
    remedy = t("use a model whose architecture is part of transformers; code in a model folder is never run")
    problems = [
        Problem(str(path), t("the folder holds Python code"), t("weights and configuration only"), remedy)
        for path in sorted(folder.glob("*.py"))
    ]
    for path in sorted(folder.glob("*.json")):
        keys = sorted(set(_keys(read_json(path))) & set(CODE_KEYS))
        if keys:
            found = t("`{key}` names code to run", key=keys[0])
            problems.append(Problem(str(path), found, t("a configuration without code"), remedy))
    if (folder / "adapter_config.json").exists():
        found, merge = t("an adapter, not a whole model"), t("merge it into its base model first (merge_and_unload)")
        problems.append(Problem(str(folder / "adapter_config.json"), found, "model.safetensors", merge))
    return problems


def read_json(path: Path) -> Any:
    """Raises InputError if the file is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(t("not JSON: {error}", error=error), where=str(path)) from None


def _keys(value: Any) -> Iterator[str]:
    """Keys at any depth that could be a configuration's; those of a vocabulary are tokens."""
    if isinstance(value, dict):
        for key, part in value.items():
            if part is not None and part is not False:
                yield key
            if key != "vocab":
                yield from _keys(part)
    elif isinstance(value, list):
        for part in value:
            yield from _keys(part)


def external_data_problems(path: Path) -> list[Problem]:
    """ONNX tensors kept in other files: no digest of model.onnx would cover them."""
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's DecodeError, whose module has no types
        found = t("not an ONNX file: {error}", error=error)
        return [Problem(str(path), found, t("a whole ONNX file"), t("export the model again"))]
    external = [tensor.name for tensor in _tensors(model) if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if not external:
        return []
    found = t("`{tensor}` is kept in another file", tensor=external[0])
    remedy = t("save it as one file: onnx.save(model, path, save_as_external_data=False)")
    return [Problem(str(path), found, t("one file that holds all weights"), remedy)]


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor of an ONNX model: initializers, sparse ones, attributes, subgraphs, functions."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function.node)
    for training in model.training_info:
        yield from _graph_tensors(training.initialization)
        yield from _graph_tensors(training.algorithm)


def _graph_tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[Any]) -> Iterator[Any]:
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _graph_tensors(graph)
