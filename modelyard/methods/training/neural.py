"""Networks over tokens, trained from scratch by the loop: `cnn` and `encoder`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.methods import networks
from modelyard.methods.data.augmentation.text import TextChanges, change_text
from modelyard.methods.data.row_random import generator
from modelyard.methods.preprocessing import bpe, tokens
from modelyard.methods.training import batching, classification, devices, evaluation, initialization, loop
from modelyard.methods.training.candidates import Candidate, Examples
from modelyard.methods.training.fair.arranging import Fair
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.random import seed_torch
from modelyard.methods.training.settings import ClassWeights, Initialization

Kind = Literal["cnn", "encoder-tiny", "encoder-small"]


@dataclass(frozen=True)
class Defaults:
    """What a kind of network trains well with on some thousand rows."""

    learning_rate: float
    batch_size: int
    epochs: int
    dropout: float


DEFAULTS: dict[str, Defaults] = {
    "cnn": Defaults(4e-3, 64, 8, 0.5),
    "encoder-tiny": Defaults(1e-3, 32, 12, 0.1),
    "encoder-small": Defaults(5e-4, 32, 12, 0.1),
}
ENCODERS = {"encoder-tiny": (2, 128, 2), "encoder-small": (4, 256, 4)}
"""Layers, width, attention heads."""


@dataclass(frozen=True)
class Reading:
    """A tokenizer learned from training texts, and both splits as it reads them."""

    tokens: tokens.Tokens
    training: batching.Rows
    validation: batching.Rows


def read(training: Examples, validation: Examples, vocabulary_size: int, max_length: int) -> Reading:
    """Learn a byte-pair tokenizer and read both splits with it."""
    tokenizer = tokens.wrap(bpe.learn(training.texts, vocabulary_size), max_length, bpe.SPECIAL.index(bpe.PAD))
    return reading(tokenizer, training, validation)


def reading(tokenizer: tokens.Tokens, training: Examples, validation: Examples) -> Reading:
    """Both splits as rows of token ids."""
    rows = [
        batching.token_rows(tokenizer.ids(split.texts), tokenizer.pad_id, split.labels, split.names, split.weights)
        for split in (training, validation)
    ]
    return Reading(tokenizer, rows[0], rows[1])


def renewal(
    tokenizer: tokens.Tokens, training: Examples, changes: TextChanges | None, seed: int
) -> classification.Renewal | None:
    """Texts changed anew in every epoch, each by draws of its own row; None if nothing is to be changed."""
    if changes is None:
        return None

    def renew(rows: NDArray[np.int64], epoch: int) -> batching.Rows:
        texts = [
            change_text(training.texts[row], changes, generator(seed, "augment", training.names[row], epoch))
            for row in rows.tolist()
        ]
        return batching.token_rows(tokenizer.ids(texts), tokenizer.pad_id, training.labels[rows], [""] * len(rows))

    return renew


def network_spec(kind: Kind, vocabulary_size: int, max_length: int, num_labels: int, dropout: float) -> dict[str, Any]:
    """The spec for methods/networks."""
    if kind == "cnn":
        return {
            "kind": "cnn",
            "vocabulary_size": vocabulary_size,
            "num_labels": num_labels,
            "embedding": 64,
            "filters": 64,
            "widths": [2, 3, 4],
            "dropout": dropout,
        }
    layers, width, heads = ENCODERS[kind]
    config = {
        "model_type": "bert",
        "vocab_size": vocabulary_size,
        "num_labels": num_labels,
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "max_position_embeddings": max_length,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
        "pad_token_id": 0,
        "type_vocab_size": 1,
    }
    return {"kind": "encoder", "config": config, "pooling": "model"}


def train(
    kind: Kind,
    read_as: Reading,
    plan: loop.Plan,
    num_labels: int,
    class_weights: ClassWeights,
    dropout: float,
    device: torch.device,
    scratch: Path,
    hooks: Hooks,
    soft: NDArray[np.float32] | None = None,
    renew: classification.Renewal | None = None,
    begin: Initialization | None = None,
    fair: Fair | None = None,
) -> Candidate:
    """Train one network from fresh weights, the network's own or those of `begin`."""
    size = read_as.tokens.tokenizer.get_vocab_size()
    spec = network_spec(kind, size, read_as.tokens.max_length, num_labels, dropout)
    with devices.reproducible(torch.device("cpu"), plan.threads):
        seed_torch(plan.seed, "weights", 0)
        module = networks.build(spec)
        initialization.apply(module, begin or Initialization(), plan.seed)
    outcome = classification.train(
        module, read_as.training, read_as.validation, plan, device, scratch, hooks, class_weights, soft, renew, fair
    )
    module = module.cpu()
    hooks.say(
        t(
            "{kind}: best after {epochs:.0f} of {done:.0f} epochs",
            kind=kind,
            epochs=outcome.best_step / max(1, _epoch_steps(read_as, plan)),
            done=outcome.steps / max(1, _epoch_steps(read_as, plan)),
        )
    )
    return Candidate(
        name=kind,
        module=module.eval(),
        network=spec,
        preprocessors=(read_as.tokens,),
        logits=outcome.logits,
        metrics=evaluation.scores(outcome.logits, read_as.validation.labels),
        details={
            **run_details(plan, outcome),
            "vocabulary": size,
        },
        huggingface=(module.model, read_as.tokens) if spec["kind"] == "encoder" else None,
    )


def run_details(plan: loop.Plan, outcome: classification.Outcome) -> dict[str, Any]:
    """What the model's provenance says of a run of the loop; the last bits depend on it."""
    return {
        **plan_details(plan),
        "optimizer": plan.optimizer.name,
        "schedule": plan.schedule.name,
        "compiled": outcome.compiled,
        "steps": outcome.steps,
        "best_step": outcome.best_step,
    }


def plan_details(plan: loop.Plan) -> dict[str, Any]:
    """What the model's provenance says of a plan."""
    names = ("learning_rate", "batch_size", "accumulation", "epochs", "precision", "threads")
    return {name: getattr(plan, name) for name in names}


def _epoch_steps(read_as: Reading, plan: loop.Plan) -> int:
    return batching.num_steps(len(read_as.training), plan.batch_size, plan.accumulation)
