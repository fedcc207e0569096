"""A trained classifier in int8: exported, its tables and products quantised, compared with its source, packed.

The range method is chosen on validation rows by how often the int8 model answers as its source does; training rows
calibrate. Everything is a function of the source's bytes, the rows and the recipe.
"""

from __future__ import annotations

import fnmatch
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from modelyard.base.lookup import version_of
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import preprocessing
from modelyard.methods.compression import static_onnx, tables
from modelyard.methods.export.onnx import export, strip
from modelyard.methods.runtimes import load, members
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.golden import NUM_RECORDS
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import GOLDEN, ModelCard
from modelyard.methods.runtimes.reading import repairs_of
from modelyard.methods.runtimes.validation import WEIGHTS, check, files_named, refuse
from modelyard.methods.text import travelling

METHODS: tuple[static_onnx.Method, ...] = ("minmax", "percentile", "entropy")
ENOUGH = 0.995
"""`auto` stops at the first method that agrees with the source on this share of validation rows."""

CHECKED_ROWS = 32
"""Calibration rows the export is compared on."""


@dataclass(frozen=True)
class Recipe:
    """How to quantise. See the Config of `compress.quantize` for each."""

    engine: Literal["onnx", "openvino"] = "onnx"
    method: Literal["auto", "minmax", "percentile", "entropy"] = "auto"
    per_channel: bool = True
    weight_bits: int = 8
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quantised:
    """What `quantise` did.

    Attributes:
        agree, rows: validation rows answered with the source's label, and how many there were.
        tried: method and rows that agreed, in the order tried; the best is kept.
        method: the one kept; empty if nothing needed calibration.
        tables, products: how many look-up tables and matrix products or convolutions are in int8.
        kept: operators that stay in fp32 and how many of each.
        export_error: largest difference of a logit between the exported network and its source.
    """

    agree: int
    rows: int
    tried: tuple[tuple[str, int], ...]
    method: str
    tables: int
    products: int
    kept: dict[str, int]
    export_error: float


COMPARED = {"text-classification": "label", "text-multi-label": "labels"}
"""The part of an answer by task that must not change; other tasks cannot be quantised yet."""


def quantise(
    folder: Path,
    target: Path,
    calibration: Sequence[str],
    validation: Sequence[str],
    recipe: Recipe,
    scratch: Path,
    progress: Callable[[str], None] = lambda message: None,
) -> Quantised:
    """Write the int8 form of the model in `folder` to the empty folder `target` (without golden answers).

    Args:
        calibration: texts of training rows, at least one.
        validation: texts of validation rows; without any, the first method of the recipe is taken unseen.
        scratch: a folder for intermediate files.

    Raises:
        InputError: the model cannot be quantised (it is int8 already, or has no form that can be exported), or an
            `exclude` pattern matches nothing.
    """
    card = ModelCard.read(folder)
    if card.task not in COMPARED:
        raise InputError(
            t("models of {task} cannot be quantised yet", task=card.task),
            where=str(folder),
            expected=", ".join(COMPARED),
            remedy=t("release the model as it was trained"),
        )
    if card.format == members.FORMAT:
        raise InputError(
            t("an ensemble is not quantised: it is {count} models", count=len(card.network["members"])),
            where=str(folder),
            expected=t("one network"),
            remedy=t("quantise each member before combine.ensemble, or release one of them"),
        )
    if not calibration:
        raise InputError(t("no training row to calibrate with"), where="data/train")
    prepared = _prepare(folder, card, calibration, recipe, scratch)
    labels = _labels(folder, validation, COMPARED[card.task])
    names = METHODS if recipe.method == "auto" and recipe.engine == "onnx" else (_first(recipe),)
    tried: list[tuple[int, str, Path]] = []
    for name in names if prepared.products else ("",):
        progress(t("quantising: {method}", method=name or t("tables only")))
        candidate = _candidate(folder, card, prepared, name, recipe, scratch)
        agree = sum(
            left == right
            for left, right in zip(labels, _labels(candidate, validation, COMPARED[card.task]), strict=True)
        )
        tried.append((agree, name, candidate))
        if agree >= ENOUGH * len(labels):
            break
    agree, method, best = max(tried, key=lambda one: one[0])
    shutil.copytree(best, target, dirs_exist_ok=True)
    attempts = tuple((name, count) for count, name, _ in tried)
    kept = prepared.kept
    return Quantised(agree, len(labels), attempts, method, prepared.tables, prepared.products, kept, prepared.error)


def _first(recipe: Recipe) -> str:
    if recipe.engine == "openvino":
        return "nncf"
    return "minmax" if recipe.method == "auto" else recipe.method


@dataclass(frozen=True)
class _Prepared:
    """The network as ONNX with int8 tables, and what there is to calibrate."""

    path: Path
    arrays: list[Arrays]
    tables: int
    products: int
    kept: dict[str, int]
    excluded: tuple[str, ...]
    attention: bool
    error: float


