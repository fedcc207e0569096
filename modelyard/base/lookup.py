"""Libraries by name: which version is installed, and a clear error when an optional one is not."""

from __future__ import annotations

import importlib
from functools import cache
from importlib import metadata
from types import ModuleType

from modelyard.base.messages import t
from modelyard.errors import DependencyError


@cache
def version_of(distribution: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def require(module: str, extra: str) -> ModuleType:
    """Import an optional library, or say which extra brings it. Raises DependencyError."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            t("the library `{module}` is not installed", module=module),
            remedy=t('pip install "modelyard[{extra}]"', extra=extra),
        ) from error
