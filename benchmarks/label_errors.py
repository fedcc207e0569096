"""How well likely label errors are found, on labels that people have checked, beside cleanlab called directly.

    python benchmarks/label_errors.py --data DIR [--images N]

DIR holds `label_errors` (test sets of MNIST, CIFAR-10 and 20news: labels, out-of-sample probabilities, and five votes
on each candidate: Northcutt, Athalye and Mueller 2021) and `cifar10n` with `cifar10_jpg` (5,000 training images with
labels by people and the right ones: Wei et al. 2022). In `label_errors` the probabilities are given, and a row counts
as wrong if fewer than three of five people chose its label. Rows that were no candidates were looked at by nobody: they
count as right in one column, and are left out in the other. In `cifar10n` the probabilities are data.label_errors' own,
from histograms of gradients; cleanlab gets the same ones.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
from cleanlab.count import num_label_issues
from cleanlab.rank import get_label_quality_scores
from common import markdown, write_result
from numpy.typing import NDArray

from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.evaluation.intervals import auc_interval, average_precision_interval
from modelyard.methods.evaluation.label_quality import confident, error_rate, judging, rows
from modelyard.methods.evaluation.ranking import average_precision, placements
from modelyard.methods.training.hooks import Hooks

CHECKED = ("mnist", "cifar10", "20news")
NOISE = ("aggre_label", "worse_label")
VOTES = 3


@dataclass(frozen=True)
class Case:
    """Labels, probabilities and the truth about each row; `checked` are the rows a person has looked at."""

    name: str
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    wrong: NDArray[np.bool_]
    checked: NDArray[np.bool_]


def checked_sets(folder: Path) -> Iterator[Case]:
    """The test sets whose candidates people have voted on."""
    for name in CHECKED:
        labels = np.load(folder / f"{name}_test_set_original_labels.npy").astype(np.int64)
        probabilities = np.load(folder / f"{name}_test_set_pyx.npy").astype(np.float64)
        probabilities /= probabilities.sum(1, keepdims=True)
        wrong, checked = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
        for one in json.loads((folder / f"{name}_mturk.json").read_text(encoding="utf-8")):
            checked[int(one["id"])] = True
            wrong[int(one["id"])] = one["mturk"]["given"] < VOTES
        yield Case(name, labels, probabilities, wrong, checked)


def noisy_images(folder: Path, images: Path, num: int) -> Iterator[Case]:
    """CIFAR-10 images with labels by people, judged by data.label_errors' own model."""
    with (images / "index_map.csv").open(encoding="utf-8") as stream:
        places = {row["path"]: int(row["original_index"]) for row in csv.DictReader(stream) if row["split"] == "train"}
    with zipfile.ZipFile(images / "train_first500_per_class.zip") as archive:
        names = [name for name in sorted(archive.namelist()) if name in places]
        names = [
            name for place, name in enumerate(names) if place * num // len(names) != (place - 1) * num // len(names)
        ]
        pictures = {name: archive.read(name) for name in names}
    labels = np.load(folder / "cifar10n_labels.npz")
    for column in NOISE:
        given = {name: int(labels[column][places[name]]) for name in names}
        with tempfile.TemporaryDirectory() as work:
            data = _image_set(Path(work) / "data", pictures, given)
            judged = judging.judge(
                rows.read(data, "train"), rows.read(data, "validation"), judging.Judging(), 0, Path(work), Hooks()
            )
        truth = np.array([int(labels["clean_label"][places[name]]) for name in judged.rows.row_ids])
        there = np.array([given[name] for name in judged.rows.row_ids])
        codes = np.array([int(judged.labels[code]) for code in judged.codes])
        assert (codes == there).all()
        every = np.ones(len(truth), bool)
        yield Case(f"cifar10n {column}", judged.codes, judged.probabilities, there != truth, every)


def _image_set(folder: Path, pictures: dict[str, bytes], given: dict[str, int]) -> Dataset:
    """All images in train but every tenth, which chooses the strength of the penalty."""
    folder.mkdir()
    columns = [Column("row_id", "other", "string"), Column("image", "image", "binary"), Column("y", "label", "string")]
    write_schema(folder, columns)
    schema = pa.schema([(column.name, pa.type_for_alias(column.type)) for column in columns])
    names = list(pictures)
    for split, chosen in (("validation", names[::10]), ("train", [n for i, n in enumerate(names) if i % 10])):
        table = {"row_id": chosen, "image": [pictures[name] for name in chosen], "y": [str(given[n]) for n in chosen]}
        write_split(folder, split, [pa.table(table, schema)], schema)
    return Dataset.open(folder)


