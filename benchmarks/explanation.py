"""How faithful each method of explanation is, on texts, a table and pictures; and SHAP beside the shap package.

    python benchmarks/explanation.py --data DIR [--rows 30] [--only waimai adult fashion_mnist trees]

DIR holds `waimai_10k`, `adult` and `fashion_mnist`. One small model each is trained (a convolutional network on 6,000
reviews, boosted trees on 8,000 rows, a convolutional network on 4,000 pictures), and evaluate.explanation measures all
methods that suit it on the same sampled test rows. Nothing here is a time: benchmarks/explanation_speed.py measures
SHAP on texts beside the shap package.
"""

from __future__ import annotations

import argparse
import csv
import random
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import shap
from common import WORK, markdown, write_result
from images import write as write_pictures

import modelyard
from modelyard.methods.evaluation.explanation import shapley
from modelyard.methods.evaluation.explanation.game import Game, Oracle
from modelyard.methods.evaluation.explanation.players import TablePlayers
from modelyard.methods.evaluation.explanation.trees import Trees

PROJECT = """version: 1
project: {name}
steps:
  rows: {{uses: data.read, with: {read}}}
  split: {{uses: data.split, with: {split}}}
  model: {{uses: {train}}}
  quality: {{uses: evaluate.quality, with: {{baselines: false, examples: 0}}}}
  explanation: {{uses: evaluate.explanation, with: {{rows: {rows}, mistakes: 0, whole: {whole}, threads: 1}}}}
"""
DATA: dict[str, dict[str, str]] = {
    "waimai": {
        "read": "{path: waimai.csv, text: text, label: label}",
        "split": "{}",
        "train": "train.text_classification, with: {size: cnn, epochs: 6, compute: {threads: 1}}",
        "whole": "true",
    },
    "adult": {
        "read": "{path: {train: train.csv, test: test.csv}, label: classification}",
        "split": "{validation: 0.1}",
        "train": "train.tabular, with: {trees: {rounds: 100}, compute: {threads: 1}}",
        "whole": "true",
    },
    "fashion_mnist": {
        "read": "{path: {train: train.parquet, test: test.parquet}, image: image, label: label}",
        "split": "{validation: 0.1, overlap: keep}",
        "train": "train.image_classification, with: {size: cnn, epochs: 4, compute: {threads: 1}}",
        "whole": "false",
    },
}
CLAIMS = ("deletion_auc", "insertion_auc", "faithfulness_gain", "sanity_correlation", "sampling_error")
HEAD = ("data", "method", "deletion", "insertion", "gain over random orders", "correlation, shuffled weights",
        "sampling error")  # fmt: skip


def waimai(data: Path, folder: Path) -> None:
    with (data / "waimai_10k" / "waimai_10k.csv").open(encoding="utf-8-sig", newline="") as source:
        rows = [(row["review"], "pos" if row["label"] == "1" else "neg") for row in csv.DictReader(source)]
    random.Random(0).shuffle(rows)
    with (folder / "waimai.csv").open("w", encoding="utf-8", newline="") as target:
        csv.writer(target).writerows([("text", "label"), *rows[:6000]])


def adult(data: Path, folder: Path) -> None:
    for source, target, most in (("adult.data", "train.csv", 8001), ("adult.test", "test.csv", 2001)):
        lines = (data / "adult" / source).read_text(encoding="utf-8").splitlines()[:most]
        (folder / target).write_text("\n".join(lines) + "\n", encoding="utf-8")


def fashion_mnist(data: Path, folder: Path) -> None:
    given = data / "fashion_mnist"
    for start, target, most in (("train20k", "train", 4000), ("t10k", "test", 1000)):
        pixels, classes = (
            given / f"{start}-{kind}-idx{dims}-ubyte.gz" for kind, dims in (("images", 3), ("labels", 1))
        )
        write_pictures(pixels, classes, folder / f"{target}.parquet", most)


MAKE = {"waimai": waimai, "adult": adult, "fashion_mnist": fashion_mnist}


def run(name: str, data: Path, rows: int) -> tuple[Path, Any]:
    """A project of its own, run to the end."""
    folder = WORK / "explanation" / name
    folder.mkdir(parents=True, exist_ok=True)
    MAKE[name](data, folder)
    (folder / "modelyard.yaml").write_text(
        PROJECT.format(name=name.replace("_", "-"), rows=rows, **DATA[name]), encoding="utf-8"
    )
    return folder, modelyard.run(folder)


