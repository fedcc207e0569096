"""Rows from elsewhere for benchmarks/uncertainty.py: three worlds, each with a model and what it was not made for."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uncertainty_evidence import item, shown

from modelyard.app import show

Row = dict[str, str]
HEAD = ("model of", "asked about", "network", "score", "test: median (5 % to 95 %)", "elsewhere: the same", "AUROC",
        "false alarms where 95 % are found")  # fmt: skip
MEASURED = ("model of", "network", "measured on", "n", "accuracy", "macro-F1", "calibration error",
            "error by chance alone, up to", "AURC")  # fmt: skip
PROJECT = """version: 1
project: elsewhere
seed: 0
steps:
  rows: {{uses: data.read, with: {{path: {{train: train.csv, test: test.csv}}, text: text, label: label}}}}
  split: {{uses: data.split, with: {{validation: 0.1}}}}
  model: {{uses: train.text_classification, with: {{size: {size}, compute: {{threads: 1}}}}}}
  quality: {{uses: evaluate.quality, with: {{baselines: false}}}}
"""
STRANGE = """  {name}: {{uses: data.read, with: {{path: {name}.csv, text: text, label: label}}}}
  asked{name}: {{uses: evaluate.uncertainty, in: {{model: {model}, data: {data}, outside: {name}}}}}
"""
SHIFTED = """  shifted: {{uses: data.split, in: {{data: {name}}}, with: {{validation: 0.1, test: 0.8}}}}
  shiftedquality: {{uses: evaluate.quality, in: {{model: {model}, data: shifted}}, with: {{baselines: false}}}}
  shiftedsure: {{uses: evaluate.uncertainty, in: {{model: {model}, data: shifted}}}}
"""
RELEASED = """version: 1
project: drift
seed: 0
steps:
  old: {{uses: model.release, with: {{release: {release}}}}}
  quality: {{uses: evaluate.quality, in: {{model: old.model, data: old.data}}, with: {{baselines: false}}}}
"""


@dataclass(frozen=True)
class World:
    """Files of a project: `train`, `test`, and rows from elsewhere by name.

    Attributes:
        outside: in words, by name of the file.
        shifted: name of those that have the model's own labels, so that it can be measured on them; or empty.
    """

    name: str
    files: Callable[[Path], dict[str, list[Row]]]
    outside: Mapping[str, str]
    shifted: str = ""


def _table(path: Path, text: str, label: str, delimiter: str = ",") -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        quoting = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
        found = csv.DictReader(file, delimiter=delimiter, quoting=quoting)
        return [{"text": one[text], "label": one[label]} for one in found if one[text]]


def _intents(data: Path) -> dict[str, list[Row]]:
    source = data / "banking77"
    out = set(sorted(json.loads((source / "categories.json").read_text(encoding="utf-8")))[::10])
    parts = {split: _table(source / f"{split}.csv", "text", "category") for split in ("train", "test")}
    with (data / "sms_spam" / "sms.tsv").open(encoding="utf-8") as file:
        messages = [line.rstrip("\n").split("\t", 1)[1] for line in file if "\t" in line]
    files = {name: [row for row in rows if row["label"] not in out] for name, rows in parts.items()}
    files["near"] = [row for row in parts["test"] if row["label"] in out]
    return files | {"far": [{"text": text, "label": "message"} for text in messages[::10]]}


def _reviews(data: Path) -> dict[str, list[Row]]:
    source = data / "chnsenticorp"
    files = {split: _table(source / f"{split}.tsv", "text_a", "label", "\t") for split in ("train", "test")}
    return files | {"meals": _table(data / "waimai_10k" / "waimai_10k.csv", "review", "label")[::5]}


def _posts(data: Path) -> dict[str, list[Row]]:
    source = data / "smp2020_ewect"
    files = {split: _table(source / f"usual_{split}.tsv", "text_a", "label", "\t") for split in ("train", "test")}
    return files | {"virus": _table(source / "virus_test.tsv", "text_a", "label", "\t")}


WORLDS = {
    "intents": World(
        "banking77", _intents, {"near": "the intents left out", "far": "text messages (sms_spam)"}
    ),
    "reviews": World("chnsenticorp", _reviews, {"meals": "reviews of meals (waimai_10k)"}),
    "posts": World("smp2020 usual", _posts, {"virus": "posts about the epidemic (virus)"}, "virus"),
}  # fmt: skip


def rows(
    world: str, data: Path, folder: Path, size: str, run: Callable[[Path, str], dict[str, list[dict[str, Any]]]]
) -> dict[str, list[list[str]]]:
    """Lines of the two tables: `scores` of strangeness, and the model `measured` here and there."""
    text = PROJECT.format(size=size) + asked(WORLDS[world], "model", "split")
    return _told(WORLDS[world], data, folder, size, text, run)


def released(
    world: str, data: Path, folder: Path, size: str, release: str, run: Callable[..., dict[str, list[dict[str, Any]]]]
) -> dict[str, list[list[str]]]:
    """The same of a model that was released in the folder's store, and of the test rows it was released with."""
    text = RELEASED.format(release=release) + asked(WORLDS[world], "old.model", "old.data")
    return _told(WORLDS[world], data, folder, size, text, run)


