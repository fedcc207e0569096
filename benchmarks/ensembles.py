"""Ensembles and merged weights on real data, beside their members, on rows that chose nothing.

    python benchmarks/ensembles.py --data DIR [--only NAME …]

DIR holds `chnsenticorp`, `waimai_10k` (Chinese reviews) and `adult` (income over 50K). The texts are answered by a
linear model, one with naive-Bayes features and a small network; a second network of another seed of rows (a sample of
data.bootstrap) makes them four. The table is answered by boosted trees of three sizes and a linear model, and by five
trees of five samples (bagging). Accuracy and cross-entropy of the test rows are those of the predictor; differences to
the member that is best on validation are paired (Newcombe 1998, method 10).
"""

from __future__ import annotations

import argparse
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from common import WORK, markdown, write_result

import modelyard

COMPUTE = 'compute: {threads: 1, compile: "off"}'
TEXT_MODELS = {
    "linear": ("train.text_classification", f"{{size: linear, {COMPUTE}}}", "split"),
    "nbsvm": ("train.text_classification", f"{{size: linear, linear: {{naive_bayes: true}}, {COMPUTE}}}", "split"),
    "network": ("train.text_classification", f"{{size: cnn, epochs: 4, {COMPUTE}}}", "split"),
    "network_2": ("train.text_classification", f"{{size: cnn, epochs: 4, {COMPUTE}}}", "bag_1"),
}
TREES = "{{trees: {{leaves: {leaves}}}, {compute}}}"
TABLE_MODELS = {
    **{
        f"trees_{leaves}": ("train.tabular", TREES.format(leaves=leaves, compute=COMPUTE), "split")
        for leaves in (7, 31, 63)
    },
    "line": ("train.tabular", f"{{kind: linear, {COMPUTE}}}", "split"),
    **{f"bag_tree_{n}": ("train.tabular", f"{{{COMPUTE}}}", f"bag_{n}") for n in range(1, 6)},
}
WAYS = {
    "average": "{threads: 1}",
    "average_logs": "{threads: 1, over: log_probabilities}",
    "fitted": "{threads: 1, weights: fitted}",
    "fitted_logs": "{threads: 1, over: log_probabilities, weights: fitted}",
    "vote": "{threads: 1, method: vote}",
    "stack": "{threads: 1, method: stack}",
    "greedy": "{threads: 1, select: greedy}",
}
SETS: dict[str, tuple[str, str, dict[str, tuple[str, str, str]], int]] = {
    "chnsenticorp": (
        "{path: {train: PATH/train.tsv, validation: PATH/dev.tsv, test: PATH/test.tsv}, text: text_a, label: label}",
        "{}",
        TEXT_MODELS,
        1,
    ),
    "waimai_10k": (
        "{path: PATH/waimai_10k.csv, text: review, label: label}",
        "{validation: 0.1, test: 0.2}",
        TEXT_MODELS,
        1,
    ),
    "adult": (
        "{path: {train: PATH/adult.data, test: PATH/adult.test}, label: classification}",
        "{validation: 0.1}",
        TABLE_MODELS,
        5,
    ),
}


def project(name: str, data: Path) -> tuple[str, list[str], dict[str, list[str]]]:
    """The project's text, its models, and the members of each ensemble."""
    read, split, models, bags = SETS[name]
    lines = ["version: 1", f"project: {name.replace('_', '-')}", "steps:"]
    lines.append(f"  rows: {{uses: data.read, with: {read.replace('PATH', str(data / name))}}}")
    lines.append(f"  split: {{uses: data.split, with: {split}}}")
    for number in range(1, bags + 1):
        lines.append(f"  bag_{number}: {{uses: data.bootstrap, with: {{number: {number}}}, in: {{data: split}}}}")
    for step, (uses, settings, source) in models.items():
        lines.append(f"  {step}: {{uses: {uses}, with: {settings}, in: {{data: {source}}}}}")
    members = {way: [step for step in models if not step.startswith("bag_tree")] for way in WAYS}
    if bags > 1:
        members["bagging"] = [step for step in models if step.startswith("bag_tree")]
        members["everything"] = list(models)
    for way, parts in members.items():
        settings = WAYS.get(way, WAYS["greedy" if way == "everything" else "average"])
        lines.append(
            f"  {way}: {{uses: combine.ensemble, with: {settings}, in: {{data: split, models: [{', '.join(parts)}]}}}}"
        )
    return "\n".join(lines) + "\n", list(models), members


