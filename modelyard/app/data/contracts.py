"""A contract proposed from a data set: what holds now, a little widened, to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelyard.app.data.finding import opened
from modelyard.app.data.looking import statistics_of


def contract(reference: str, *, project: str | Path | None = None, profile: str | None = None) -> dict[str, Any]:
    """Settings of `data.contract` that the data set keeps, and as YAML of a step to paste. Test rows are left out."""
    from modelyard.methods.data.contracts.proposing import propose, step_yaml

    with opened(reference, project, profile) as data:
        settings = propose(statistics_of(data, data.splits()))
        return {"digest": data.digest, "settings": settings, "yaml": step_yaml(settings)}
