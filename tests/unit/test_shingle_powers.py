"""The tables that words are hashed with are seen whole by every thread."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from modelyard.methods.data.duplicates import shingles


def test_a_thread_never_sees_one_table_longer_than_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    one = np.ones(1, np.uint64)
    monkeypatch.setattr(shingles, "_POWERS", (one, one))
    accumulate = np.multiply.accumulate
    seen: list[tuple[int, int]] = []

    class Watched:
        """`np.multiply` during whose work another thread asks for powers that are there already."""

        num = 0

        def accumulate(self, factors: Any) -> Any:
            self.num += 1
            if self.num in (1, 2):
                other = threading.Thread(target=look)
                other.start()
                other.join()
            return accumulate(factors)

    def look() -> None:
        powers, inverses = shingles._powers(max(1, len(shingles._POWERS[0])))
        seen.append((len(powers), len(inverses)))

    class Numpy:
        multiply = Watched()

        def __getattr__(self, name: str) -> Any:
            return getattr(np, name)

    monkeypatch.setattr(shingles, "np", Numpy())
    powers, inverses = shingles._powers(1_000)
    assert len(powers) == len(inverses) == 1_024
    assert len(seen) == 2
    assert all(len_powers == len_inverses for len_powers, len_inverses in seen)
    assert (powers * inverses == 1).all()
