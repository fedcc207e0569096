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

import numpy as np
import pyarrow as pa
import torch
from common import WORK, markdown, write_result
from numpy.typing import NDArray

from modelyard.methods import runtimes
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.row_random import ranks
from modelyard.methods.evaluation import measuring
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.measuring.examples import Examples
from modelyard.methods.evaluation.paired import Pairs, difference_interval
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
ATTACKED, RADIUS = 300, 0.3
COLUMNS = (Column("row_id", "other", "string"), Column("text", "text", "string"), Column("label", "label", "string"))


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


def measure(folder: Path, data: Dataset) -> tuple[list[Estimate], NDArray[np.bool_]]:
    """Estimates under every change, and which rows are right under all of them."""
    predictor = runtimes.load(folder, threads=1)
    reader = measuring.find(predictor.task).reader(data, predictor.task, Measuring())
    examples = Examples.read(data, "test", reader)
    judged = judging.judge(predictor, examples, families.of_kind("text", data), 0, len(examples), 256)
    predictor.close()
    return summary.estimates(judged), np.fmax.reduce([judged.clean, *judged.errors.values()]) == 0


def attack(folder: Path, data: Dataset) -> list[Estimate]:
    """The first rows under FGSM and PGD on embeddings, L2, and under words put by the gradient."""
    model = open_differentiable(folder)
    reader = measuring.find(model.card.task).reader(data, model.card.task, Measuring())
    examples = Examples.read(data, "test", reader)
    places = list(range(min(ATTACKED, len(examples))))
    labels = np.array([model.labels.index(examples.truths[place]) for place in places], np.int64)
    how = attacking.Settings(steps=10, words=3, l2=(RADIUS,))
    return list(attacking.run(model, examples.pick(places), examples.row_ids[: len(places)], labels, how).estimates)


def cell(one: Estimate | None) -> str:
    if one is None:
        return "-"
    ends = f" ({one.interval[0]:.3f} … {one.interval[1]:.3f})" if one.interval else ""
    return f"{one.value:.3f}{ends}"


def row(words: str, by_way: dict[str, list[Estimate]], name: str, **part: str) -> list[str]:
    """One quantity of every model; n is that of the first, and the same for all but success rates."""
    of_way = [next((e for e in every if e.name == name and dict(e.slice) == part), None) for every in by_way.values()]
    return [words, str(of_way[0].n if of_way[0] else 0), *(cell(one) for one in of_way)]


def changes(found: dict[str, list[Estimate]], worst: dict[str, NDArray[np.bool_]]) -> list[list[str]]:
    kinds = [one.slice["kind"] for one in next(iter(found.values())) if one.name == "accuracy"]
    table = [row("as they are", found, "accuracy", kind="clean")]
    for kind in dict.fromkeys(kinds):
        severities = sorted({e.slice["severity"] for e in found["none"] if "severity" in e.slice and
                             e.slice.get("kind") == kind and e.name == "accuracy"})  # fmt: skip
        for severity in severities:
            name = f"{kind} {severity}" if len(severities) > 1 else kind
            table.append(row(name, found, "accuracy", kind=kind, severity=severity))
        if len(severities) > 1:
            table.append(row(f"{kind}, all severities", found, "worst_accuracy", kind=kind))
    table.append(row("**all changes at once (worst case)**", found, "worst_accuracy"))
    pairs = {way: Pairs.of(right, worst["none"]) for way, right in worst.items()}
    gain = [Estimate("gain", one.difference, difference_interval(one), one.n) for one in pairs.values()]
    table.append(["worst case, less that of `none` (paired)", str(gain[0].n), *(cell(one) for one in gain)])
    table.append(row("mean error over kinds", found, "mean_corruption_error"))
    for kind in ("entities", "negation"):
        table.append(row(f"check fails: {kind}", found, "check_failures", kind=kind, severity="1"))
    return table


def attacks(found: dict[str, list[Estimate]]) -> list[list[str]]:
    radius = {"norm": "l2", "radius": f"{RADIUS:.4g}"}
    words = {"attack": "words", "budget": "3"}
    return [
        row("accuracy, not attacked", found, "accuracy", attack="none"),
        row("accuracy, FGSM", found, "accuracy", attack="fgsm", **radius),
        row("accuracy, PGD of 10 steps", found, "accuracy", attack="pgd", **radius),
        row("accuracy, APGD with the ratio of logits", found, "accuracy", attack="apgd_dlr", **radius),
        row("accuracy, noise of that length", found, "accuracy", attack="noise", **radius),
        row("accuracy, 3 words replaced", found, "accuracy", **words),
        row("success of 3 words, of right rows", found, "success_rate", **words),
        row("success of PGD, of right rows", found, "success_rate", attack="pgd", **radius),
        row("accuracy, all attacks (worst case)", found, "worst_accuracy"),
        row("signs of masked gradients", found, "masked_gradients"),
    ]


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
    found, worst, attacked = {}, {}, {}
    for name in dict.fromkeys(["none", *settings.ways]):
        train(name, rows, settings, root / name)
        print(name, "trained", flush=True)
        found[name], worst[name] = measure(root / name, data)
        attacked[name] = attack(root / name, data)
        print(name, "measured", flush=True)
    head = ["", "n", *(f"`{name}`" for name in found)]
    source = "waimai_10k (food deliveries, Chinese)" if settings.data else "examples/reviews-zh"
    intro = (
        f"{settings.train:,} reviews of {source} to train on, {VALIDATION} to choose the epoch, {settings.test:,} test "
        f"rows, {settings.epochs} epochs of a CNN over sub-words, one training of each: columns differ by "
        "the method and by the chance of one training. Cells: share with its 95 % interval."
    )
    first = (
        "## Changed texts\n\nAccuracy over the rows that the change could change (n), by severity where there are "
        "several. The worst case counts a row only if it is right under every change."
    )
    second = (
        f"## Attacks with the model's own gradients\n\nThe first {ATTACKED} rows; L2 on the embeddings, radius "
        f"{RADIUS} of a vector's length; synonyms from the built-in list, at most 3 words. A success is a row that was "
        "right and no longer is."
    )
    tables = markdown(head, changes(found, worst)), markdown(head, attacks(attacked))
    body = "\n\n".join((intro, first, tables[0], second, tables[1]))
    versions = [f"modelyard {version('modelyard')}", f"torch {version('torch')}"]
    write_result("robustness", "Robustness of a reviews model before and after adversarial training", body, versions)


if __name__ == "__main__":
    main()
