"""Encoders on real data: what pretraining on texts without labels is worth, sentence embeddings, text to text.

    python benchmarks/encoders.py --data DIR [--only few_labels pairs] [--threads 1]

- few_labels: DIR/waimai_10k. A network of 2 layers, 128 wide, fills masks in 8,000 reviews without labels, then learns
  from a few labelled ones; beside it the same network with fresh weights and the same tokenizer, the stage's own
  encoder from scratch, and a linear model. All are asked about the same 2,000 test rows.
- pairs: DIR/lcqmc_dev_test. Sentence embeddings learned from the pairs of `dev`, judged on the pairs of `test`.

Accuracy only, no times. Writes benchmarks/results/encoders.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import WORK, markdown, write_result

import modelyard

FOLDER = WORK / "encoders"
SHAPE = "{size: tiny}"

FEW = """version: 1
project: few-labels
steps:
  texts: {{uses: data.read, with: {{path: texts.csv, text: text}}}}
  parts: {{uses: data.split, with: {{validation: 0.05, test: 0}}}}
  encoder:
    uses: train.masked_language_model
    with: {{model: {shape}, tokenizer: {{vocabulary_size: 4000}}, context: 64, epochs: {epochs}, compute: {compute}}}
  fresh:
    uses: train.masked_language_model
    with: {{model: {shape}, tokenizer: {{vocabulary_size: 4000}}, context: 64, max_steps: 1, compute: {compute},
      optimizer: {{learning_rate: 1e-9}}}}
"""
PART = """  rows{n}:
    uses: data.read
    with: {{path: {{train: train{n}.csv, validation: validation.csv, test: test.csv}}, text: text, label: label}}
  split{n}: {{uses: data.split}}
  linear{n}: {{uses: train.text_classification, with: {{size: linear, compute: {compute}}}}}
  scratch{n}: {{uses: train.text_classification, with: {{size: encoder-tiny, compute: {compute}}}}}
  same{n}: {{uses: train.text_classification, in: {{base: fresh}}, with: {{compute: {compute}}}}}
  tuned{n}: {{uses: train.text_classification, in: {{base: encoder}}, with: {{compute: {compute}}}}}
"""
QUALITY = "  q_{name}: {{uses: evaluate.quality, in: {{model: {name}, data: split{n}}}, with: {{baselines: false}}}}\n"
WAYS = {
    "linear": "linear on n-grams",
    "scratch": "`size: encoder-tiny`, from scratch",
    "same": "the same network and tokenizer, fresh weights",
    "tuned": "after filling masks in 8,000 reviews",
}


def write_rows(path: Path, head: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)


def evidence(folder: Path, step: str, claim: str) -> dict[str, Any]:
    """The one measurement of a claim on all of test."""
    found = modelyard.evidence(step, project=folder)
    return next(one for one in found if one["claim"] == claim and not one["slice"] and one["split"] == "test")


def shown(item: dict[str, Any]) -> str:
    low, high = item["interval"]
    return f"{item['value']:.3f} [{low:.3f}, {high:.3f}]"


def few_labels(options: argparse.Namespace) -> str:
    folder = FOLDER / "few_labels"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with (options.data / "waimai_10k" / "waimai_10k.csv").open(encoding="utf-8") as file:
        # A review that occurs twice would be read without its label and asked about.
        rows = list({one["review"]: [one["review"], one["label"]] for one in csv.DictReader(file)}.values())
    random.Random(0).shuffle(rows)
    test, validation, rest = rows[:2000], rows[2000:2300], rows[2300:]
    write_rows(folder / "test.csv", ["text", "label"], test)
    write_rows(folder / "validation.csv", ["text", "label"], validation)
    write_rows(folder / "texts.csv", ["text"], [[text] for text, _ in rest[:8000]])
    compute = f'{{threads: {options.threads}, compile: "off"}}'
    text = FEW.format(shape=SHAPE, epochs=options.epochs, compute=compute)
    for n in options.labels:
        write_rows(folder / f"train{n}.csv", ["text", "label"], rest[:n])
        text += PART.format(n=n, compute=compute)
        text += "".join(QUALITY.format(name=f"{way}{n}", n=n) for way in WAYS)
    (folder / "modelyard.yaml").write_text(
        text + f"release: {{model: tuned{options.labels[-1]}, rules: []}}\n", encoding="utf-8"
    )
    modelyard.run(folder)
    lines = [
        [what, *(shown(evidence(folder, f"{way}{n}", "quality.accuracy")) for n in options.labels)]
        for way, what in WAYS.items()
    ]
    head = ["accuracy on 2,000 test rows", *(f"{n:,} labels" for n in options.labels)]
    return "## Few labels: waimai_10k\n\n" + markdown(head, lines)


PAIRS = """version: 1
project: pairs
steps:
  rows:
    uses: data.read
    with: {{path: pairs.csv, text: text_a, label: label}}
  split: {{uses: data.split, with: {{validation: 0.1, test: 0}}}}
  fresh:
    uses: train.sentence_embedding
    with: {{other: text_b, max_length: 64, model: {shape}, tokenizer: {{vocabulary_size: 4000}}, compute: {compute}}}