def asked(about: World, model: str, split: str) -> str:
    """The steps that ask a model about rows from elsewhere."""
    text = "".join(STRANGE.format(name=name, model=model, data=split) for name in about.outside)
    return text + (SHIFTED.format(name=about.shifted, model=model) if about.shifted else "")


def _told(
    about: World, data: Path, folder: Path, size: str, text: str, run: Callable[..., dict[str, list[dict[str, Any]]]]
) -> dict[str, list[list[str]]]:
    write_files(about, data, folder)
    evidence = run(folder, text)
    scores = [line for name in about.outside for line in _scores(about, name, size, folder, evidence)]
    return {"scores": scores, "measured": _measured(about, size, evidence) if about.shifted else []}


def write_files(about: World, data: Path, folder: Path) -> None:
    """The files a project of this world reads."""
    for name, found in about.files(data).items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["text", "label"])
            writer.writeheader()
            writer.writerows(found)


def _scores(about: World, name: str, size: str, folder: Path, evidence: Mapping[str, Any]) -> list[list[str]]:
    found, spread = evidence[f"asked{name}"], _spread(folder, f"asked{name}")
    lines = []
    for one in found:
        if one["claim"] == "uncertainty.outside_auroc":
            score = one["slice"]["score"]
            alarms = item(found, "outside_false_alarms", **one["slice"])
            both = [spread[score, whose] for whose in ("test", "elsewhere")]
            lines.append([about.name, about.outside[name], size, score, *both, shown(one, False), shown(alarms)])
    return lines


def _spread(folder: Path, step: str) -> dict[tuple[str, str], str]:
    """Median and ends of each score, as the report has them."""
    report = Path(show.artifact(f"{step}.report", project=folder)["path"]) / "uncertainty.json"
    blocks = json.loads(report.read_text(encoding="utf-8"))["blocks"]
    table = next(one for one in blocks if one.get("title") == "How strange rows look")
    return {(name, whose): f"{middle:.3g} ({low:.3g} to {high:.3g})" for name, whose, low, _, middle, _, high in
            table["rows"]}  # fmt: skip


def _measured(about: World, size: str, evidence: Mapping[str, Any]) -> list[list[str]]:
    lines = []
    for where, quality, sure in (
        ("test", "quality", f"asked{about.shifted}"),
        (about.outside[about.shifted], "shiftedquality", "shiftedsure"),
    ):
        found = {one["claim"]: one for one in evidence[quality] if not one["slice"]}
        accuracy = found["quality.accuracy"]
        lines.append([
            about.name, size, where, str(accuracy["n"]), shown(accuracy), shown(found["quality.f1_macro"], False),
            shown(item(evidence[sure], "calibration_error"), False),
            f"{item(evidence[sure], 'calibration_null')['value']:.4f}",
            shown(item(evidence[sure], "aurc"), False),
        ])  # fmt: skip
    return lines