def shown(one: Any) -> str:
    if one is None:
        return ""
    ends = one["interval"] if isinstance(one["interval"], list | tuple) else None
    return f"{one['value']:.3f}" + (f" [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else "")


def table(name: str, folder: Path) -> tuple[list[tuple[str, ...]], str]:
    """A row a method, the most faithful first; and how good the model is."""
    found = {(one["claim"], one["slice"].get("method", "")): one for one in modelyard.evidence("model", project=folder)}
    methods = [method for claim, method in found if claim == "explanation.faithfulness_gain"]
    methods.sort(key=lambda method: -found["explanation.faithfulness_gain", method]["value"])
    rows = [
        (name, method, *(shown(found.get((f"explanation.{claim}", method))) for claim in CLAIMS)) for method in methods
    ]
    n = found["explanation.faithfulness_gain", methods[0]]["n"]
    quality = {one["claim"]: one for one in modelyard.evidence("model", project=folder) if not one["slice"]}
    said = f"- {name}: accuracy {shown(quality['quality.accuracy'])}, {n} rows explained"
    fidelity = found.get(("explanation.surrogate_fidelity", ""))
    return rows, said + (f", rules answer like the model in {shown(fidelity)}" if fidelity else "")


def trees(data: Path) -> str:
    """SHAP values of boosted trees on adult's columns of numbers beside the shap package's; largest differences."""
    columns = ("age", "education-num", "capital-gain", "capital-loss", "hours-per-week")
    folder = WORK / "explanation" / "trees"
    folder.mkdir(parents=True, exist_ok=True)
    adult(data, folder)
    text = PROJECT.format(name="trees", rows=1, **DATA["adult"]).split("  quality:")[0]
    text = text.replace("trees: {rounds", f"columns: [{', '.join(columns)}], trees: {{rounds")
    (folder / "modelyard.yaml").write_text(text, encoding="utf-8")
    outcome = modelyard.run(folder)
    digest = next(step.outputs["model"] for step in outcome.steps if step.step == "model")
    model = Trees(folder / ".modelyard" / "artifacts" / digest[7:9] / digest[9:])
    with (folder / "test.csv").open(encoding="utf-8") as source:
        given = [{key: row[key].strip() for key in columns} for row in csv.DictReader(source, skipinitialspace=True)][
            :220
        ]
    encoded = model._encoded(given)
    apart = float(
        np.abs(
            model.contributions(given)[:, 0, :-1] - _last(shap.TreeExplainer(model.booster).shap_values(encoded))
        ).max()
    )
    explainer = shap.TreeExplainer(model.booster, encoded[:20], feature_perturbation="interventional")
    theirs = _last(explainer.shap_values(encoded[20:]))
    oracle = Oracle(_Raw(model))  # type: ignore[arg-type]
    ours = np.stack(
        [shapley.exact(Game(TablePlayers(row, model.names, tuple(given[:20])), oracle, 0)).values for row in given[20:]]
    )
    rows = [("path-dependent (`tree_shap`)", len(given), f"{apart:.1e}"),
            ("interventional (`shap`, all coalitions)", len(ours), f"{np.abs(ours - theirs).max():.1e}")]  # fmt: skip
    return markdown(("values of the log-odds", "rows", "largest difference from shap.TreeExplainer"), rows)


class _Raw:
    """The trees' log-odds as a predictor of numbers."""

    labels: tuple[str, ...] = ()

    def __init__(self, model: Trees) -> None:
        self.model = model

    def predict(self, records: Any) -> list[Any]:
        from modelyard.methods.tasks.tabular_regression import Quantity

        raw = self.model.booster.predict(self.model._encoded(records), raw_score=True, num_threads=1)
        return [Quantity(float(value)) for value in raw]


def _last(values: Any) -> np.ndarray:
    return np.asarray(values[-1] if isinstance(values, list) else values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--only", nargs="*", default=[*MAKE, "trees"])
    given = parser.parse_args()
    rows: list[tuple[str, ...]] = []
    said: list[str] = []
    for name in [one for one in given.only if one in MAKE]:
        more, about = table(name, run(name, given.data, given.rows)[0])
        rows, said = rows + more, [*said, about]
    body = markdown(HEAD, rows) + "\n\n" + "\n".join(said)
    body += (
        "\n\nAreas are of the probability of the label that was given, over the share of the row's pieces: deletion is "
        "better low, insertion high. Intervals are 95 % over rows. Gains whose interval holds 0 are no better than "
        "random orders; a correlation near 0 with the explanations of the same model with shuffled weights is good."
    )
    if "trees" in given.only:
        body += "\n\n## Boosted trees beside the shap package\n\n" + trees(given.data)
        body += "\n\nPath-dependent values of both come out of LightGBM: it checks places, not values."
    print(body)
    versions = [
        f"modelyard {version('modelyard')}",
        *(f"{name} {version(name)}" for name in ("shap", "torch", "lightgbm")),
    ]
    write_result("explanation", "Explanations: how faithful, by method", body, versions)


if __name__ == "__main__":
    main()
