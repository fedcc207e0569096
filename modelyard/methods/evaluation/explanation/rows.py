"""Single rows of a model, explained and measured: what the stage asks for in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation.blocks import Block, Table
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.explanation import group_gaps, local
from modelyard.methods.evaluation.explanation.budgets import Budget, precision
from modelyard.methods.evaluation.explanation.cases import (
    Case,
    Cut,
    channels_of,
    chosen,
    columns_of,
    examples_of,
    refuse_unexplained,
)
from modelyard.methods.evaluation.explanation.decisions import boxes
from modelyard.methods.evaluation.explanation.game import Oracle
from modelyard.methods.evaluation.explanation.local import Explained
from modelyard.methods.evaluation.explanation.nearest import gower, nearest, text_distances
from modelyard.methods.evaluation.explanation.players import TextPlayers
from modelyard.methods.evaluation.explanation.shuffled import FORMATS, shuffled
from modelyard.methods.evaluation.measuring.examples import fields, some_records
from modelyard.methods.evaluation.opening import opened
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Record

TOKEN_BUDGET = {"hf": 2048}
"""Padded tokens computed in one go, by format, where it is another number than the format's own: perturbed records of
one row are of like length, so that long pieces waste nothing. The library's calls cost more than a small encoder."""
CHARS = 80
SHOWN = 12


