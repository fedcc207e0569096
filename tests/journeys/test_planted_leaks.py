"""Planted leaks: mistakes that put what is tested into what is learned from. Each is refused, undone, or shown and
gated; none passes unseen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.divided import divided
from support.fake_context import FakeContext

from modelyard.engine.bind import load_project_dict
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.stages.data import augment, balance, deduplicate, read, split

READ = {"uses": "data.read", "with": {"path": "mail.csv", "text": "text", "label": "label"}}
TRAIN = {"uses": "train.text_classification", "with": {"size": "linear"}}
QUALITY = {"uses": "evaluate.quality"}


def found(tmp_path: Path, **steps: Any) -> list[str]:
    """What `check` finds in a project of these steps."""
    (tmp_path / "mail.csv").write_text("text,label\na,b\n", encoding="utf-8")
    value = {"version": 1, "project": "p", "steps": {"mail": READ, **steps}}
    return [problem.found for problem in load_project_dict(value, tmp_path)[1]]


def mails(path: Path, rows: list[str], header: str = "text,label,given", **settings: Any) -> Dataset:
    """Rows of a CSV file, read by data.read."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "mail.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    context = FakeContext(path)
    read.run(read.Config(path="mail.csv", text="text", label="label", **settings), context)
    return Dataset.open(path / "outputs" / "data")


def cut(path: Path, data: Dataset, **settings: Any) -> tuple[Dataset, FakeContext]:
    context = FakeContext(path / "split", {"data": data.path})
    split.run(split.Config(**settings), context)
    return Dataset.open(path / "split" / "outputs" / "data"), context


def texts_of(data: Dataset, side: str) -> set[str]:
    return set(data.column(side, "text"))


@pytest.mark.parametrize("stage", ["data.balance", "data.augment", "data.outliers", "data.label_errors"])
def test_1_to_4_what_learns_or_copies_cannot_stand_before_the_split(tmp_path: Path, stage: str) -> None:
    problems = found(tmp_path, early={"uses": stage}, split={"uses": "data.split"})
    assert any(f"`{stage}` needs the split train" in problem for problem in problems)


def test_5_copies_made_by_a_stage_of_ones_own_stay_on_one_side_and_are_counted(tmp_path: Path) -> None:
    rows = [f"letter {n},{'ab'[n % 2]}," for n in range(60) for _ in range(1 + 9 * (n < 10))]
    divided_set, context = cut(tmp_path, mails(tmp_path, rows, keep=[]))
    assert not texts_of(divided_set, "train") & texts_of(divided_set, "test")
    assert context.value("data.leakage_rate") == 0
    assert context.value("data.duplicate_rate") > 0.5


