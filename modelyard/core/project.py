"""The project file as frozen values. Reading and checking it is the engine's work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SecretName:
    """`{secret: NAME}` in a setting: the value is looked up when a run asks for it and is never stored.

    A stage's Config takes one by naming this type; it dumps to `{"secret": NAME}` again, so that records name it.
    """

    secret: str


@dataclass(frozen=True)
class Step:
    """One use of a stage.

    Attributes:
        name: the step's name in the project.
        uses: the stage's name, or a path that begins with `./`.
        settings: `with`, as written (validated against the stage's Config elsewhere).
        inputs: `in`: port name to `step` or `step.port` (several for a port that takes many).
        line: where the step begins in the file, 1-based; 0 if made in Python.
        setting_lines: dotted setting path to line.
        repeat: `search` or `folds` for a step that repeats others; its `settings` are what stands under that key.
        seed: of its own; None for the project's.
    """

    name: str
    uses: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    line: int = 0
    setting_lines: Mapping[str, int] = field(default_factory=dict)
    repeat: str = ""
    seed: int | None = None

    @property
    def block(self) -> str:
        """The key of the step's settings in the file."""
        return self.repeat or "with"


@dataclass(frozen=True)
class Rule:
    """Bounds one claim.

    Attributes:
        claim: the claim's name.
        min, max: the bound; exactly one is set. Passes if the interval's bad end is at least / at most it.
        of: step (or `step.port`) whose artifact must hold the claim, instead of the released model; for
            `lineage` claims of an ancestor.
        on: split whose evidence is accepted; `test` unless the claim allows any.
        slice: the subgroup the rule is about; empty for everything.
        line: where it stands in the file.
    """

    claim: str
    min: float | None = None
    max: float | None = None
    of: str | None = None
    on: str = "test"
    slice: Mapping[str, str] = field(default_factory=dict)
    line: int = 0

    def text(self) -> str:
        bound = f">= {self.min:g}" if self.min is not None else f"<= {self.max:g}"
        where = f" of {self.of}" if self.of else ""
        part = " [" + ", ".join(f"{k}={v}" for k, v in sorted(self.slice.items())) + "]" if self.slice else ""
        return f"{self.claim}{where}{part} {bound}"


@dataclass(frozen=True)
class ReleaseSpec:
    """`release:`: which step's model is released, and under which rules. No rules: a draft."""

    model: str
    rules: tuple[Rule, ...] = ()
    line: int = 0


@dataclass(frozen=True)
class Project:
    """A checked project file.

    Attributes:
        name: the project's name; releases bear it.
        steps: top to bottom.
        release: None if the file has no `release:`.
        seed: of every run unless a step says otherwise.
        path: the file, absolute; relative paths in settings start at its folder.
    """

    name: str
    steps: tuple[Step, ...]
    release: ReleaseSpec | None
    path: Path
    seed: int = 0

    def seed_of(self, step: Step) -> int:
        """The seed of a step's random choices: its own, else the project's."""
        return self.seed if step.seed is None else step.seed

    @property
    def folder(self) -> Path:
        return self.path.parent
