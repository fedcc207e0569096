"""`union`: the arrays of several preprocessors side by side, for a blend of networks that read differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray


class _Part(Protocol):
    @property
    def input_names(self) -> tuple[str, ...]: ...

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]: ...


@dataclass(frozen=True)
class Union:
    """Encodes each text with every part. Parts have different input names."""

    parts: tuple[_Part, ...]

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(name for part in self.parts for name in part.input_names)

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {}
        for part in self.parts:
            arrays.update(part.encode(texts))
        return arrays
