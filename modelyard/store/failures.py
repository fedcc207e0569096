"""From the operating system's errors to the store's: what happened, where, and what the user can do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.base.messages import t
from modelyard.errors import StoreError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
_HANDLES = {errno.EMFILE, errno.ENFILE}


def _remedy(code: int | None) -> str:
    if code in _FULL:
        return t("free some space (`modelyard gc` removes what nothing needs), then run again; what was done is kept")
    if code in _FORBIDDEN:
        return t("make the store's folder writable for this user, or name another in a profile (`store:`)")
    if code in _HANDLES:
        return t("close other programs or raise the limit of open files (`ulimit -n`), then run again")
    if code == errno.EIO:
        return t("the disk reported a fault: check it, then run `modelyard verify`")
    return t("look at the folder named above, then run again; `modelyard verify` checks the store")


def store_error(error: OSError, where: Path) -> StoreError:
    """The StoreError that says what `error` means for the store."""
    place = str(error.filename or where)
    reason = error.strerror or str(error) or type(error).__name__
    return StoreError(
        t("the store could not be read or written: {reason}", reason=reason),
        where=place,
        remedy=_remedy(error.errno),
    )


@contextmanager
def as_store_errors(where: Path) -> Iterator[None]:
    """Inside, an OSError becomes a StoreError with place and remedy. Never retries."""
    try:
        yield
    except OSError as error:
        raise store_error(error, where) from error
