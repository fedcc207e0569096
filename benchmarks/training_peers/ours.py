"""The jobs as Modelyard's loop does them. Arguments: one JSON."""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from clock import Clock, job

from modelyard.methods.training import precision
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import chats, fitting, instruction, models
from modelyard.methods.training.language.documents import HeldDocuments
from modelyard.methods.training.language.learning import Job, Learning
from modelyard.methods.training.language.rows import Chat
from modelyard.methods.training.language.settings import Adapter
from modelyard.methods.training.settings import Compute


def begin(given, clock, folder):
    cpu = torch.device("cpu")
    return Job(
        cpu,
        precision.resolve("auto", cpu),
        given["threads"],
        Compute(compile=given.get("compile", "auto")),
        0,
        Path(folder),
        Hooks(progress=lambda done, total, what: clock.step()),
    )


def language(given, clock, folder):
    """Pretraining on packed lines."""
    model, _ = models.open_base(Path(given["model"]))
    ids = np.load(given["ids"])
    ends = np.load(given["ends"])
    parts = [part.tolist() for part in np.split(ids, ends[:-1])]
    marks = [[True] * len(part) for part in parts]
    names = [str(place) for place in range(len(parts))]
    documents = HeldDocuments.of(parts, marks, names)
    few = HeldDocuments.of(parts[:1], marks[:1], names[:1])
    # A stage holds its tokens once, as arrays.
    del ids, parts, marks, names
    learning = Learning(max_steps=given["steps"], evaluate_every=given["steps"])
    settings = fitting.Settings(given["context"], given["lines"], learning=learning)
    made = fitting.fit(model, documents, few, settings, begin(given, clock, folder))
    return given["steps"] * given["lines"] * given["context"], {"loss": made.metrics["loss"]}


def instruct(given, clock, folder):
    """Instruction tuning with LoRA, one epoch."""
    found = [Chat(turns, str(place)) for place, turns in enumerate(json.loads(Path(given["chats"]).read_text()))]
    model, tokenizer = models.open_base(Path(given["model"]))
    marks = chats.learn_to_chat(model, tokenizer)
    doing = begin(given, clock, folder)
    made = instruction.documents(found, tokenizer, given["context"], "cut", "train", doing.hooks)
    few = instruction.documents(found[:2], tokenizer, given["context"], "cut", "validation", doing.hooks)
    settings = fitting.Settings(
        given["context"], given["lines"], learning=Learning(epochs=1, evaluate_every=10**6),
        adapter=fitting.Beside(Adapter(rank=16, alpha=32), tokens=marks),
    )  # fmt: skip
    fitting.fit(model, made, few, settings, doing)
    return len(found), {}


def images(given, clock, folder):
    """Image classification, so many epochs."""
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training.loop import Plan
    from modelyard.methods.training.settings import EarlyStopping
    from modelyard.methods.training.vision import work

    doing = begin(given, clock, folder)
    data = Dataset.open(Path(given["images"]))
    plan = Plan(
        epochs=given["epochs"], batch_size=given["batch"], learning_rate=5e-4, precision=doing.precision,
        threads=given["threads"], compile=given.get("compile", "off"), early_stopping=EarlyStopping(patience=0),
        evaluate_every=10**6,
    )  # fmt: skip
    labels = tuple(str(one) for one in range(10))
    work.train(data, labels, work.Settings(size=given["size"]), plan, doing.device, doing.scratch, doing.hooks)
    return given["rows"] * given["epochs"], {}


def main():
    given = job()
    torch.set_num_threads(given["threads"])
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        units, more = {"language": language, "instruct": instruct, "images": images}[given["kind"]](
            given, clock, folder
        )
        clock.tell(units, **more, precision=precision.resolve("auto", torch.device("cpu")))


if __name__ == "__main__":
    main()
