"""Work for several processes: tiny networks trained in every layout, one after the other, results as JSON."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path

import torch
import torch.distributed as dist

from modelyard.methods.training import adapters, loop, nf4
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.classification import CrossEntropy
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language.network import TokenLosses
from modelyard.methods.training.language.objectives import NextToken
from modelyard.methods.training.language.settings import Adapter
from modelyard.methods.training.parallel import world
from modelyard.methods.training.parallel.begin import begin
from modelyard.methods.training.settings import EarlyStopping, Optimizer
from modelyard.methods.training.settings_parallel import Parallel

CPU = torch.device("cpu")
SHAPE = {
    "vocab_size": 48,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 16,
}


def network(kind: str):
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    torch.manual_seed(0)
    if kind == "bert":
        still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        return AutoModelForSequenceClassification.from_config(
            AutoConfig.for_model("bert", num_labels=3, **still, **SHAPE)
        )
    family, _, variant = kind.partition("-")
    tied = variant == "tied"
    config = AutoConfig.for_model(family, num_key_value_heads=4, head_dim=4, tie_word_embeddings=tied, **SHAPE)
    model = AutoModelForCausalLM.from_config(config)
    if variant == "nf4":
        nf4.hold(model)
        adapters.add(model, Adapter(rank=2), 0, 1)
    return TokenLosses(model)


class Texts:
    """Three steps an epoch, each of two batches whose rows no number of processes divides."""

    epoch_steps = 3

    def __init__(self, labelled: bool) -> None:
        self.labelled = labelled

    def step(self, epoch: int, position: int):
        draw = torch.Generator().manual_seed(position)
        return [self.batch(torch.randint(1, 48, (rows, 7), generator=draw)) for rows in (5, 3)]

    def batch(self, ids):
        rows = len(ids)
        if self.labelled:
            mask = torch.ones_like(ids)
            mask[0, 5:] = 0
            targets = {"labels": ids[:, 0] % 3, "weights": torch.ones(rows)}
            return Batch({"input_ids": ids, "attention_mask": mask}, targets, weight=rows, names=["r"], tokens=7 * rows)
        inputs = {"input_ids": ids[:, :-1], "labels": ids[:, 1:].reshape(-1)}
        return Batch(inputs, weight=6.0 * rows, names=["r"], tokens=6 * rows)


def judge(feed: Texts):
    def scores(module):
        was_training = module.training
        module.eval()
        batch = feed.step(0, 99)[0]
        with torch.inference_mode():
            answer = module(**batch.inputs)
            if feed.labelled:
                logits = answer if isinstance(answer, torch.Tensor) else answer.logits
                answer = torch.nn.functional.cross_entropy(logits, batch.targets["labels"])
        module.train(was_training)
        return {"loss": float(answer.mean())}

    return scores


def digest(module) -> str:
    """Of every bit of the whole module's weights and buffers, by name."""
    found = hashlib.sha256()
    for name, one in sorted(module.state_dict().items()):
        whole = one.full_tensor() if hasattr(one, "full_tensor") else one
        found.update(f"{name} {whole.dtype} {tuple(whole.shape)}".encode())
        found.update(whole.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def train(kind: str, spec: dict, scratch: Path, stop: int | None = None) -> dict:
    """Six steps; `stop` leaves after so many, with a checkpoint."""
    points, said = [], []
    hooks = Hooks(log=lambda step, **values: points.append(values), say=said.append)
    optimizer = Optimizer(name=spec.get("optimizer", "adamw"), clip=0.5)
    plan = loop.Plan(
        epochs=2,
        batch_size=5,
        learning_rate=1e-2,
        checkpoint_seconds=0,
        optimizer=optimizer,
        parallel=Parallel(**{name: value for name, value in spec.items() if name != "optimizer"}),
        early_stopping=EarlyStopping(metric="loss", patience=0),
    )
    feed, module = Texts(kind == "bert"), network(kind)
    objective = CrossEntropy() if kind == "bert" else NextToken()
    if stop is None:
        loop.train(module, feed, objective, judge(feed), plan, CPU, scratch, hooks)
    else:
        together = begin(module, plan, CPU, hooks.say)
        run = loop.Loop(together, feed, objective, judge(feed), plan, CPU, scratch, hooks)
        run.resume()
        while run.step < stop:
            run.advance()
        run.saver.wait()
    return {
        "loss": [values["loss"] for values in points if "loss" in values],
        "norm": [values["gradient_norm"] for values in points if "gradient_norm" in values],
        "validation": [values["validation_loss"] for values in points if "validation_loss" in values],
        "weights": [float(one.detach().double().sum()) for one in module.parameters()],
        "digest": digest(module) if stop is None else "",
        "said": said,
    }


def work(arguments) -> None:
    """Every job in turn: (name, kind, spec, folder, stop). The first process writes what came of them."""
    torch.set_num_threads(1)
    found = {}
    with world.joined(120):
        for name, kind, spec, folder, stop in arguments["jobs"]:
            found[name] = train(kind, spec, Path(folder), stop)
            dist.barrier()
        if world.rank() == 0:
            Path(arguments["found"]).write_text(json.dumps(found))


def fail(arguments) -> None:
    """The last process fails in the way that is asked for, while the others wait for it."""
    Path(arguments["folder"], f"pid-{os.environ['RANK']}").write_text(str(os.getpid()))
    with world.joined(arguments.get("timeout", 60)):
        dist.barrier()
        if world.rank() == world.size() - 1:
            if arguments["how"] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif arguments["how"] == "raise":
                raise ValueError("rank one has had enough")
            time.sleep(600)
        dist.barrier()
