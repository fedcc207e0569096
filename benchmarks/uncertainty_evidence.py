"""Evidence of a project as benchmarks/uncertainty*.py read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import modelyard
from modelyard.app import show


def run(folder: Path, text: str) -> dict[str, list[dict[str, Any]]]:
    """The project's evidence by step."""
    (folder / "modelyard.yaml").write_text(text, encoding="utf-8")
    outcome = modelyard.run(folder)
    return {step.step: show.run(step.run, project=folder)["evidence"] for step in outcome.steps}


def item(found: list[dict[str, Any]], claim: str, **part: str) -> dict[str, Any]:
    return next(one for one in found if one["claim"] == f"uncertainty.{claim}" and one["slice"] == part)


def shown(one: dict[str, Any], percent: bool = True) -> str:
    low, high = one["interval"]
    if percent:
        return f"{one['value']:.1%} ({low:.1%} to {high:.1%})"
    return f"{one['value']:.4f} ({low:.4f} to {high:.4f})"
