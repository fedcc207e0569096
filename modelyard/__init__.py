"""Modelyard: from data to a released, monitored model, with every claim proved on the artifact that ships.

import modelyard

modelyard.check("modelyard.yaml")                  # every problem of the project file
result = modelyard.run("modelyard.yaml")           # data in, a release out
result.decision.findings                           # why it was released, or refused
modelyard.predict("reviews", ["很好吃，下次还来"])   # ask the release
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.app.care import doctor, gc, init, verify
    from modelyard.app.evaluating import evaluate
    from modelyard.app.models import load, predict, serve
    from modelyard.app.plan import check, plan
    from modelyard.app.releases import promote, release, releases, rollback, show_release, verify_release
    from modelyard.app.report import report
    from modelyard.app.run import run
    from modelyard.app.show import artifacts, curves, evidence, lineage, runs, withdraw
    from modelyard.errors import ModelyardError

_PLACES = {
    "ModelyardError": "modelyard.errors",
    "artifacts": "modelyard.app.show",
    "check": "modelyard.app.plan",
    "curves": "modelyard.app.show",
    "doctor": "modelyard.app.care",
    "evaluate": "modelyard.app.evaluating",
    "evidence": "modelyard.app.show",
    "gc": "modelyard.app.care",
    "init": "modelyard.app.care",
    "lineage": "modelyard.app.show",
    "load": "modelyard.app.models",
    "plan": "modelyard.app.plan",
    "predict": "modelyard.app.models",
    "promote": "modelyard.app.releases",
    "release": "modelyard.app.releases",
    "releases": "modelyard.app.releases",
    "report": "modelyard.app.report",
    "rollback": "modelyard.app.releases",
    "run": "modelyard.app.run",
    "runs": "modelyard.app.show",
    "serve": "modelyard.app.models",
    "show_release": "modelyard.app.releases",
    "verify": "modelyard.app.care",
    "verify_release": "modelyard.app.releases",
    "withdraw": "modelyard.app.show",
}

__all__ = [
    "ModelyardError",
    "artifacts",
    "check",
    "curves",
    "doctor",
    "evaluate",
    "evidence",
    "gc",
    "init",
    "lineage",
    "load",
    "plan",
    "predict",
    "promote",
    "release",
    "releases",
    "report",
    "rollback",
    "run",
    "runs",
    "serve",
    "show_release",
    "verify",
    "verify_release",
    "withdraw",
]


def __getattr__(name: str) -> Any:
    """Import a use case when it is first asked for, so that `import modelyard` stays light."""
    if name not in _PLACES:
        raise AttributeError(f"module 'modelyard' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
