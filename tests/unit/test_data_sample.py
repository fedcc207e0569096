"""data.sample: a function of seed and row ids, shares kept, every row counted, and said on the card."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from support.fake_context import FakeContext
from support.sample_record import digest, evidence, sample_record

from modelyard.errors import UsageError
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.reporting import parse, render
from modelyard.stages.data import sample

NUM = 3000


def rows(path: Path, order: list[int] | None = None) -> Path:
    places = order or list(range(NUM))
    table = pa.table(
        {
            "row_id": [f"r{place}" for place in places],
            "text": [f"text {place}" for place in places],
            "label": ["rare" if place % 20 == 0 else "common" for place in places],
        }
    )
    path.mkdir(parents=True)
    roles = {"row_id": "other", "text": "text", "label": "label"}
    write_schema(path, [Column(name, roles[name], "string") for name in table.schema.names])
    write_split(path, "all", [table], table.schema)
    return path


def drawn(root: Path, source: Path, seed: int = 0, **settings: object) -> tuple[Dataset, FakeContext]:
    context = FakeContext(root, {"data": source}, seed)
    sample.run(sample.Config(**settings), context)
    return Dataset.open(root / "outputs" / "data"), context


def test_the_sample_follows_from_seed_and_ids_and_a_larger_one_holds_it(tmp_path: Path) -> None:
    source, turned = rows(tmp_path / "a"), rows(tmp_path / "b", list(reversed(range(NUM))))
    small, context = drawn(tmp_path / "small", source, rows=100)
    same, _ = drawn(tmp_path / "same", turned, rows=100)
    large, _ = drawn(tmp_path / "large", source, rows=400)
    other, _ = drawn(tmp_path / "other", source, seed=1, rows=100)
    ids = [set(one.column("all", "row_id")) for one in (small, same, large, other)]
    assert len(ids[0]) == 100
    assert ids[0] == ids[1] < ids[2]
    assert ids[0] != ids[3]
    assert small.column("all", "row_id") == sorted(ids[0], key=lambda name: int(name[1:]))
    assert context.value("data.sample_rate") == 100 / NUM
    assert context.value("data.removed_rate") == 1 - 100 / NUM
    assert any("every figure below is of it" in line for line in context.said)


def test_with_by_every_value_keeps_its_share(tmp_path: Path) -> None:
    found, _ = drawn(tmp_path / "out", rows(tmp_path / "in"), rows=200, by="label")
    assert Counter(found.column("all", "label")) == {"rare": 10, "common": 190}
    with pytest.raises(UsageError, match="there is no column `lable`"):
        drawn(tmp_path / "typo", tmp_path / "in", by="lable")


def test_few_rows_are_all_taken_and_nothing_is_said(tmp_path: Path) -> None:
    found, context = drawn(tmp_path / "out", rows(tmp_path / "in"), rows=5000)
    assert found.num_rows("all") == NUM
    assert context.value("data.sample_rate") == 1
    assert not any("sample" in line for line in context.said)


@pytest.mark.parametrize(
    ("claim", "value", "said"),
    [
        ("data.sample_rate", 0.02, "The data is a sample: 2.00% of 5,000 rows. Every figure is of it."),
        ("data.leak_columns", 1, "Columns suspected to know the answer: 1."),
    ],
)
def test_the_card_says_what_its_figures_rest_on(claim: str, value: float, said: str) -> None:
    record = sample_record()
    assert said not in render(parse(record))
    record["evidence"].append(evidence(claim, value, value, value, 5000, split="", subject=digest("split")))
    assert said in render(parse(record))
