"""Bring back rows that steps removed, and undo changes they made: by row id, by reason, or by a file of row ids.

`in: {removed: [clean.removed, filter.removed]}` names the logs, in the order of the steps. Removed rows come back
whole, behind the others; a change is undone if its column still holds what the change left. What cannot be brought
back (hidden by de-identification, changed again later) is in `left`, row by row, with why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.canonical import Json
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS

RowId = Annotated[str, Field(min_length=1, max_length=200)]
Reason = Annotated[str, Field(min_length=1, max_length=100)]


class Config(BaseModel):
    """Settings of data.restore. At least one is needed; with rows and a reason, both must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: list[RowId] = Field([], max_length=100_000, description="row ids to bring back")
    path: str | None = Field(None, min_length=1, description="file with one row id a line, relative to the project")
    reason: Reason | list[Reason] = Field([], description="reasons to undo, as `removed` has them, such as `repeat`")

    @model_validator(mode="after")
    def _something(self) -> Config:
        if not self.rows and self.path is None and not self.reason:
            raise ValueError("name what to bring back: `rows`, `path` or `reason`")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.restoring import Wanted, is_log, restore

    logs = [Dataset.open(folder) for folder in context.inputs("removed")] if context.bound("removed") else []
    if not logs or not all(is_log(log) for log in logs):
        raise InputError(
            t("no log of a step to bring rows back from"),
            where="data.restore",
            expected=t("the `removed` output of steps above"),
            remedy=t("name them, in the order of the steps: {example}", example="`in: {removed: [clean.removed]}`"),
        )
    named = frozenset(config.rows) | frozenset(_listed(config, context.base))
    reasons = [config.reason] if isinstance(config.reason, str) else config.reason
    found = restore(
        Dataset.open(context.input("data")),
        logs,
        Wanted(named if config.rows or config.path is not None else None, frozenset(reasons)),
        context.output("data"),
        context.output("removed"),
        context.output("left"),
        lambda done, total: context.progress(done, total, "rows"),
    )
    found.account.tell(context)
    for why, count in sorted(found.left.items()):
        context.say(t("{n:,} could not be brought back: {why}", n=count, why=t(why)))
    for column in found.raw:
        context.say(t("{column}: a repair is undone; models trained on it repair nothing", column=column))
    if not found.account.added and not found.account.changed:
        context.say(t("nothing was brought back: no entry of `removed` fits"))


def _listed(config: Config, base: Path) -> list[str]:
    from modelyard.base.messages import t
    from modelyard.errors import InputError

    if config.path is None:
        return []
    try:
        text = (base / config.path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(t("cannot be read: {reason}", reason=reason), where=config.path) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of the file of row ids."""
    from modelyard.base.canonical import digest_json

    return digest_json(sorted(set(_listed(config, base)))) if config.path is not None else None


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("all",), description="the rows as they are now"),
        "removed": Port(
            "dataset", ("all",), many=True, optional=True, side=True, description="logs of the steps, in their order"
        ),
    },
    outputs={
        "data": Port("dataset", ("all",), description="the rows, with what was wanted brought back"),
        "removed": Port("dataset", ("all",), side=True, description="what was brought back and undone"),
        "left": Port("dataset", ("all",), side=True, description="what could not be, with why"),
    },
    claims=CLAIMS,
    libraries=("pyarrow",),
    external=("path",),
    fingerprint=fingerprint,
)
