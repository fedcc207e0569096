"""data.bootstrap: samples of train that differ by number, whatever the order of the rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.fake_context import FakeContext
from support.tiny_reviews import reviews, write_dataset

from modelyard.errors import InputError
from modelyard.methods.data.bootstrap import times
from modelyard.methods.data.dataset import Dataset
from modelyard.stages.data.bootstrap import Config, run

IDS = [f"row-{place}" for place in range(20_000)]


def drawn(root: Path, rows: int = 300, **settings) -> tuple[FakeContext, Dataset]:
    data = write_dataset(root / "data", {"train": list(reviews(rows)), "validation": list(reviews(40, 1))})
    context = FakeContext(root, {"data": data}, seed=5)
    run(Config(**settings), context)
    return context, Dataset.open(root / "outputs" / "data")


def test_counts_are_poisson():
    counts = Counter(times(IDS, "bootstrap", 1.0, 1, 0).tolist())
    for count, wanted in enumerate((0.3679, 0.3679, 0.1839, 0.0613, 0.0153)):
        assert counts[count] / len(IDS) == pytest.approx(wanted, abs=0.012)


def test_a_subsample_holds_its_share_once():
    found = times(IDS, "subsample", 0.3, 1, 0)
    assert set(found.tolist()) == {0, 1}
    assert found.mean() == pytest.approx(0.3, abs=0.015)


def test_a_row_is_drawn_by_its_own_name_and_the_number():
    first = times(IDS, "bootstrap", 1.0, 1, 0)
    order = np.random.default_rng(0).permutation(len(IDS))
    np.testing.assert_array_equal(times([IDS[place] for place in order], "bootstrap", 1.0, 1, 0), first[order])
    np.testing.assert_array_equal(times(IDS[:50], "bootstrap", 1.0, 1, 0), first[:50])
    for other in (times(IDS, "bootstrap", 1.0, 2, 0), times(IDS, "bootstrap", 1.0, 1, 1)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.03


def test_rows_of_one_group_are_drawn_together():
    units = [f"group-{place // 4}" for place in range(400)]
    found = times(units, "bootstrap", 1.0, 1, 0).reshape(-1, 4)
    assert (found == found[:, :1]).all()


def test_the_stage_writes_copies_and_accounts_for_every_row(tmp_path):
    context, sample = drawn(tmp_path, number=1)
    ids = sample.column("train", "row_id")
    wanted = times([f"train-{place}" for place in range(300)], "bootstrap", 1.0, 1, 5)
    assert len(ids) == len(set(ids)) == wanted.sum()
    assert Counter(name.partition("~")[0] for name in ids) == {
        f"train-{place}": int(count) for place, count in enumerate(wanted) if count
    }
    assert sample.num_rows("validation") == 40
    assert context.said


def test_the_same_number_gives_the_same_rows_and_another_gives_others(tmp_path):
    found = [drawn(tmp_path / name, number=number)[1].column("train", "row_id") for name, number in
             (("a", 1), ("b", 1), ("c", 2))]  # fmt: skip
    assert found[0] == found[1] != found[2]


def test_a_sample_without_rows_is_refused(tmp_path):
    with pytest.raises(InputError, match="is drawn"):
        drawn(tmp_path, rows=1, number=1, method="subsample", share=1e-9)
