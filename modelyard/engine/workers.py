"""A stage whose work is cut over processes: `run` in every one of them, one driver that commits.

Every worker reads the same inputs and follows the same steps; the first one alone tells and writes outputs. The others
are done when the outputs are to be written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelyard.base.canonical import Json
from modelyard.core.stage import Context
from modelyard.engine import catalog
from modelyard.engine.bound import BoundStep
from modelyard.engine.context import StageContext
from modelyard.engine.keys import settings_json
from modelyard.engine.launch import EVENTS, launch
from modelyard.engine.profiles import Profile, resolve_secret
from modelyard.errors import ModelyardError

ENTRY = "modelyard.engine.workers:work"
TOLD = ("measure", "log", "progress", "say")


def wants_workers(step: BoundStep, profile: Profile) -> bool:
    """Whether the step runs in several processes."""
    return bool(step.stage.parallel) and profile.processes > 1


def run_in_workers(step: BoundStep, context: StageContext, profile: Profile) -> None:
    """Run a stage in as many processes as the profile has; what the first says and measures goes to `context`."""
    arguments: dict[str, Any] = {
        "uses": step.step.uses,
        "step": step.name,
        "config": settings_json(step.config),
        "seed": context.seed,
        "base": str(context.base),
        "room": str(context.room),
        "store": str(profile.store),
        "folders": {port: [str(folder) for folder in folders] for port, folders in context.folders.items()},
    }

    def heard(event: Mapping[str, Any]) -> None:
        method, values = event["call"], dict(event["values"])
        if method in TOLD:
            if isinstance(values.get("interval"), list):
                values["interval"] = tuple(values["interval"])
            getattr(context, method)(**values)

    launch(ENTRY, arguments, profile.processes, context.scratch(), heard)


class Finished(Exception):
    """A worker that is not the first has nothing more to do."""


class WorkerContext:
    """The `Context` of one worker. Nothing is heard of any but the first, and only that one has outputs."""

    def __init__(self, arguments: Mapping[str, Any], rank: int) -> None:
        self.seed: int = arguments["seed"]
        self.base = Path(arguments["base"])
        self._room, self._rank, self._store = Path(arguments["room"]), rank, Path(arguments["store"])
        self._folders = {port: [Path(one) for one in folders] for port, folders in arguments["folders"].items()}
        self._events = self._room / "work" / EVENTS

    def bound(self, port: str) -> bool:
        return bool(self._folders.get(port))

    def input(self, port: str) -> Path:
        folders = self.inputs(port)
        if not folders:
            raise KeyError(port)
        return folders[0]

    def inputs(self, port: str) -> list[Path]:
        return list(self._folders.get(port, []))

    def output(self, port: str) -> Path:
        if self._rank:
            raise Finished
        return self._made("outputs", port)

    def scratch(self) -> Path:
        return self._made("work") if self._rank == 0 else self._made("work", f"rank-{self._rank}")

    def _made(self, *parts: str) -> Path:
        folder = self._room.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def launch(self, entry: str, arguments: Json) -> None:
        """Workers start none."""
        raise ModelyardError(f"{entry}: a worker starts no workers")

    def secret(self, name: str) -> str:
        return resolve_secret(name, self._store)

    def measure(self, claim: str, value: float, **others: Any) -> None:
        self._tell("measure", {"claim": claim, "value": float(value), **others})

    def log(self, step: int, **values: float) -> None:
        self._tell("log", {"step": step, **{name: float(value) for name, value in values.items()}})

    def progress(self, done: int, total: int, what: str) -> None:
        self._tell("progress", {"done": done, "total": total, "what": what})

    def say(self, message: str) -> None:
        self._tell("say", {"message": message})

    def _tell(self, method: str, values: Mapping[str, Any]) -> None:
        if self._rank == 0:
            line = json.dumps({"call": method, "values": values}) + "\n"
            with self._events.open("a", encoding="utf-8") as stream:
                stream.write(line)


def work(arguments: Mapping[str, Any]) -> None:
    """The entry of a worker."""
    from modelyard.methods.training.parallel import world

    found, problems = catalog.find(arguments["uses"], Path(arguments["base"]))
    if found is None:
        raise ModelyardError.of(problems)
    config = found.stage.config.model_validate(arguments["config"])
    context: Context = WorkerContext(arguments, int(os.environ["RANK"]))
    settings = getattr(config, found.stage.parallel)
    with world.joined(settings.timeout), suppress(Finished):
        found.stage.run(config, context)
