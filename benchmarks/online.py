"""Online learning on real streams: train.online beside River, and its memory.

    python benchmarks/online.py --data DIR

DIR holds `smp2020_ewect` (feelings in Chinese posts: `usual`, then `virus`, a real change of subject) and
`drift_known_points` (SEA: 50,000 rows, the rule changes after every 12,500). Every row is answered before it is
learned; the share of right answers is over the whole stream. Each run is a process of its own, whose peak memory is
the system's number.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import WORK, markdown, write_result

import modelyard

PROJECT = """version: 1
project: stream
steps:
  rows: {{uses: data.read, with: {{path: {{train: train.csv, validation: validation.csv}}, {roles}, label: label}}}}
  split: {{uses: data.split, with: {{by: given, test: 0, overlap: keep}}}}
  model: {{uses: train.online{more}}}
"""
NAMES = ("smp", "sea", "sea x 4")


def rows_of(name: str, data: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The stream, and rows after it."""
    if name == "smp":
        folder = data / "smp2020_ewect"
        parts = [_posts(folder / file) for file in ("usual_train.tsv", "virus_train.tsv", "virus_dev.tsv")]
        return [*parts[0], *parts[1]], parts[2]
    folder = data / "drift_known_points"
    labels = (folder / "sea_class.csv").read_text(encoding="utf-8").split()
    values = (folder / "sea_data.csv").read_text(encoding="utf-8").split()
    rows = [
        {**{f"x{place}": one for place, one in enumerate(line.split(","))}, "label": f"c{label}"}
        for line, label in zip(values, labels, strict=True)
    ]
    return rows * (4 if name.endswith("4") else 1), rows[-500:]


def _posts(path: Path) -> list[dict[str, str]]:
    lines = path.read_text(encoding="utf-8").split("\n")[1:]
    return [dict(zip(("label", "text"), line.split("\t", 1), strict=True)) for line in lines if "\t" in line]


def ours(name: str, data: Path) -> dict[str, Any]:
    """Through the engine, in this process."""
    folder = WORK / "online" / name.replace(" ", "")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for split, rows in zip(("train", "validation"), rows_of(name, data), strict=True):
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    roles = "text: text" if name == "smp" else "max_bad_fraction: 0.01"
    text = PROJECT.format(roles=roles, more="")
    (folder / "modelyard.yaml").write_text(text, encoding="utf-8")
    outcome = modelyard.run(folder)
    model = next(step.outputs["model"] for step in outcome.steps if step.step == "model")
    card = json.loads((folder / ".modelyard/artifacts" / model[7:9] / model[9:] / "model.json").read_text())
    about = card["provenance"]
    return {"accuracy": about["prequential_accuracy"], "drifts": about["drifts"], "rows": about["rows"]}


def river(name: str, data: Path) -> dict[str, Any]:
    """River on the same rows in the same order: what its documentation begins with."""
    hits = count = 0
    for row, wanted, model in _river_rows(name, data):
        hits += model.predict_one(row) == wanted
        model.learn_one(row, wanted)
        count += 1
    return {"accuracy": hits / count, "drifts": "", "rows": count}


def _river_rows(name: str, data: Path) -> Iterator[tuple[Any, str, Any]]:
    from river import feature_extraction, linear_model, naive_bayes, optim, preprocessing

    rows, _ = rows_of(name, data)
    if name == "smp":
        model: Any = feature_extraction.BagOfWords(tokenizer=list, ngram_range=(1, 2)) | naive_bayes.MultinomialNB()
        for row in rows:
            yield row["text"], row["label"], model
        return
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression(optim.AdaGrad(0.1))
    for row in rows:
        yield {key: float(value) for key, value in row.items() if key != "label"}, row["label"] == "c1", model


def alone(who: str, name: str, data: Path) -> dict[str, Any]:
    """One run in a process of its own."""
    command = [sys.executable, __file__, "--data", str(data), "--one", who, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps({"who": who, "stream": name, **found}), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--streams", nargs="*", default=list(NAMES), choices=NAMES)
    parser.add_argument("--one", nargs=2, metavar=("WHO", "STREAM"))
    options = parser.parse_args()
    if options.one:
        found = {"ours": ours, "river": river}[options.one[0]](options.one[1], options.data)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**found, "peak_mib": round(peak)}))
        return
    rows = []
    for name in options.streams:
        for who in ("ours", "river") if name != "sea x 4" else ("ours",):
            found = alone(who, name, options.data)
            label = "train.online" if who == "ours" else "River"
            rows.append([name, label, found["rows"], f"{found['accuracy']:.4f}", found["drifts"], found["peak_mib"]])
    head = ["stream", "learner", "rows", "right before learning", "drifts said", "peak memory (MiB, whole process)"]
    text = (
        "River: characters and their pairs with multinomial naive Bayes (smp), scaled numbers with logistic regression "
        "and AdaGrad (sea). `sea x 4` is the stream four times over: its memory shows what grows (the process also "
        "reads and divides the data).\n\n"
    )
    write_result(
        "online",
        "Learning from streams",
        text + markdown(head, rows),
        [f"{name} {version(name)}" for name in ("modelyard", "river", "torch")],
    )


if __name__ == "__main__":
    main()
