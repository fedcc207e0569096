"""Model folders of every kind of record, made by the trainers themselves or from fresh weights, in seconds."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from support.fake_context import FakeContext
from support.small_models import root
from support.small_tables import people, write_table
from support.tiny_language import tiny_model


@cache
def table(target: str = "class") -> Path:
    """Boosted trees over `age`, `city`, `income` and `code`: a class, or with `number` a number."""
    from modelyard.stages.train.tabular import Config, run

    folder = root() / f"table-{target}"
    data = write_table(folder / "data", {"train": people(150), "validation": people(60, 1)}, target)
    trees, compute = {"rounds": 20, "leaves": 7}, {"threads": 1, "device": "cpu", "precision": "fp32"}
    run(Config(trees=trees, compute=compute), FakeContext(folder, {"data": data}))
    return folder / "outputs" / "model"


@cache
def chat() -> Path:
    """A causal model of fresh weights that knows chats."""
    from modelyard.methods.training.language import chats, saving
    from modelyard.methods.training.language.settings import Generation

    model, tokenizer = tiny_model("llama", context=64, seed=3)
    chats.learn_to_chat(model, tokenizer)
    with torch.no_grad():  # fresh weights are nearly indifferent: louder ones decide
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter *= 6
    folder = root() / "chat"
    folder.mkdir()
    golden = [{"messages": [{"role": "user", "content": "Ada"}]}]
    saving.write_model(model, tokenizer, folder, 64, Generation(max_new_tokens=8), {}, "MIT", golden)
    return folder


@cache
def image() -> Path:
    """A small network of ours with fresh weights over 12 x 12 grey images."""
    from modelyard.methods import networks
    from modelyard.methods.preprocessing.image import Image
    from modelyard.methods.runtimes.golden import write_golden
    from modelyard.methods.runtimes.model_folder import ModelCard
    from modelyard.methods.tasks.image_classification import SAMPLE

    torch.manual_seed(4)
    reading = Image(12, 12, 1, (0.5,), (0.25,), "stretch")
    network = {"kind": "image_cnn", "channels": 1, "num_labels": 2, "widths": [4, 6], "dropout": 0.0}
    folder = root() / "image"
    folder.mkdir()
    networks.save(networks.build(network), folder)
    fields = {"image": {"type": "bytes", "shape": []}}
    card = ModelCard("image-classification", "modelyard", ("dark", "light"), reading.spec(), network, fields)
    card.write(folder)
    write_golden(folder, [{"image": SAMPLE}])
    return folder
