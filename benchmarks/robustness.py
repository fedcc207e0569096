"""Robustness of the reviews model before and after adversarial training.

    python benchmarks/robustness.py --data DIR [--train 7000] [--test 1000] [--epochs 4]

DIR holds `waimai_10k`; without it the reviews of examples/reviews-zh are used. One network (a CNN over sub-words),
trained alike but for `adversarial`; each is measured on the same test rows under the same changes, and attacked with
its own gradients.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from common import WORK, markdown, write_result

from modelyard.methods import runtimes
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.row_random import ranks
from modelyard.methods.evaluation import measuring
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.measuring.examples import Examples
from modelyard.methods.evaluation.robustness import attacking, families, judging, summary
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.runtimes.differentiable import open_differentiable
from modelyard.methods.training import candidates, saving, text_classifier
from modelyard.methods.training.adversarial.settings import Adversarial
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings import Compute, EarlyStopping, Reading

WAYS: dict[str, Adversarial | None] = {
    "none": None,
    "fgm": Adversarial(kind="fgm", epsilon=0.5),
    "pgd": Adversarial(kind="pgd", epsilon=0.5, steps=2),
    "freelb": Adversarial(kind="freelb", epsilon=0.5, steps=2),
    "vat": Adversarial(kind="vat", epsilon=0.5, share=1.0),
}
REVIEWS = Path(__file__).resolve().parents[1] / "examples" / "reviews-zh" / "reviews.csv"
VALIDATION = 500
ATTACKED, RADIUS = 100, 0.3
COLUMNS = (Column("row_id", "other", "string"), Column("text", "text", "string"), Column("label", "label", "string"))
SHOWN = ("typos", "homophones", "similar_glyphs", "synonyms", "word_order", "appended_noise")


def rows_of(data: Path | None) -> list[tuple[str, str]]:
    path = data / "waimai_10k" / "waimai_10k.csv" if data else REVIEWS
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    text = "text" if "text" in rows[0] else "review"
    found = dict.fromkeys((row[text], row["label"]) for row in rows if row[text])
    order = np.argsort(ranks(0, "benchmark", [f"{text}/{label}" for text, label in found]))
    every = list(found)
    return [every[place] for place in order.tolist()]


def write_test(rows: list[tuple[str, str]], folder: Path) -> Dataset:
    folder.mkdir(parents=True, exist_ok=True)
    write_schema(folder, COLUMNS)
    schema = pa.schema([(column.name, pa.string()) for column in COLUMNS])
    columns = [[f"r{place}" for place in range(len(rows))], [row[0] for row in rows], [row[1] for row in rows]]
    write_split(folder, "test", [pa.table(columns, schema=schema)], schema)
    return Dataset.open(folder)


def train(name: str, rows: list[tuple[str, str]], settings: argparse.Namespace, folder: Path) -> None:
    """A model folder; nothing to do if it is there."""
    if (folder / "model.json").is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    labels = sorted({label for _, label in rows})
    parts = [rows[: settings.train], rows[settings.train : settings.train + VALIDATION]]
    splits = [
        candidates.Examples(
            [text for text, _ in part],
            np.array([labels.index(label) for _, label in part], np.int64),
            [str(place) for place in range(len(part))],
            np.ones(len(part), np.float32),
        )
        for part in parts
    ]
    how = text_classifier.Settings(
        size="cnn",
        epochs=settings.epochs,
        reading=Reading(max_length=96, vocabulary_size=4000),
        early_stopping=EarlyStopping(patience=0),
        compute=Compute(compile="off"),
        adversarial=WAYS[name],
    )
    scratch = folder.with_name(folder.name + "-scratch")
    work = text_classifier.Work(splits[0], splits[1], len(labels), how, torch.device("cpu"), 0, scratch, Hooks())
    kept, _ = text_classifier.from_scratch(work)
    saving.write_model(kept, folder, labels=labels, provenance={"seed": 0}, licence="unknown", golden=splits[1].texts)
    shutil.rmtree(scratch, ignore_errors=True)


def measure(folder: Path, data: Dataset) -> list[Estimate]:
    predictor = runtimes.load(folder, threads=1)
    reader = measuring.find(predictor.task).reader(data, predictor.task, Measuring())
    examples = Examples.read(data, "test", reader)
    judged = judging.judge(predictor, examples, families.of_kind("text", data), 0, len(examples), 256)
    predictor.close()
    return summary.estimates(judged)


def row_of(name: str, found: list[Estimate], attacked: list[Estimate]) -> list[Any]:
    def cell(one: Estimate | None) -> str:
        if one is None:
            return "-"
        ends = f" ({one.interval[0]:.3f} … {one.interval[1]:.3f})" if one.interval else ""
        return f"{one.value:.3f}{ends}"

    def get(quantity: str, **part: str) -> Estimate | None:
        return next((one for one in found if one.name == quantity and dict(one.slice) == part), None)

    plain = [get("accuracy", kind="clean"), get("worst_accuracy"), get("mean_corruption_error")]
    each = [get("worst_accuracy", kind=kind) for kind in SHOWN]
    return [name, *(cell(one) for one in (*plain, *each, *attacked))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--train", type=int, default=7000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    settings = parser.parse_args()
    torch.set_num_threads(1)
    root = WORK / "robustness" / f"{settings.train}-{settings.epochs}"
    rows = rows_of(settings.data)
    from_row = settings.train + VALIDATION
    data = write_test(rows[from_row : from_row + settings.test], root / "test")
    table = []
    for name in settings.ways:
        train(name, rows, settings, root / name)
        print(name, "trained", flush=True)
    for name in settings.ways:
        attacked = attack(root / name, data)
        table.append(row_of(name, measure(root / name, data), attacked))
        print(table[-1], flush=True)
    head = ["adversarial", "clean", "all changes", "mean error", *SHOWN, "FGSM", "PGD"]
    words = (
        f"{settings.train:,} reviews of examples/reviews-zh or DIR to train on, {settings.epochs} epochs of a CNN over "
        f"sub-words, {settings.test:,} test rows. Accuracy with its 95 % interval: on the rows as they are, of rows "
        "right under all changes, of rows right under every severity of a kind, and under attacks on the embeddings "
        f"with the model's own gradients (the first {ATTACKED} rows, L2, radius {RADIUS} of a vector). `mean error` is "
        "the mean over kinds."
    )
    body = "\n\n".join((words, markdown(head, table)))
    versions = [f"modelyard {version('modelyard')}", f"torch {version('torch')}"]
    write_result("robustness", "Robustness before and after adversarial training", body, versions)


def attack(folder: Path, data: Dataset) -> list[Estimate]:
    """Accuracies of the first rows under FGSM and PGD on embeddings, L2."""
    model = open_differentiable(folder)
    reader = measuring.find(model.card.task).reader(data, model.card.task, Measuring())
    examples = Examples.read(data, "test", reader)
    places = list(range(min(ATTACKED, len(examples))))
    labels = np.array([model.labels.index(examples.truths[place]) for place in places], np.int64)
    how = attacking.Settings(steps=10, words=0, l2=(RADIUS,))
    found = attacking.run(model, examples.pick(places), examples.row_ids[: len(places)], labels, how)
    return [one for one in found.estimates if one.slice.get("attack") in ("fgsm", "pgd")]


if __name__ == "__main__":
    main()
