"""Doubt in parts for benchmarks/uncertainty.py: one network, the same with dropout, and three trained on drawn rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from uncertainty_elsewhere import WORLDS, write_files
from uncertainty_evidence import item, shown

HEAD = ("model of", "asked how", "accuracy", "log-loss", "score of doubt", "AUROC of error", "AURC",
        "AUROC of rows from elsewhere")  # fmt: skip
PARTS_HEAD = ("model of", "asked how", "predictive entropy", "aleatoric", "epistemic")
SAMPLES = 20
MEMBERS = 3
TRAIN = "{{uses: train.text_classification, with: {{size: cnn, compute: {{threads: 1}}}}, in: {{data: {data}}}}}"


def project(outside: str) -> str:
    """The steps: a network, the same asked with dropout, and an ensemble."""
    lines = [
        "version: 1", "project: doubt", "seed: 0", "steps:",
        "  rows: {uses: data.read, with: {path: {train: train.csv, test: test.csv}, text: text, label: label}}",
        "  split: {uses: data.split, with: {validation: 0.1}}",
        f"  {outside}: {{uses: data.read, with: {{path: {outside}.csv, text: text, label: label}}}}",
        f"  one: {TRAIN.format(data='split')}",
    ]  # fmt: skip
    for place in range(1, MEMBERS + 1):
        lines.append(f"  drawn{place}: {{uses: data.bootstrap, with: {{number: {place}}}, in: {{data: split}}}}")
        lines.append(f"  net{place}: {TRAIN.format(data=f'drawn{place}')}")
    nets = ", ".join(f"net{place}" for place in range(1, MEMBERS + 1))
    lines.append(f"  together: {{uses: combine.ensemble, in: {{models: [{nets}], data: split}}}}")
    bound = f"data: split, outside: {outside}"
    lines += [
        f"  dropped: {{uses: evaluate.uncertainty, in: {{model: one, {bound}}}, with: {{dropout_samples: {SAMPLES}}}}}",
        f"  disagreed: {{uses: evaluate.uncertainty, in: {{model: together, {bound}}}}}",
        "  qualityone: {uses: evaluate.quality, in: {model: one, data: split}}",
        "  qualitytogether: {uses: evaluate.quality, in: {model: together, data: split}}",
    ]
    return "\n".join(lines) + "\n"


def rows(
    world: str, data: Path, folder: Path, run: Callable[[Path, str], dict[str, list[dict[str, Any]]]]
) -> dict[str, list[list[str]]]:
    """Lines of the two tables."""
    about = WORLDS[world]
    write_files(about, data, folder)
    evidence = run(folder, project(next(iter(about.outside))))
    ways = (
        ("dropped", "qualityone", f"dropout, {SAMPLES} samples"),
        ("disagreed", "qualitytogether", f"{MEMBERS} networks on drawn rows"),
    )
    found: dict[str, list[list[str]]] = {"errors": [], "parts": []}
    for step, quality, way in ways:
        part = evidence[step]
        sizes = [shown(item(part, name), False) for name in ("predictive_entropy", "aleatoric", "epistemic")]
        found["parts"].append([about.name, way, *sizes])
        accuracy = next(one for one in evidence[quality] if one["claim"] == "quality.accuracy" and not one["slice"])
        loss = shown(item(part, "log_loss"), False)
        found["errors"] += _errors(about.name, way, shown(accuracy), loss, part)
    return found


def _errors(name: str, way: str, accuracy: str, loss: str, part: list[dict[str, Any]]) -> list[list[str]]:
    lines = []
    for one in part:
        if one["claim"] == "uncertainty.error_auroc":
            score = one["slice"]["score"]
            strange = _strange(part, {"epistemic": "disagreement"}.get(score, score))
            area = shown(item(part, "error_aurc", score=score), False)
            lines.append([name, way, accuracy, loss, score, shown(one, False), area, strange])
    return lines


def _strange(part: list[Mapping[str, Any]], score: str) -> str:
    found = [one for one in part if one["claim"] == "uncertainty.outside_auroc" and one["slice"]["score"] == score]
    return shown(dict(found[0]), False) if found else "-"
