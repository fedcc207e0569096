"""A `Context` without an engine: what a stage measures, says and logs is kept in lists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from modelyard.core.evidence import Measurement


class FakeContext:
    """`root` holds outputs and scratch; `inputs` maps a port to a folder or a list of folders; `base` is where
    relative paths in settings start (`root` if not given)."""

    def __init__(
        self,
        root: Path,
        inputs: Mapping[str, Any] | None = None,
        seed: int = 0,
        base: Path | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root
        self.ports = dict(inputs or {})
        self.seed = seed
        self.base = base or root
        self.secrets = dict(secrets or {})
        self.measurements: list[Measurement] = []
        self.said: list[str] = []
        self.curves: list[tuple[int, dict[str, float]]] = []
        self.launched: list[tuple[str, Any]] = []
        self.progressed: list[tuple[int, int, str]] = []

    def bound(self, port: str) -> bool:
        return bool(self.ports.get(port))

    def input(self, port: str) -> Path:
        return self.inputs(port)[0] if self.bound(port) else Path(self.ports[port])

    def inputs(self, port: str) -> list[Path]:
        value = self.ports.get(port, [])
        return [Path(item) for item in (value if isinstance(value, list | tuple) else [value])]

    def output(self, port: str) -> Path:
        folder = self.root / "outputs" / port
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def scratch(self) -> Path:
        folder = self.root / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def launch(self, entry: str, arguments: Any) -> None:
        self.launched.append((entry, arguments))

    def secret(self, name: str) -> str:
        return self.secrets[name]

    def measure(
        self,
        claim: str,
        value: float,
        *,
        about: str,
        on: str,
        n: int,
        unit: str = "",
        interval: tuple[float, float] | Literal["exact"] | None,
        slice: Mapping[str, str] | None = None,
        against: str | None = None,
    ) -> None:
        self.measurements.append(Measurement(claim, value, about, on, n, unit, interval, dict(slice or {}), against))

    def log(self, step: int, **values: float) -> None:
        self.curves.append((step, values))

    def progress(self, done: int, total: int, what: str) -> None:
        self.progressed.append((done, total, what))

    def say(self, message: str) -> None:
        self.said.append(message)

    def value(self, claim: str) -> float:
        """The last measured value of a claim."""
        return [item.value for item in self.measurements if item.claim == claim][-1]
