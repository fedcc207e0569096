"""A step that failed: the error as a user should meet it, and its place in the ledger."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

from modelyard.base.messages import t
from modelyard.core.run import Status
from modelyard.engine.bench import Bench
from modelyard.engine.bound import BoundStep
from modelyard.errors import Interrupted, ModelyardError, StageError, StoreError


def failure_of(step: BoundStep, error: BaseException) -> BaseException:
    """The error as a user should meet it."""
    if isinstance(error, ModelyardError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(
            t("stopped during `{step}`", step=step.name), remedy=t("what is done is kept; run it again to go on")
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            t("the disk is full"), where=step.name, remedy=t("free some space and run it again; what is done is kept")
        )
    if isinstance(error, MemoryError):
        return StageError(
            t("out of memory"), where=step.name, remedy=t("make the model, the batch or the data smaller")
        )
    if isinstance(error, SystemExit):
        return StageError(
            t("the stage ended the process (exit {code}) instead of returning", code=error.code), where=step.name
        )
    if isinstance(error, Exception):
        last = traceback.extract_tb(error.__traceback__)[-1]
        return StageError(
            t("{kind}: {error}", kind=type(error).__name__, error=error),
            where=f"{step.name} ({Path(last.filename).name}:{last.lineno})",
            remedy=t("`modelyard show runs` has the whole trace; `modelyard show run ID`"),
        )
    return error


def record_failure(bench: Bench, run: int, failure: BaseException) -> None:
    status: Status = "killed" if isinstance(failure, Interrupted) else "failed"
    text = "".join(traceback.format_exception(failure))
    try:
        bench.store.ledger.fail_run(run, text, status)
    except StoreError:
        return  # the ledger cannot be written either; the first error is the one to show
