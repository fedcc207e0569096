"""Model folders whose weights can be merged: what must be the same in all, and writing the merged one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import FILE, GOLDEN, ModelCard
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.runtimes.validation import check, refuse

WEIGHTS, CONFIG = "model.safetensors", "config.json"
FORMATS = ("hf", "modelyard")
LOOSE = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")
"""Of a configuration: what does not change what a network computes; nor does dropout, once it is trained."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
SHOWN = 5


@dataclass(frozen=True)
class Ingredient:
    """One model to merge."""

    folder: Path
    card: ModelCard
    tensors: Mapping[str, torch.Tensor]


def read(folder: Path, where: str) -> Ingredient:
    """Raises InputError if the folder is no sound model whose weights can be merged.

    Args:
        where: what the user calls it.
    """
    card = ModelCard.read(folder)
    refuse(check(folder, card))
    if card.format not in FORMATS:
        raise InputError(
            t("the weights of a model of format `{format}` cannot be merged", format=card.format),
            where=where, expected=", ".join(FORMATS),
            remedy=t("let the models answer together: combine.ensemble"),
        )  # fmt: skip
    try:
        return Ingredient(folder, card, load_file(folder / WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise InputError(t("the weights cannot be loaded: {error}", error=error), where=where) from None


def refuse_unequal(models: Sequence[Ingredient], names: Sequence[str]) -> None:
    """Raises InputError with every difference that makes a mean of weights meaningless.

    Args:
        names: what the user calls the models; the first is the one the others are compared with.
    """
    problems = [
        problem
        for model, name in zip(models[1:], names[1:], strict=True)
        for problem in _differences(models[0], model, name)
    ]
    if problems:
        raise InputError.of(problems)


def _differences(first: Ingredient, other: Ingredient, where: str) -> Iterator[Problem]:
    remedy = t("merge models that were trained from one beginning on one kind of data, or use combine.ensemble")
    for name in ("format", "task", "labels", "repairs"):
        wanted, found = (getattr(one.card, name) for one in (first, other))
        if wanted != found:
            told = t("its {what} is {found}", what=name, found=_short(found))
            yield Problem(where, told, _short(wanted), remedy)
    wanted, found = (settings(one) for one in (first, other))
    keys = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
    for key in keys[:SHOWN]:
        told = t("its {what} is {found}", what=key, found=_short(found.get(key)))
        yield Problem(where, told, _short(wanted.get(key)), remedy)
    for name in unequal_files(first.folder, other.folder):
        yield Problem(
            where, t("its `{name}` has other bytes: texts or tables are read otherwise", name=name), "", remedy
        )
    yield from _tensor_differences(first.tensors, other.tensors, where, remedy)


def _tensor_differences(
    first: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor], where: str, remedy: str
) -> Iterator[Problem]:
    lone = sorted(first.keys() ^ other.keys())
    if lone:
        told = t("{count} tensors are not in both, first `{name}`", count=len(lone), name=lone[0])
        yield Problem(where, told, t("tensors of the same names"), remedy)
    both = sorted(first.keys() & other.keys())
    for name in [name for name in both if first[name].shape != other[name].shape][:SHOWN]:
        told = t("the tensor `{name}` has the shape {found}", name=name, found=list(other[name].shape))
        yield Problem(where, told, str(list(first[name].shape)), remedy)
    for name in [name for name in both if _unequal_constant(name, first[name], other[name])][:SHOWN]:
        yield Problem(where, t("the tensor `{name}` holds other whole numbers", name=name), "", remedy)
    for name in [name for name in both if not bool(torch.isfinite(other[name]).all())][:1]:
        yield Problem(where, t("the tensor `{name}` holds numbers that are not finite", name=name), "", remedy)


def _unequal_constant(name: str, one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.is_floating_point() or one.shape != other.shape or name.endswith(STATISTICS):
        return False
    return not torch.equal(one, other)


def settings(model: Ingredient) -> dict[str, Any]:
    """What decides how the network computes: flat, by dotted name, without dropout and the like."""
    parts = {"preprocessing": dict(model.card.preprocessing), "network": dict(model.card.network)}
    if model.card.format == "hf":
        parts["config"] = json.loads((model.folder / CONFIG).read_text(encoding="utf-8"))
    return {name: value for name, value in _flat(parts, "") if not _is_loose(name.rpartition(".")[2])}


def _is_loose(key: str) -> bool:
    return key in LOOSE or "dropout" in key


def _flat(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield prefix, value
        return
    for key, part in value.items():
        yield from _flat(part, f"{prefix}.{key}" if prefix else str(key))


def unequal_files(first: Path, other: Path) -> list[str]:
    """Files beside weights, cards and configurations that are not the same in both."""
    left_out = {WEIGHTS, CONFIG, FILE, GOLDEN, "generation_config.json", "tokenizer_config.json"}
    names = sorted({path.name for folder in (first, other) for path in folder.iterdir() if path.is_file()} - left_out)
    return [name for name in names if _bytes(first / name) != _bytes(other / name)]


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def statistics_names(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Tensors that are no weights but averages over the training rows (batch normalisation)."""
    return sorted(name for name in tensors if name.endswith(STATISTICS))


def write(
    like: Ingredient,
    tensors: Mapping[str, torch.Tensor],
    folder: Path,
    provenance: Mapping[str, Any],
    licence: str,
    golden: Sequence[Record] | None,
) -> None:
    """The folder of `like` with other weights. `golden`: records to make golden answers from; None: none are made."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(like.folder.iterdir()):
        if path.is_file() and path.name not in (WEIGHTS, FILE, GOLDEN):
            shutil.copyfile(path, folder / path.name)
    save_file({name: tensors[name] for name in sorted(tensors)}, folder / WEIGHTS, metadata=_metadata(like.folder))
    replace(like.card, provenance=dict(provenance), licence=licence, postprocessing=()).write(folder)
    if golden is not None:
        write_golden(folder, golden)


def _metadata(folder: Path) -> dict[str, str]:
    with safe_open(folder / WEIGHTS, "pt") as file:
        return dict(file.metadata() or {"format": "pt"})


def golden_records(folder: Path) -> list[Record]:
    """The records of a model's golden answers: they fit every model that reads the same. Empty if there are none."""
    try:
        value = json.loads((folder / GOLDEN).read_text(encoding="utf-8"))
        return list(value["records"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _short(value: Any) -> str:
    return str(value)[:80]