def _prepare(folder: Path, card: ModelCard, texts: Sequence[str], recipe: Recipe, scratch: Path) -> _Prepared:
    preprocessor = preprocessing.load(folder, card.preprocessing)
    texts = [travelling.repaired(repairs_of(card), text) for text in texts]
    arrays = [preprocessor.encode([text]) for text in texts]
    model, error = _graph(folder, card, [*arrays[:CHECKED_ROWS], preprocessor.encode(texts[:CHECKED_ROWS])], scratch)
    excluded = matching(model, recipe.exclude)
    done = tables.quantise_tables(model, excluded)
    inputs = [value.name for value in model.graph.input]
    counts = tables.count(model)
    skipped = [node for node in model.graph.node if node.name in excluded and node.op_type in static_onnx.OPERATORS]
    products = sum(counts.get(kind, 0) for kind in static_onnx.OPERATORS) - len(skipped)
    arithmetic = ("LayerNormalization", "Softmax", "Gelu", "Tanh", "Relu", "Erf", "Gather")
    kept = {kind: counts[kind] for kind in arithmetic if kind in counts}
    kept["Gather"] = kept.get("Gather", 0) - len(done)
    kept |= {node.name: 1 for node in skipped}
    path = scratch / "tables.onnx"
    onnx.save_model(model, path)
    return _Prepared(
        path,
        [{name: one[name] for name in inputs} for one in arrays],
        len(done),
        products,
        {kind: number for kind, number in kept.items() if number > 0},
        excluded,
        "Softmax" in counts,
        error,
    )


def _graph(folder: Path, card: ModelCard, batches: Sequence[Arrays], scratch: Path) -> tuple[Any, float]:
    """The fp32 network as an ONNX model, and how far it is from its source."""
    if card.precision == "int8":
        raise InputError(
            t("the model is int8 already"),
            where=str(folder),
            remedy=t("name the trained model as the input: `in: {model: <training step>}`"),
        )
    if card.format != "onnx":
        exported = export(folder, card, scratch, batches)
        return onnx.load(exported.path), exported.max_error
    refuse(check(folder, card))
    model = onnx.load(folder / "model.onnx")
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph.node):
        raise InputError(t("the ONNX file is quantised already"), where=str(folder / "model.onnx"))
    return strip(model), 0.0


def matching(model: Any, patterns: Sequence[str]) -> tuple[str, ...]:
    """Names of nodes that a pattern (`*` and `?`) matches, by their own name or that of a weight they read.

    Raises InputError for a pattern that matches nothing, since the user meant something.
    """
    words = {node.name: (node.name, *node.input) for node in model.graph.node}
    found: set[str] = set()
    for pattern in patterns:
        hits = {name for name, known in words.items() if any(fnmatch.fnmatchcase(word, pattern) for word in known)}
        if not hits:
            weights = sorted(tensor.name for tensor in model.graph.initializer if len(tensor.dims) > 1)
            raise InputError(
                t("`exclude: {pattern}` matches no part of the network", pattern=pattern),
                expected=", ".join(weights[:20]),
            )
        found |= hits
    return tuple(sorted(found))


def _candidate(folder: Path, card: ModelCard, prepared: _Prepared, method: str, recipe: Recipe, scratch: Path) -> Path:
    """A whole model folder in `scratch`, quantised with one method."""
    target = scratch / f"int8-{method or 'tables'}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    if recipe.engine == "openvino":
        _write_openvino(prepared, target)
    elif prepared.products:
        path = target / "model.onnx"
        args = (recipe.per_channel, recipe.weight_bits, prepared.excluded)
        chosen = next(name for name in METHODS if name == method)
        static_onnx.quantise(prepared.path, path, prepared.arrays, chosen, *args)
        onnx.save_model(strip(onnx.load(path)), path)
    else:
        shutil.copyfile(prepared.path, target / "model.onnx")
    for name in files_named(card):
        if name not in WEIGHTS[card.format]:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target / name)
    _card(folder, card, method, recipe, len(prepared.arrays)).write(target)
    return target


def _write_openvino(prepared: _Prepared, target: Path) -> None:
    from modelyard.methods.compression import static_openvino
    from modelyard.methods.export import openvino

    if prepared.products:
        path = target / "model.xml"
        static_openvino.quantise(prepared.path, path, prepared.arrays, prepared.excluded, prepared.attention)
    else:
        openvino.export(prepared.path, target, prepared.arrays[:CHECKED_ROWS])


def _card(folder: Path, card: ModelCard, method: str, recipe: Recipe, rows: int) -> ModelCard:
    tools = ("onnxruntime",) if recipe.engine == "onnx" else ("openvino", "nncf")
    made = {
        "stage": "compress.quantize",
        "source": manifest(folder).digest,
        "method": f"int8 static, ranges by {method}" if method else "int8 tables, weight-only",
        "calibration_rows": rows if method else 0,
        "tools": {name: version_of(name) for name in ("torch", "onnx", *tools)},
        "source_provenance": dict(card.provenance),
    }
    return ModelCard(
        task=card.task,
        format=recipe.engine,
        labels=card.labels,
        preprocessing=card.preprocessing,
        inputs=card.inputs,
        outputs=card.outputs,
        provenance=made,
        licence=card.licence,
        precision="int8",
        postprocessing=card.postprocessing,
        repairs=card.repairs,
    )


def _labels(folder: Path, texts: Sequence[str], part: str) -> list[Any]:
    """One part of the answer to each text."""
    predictor = load(folder)
    try:
        return [getattr(answer, part) for answer in predictor.predict([{"text": text} for text in texts])]
    finally:
        predictor.close()


def golden_records(folder: Path, texts: Sequence[str]) -> list[dict[str, Any]]:
    """The records the source kept, so that both can be compared by eye; else the first of `texts`."""
    path = folder / GOLDEN
    if path.is_file():
        records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["records"]
        return records
    return [{"text": text} for text in texts[:NUM_RECORDS]]


def agreement_interval(agree: int, rows: int) -> tuple[float, float]:
    """95 % interval of a rate after Wilson (1927): sound near 1, where the normal interval is not."""
    from scipy.stats import binomtest

    interval = binomtest(agree, rows).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