"""
FILLED = """  texts: {{uses: data.read, with: {{path: texts.csv, text: text}}}}
  parts: {{uses: data.split, with: {{validation: 0.05, test: 0}}, in: {{data: texts}}}}
  encoder:
    uses: train.masked_language_model
    in: {{data: parts}}
    with: {{model: {shape}, tokenizer: {{vocabulary_size: 4000}}, context: 64, epochs: {epochs}, compute: {compute}}}
  tuned:
    uses: train.sentence_embedding
    in: {{base: encoder, data: split}}
    with: {{other: text_b, max_length: 64, optimizer: {{learning_rate: 5e-4}}, compute: {compute}}}
"""


def cosines(folder: Path, step: str, sides: list[list[str]]) -> Any:
    """[rows] cosines of the two texts of each pair by the model of a step."""
    import numpy as np

    from modelyard.methods import runtimes

    result = modelyard.run(folder)
    model = next(one.outputs["model"] for one in result.steps if one.step == step)
    predictor = runtimes.load(folder / ".modelyard" / "artifacts" / model[7:9] / model[9:], threads=1)
    found = [np.array([one.vector for one in predictor.predict([{"text": text} for text in side])]) for side in sides]
    return (found[0] * found[1]).sum(1)


def tfidf(training: list[str], sides: list[list[str]]) -> Any:
    """[rows] cosines of TF-IDF vectors of character 1- and 2-grams, fitted on the training texts."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True).fit(training)
    first, second = (vectorizer.transform(side) for side in sides)
    return np.asarray(first.multiply(second).sum(1)).ravel()


def pairs(options: argparse.Namespace) -> str:
    import numpy as np

    from modelyard.methods.training.encoders.contrast import agreement

    folder = FOLDER / "pairs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = {}
    for name in ("dev", "test"):
        with (options.data / "lcqmc_dev_test" / f"{name}.txt").open(encoding="utf-8") as file:
            rows[name] = [line.rstrip("\n").split("\t") for line in file][1:]
    asked = {text for first, second, _ in rows["test"] for text in (first, second)}
    training = [row for row in rows["dev"] if not asked & set(row[:2])]
    write_rows(folder / "pairs.csv", ["text_a", "text_b", "label"], training)
    texts = sorted({text for first, second, _ in training for text in (first, second)})
    write_rows(folder / "texts.csv", ["text"], [[text] for text in texts])
    steps = PAIRS + (FILLED if options.epochs else "")
    text = steps.format(shape=SHAPE, epochs=options.epochs, compute=f'{{threads: {options.threads}, compile: "off"}}')
    (folder / "modelyard.yaml").write_text(text, encoding="utf-8")
    sides = [[row[place] for row in rows["test"]] for place in (0, 1)]
    scores = np.array([float(row[2]) for row in rows["test"]], np.float32)
    ways = {
        "cosine of TF-IDF, characters and pairs of them": tfidf(texts, sides),
        "2 layers of 128, from scratch, CoSENT": cosines(folder, "fresh", sides),
    }
    if options.epochs:
        ways["the same after filling masks in the training texts"] = cosines(folder, "tuned", sides)
    lines = []
    for what, found in ways.items():
        measured = agreement(np.asarray(found, np.float64), scores)
        lines.append([what, f"{measured['spearman']:.3f}", f"{measured['auc']:.3f}"])
    head = [f"{len(scores):,} test pairs", "Spearman", "AUC"]
    note = f"Learned from {len(training):,} pairs of `dev` that share no text with `test`."
    return "## Sentence embeddings: lcqmc_dev_test\n\n" + markdown(head, lines) + "\n\n" + note


PARTS = {"few_labels": few_labels, "pairs": pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=float, default=20, help="of filling masks; with 0 `pairs` leaves it out")
    parser.add_argument("--labels", type=int, nargs="*", default=[100, 300, 1000])
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = FOLDER / "parts.json"
    parts = json.loads(kept.read_text()) if kept.is_file() else {}
    for name in options.only:
        parts[name] = PARTS[name](options)
        kept.write_text(json.dumps(parts))
    body = "\n\n".join(parts[name] for name in PARTS if name in parts)
    versions = [f"{name} {version(name)}" for name in ("modelyard", "torch", "transformers")]
    write_result("encoders", "Encoders: masks, embeddings, text to text", body, versions)


if __name__ == "__main__":
    main()
