"""What cannot be learned of marked spans is said with its reason, also where nothing is left to learn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from modelyard.errors import InputError
from modelyard.methods.training.text_tasks import span_rows, spans
from modelyard.methods.training.text_tasks.texts import Texts


@pytest.mark.parametrize("cell", ["nope", '{"start": 0}', "3"])
def test_a_cell_that_is_no_list_cannot_be_read(cell: str) -> None:
    with pytest.raises(InputError, match="no list of spans"):
        span_rows.read(cell, "Ada")


@pytest.mark.parametrize("cell", [None, "", " ", "null"])
def test_an_empty_cell_says_nothing(cell: str | None) -> None:
    assert span_rows.read(cell, "Ada") is None


def test_why_no_span_is_left_is_said_before_it_is_refused() -> None:
    marked = span_rows.read('[{"start": 0, "end": 99, "label": "name"}]', "Ada")
    assert marked is not None
    rows = Texts(["Ada"], [marked], ["row-1"], np.ones(1, np.float32))
    said: list[str] = []
    job = cast(Any, SimpleNamespace(hooks=SimpleNamespace(say=said.append)))
    with pytest.raises(InputError, match="no training text has any span"):
        spans.train(job, rows, rows, None)
    assert "1 spans of train were left out" in said[0]
    assert "row-1" in said[0]
