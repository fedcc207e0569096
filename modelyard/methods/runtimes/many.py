"""Opens models of several tasks: one network with a head for each, each asked as a model of its own task would be.

The weights of the encoder are in memory once; a record passes through it once for each task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import networks, preprocessing, tasks
from modelyard.methods.preprocessing.tokens import Tokens
from modelyard.methods.preprocessing.windows import Windows
from modelyard.methods.runtimes import batching, multi_label, reading, spans, validation
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import FILE, ModelCard
from modelyard.methods.runtimes.predictor import Prediction, Record
from modelyard.methods.runtimes.torch_network import TorchNetwork
from modelyard.methods.tasks.chains import Chain
from modelyard.methods.tasks.multitask import MEMBERS, Answers, Multitask
from modelyard.methods.tasks.text_multi_label import TextMultiLabel


class HeadView(torch.nn.Module):
    """A network of many heads as the network of one."""

    def __init__(self, module: torch.nn.Module, head: str) -> None:
        super().__init__()
        self.module, self.head = module, head

    def forward(self, **arrays: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.module(**arrays, head=self.head)
        return logits


@dataclass
class ManyPredictor:
    """Implements `Predictor`.

    Attributes:
        parts: a predictor for each task, by its name.
        columns: the column each learned from, as far as model.json says.
    """

    digest: str
    about: Multitask
    parts: Mapping[str, Any]
    columns: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.labels = tuple(self.parts)
        self.task = self.about.name
        self.runtime = next(iter(self.parts.values())).runtime

    def predict(self, records: Sequence[Record]) -> list[Prediction]:
        found = {name: part.predict(records) for name, part in self.parts.items()}
        kinds = {name: part.task for name, part in self.parts.items()}
        return [
            Answers({name: answers[place] for name, answers in found.items()}, kinds) for place in range(len(records))
        ]

    def close(self) -> None:
        for part in self.parts.values():
            part.close()


def open_predictor(folder: Path, card: ModelCard, threads: int | None, token_budget: int | None) -> ManyPredictor:
    """Raises InputError if the parts of the folder do not fit."""
    tokens: Any = preprocessing.load(folder, card.preprocessing)
    if card.format != "modelyard" or card.network.get("kind") != "many_heads" or not isinstance(tokens, Tokens):
        raise InputError(t("a model of several tasks is a network of many heads over tokens"), where=str(folder / FILE))
    if set(card.labels) != set(card.outputs) or set(card.labels) != set(card.network.get("heads", {})):
        raise InputError(t("the tasks, their outputs and their heads differ"), where=str(folder / FILE))
    module = networks.load(folder, card.network)
    digest = manifest(folder).digest
    parts = {}
    for name in card.labels:
        part = part_card(card, name, folder)
        network = TorchNetwork(HeadView(module, name), ("input_ids", "attention_mask"), threads)
        parts[name] = _part(folder, part, tokens, network, digest, token_budget)
    return ManyPredictor(digest, Multitask(), parts, columns_of(card))


def columns_of(card: ModelCard) -> dict[str, str]:
    """The column of each task in the data it learned from; older models do not say it."""
    found = {name: about.get("column") for name, about in card.outputs.items() if isinstance(about, Mapping)}
    return {name: column for name, column in found.items() if isinstance(column, str) and column}


def part_card(card: ModelCard, name: str, folder: Path) -> ModelCard:
    """What model.json would say of one of the tasks alone."""
    about: Any = card.outputs[name]
    kind = about.get("task") if isinstance(about, Mapping) else None
    labels = about.get("labels", []) if isinstance(about, Mapping) else []
    if kind not in MEMBERS or not isinstance(labels, list) or not all(isinstance(one, str) for one in labels):
        raise InputError(t("`{name}` is no task of a text", name=name), where=str(folder / FILE))
    problem = tasks.find(kind).labels_problem(labels)
    if problem:
        raise InputError(f"{name}: {problem}", where=str(folder / FILE))
    return replace(card, task=kind, labels=tuple(labels), outputs=about.get("outputs", {}))


def _part(folder: Path, card: ModelCard, tokens: Tokens, network: Any, digest: str, budget: int | None) -> Any:
    size = budget or network.token_budget
    validation.refuse(reading.problems(card, str(folder / FILE)))
    if card.task == "token-classification":
        chain = Chain.of(card.labels, spans.transitions_of(card, folder))
        reader = spans.SpanReader(Windows.of(tokens), tokens.pad_id, chain, network, size)
        about: Any = tasks.find(card.task)
        part = spans.SpanPredictor(digest, about, card.labels, reader)
        spans.probe(part, folder)
        return part
    about = tasks.find(card.task)
    if card.task == "text-multi-label":
        about = TextMultiLabel(multi_label.thresholds_of(card, folder))
    found = batching.BatchPredictor(digest, reading.reading(card, about), card.labels, tokens, network, size)
    found.probe(str(folder))
    return found
