"""The only place that imports openvino and nncf: without their telemetry.

`openvino_telemetry` reports to Google Analytics; nncf asks nobody first (`enable_opt_in_dialog=False`) and starts
when it is imported. Both fall back to a stub when that package cannot be imported, so it is made not to be.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

REPORTER = "openvino_telemetry"


def silence() -> None:
    """Make sure no event leaves the machine, also if somebody imported the libraries before us."""
    sys.modules[REPORTER] = None  # type: ignore[assignment]
    for name, stub in (("nncf.telemetry.decorator", "nncf.telemetry.wrapper"),):
        if name in sys.modules:
            sys.modules[name].telemetry = sys.modules[stub].NNCFTelemetryStub()  # type: ignore[attr-defined]


def openvino() -> Any:
    """The openvino module."""
    silence()
    return importlib.import_module("openvino")


def nncf() -> Any:
    """The nncf module; imports torch (about 3 s)."""
    silence()
    return importlib.import_module("nncf")