def measured(case: Case) -> list[list[object]]:
    """A row of the table of ranking for each score, and the last of the table of rates."""
    issues = confident.find(case.labels, case.probabilities)
    scores = {
        "data.label_errors": issues.quality,
        "cleanlab, normalized margin": get_label_quality_scores(
            case.labels, case.probabilities, method="normalized_margin"
        ),
        "cleanlab, weighted entropy": get_label_quality_scores(
            case.labels, case.probabilities, method="confidence_weighted_entropy"
        ),
    }
    plain = get_label_quality_scores(case.labels, case.probabilities, method="self_confidence")
    assert np.array_equal(plain, issues.quality), "the ranking is cleanlab's"
    found: list[list[object]] = []
    for name, quality in scores.items():
        everything = _ranking(case.wrong, -quality)
        some = ["as all", ""] if case.checked.all() else _ranking(case.wrong[case.checked], -quality[case.checked])
        found.append([case.name, int(case.wrong.sum()), name, *everything, some[0]])
    return found


def _ranking(wrong: NDArray[np.bool_], score: NDArray[np.float64]) -> list[str]:
    auc = float(placements(wrong, score)[wrong].mean())
    precision = average_precision(wrong, score)
    return [_with(auc, auc_interval(wrong, score)), _with(precision, average_precision_interval(wrong, score))]


def _with(value: float, interval: tuple[float, float] | None) -> str:
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def rates(case: Case) -> list[object]:
    """True share of wrong labels beside the estimates, and how good the flags are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = int(num_label_issues(case.labels, case.probabilities, estimation_method="off_diagonal_calibrated"))
    flagged = confident.find(case.labels, case.probabilities).flagged
    ours = error_rate.estimate(case.labels, case.probabilities, confident.num_issues(case.labels, case.probabilities))
    truth, n = float(case.wrong.mean()), len(case.labels)
    hits = int((flagged & case.wrong).sum())
    return [
        case.name,
        n,
        f"{truth:.2%}" + ("" if case.checked.all() else " at least"),
        f"{plain / n:.2%}",
        f"{ours.value:.2%} [{ours.low:.2%}, {ours.high:.2%}]",
        "yes" if ours.low <= truth <= ours.high else "no",
        f"{int(flagged.sum()):,}",
        f"{hits / max(1, flagged.sum()):.2f}",
        f"{hits / max(1, case.wrong.sum()):.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with label_errors, cifar10n and cifar10_jpg")
    parser.add_argument("--images", type=int, default=5_000, help="images of cifar10n to use")
    options = parser.parse_args()
    cases = list(checked_sets(options.data / "label_errors"))
    if (options.data / "cifar10n").is_dir():
        cases += noisy_images(options.data / "cifar10n", options.data / "cifar10_jpg", options.images)
    ranking = [row for case in cases for row in measured(case)]
    body = "\n\n".join(
        [
            "Finding wrong labels by score. `data.label_errors` ranks by cleanlab's self-confidence, to the last bit, "
            "so its row is cleanlab's too; the others are cleanlab's other scores on the same probabilities. "
            "*Candidates* are the rows people looked at; the others count as right in the middle columns, which "
            "flatters. 95 % intervals.",
            markdown(["set", "wrong labels", "score", "AUROC", "average precision", "AUROC, candidates"], ranking),
            "How many labels are wrong. cleanlab gives a number, data.label_errors an interval too; *holds*: whether "
            "the truth is in it.",
            markdown(
                ["set", "rows", "wrong", "cleanlab", "data.label_errors", "holds", "flagged", "precision", "recall"],
                [rates(case) for case in cases],
            ),
            "The probabilities for cifar10n come from logistic regression on histograms of gradients, which is right "
            "about half of the pictures: with such images a better model's `probabilities` are worth giving. In the "
            "checked sets *wrong* is a lower bound (only candidates were looked at), and recall is of what was found.",
        ]
    )
    write_result(
        "label_errors",
        "Finding label errors that people have confirmed",
        body,
        [f"{name} {version(name)}" for name in ("modelyard", "cleanlab", "scikit-learn", "numpy")],
    )


if __name__ == "__main__":
    main()
