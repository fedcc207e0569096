"""The record a report is made from: everything the ledger knows about the steps of a project, as one JSON value.

It holds no run ids, times or hosts, so that equal runs give equal records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.core.evidence import Claim, Evidence
from modelyard.core.run import Run

VERSION = 1
MAX_REPORT = 50_000_000
"""Bytes of a JSON report that are read."""
# Templates of the catalogue: the page translates them, the record is the same in every language.
TOO_LARGE = "the report is larger than 50 MB"
NO_JSON = "the report cannot be read as JSON"
NO_OBJECT = "the report is no JSON object"
BLOCK_KEYS = ("family", "title", "blocks")
MAX_POINTS = 400
"""Points kept of a curve; a longer one is thinned evenly, its last point kept."""


@dataclass(frozen=True)
class Made:
    """A finished step: its run, and where its outputs lie."""

    step: str
    run: Run
    folders: Mapping[str, Path]
    kinds: Mapping[str, str]
    sizes: Mapping[str, int]


def thin(points: Sequence[tuple[int, float]], limit: int = MAX_POINTS) -> list[list[float]]:
    """At most `limit` points, evenly chosen, first and last kept."""
    if len(points) <= limit:
        return [[step, value] for step, value in points]
    stride = (len(points) - 1) / (limit - 1)
    return [list(points[round(index * stride)]) for index in range(limit)]


def build_record(
    project: str,
    model_step: str | None,
    made: Sequence[Made],
    evidence: Iterable[Evidence],
    curves: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]],
    openings: int,
    opened_models: int,
    seeds: Sequence[Mapping[str, Any]],
    claims: Mapping[str, Claim],
) -> dict[str, Any]:
    """The record of `made`, top to bottom; `model_step` is the step whose model the report is about."""
    makers = {binding.digest: item.step for item in made for binding in item.run.outputs}
    runs = {item.run.id: item for item in made}
    reports, documents = _reports(made)
    return {
        "version": VERSION,
        "project": project,
        "title": project,
        "model": _model(model_step, made),
        "decision": None,
        "release": None,
        "runs": [_run(item, makers) for item in made],
        "evidence": [_evidence(item, makers, runs.get(item.run)) for item in evidence],
        "curves": {step: {name: thin(points) for name, points in group.items()} for step, group in curves.items()},
        "reports": reports,
        "documents": documents,
        "data": _data(made),
        "openings": openings,
        "opened_models": opened_models,
        "seeds": list(seeds),
        "seeds_of": model_of(model_step, made),
        "environment": dict(made[-1].run.environment) if made else {},
        "claims": {
            name: {"description": claim.description, "unit": claim.unit, "better": claim.better}
            for name, claim in sorted(claims.items())
        },
    }


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def model_of(step: str | None, made: Sequence[Made]) -> str:
    """Digest of the model a record is about; `` if no step made one."""
    found = _model(step, made)
    return str(found["digest"]) if found else ""


def _model(step: str | None, made: Sequence[Made]) -> dict[str, Any] | None:
    for item in reversed(made):
        for binding in item.run.outputs:
            if item.kinds.get(binding.port) == "model" and step in (None, item.step):
                card = _read_json(item.folders[binding.port] / "model.json")
                return {
                    "digest": binding.digest,
                    "step": item.step,
                    "format": card.get("format"),
                    "precision": card.get("precision"),
                    "labels": card.get("labels", []),
                    "licence": card.get("licence"),
                    "size_bytes": item.sizes.get(binding.port, 0),
                    "card": card,
                }
    return None


def _run(item: Made, makers: Mapping[str, str]) -> dict[str, Any]:
    run = item.run
    return {
        "step": item.step,
        "uses": run.uses,
        "seed": run.seed,
        "settings": dict(run.settings),
        "key": run.key,
        "code": run.identity.get("code", ""),
        "libraries": run.identity.get("libraries", {}),
        "inputs": [
            {"port": b.port, "digest": b.digest, "splits": list(b.splits), "from_step": makers.get(b.digest, "")}
            for b in run.inputs
        ],
        "outputs": [
            {
                "port": b.port,
                "digest": b.digest,
                "kind": item.kinds.get(b.port, ""),
                "size": item.sizes.get(b.port, 0),
            }
            for b in run.outputs
        ],
        "notes": list(run.notes),
        "environment": dict(run.environment),
    }


def _evidence(item: Evidence, makers: Mapping[str, str], by: Made | None) -> dict[str, Any]:
    """`by`: the step whose run measured it; None if it was an earlier run of this project or another's."""
    ends = item.ends()
    return {
        "claim": item.claim,
        "value": item.value,
        "low": ends[0] if ends else None,
        "high": ends[1] if ends else None,
        "exact": item.exact,
        "n": item.n,
        "unit": item.unit,
        "subject": item.subject,
        "subject_step": makers.get(item.subject, ""),
        "dataset": item.dataset,
        "split": item.split,
        "slice": dict(item.slice),
        "against": item.against or "",
        "run": by.run.key if by else None,
        "measured_by": by.step if by else "",
        "evaluator": item.evaluator,
        "withdrawn": item.withdrawn,
    }


def _reports(made: Sequence[Made]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What evaluations wrote as JSON: plain reports by step (`quality.json`), and documents of blocks one by one.

    A file that cannot be read is a document with its problem: one bad report must not take the others' page away.
    """
    plain: dict[str, Any] = {}
    documents: list[dict[str, Any]] = []
    for item in made:
        for path in _report_files(item):
            value, problem = _report(path)
            about = {"step": item.step, "file": path.name}
            if problem:
                documents.append({**about, "problem": problem})
                continue
            if "blocks" in value:
                documents.append({**about, **{name: value.pop(name, None) for name in BLOCK_KEYS}})
                value = {name: part for name, part in value.items() if name not in ("version", "data")}
            if value:
                plain.setdefault(item.step, {}).update(value)
    return plain, documents


def _report_files(item: Made) -> list[Path]:
    """Its JSON reports, cards aside."""
    if not item.run.uses.startswith("evaluate.") and item.run.uses != "folds":
        return []
    folders = [item.folders[port] for port, kind in item.kinds.items() if kind == "report"]
    return [path for folder in folders for path in sorted(folder.glob("*.json"))]


def _report(path: Path) -> tuple[dict[str, Any], str]:
    """The file's object, and why there is none."""
    if path.stat().st_size > MAX_REPORT:
        return {}, TOO_LARGE
    try:
        value = _read_json(path)
    except (OSError, ValueError, RecursionError):
        return {}, NO_JSON
    if not isinstance(value, dict):
        return {}, NO_OBJECT
    return value, ""


def _data(made: Sequence[Made]) -> dict[str, Any]:
    """Columns and splits of the last data set that was split, else of the last data set."""
    sets = [
        (item, item.folders[port])
        for item in made
        for port, kind in item.kinds.items()
        if kind == "dataset" and port == "data"
    ]
    split = [pair for pair in sets if (pair[1] / "test").is_dir()]
    if not sets:
        return {}
    item, folder = (split or sets)[-1]
    profiles = {}
    for path in sorted(folder.glob("*/profile.json")):
        profile = _read_json(path)
        profiles[path.parent.name] = {"rows": profile.get("rows"), "profile": profile}
    return {
        "step": item.step,
        "columns": _read_json(folder / "dataset.json").get("columns", []),
        "splits": profiles,
    }