@dataclass(frozen=True)
class Found:
    """Everything about single rows.

    Attributes:
        methods: that were used; missing: those that were not, with the reason.
        beside: nearest rows with another answer, and the boxes of boosted trees.
        labels: the model's; apart: what sets groups apart, to draw.
        data: the attributions, for programs.
    """

    explained: tuple[Explained, ...]
    methods: tuple[str, ...]
    missing: Mapping[str, str]
    estimates: tuple[Estimate, ...]
    beside: tuple[Block, ...] = ()
    labels: tuple[str, ...] = ()
    apart: tuple[Block, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


def explain(
    folder: Path, data: Dataset, settings: Mapping[str, Any], scratch: Path, note: Callable[[int, int], None]
) -> Found:
    """Explain chosen test rows by the settings of evaluate.explanation."""
    card, seed = ModelCard.read(folder), int(settings["seed"])
    refuse_unexplained(card)
    budget = Budget(settings["questions"], settings["steps"], seed)
    wanted = settings["methods"] or _suiting(card.task)
    methods, missing = local.explainers(folder, card, wanted, budget)
    columns = columns_of(folder, card, data)
    train = some_records(data, "train", fields(data, card.task), settings["train_rows"], seed)
    cut = Cut(columns, tuple(train[: settings["background"]]), settings["players"], settings["grid"], channels_of(card))
    with opened(folder, settings["threads"], TOKEN_BUDGET.get(card.format)) as predictor:
        oracle = Oracle(predictor)
        examples = examples_of(data, "test", card)
        outputs = oracle.outputs(list(examples.records()))
        cases = chosen(
            examples, outputs, oracle.labels, cut, settings["mistakes"], settings["rows"], seed, settings["group"]
        )
        by_shap = next((name for name in ("tree_shap", "shap") if name in methods), None)
        every = by_shap if settings["group"] and len(oracle.labels) > 2 else None
        explained = local.explain_all(predictor, cases, methods, settings["orders"], budget, note, every)
        beside = _neighbours(cases, train, columns, oracle) if oracle.labels and not card.task.startswith("im") else ()
    if card.format == "gbdt":
        beside = (*beside, *boxes(folder, explained))
    estimates = local.measured(explained, bool(card.labels), seed)
    estimates += precision([one.by_method for one in explained if one.case.sampled], seed)
    apart: list[Block] = []
    if settings["group"] and by_shap:
        gaps = group_gaps.gaps(explained, by_shap, settings["group"], card.labels)
        missing = missing | ({} if gaps else {"group_gap": group_gaps.TOO_FEW})
        estimates += group_gaps.estimates(gaps, by_shap)
        apart += group_gaps.bars(gaps, settings["group"], card.labels, SHOWN)
    elif settings["group"]:
        missing = missing | {"group_gap": group_gaps.NO_SHAP}
    if settings["sanity"] and card.format in FORMATS:
        estimates += _sanity(folder, card, explained, list(methods), budget, settings, scratch)
    elif settings["sanity"]:
        missing = missing | {"sanity": "the weights of this format are not shuffled"}
    return Found(
        tuple(explained),
        tuple(methods),
        missing,
        tuple(estimates),
        beside,
        tuple(card.labels),
        tuple(apart),
        _data(explained),
    )


def _suiting(task: str) -> tuple[str, ...]:
    if task.startswith("image-"):
        return (*local.ANY, "integrated_gradients", "gradient_input", "grad_cam", "attention_rollout")
    if task.startswith("tabular-"):
        return (*local.ANY, "tree_shap", "integrated_gradients", "gradient_input")
    return (*local.ANY, "integrated_gradients", "gradient_input", "attention_rollout")


def _sanity(
    folder: Path,
    card: ModelCard,
    explained: Sequence[Explained],
    names: Sequence[str],
    budget: Budget,
    settings: Mapping[str, Any],
    scratch: Path,
) -> list[Estimate]:
    """The same methods on the same sampled rows of the model with shuffled weights."""
    import shutil

    twin = scratch / "shuffled"
    shutil.rmtree(twin, ignore_errors=True)
    shuffled(folder, twin, budget.seed)
    methods, _ = local.explainers(twin, card, names, budget)
    cases = [one.case for one in explained if one.case.sampled]
    with opened(twin, settings["threads"]) as predictor:
        games = [(case, case.game(Oracle(predictor))) for case in cases]
        other = [
            Explained(case, {name: method(case, game) for name, method in methods.items()}, {}) for case, game in games
        ]
    estimates, _ = local.sanity([one for one in explained if one.case.sampled], other, budget.seed)
    return estimates


def _neighbours(
    cases: Sequence[Case], train: Sequence[Record], columns: Sequence[str], oracle: Oracle
) -> tuple[Block, ...]:
    """For each case the nearest training row that is answered otherwise."""
    if not train or not cases:
        return ()
    answers = oracle.outputs(train).argmax(1)
    records = [case.record for case in cases]
    texts = isinstance(cases[0].players, TextPlayers)
    if texts:
        there = [str(one["text"]) for one in train]
        distances = text_distances([str(one["text"]) for one in records], there)
    else:
        distances = gower(records, train, columns)
    rows = []
    for case, apart in zip(cases, distances, strict=True):
        found = nearest(apart, answers, case.target)
        if found is not None:
            other = train[found.place]
            shown = str(other["text"])[:CHARS] if texts else _changes(case.record, other, columns)
            rows.append((case.row_id, case.answer, oracle.labels[found.answer], shown, round(found.distance, 3)))
    heads = ("row", "answer", "answer there", "nearest training row with another answer", "distance")
    note = "Texts: 1 - cosine of runs of characters. Tables: Gower's distance; only columns that differ are shown."
    return (Table("What would have to be different", heads, tuple(rows), note),)


def _changes(record: Record, other: Record, columns: Sequence[str]) -> str:
    pairs = [(name, record[name], other[name]) for name in columns if str(record[name]) != str(other[name])]
    return ", ".join(f"{name}: {one} → {another}" for name, one, another in pairs)


def _data(explained: Sequence[Explained]) -> dict[str, Any]:
    rows = [
        {
            "row_id": one.case.row_id,
            "answer": one.case.answer,
            "sampled": one.case.sampled,
            "values": {name: found.values.tolist() for name, found in one.by_method.items()},
            "ends": {
                name: [found.base, found.whole] for name, found in one.by_method.items() if found.base is not None
            },
        }
        for one in explained
    ]
    return {"rows": rows}
