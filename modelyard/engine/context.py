"""The `Context` a stage gets: its ports, its scratch folder, and where it puts evidence, curves and notes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from modelyard.base.canonical import Json
from modelyard.base.messages import did_you_mean, t
from modelyard.core.evidence import Measurement
from modelyard.core.stage import Stage
from modelyard.engine.events import Listener
from modelyard.engine.launch import launch
from modelyard.engine.tracking import Mirror, Nothing
from modelyard.errors import StageError

CURVES = "curves.jsonl"


@dataclass
class StageContext:
    """Implements `modelyard.core.stage.Context` for one execution.

    Attributes:
        room: the run key's folder: `work/` survives a kill, `outputs/` and `views/` are made anew.
        folders: input port to the folders bound to it, each already restricted to the declared splits.
        base: the project's folder, where relative paths in settings start.
        mirror: takes the points of curves as they come.
        adopted: outputs that are artifacts which other runs made: port to digest. A search's are its winner's.
    """

    step: str
    stage: Stage
    seed: int
    base: Path
    room: Path
    folders: Mapping[str, list[Path]]
    listener: Listener
    resolve_secret: Callable[[str], str]
    processes: int = 1
    mirror: Mirror = field(default_factory=Nothing)
    measurements: list[Measurement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    adopted: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.curves: dict[tuple[str, int], float] = {}
        path = self.room / CURVES
        if path.is_file():
            self._load_curves(path)

    def _load_curves(self, path: Path) -> None:
        """Points logged before a kill; a torn last line is dropped."""
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                name, step, value = json.loads(line)
            except ValueError:
                continue
            self.curves[(name, step)] = value

    def bound(self, port: str) -> bool:
        return bool(self.folders.get(port))

    def input(self, port: str) -> Path:
        folders = self.inputs(port)
        if not folders:
            raise KeyError(port)
        return folders[0]

    def inputs(self, port: str) -> list[Path]:
        if port not in self.stage.inputs:
            raise StageError(f"the stage declares no input port `{port}`", where=self.step)
        return list(self.folders.get(port, []))

    def output(self, port: str) -> Path:
        if port not in self.stage.outputs:
            raise StageError(f"the stage declares no output port `{port}`", where=self.step)
        folder = self.room / "outputs" / port
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def scratch(self) -> Path:
        folder = self.room / "work"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def launch(self, entry: str, arguments: Json) -> None:
        launch(entry, arguments, self.processes, self.scratch())

    def secret(self, name: str) -> str:
        return self.resolve_secret(name)

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
        declared = [item.name for item in self.stage.claims]
        if claim not in declared:
            raise StageError(
                f"the stage measures `{claim}`, which it does not declare",
                where=self.step,
                remedy=did_you_mean(claim, declared),
            )
        ports = {**self.stage.inputs, **self.stage.outputs}
        for port in filter(None, (about, against, on.partition("/")[0])):
            if port not in ports:
                raise StageError(f"`{claim}` names the port `{port}`, which the stage does not have", where=self.step)
        name, _, split = on.partition("/")
        if split and split not in ports[name].splits:
            raise StageError(
                t("`{claim}` is measured on `{on}`, which the stage cannot see", claim=claim, on=on),
                where=self.step,
                expected=t("a split that its port `{port}` declares", port=name),
            )
        ends = (float(interval[0]), float(interval[1])) if isinstance(interval, tuple) else interval
        part = dict(slice or {})
        self.measurements.append(Measurement(claim, float(value), about, on, int(n), unit, ends, part, against))

    def log(self, step: int, **values: float) -> None:
        lines = []
        for name, value in values.items():
            self.curves[(name, step)] = float(value)
            lines.append(json.dumps([name, step, float(value)]) + "\n")
        with (self.room / CURVES).open("a", encoding="utf-8") as stream:
            stream.writelines(lines)
        self.mirror.log(step, values)

    def grouped_curves(self) -> dict[str, list[tuple[int, float]]]:
        """Curve name to its points, in the order of steps."""
        groups: dict[str, list[tuple[int, float]]] = {}
        for (name, step), value in sorted(self.curves.items()):
            groups.setdefault(name, []).append((step, value))
        return groups

    def progress(self, done: int, total: int, what: str) -> None:
        self.listener.progress(self.step, done, total, what)

    def say(self, message: str) -> None:
        self.notes.append(message)
        self.listener.note(self.step, message)