def answers(model: Path, rows: Path, split: str) -> tuple[Any, Any]:
    """Scores [rows, labels] and places of the right labels."""
    from modelyard.methods import runtimes
    from modelyard.methods.data.dataset import Dataset

    data = Dataset.open(rows)
    label, text = data.need("label"), data.role("text")
    table = data.table(split).to_pylist()
    kept = [row for row in table if row[label] is not None and (text is None or row[text] is not None)]
    records = [{"text": row[text]} if text else row for row in kept]
    predictor = runtimes.load(model, threads=1)
    places = {name: place for place, name in enumerate(sorted(predictor.labels))}
    found = predictor.predict(records)
    predictor.close()
    scores = np.array([[answer.scores[name] for name in places] for answer in found])
    return scores, np.array([places[str(row[label])] for row in kept])


def measured(name: str, data: Path) -> list[list[Any]]:
    """A row for each model and each ensemble."""
    from modelyard.methods.evaluation.paired import Pairs, difference_interval
    from modelyard.methods.runtimes.manifest import manifest

    folder = WORK / "ensembles" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text, models, ensembles = project(name, data)
    (folder / "modelyard.yaml").write_text(text, encoding="utf-8")
    outcome = modelyard.run(folder)
    digests = {step.step: step.outputs for step in outcome.steps}
    kept = folder / ".modelyard" / "artifacts"

    def path(digest: str) -> Path:
        return kept / digest[7:9] / digest[9:]

    rows = path(digests["split"]["data"])
    validation = {step: loss(*answers(path(digests[step]["model"]), rows, "validation")) for step in models}
    found: dict[str, tuple[Any, Any]] = {}
    for step in (*models, *ensembles):
        found[step] = answers(path(digests[step]["model"]), rows, "test")
    table = []
    for step, (scores, places) in found.items():
        right = scores.argmax(1) == places
        gain = ""
        if step in ensembles:
            best = min(ensembles[step], key=lambda one: validation[one])
            pairs = Pairs.of(right, found[best][0].argmax(1) == places)
            low, high = difference_interval(pairs) or (float("nan"), float("nan"))
            gain = f"{100 * pairs.difference:+.2f} ({100 * low:+.2f} to {100 * high:+.2f}), {best}"
        size = manifest(path(digests[step]["model"])).size / 1e6
        cells = [name, step, len(ensembles.get(step, [step])), f"{right.mean():.4f}", f"{loss(scores, places):.4f}"]
        table.append([*cells, gain, f"{size:.1f}"])
        print(json.dumps(table[-1], ensure_ascii=False), flush=True)
    return table


def loss(scores: Any, places: Any) -> float:
    """Mean cross-entropy in nats."""
    return float(-np.log(np.maximum(scores[np.arange(len(places)), places], 1e-7)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(SETS))
    options = parser.parse_args()
    rows = [row for name in options.only for row in measured(name, options.data)]
    head = [
        "data",
        "model",
        "members",
        "accuracy",
        "cross-entropy",
        "accuracy gain in points over the best member",
        "MB",
    ]
    body = (
        "Test rows, which were in no training and chose nothing. The best member is the one with the least "
        f"cross-entropy on validation; intervals are 95 %, paired.\n\n{markdown(head, rows)}"
    )
    versions = [f"{name} {version(name)}" for name in ("modelyard", "torch", "lightgbm", "scikit-learn")]
    write_result("ensembles", "Ensembles", body, versions)


if __name__ == "__main__":
    main()
