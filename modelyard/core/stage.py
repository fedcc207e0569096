"""A stage: one file, a `Config`, a `run`, and a `STAGE` constant that declares ports, claims and libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any, Literal, Protocol

from modelyard.base.canonical import Json
from modelyard.core.artifact import Kind
from modelyard.core.evidence import Claim


@dataclass(frozen=True)
class Port:
    """An input or an output.

    Attributes:
        kind: `dataset`, `model`, `report`, `bundle`; or `record`, which the engine writes itself: everything the
            ledger knows about the steps above, as `record.json`.
        splits: for data sets. Of an input: the splits it may see, and whose digests enter the run's key. Of an
            output: the splits it will hold. `("all",)` is a data set that is not split.
        given_by: of an output: splits that are there only if a setting is above 0, `{split: setting}`.
        many: the port takes several artifacts (`Context.inputs`).
        optional: the step runs without it.
        side: an output that no input binds to unless it is named (`in: {data: clean.removed}`); an input that binds to
            nothing unless it is named, and must be named unless it is optional.
        description: one line.
    """

    kind: Kind | Literal["record"]
    splits: tuple[str, ...] = ()
    given_by: Mapping[str, str] = field(default_factory=dict)
    many: bool = False
    optional: bool = False
    side: bool = False
    description: str = ""


class Context(Protocol):
    """All a stage may touch.

    Attributes:
        seed: of every random choice.
        base: the project's folder: where relative paths in settings start.
    """

    seed: int
    base: Path

    def input(self, port: str) -> Path:
        """Folder of the artifact bound to `port`, only the splits the port declares. An optional port that is
        not bound raises KeyError; ask `bound`."""
        ...

    def bound(self, port: str) -> bool:
        """Whether an optional port has an artifact."""
        ...

    def inputs(self, port: str) -> list[Path]:
        """Folders of a port that takes several."""
        ...

    def output(self, port: str) -> Path:
        """An empty folder to fill; committed only if `run` returns."""
        ...

    def scratch(self) -> Path:
        """Survives a kill, one per run key, deleted on commit: checkpoints live here."""
        ...

    def launch(self, entry: str, arguments: Json) -> None:
        """Run `module:function` in worker processes; how many is the profile's business."""
        ...

    def secret(self, name: str) -> str:
        """The value of a named secret. Raises ProfileError if it is not set."""
        ...

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
        """Record evidence; the claim must be declared.

        `about` is a port, `on` is `port/split` or ``. A name that is both an output and an input means the output
        in `about`, and the input in `on` and `against`: one speaks about what one made.
        """
        ...

    def log(self, step: int, **values: float) -> None:
        """A point of one or more curves."""
        ...

    def progress(self, done: int, total: int, what: str) -> None:
        """How far the work is; `what` is the unit's name (`rows`, `steps`)."""
        ...

    def say(self, message: str) -> None:
        """One line for the user and the run's record: a choice made, a fact found, a thing not done."""
        ...


@dataclass(frozen=True)
class Stage:
    """What a stage file declares as `STAGE`.

    Attributes:
        config: the frozen pydantic class of its settings.
        run: `run(config, context) -> None`.
        inputs, outputs: ports by name.
        claims: what it can measure.
        libraries: distributions whose exact versions belong to the run's key.
        loads: packages of methods loaded by name at run time (`modelyard.methods.runtimes`), which imports do not
            show; every module in them belongs to the key.
        external: settings that name something outside (a path): fingerprinted, by `fingerprint`.
        fingerprint: `(config, base folder) -> JSON` of what the settings point to outside the store; it enters the key
            instead of the `external` settings. One that must log in to look takes a third argument, `secret(name)`.
        refresh: name of the setting (`never`, `always` or a duration) that says when to fetch anew what has no
            fingerprint; it enters no key, the number of the fetch does. `` for stages that fetch nothing.
        release: name of the setting that names a release of the store; its outputs `model` and `data` are that
            release's artifacts, whose digests enter the key instead. `` for all other stages.
        timing: evidence depends on the machine, whose fingerprint enters the key.
        parallel: name of the setting that says how the work is cut over processes: `run` is called in as many as the
            profile has, and only the first one's outputs and words count. `` for stages that run in one.
        extra: the optional dependency group it needs, or ``.
    """

    config: type[Any]
    run: Callable[[Any, Context], None]
    inputs: Mapping[str, Port] = field(default_factory=dict)
    outputs: Mapping[str, Port] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    libraries: tuple[str, ...] = ()
    loads: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    fingerprint: Callable[..., Json] | None = None
    refresh: str = ""
    release: str = ""
    timing: bool = False
    parallel: str = ""
    extra: str = ""

    def outside(self, config: Any, base: Path, secret: Callable[[str], str]) -> Json:
        """What the settings point to outside the store, by `fingerprint`; None without one.

        Args:
            secret: looks a secret up by name.
        """
        if self.fingerprint is None:
            return None
        takes_secret = len(signature(self.fingerprint).parameters) > 2
        return self.fingerprint(config, base, secret) if takes_secret else self.fingerprint(config, base)
