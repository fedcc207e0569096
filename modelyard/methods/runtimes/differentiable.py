"""A model as a differentiable function: the torch module of a folder, cut open where its inputs become continuous.

A record's text has no gradient; the embeddings of its tokens have one. `embed` gives those tensors ("leaves") by name,
`logits` computes from them, so that attribution and attacks work on any network alike:

| leaf | of | shape |
|---|---|---|
| `tokens` | sub-words (`hf`, `cnn`, `encoder`, `tagger`) | [B, L, D] |
| `ngrams` | weights of n-grams (`linear`) | [B, K] |
| `pixels` | images | [B, C, H, W] |
| `columns` | tables (`ft_transformer`), the answer's token first | [B, 1 + N + K, D] |
| `numbers` | tables without categories (`table_linear`) | [B, N] |

A blend has the leaves of its children. Exported models, boosted trees and ensembles have no gradients here. What
stands behind the network (a temperature, a threshold) is no part of it: these are the network's own logits.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import preprocessing
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.gradients import FORMATS, gradients_problem
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.runtimes.reading import reading
from modelyard.methods.tasks import Task

Leaves: TypeAlias = dict[str, Tensor]
DIRECT = {"ngram_weights": "ngrams", "pixel_values": "pixels", "numbers": "numbers"}
"""Arrays that are continuous already, and their leaves."""


@dataclass(frozen=True)
class Hook:
    """Where a network turns codes into vectors: its output becomes the leaf.

    Attributes:
        takes: the arrays the module reads.
    """

    module: nn.Module
    takes: tuple[str, ...]


@dataclass
class Differentiable:
    """An opened network. Not for several threads at once: `logits` hooks the module while it runs.

    Attributes:
        module: in evaluation mode, fp32, on the processor; its parameters take no gradient.
        input_names: the arrays it reads.
    """

    card: ModelCard
    module: nn.Module
    input_names: tuple[str, ...]
    preprocessor: Any
    about: Task
    hooks: Mapping[str, Hook]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.card.labels

    def encode(self, records: Sequence[Record]) -> Arrays:
        """The arrays of records, padded to the longest. Raises InputError for a record the task cannot read."""
        encoded = self.preprocessor.encode(self.about.values(records))
        return {name: encoded[name] for name in self.input_names}

    def embed(self, arrays: Arrays) -> Leaves:
        """The leaves of some arrays, cut off from what made them, each requiring a gradient."""
        found = {DIRECT[name]: torch.from_numpy(array).float() for name, array in arrays.items() if self._direct(name)}
        with torch.no_grad():
            for name, hook in self.hooks.items():
                found[name] = hook.module(*(torch.from_numpy(arrays[taken]) for taken in hook.takes))
        return {name: leaf.detach().clone().requires_grad_(True) for name, leaf in found.items()}

    def logits(self, arrays: Arrays, leaves: Mapping[str, Tensor] | None = None) -> Tensor:
        """Outputs [B, classes] with their graph; `leaves` stand in for what the arrays would have given.

        The arrays still say which positions are real (masks) and where n-grams belong.
        """
        given = dict(leaves or {})
        inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
        inputs |= {name: given[DIRECT[name]] for name in arrays if DIRECT.get(name) in given and self._direct(name)}
        with ExitStack() as stack:
            for name, hook in self.hooks.items():
                if name in given:
                    stack.enter_context(_replaced(hook.module, given[name]))
            output: Any = self.module(**inputs)
        found: Tensor = output if isinstance(output, Tensor) else output.logits
        return found.float()

    def _direct(self, name: str) -> bool:
        """Whether an array is a leaf itself: not where a hook makes a leaf of it."""
        return name in DIRECT and all(name not in hook.takes for hook in self.hooks.values())

    @property
    def table(self) -> Tensor:
        """[vocabulary, D] the vectors of the leaf `tokens`. Raises InputError if the model reads no tokens."""
        hook = self.hooks.get("tokens")
        if hook is None:
            raise InputError(t("the model reads no tokens"), expected=t("a model of texts that embeds sub-words"))
        found: Tensor = hook.module.weight.detach()  # type: ignore[operator]
        return found


@contextmanager
def _replaced(module: nn.Module, leaf: Tensor) -> Iterator[None]:
    handle = module.register_forward_hook(lambda *_: leaf)
    try:
        yield
    finally:
        handle.remove()


def open_differentiable(folder: Path, attention: str | None = None) -> Differentiable:
    """Open a model folder with its gradients. Its files are checked before anything parses them.

    Args:
        attention: `eager` makes a transformers encoder say its attention weights; None leaves what is fastest.

    Raises:
        InputError: the folder is no model, or its format or network has no gradients here.
    """
    from modelyard.methods.runtimes.validation import check, refuse

    card = ModelCard.read(folder)
    refuse(check(folder, card))
    problem = gradients_problem(card)
    if problem:
        raise InputError(
            problem,
            where=str(folder),
            expected=t("a network of the format {formats}", formats=", ".join(FORMATS)),
            remedy=t("use the model it was made from, or methods without gradients: SHAP, LIME, occlusion"),
        )
    runtime = importlib.import_module(f"modelyard.methods.runtimes.{card.format}")
    network = runtime.open_network(folder, card, None)
    module: nn.Module = network.module.requires_grad_(False)
    if attention is not None:
        _set_attention(module, attention)
    encoder = preprocessing.load(folder, card.preprocessing)
    return Differentiable(card, module, network.input_names, encoder, reading(card), hooks_of(module, card))


def hooks_of(module: nn.Module, card: ModelCard) -> dict[str, Hook]:
    """Where the module makes vectors of codes, by leaf."""
    if card.format == "hf":
        of_images = card.task.startswith("image-")
        return {} if of_images else {"tokens": Hook(_token_table(module), ("input_ids",))}
    return _of_network(module, card.network)


def _of_network(module: Any, spec: Mapping[str, Any]) -> dict[str, Hook]:
    kind = str(spec["kind"])
    if kind == "blend":
        pairs = zip(module.networks, spec["children"], strict=True)
        found = [_of_network(child, child_spec) for child, child_spec in pairs]
        return {name: hook for hooks in found for name, hook in hooks.items()}
    if kind in ("cnn", "tagger"):
        return {"tokens": Hook(module.embedding, ("input_ids",))}
    if kind == "encoder":
        return {"tokens": Hook(_token_table(module.model), ("input_ids",))}
    if kind == "ft_transformer":
        return {"columns": Hook(module.tokens, ("numbers", "categories"))}
    return {}


def _token_table(module: Any) -> nn.Module:
    inner = module.model if hasattr(module, "pooling") else module
    found: nn.Module = inner.get_input_embeddings()
    return found


def _set_attention(module: Any, name: str) -> None:
    for part in module.modules():
        if hasattr(part, "set_attn_implementation"):
            part.set_attn_implementation(name)
            return