def test_6_synthetic_rows_are_made_of_train_alone_and_never_reach_validation(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    labels = ["no"] * 60 + ["yes"] * 15 + ["no"] * 5
    columns = {"x": ("feature", pa.array(draw.normal(size=80))), "label": ("label", pa.array(labels))}
    source = divided(tmp_path / "in", columns)
    context = FakeContext(tmp_path, {"data": source})
    balance.run(balance.Config(method="smote"), context)
    made = Dataset.open(tmp_path / "outputs" / "data")
    assert made.splits() == ("train", "validation")
    assert not any(name.startswith("synthetic") for name in made.column("validation", "row_id"))


def test_7_changed_copies_of_training_rows_never_reach_validation(tmp_path: Path) -> None:
    columns = {"text": ("text", pa.array(["good food"] * 20)), "label": ("label", pa.array(["a", "b"] * 10))}
    context = FakeContext(tmp_path, {"data": divided(tmp_path / "in", columns)})
    augment.run(augment.Config(), context)
    made = Dataset.open(tmp_path / "outputs" / "data")
    assert made.num_rows("validation") == 5
    assert not any("+" in name for name in made.column("validation", "row_id"))


def test_8_test_rows_that_also_stand_in_train_are_taken_out_of_train(tmp_path: Path) -> None:
    rows = [f"letter {n},{'ab'[n % 2]},train" for n in range(40)]
    rows += [f"Letter  {n},{'ab'[n % 2]},test" for n in range(30, 50)]
    data = mails(tmp_path, rows, split="given")
    divided_set, context = cut(tmp_path, data)
    assert context.value("data.overlap_found_rate") == 0.5
    assert context.value("data.leakage_rate") == 0
    assert divided_set.num_rows("test") == 20


@pytest.mark.parametrize(("kind", "role"), [("image", "image"), ("amount", "feature")])
def test_8_pictures_and_numbered_rows_that_stand_on_both_sides_are_seen_too(
    tmp_path: Path, kind: str, role: str
) -> None:
    values = [bytes([n % 40]) * 50 if kind == "image" else n % 40 * 10 for n in range(60)]
    table = pa.table(
        {
            "row_id": [f"r{n}" for n in range(60)],
            "order_id": [f"order {n}" for n in range(60)],
            "label": ["a", "b"] * 30,
            kind: pa.array(values),
            "given": ["train"] * 40 + ["test"] * 20,
        }
    )
    roles = {"row_id": "other", kind: role, "label": "label", "given": "split"}
    fields = [(field.name, str(field.type)) for field in table.schema]
    write_schema(tmp_path, [Column(name, roles.get(name, "feature"), typed) for name, typed in fields])
    write_split(tmp_path, "all", [table], table.schema)
    divided_set, context = cut(tmp_path, Dataset.open(tmp_path))
    assert context.value("data.overlap_found_rate") == 1.0
    assert context.value("data.leakage_rate") == 0
    assert divided_set.num_rows("test") == 20


def test_9_near_copies_of_test_rows_are_taken_out_of_train(tmp_path: Path) -> None:
    words = [f"word{n}" for n in range(200)]
    rows = [
        f"{' '.join(words[n : n + 40])} {side},{'ab'[n % 2]},{side}"
        for side in ("train", "test")
        for n in range(0, 160, 40)
    ]
    data = mails(tmp_path, rows, split="given")
    context = FakeContext(tmp_path / "near", {"data": data.path})
    deduplicate.run(deduplicate.Config(shingles="words"), context)
    assert context.value("data.near_leaks_found_rate") == 0.5
    assert set(Dataset.open(tmp_path / "near" / "outputs" / "data").column("all", "given")) == {"test"}


def test_10_rows_of_one_customer_stay_on_one_side(tmp_path: Path) -> None:
    rows = [f"letter {n},{'ab'[n % 2]},customer{n // 6}" for n in range(120)]
    divided_set, context = cut(tmp_path, mails(tmp_path, rows, group="given"))
    sides = [set(divided_set.column(side, "given")) for side in ("train", "test")]
    assert not sides[0] & sides[1]
    assert context.value("data.leakage_rate") == 0


def test_11_rows_of_the_future_in_train_are_counted_and_said(tmp_path: Path) -> None:
    rows = [f"letter {n},{'ab'[n % 2]},2024-01-{1 + n % 28:02d}" for n in range(120)]
    data = mails(tmp_path, rows, time="given")
    _, context = cut(tmp_path / "random", data)
    assert context.value("data.future_rate") > 0.5
    assert any("newer than" in line and "by: time" in line for line in context.said)
    _, context = cut(tmp_path / "ordered", data, by="time")
    assert context.value("data.future_rate") == 0


def test_12_a_second_cut_of_the_same_rows_cannot_be_tested_on(tmp_path: Path) -> None:
    second = {"uses": "data.split", "in": {"data": "mail"}, "with": {"test": 0.5}}
    steps = {"split": {"uses": "data.split"}, "model": TRAIN, "second": second}
    problems = found(tmp_path, **steps, quality={**QUALITY, "in": {"data": "second"}})
    assert any("may be among those `model` learned from" in problem for problem in problems)


def test_13_the_same_file_read_twice_is_the_same_data(tmp_path: Path) -> None:
    steps = {"split": {"uses": "data.split"}, "model": TRAIN, "again": READ}
    second = {"uses": "data.split", "in": {"data": "again"}}
    problems = found(tmp_path, **steps, second=second, quality={**QUALITY, "in": {"data": "second"}})
    assert any("may be among those `model` learned from" in problem for problem in problems)


def test_14_one_file_cannot_be_train_and_test(tmp_path: Path) -> None:
    (tmp_path / "mail.csv").write_text("text,label\na,b\n", encoding="utf-8")
    config = read.Config(path={"train": "mail.csv", "test": "mail.csv"}, text="text", label="label")
    with pytest.raises(InputError, match="the same file stands in"):
        read.run(config, FakeContext(tmp_path))


STAGE = '''"""Learn from everything."""
from pydantic import BaseModel, ConfigDict
from modelyard.core.stage import Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def run(config, context):
    """Look at test."""


STAGE = Stage(
    config=Config, run=run, inputs={"data": Port("dataset", ("train", "test"))}, outputs={"model": Port("model")}
)
'''


def test_15_a_stage_that_makes_a_model_cannot_ask_for_test_rows(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text(STAGE, encoding="utf-8")
    problems = found(tmp_path, split={"uses": "data.split"}, model={"uses": "./greedy.py"})
    assert any("asks for the split test" in problem for problem in problems)
    (tmp_path / "evaluate").mkdir()
    (tmp_path / "evaluate" / "greedy.py").write_text(STAGE, encoding="utf-8")
    problems = found(tmp_path, split={"uses": "data.split"}, model={"uses": "./evaluate/greedy.py"})
    assert any("is made by a stage that sees test data" in problem for problem in problems)
