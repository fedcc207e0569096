"""Rows that are all test, services that are asked no faster than wanted, changed records that nobody answered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation.robustness.judging import Judged, refuse_recorded, refuse_unanswered
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.data import read, split
from modelyard.stages.evaluate import endpoint


def test_one_row_can_be_all_test_and_none_is_lost(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,label\nfine,good\nfine,good\n")
    reading = FakeContext(tmp_path / "read", base=tmp_path)
    read.run(read.Config(path="rows.csv", text="text", label="label"), reading)
    splitting = FakeContext(tmp_path / "split", {"data": reading.output("data")})
    split.run(split.Config(validation=0, test=1), splitting)
    divided = Dataset.open(splitting.output("data"))
    assert [divided.num_rows(name) for name in ("train", "validation", "test")] == [0, 0, 2]
    with pytest.raises(ValueError, match="nothing is left to train"):
        split.Config(validation=0.1, test=1)


@pytest.mark.parametrize(
    ("host", "given", "rate"),
    [("127.0.0.1:80", None, None), ("localhost", None, None), ("localhost", 2.0, 2.0), ("api.example", None, 5.0)],
)
def test_a_service_on_this_machine_is_asked_as_fast_as_it_answers(
    host: str, given: float | None, rate: float | None
) -> None:
    settings = {"endpoint": f"http://{host}/v1", "model": "m", "classes": ["a", "b"], "sends_data": True}
    assert endpoint.Config.model_validate({**settings, "requests_per_second": given}).rate == rate


@pytest.mark.parametrize("is_rate", [True, False])
def test_changed_records_that_nearly_all_were_refused_are_no_figure(is_rate: bool) -> None:
    found = Judged(tuple(map(str, range(20))), np.zeros(20), is_rate=is_rate)
    refused = np.ones(20) if is_rate else np.full(20, np.nan)
    found.errors["typos", 1], found.refused["typos", 1] = refused, 20
    with pytest.raises(InputError, match="20 of 20"):
        refuse_unanswered(found)
    found.errors["case", 0] = np.zeros(20)
    refuse_unanswered(found)


def test_recorded_answers_are_asked_nothing_else(tmp_path: Path) -> None:
    ModelCard("text-classification", "recorded", ("a", "b"), {"kind": "recorded"}).write(tmp_path)
    with pytest.raises(InputError, match="test rows alone"):
        refuse_recorded(tmp_path)
