"""Tables: train.tabular with its defaults on real data, on rows that it never saw.

    python benchmarks/tables.py --data DIR [--seeds 3] [--only NAME …] [--kinds boosted_trees …]

DIR holds `adult` (adult.data, adult.test: income over 50K) and `california_housing` (housing.csv: value of a house).
Adult comes split; of California 20 % of the rows are the test, drawn by the seed. A tenth of the rows is validation,
which stops the training; the test rows are asked through the predictor.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from common import WORK, markdown, write_result

import modelyard

READ = {
    "adult": "{path: {train: PATH/adult.data, test: PATH/adult.test}, label: classification}",
    "california_housing": "{path: PATH/housing.csv, target: median_house_value}",
}
SPLIT = {"adult": "{validation: 0.1}", "california_housing": "{validation: 0.1, test: 0.2}"}
POSITIVE = ">50K"
PROJECT = """version: 1
project: {name}
seed: {seed}
steps:
  rows: {{uses: data.read, with: {read}}}
  split: {{uses: data.split, with: {split}}}
  model: {{uses: train.tabular, with: {{kind: {kind}}}}}
"""


def trained(name: str, kind: str, seed: int, data: Path) -> tuple[Path, Path, float]:
    """Folders of the model and of the test rows, and the seconds the run took."""
    folder = WORK / "tables" / f"{name}-{kind}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = PROJECT.format(
        name=name.replace("_", "-"),
        seed=seed,
        kind=kind,
        split=SPLIT[name],
        read=READ[name].replace("PATH", str(data / name)),
    )
    (folder / "modelyard.yaml").write_text(text, encoding="utf-8")
    began = time.perf_counter()
    outcome = modelyard.run(folder)
    seconds = time.perf_counter() - began
    digests = {step.step: step.outputs for step in outcome.steps}
    model, rows = digests["model"]["model"], digests["split"]["data"]
    kept = folder / ".modelyard" / "artifacts"
    return kept / model[7:9] / model[9:], kept / rows[7:9] / rows[9:], seconds


def tested(model: Path, rows: Path) -> dict[str, float]:
    """Accuracy and AUC, or R² and RMSE, of the predictor on the test rows."""
    from sklearn.metrics import roc_auc_score

    from modelyard.methods import runtimes
    from modelyard.methods.data.dataset import Dataset

    data = Dataset.open(rows)
    label = data.need("label")
    records = data.table("test").to_pylist()
    truth = [record.pop(label) for record in records]
    predictor = runtimes.load(model)
    answers = predictor.predict(records)
    if predictor.task == "tabular-regression":
        values = np.array(truth)
        errors = np.array([answer.value for answer in answers]) - values
        return {"r2": 1 - np.square(errors).mean() / values.var(), "rmse": float(np.sqrt(np.square(errors).mean()))}
    hits = np.mean([answer.label == one for answer, one in zip(answers, truth, strict=True)])
    scores = [answer.scores[POSITIVE] for answer in answers]
    return {"accuracy": float(hits), "auc": float(roc_auc_score([one == POSITIVE for one in truth], scores))}


def row(name: str, kind: str, seeds: int, data: Path) -> list[Any]:
    found, times = [], []
    for seed in range(seeds):
        model, rows, seconds = trained(name, kind, seed, data)
        found.append(tested(model, rows))
        times.append(seconds)
        print(json.dumps({"set": name, "kind": kind, "seed": seed, **found[-1], "seconds": seconds}), flush=True)
    mean = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
    low = {key: min(one[key] for one in found) for key in found[0]}
    high = {key: max(one[key] for one in found) for key in found[0]}
    shown = [f"{key} {show(mean[key])} ({show(low[key])} to {show(high[key])})" for key in mean]
    return [name, kind, *shown, f"{np.median(times):.0f}"]


def show(value: float) -> str:
    return f"{value:,.0f}" if value > 100 else f"{value:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(READ))
    parser.add_argument("--kinds", nargs="*", default=["boosted_trees", "linear", "ft_transformer"])
    options = parser.parse_args()
    rows = [row(name, kind, options.seeds, options.data) for name in options.only for kind in options.kinds]
    head = ["data", "kind", "mean (range over seeds)", "mean (range over seeds)", "seconds, all steps"]
    body = f"{options.seeds} seeds; test rows were in no training and chose nothing.\n\n{markdown(head, rows)}"
    write_result("tables", "Tables", body, [f"{name} {version(name)}" for name in ("modelyard", "lightgbm", "torch")])


if __name__ == "__main__":
    main()
