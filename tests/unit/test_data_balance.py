"""Balanced training rows: in train alone, by row and not by order, and never a row lost or in another split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from support.divided import divided
from support.fake_context import FakeContext

from modelyard.engine.bind import load_project_dict
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.stages.data.balance import Config, run

LABELS = ["ham"] * 60 + ["spam"] * 12 + ["scam"] * 8


def texts(path: Path, labels: list[str | None], **more: Any) -> Path:
    columns = {"text": ("text", pa.array([f"text {place}" for place in range(len(labels))]))}
    return divided(path, {**columns, "label": ("label", pa.array(labels)), **more})


def numbers(path: Path, seed: int = 0) -> Path:
    draw = np.random.default_rng(seed)
    labels = ["no"] * 80 + ["yes"] * 20 + ["no"] * 5
    shift = np.array([0.0 if label == "no" else 3.0 for label in labels])
    return divided(
        path,
        {
            "age": ("feature", pa.array((draw.normal(40, 9, 105) + shift).astype(np.int64))),
            "income": ("feature", pa.array(draw.normal(3e4, 1e4, 105) + 1e4 * shift)),
            "label": ("label", pa.array(labels)),
        },
    )


def balanced(root: Path, source: Path, seed: int = 0, **settings: Any) -> tuple[Dataset, Dataset, FakeContext]:
    context = FakeContext(root, {"data": source}, seed=seed)
    run(Config(**settings), context)
    return Dataset.open(root / "outputs" / "data"), Dataset.open(root / "outputs" / "removed"), context


def test_oversampling_copies_rows_of_small_classes_until_they_are_as_large(tmp_path: Path) -> None:
    source = texts(tmp_path / "in", [*LABELS, *LABELS[:5]])
    data, log, context = balanced(tmp_path / "a", source, method="oversample")
    assert Counter(data.column("train", "label")) == {"ham": 60, "spam": 60, "scam": 60}
    ids = data.column("train", "row_id")
    assert len(set(ids)) == 180
    copies = Counter(name.partition("~")[0] for name in ids)
    assert {copies[f"r{place}"] for place in range(60, 72)} == {5}
    assert {copies[f"r{place}"] for place in range(72, 80)} == {7, 8}
    by_id = dict(zip(ids, data.column("train", "text"), strict=True))
    assert all(by_id[name] == by_id[name.partition("~")[0]] for name in ids)
    assert Counter(log.column("all", "action")) == {"added": 100}
    assert context.value("data.balance_ratio") == 1.0


def test_undersampling_keeps_what_it_takes_out(tmp_path: Path) -> None:
    source = texts(tmp_path / "in", [*LABELS, *LABELS[:5]])
    data, log, _ = balanced(tmp_path / "a", source, method="undersample", ratio=0.5)
    assert Counter(data.column("train", "label")) == {"ham": 16, "spam": 12, "scam": 8}
    gone = log.table("all").to_pylist()
    assert {row["action"] for row in gone} == {"removed"}
    assert {row["row_id"] for row in gone} | set(data.column("train", "row_id")) == {f"r{i}" for i in range(80)}
    assert all('"text":' in row["row"] for row in gone)


@pytest.mark.parametrize("method", ["oversample", "undersample"])
def test_the_choice_does_not_depend_on_the_order_of_rows(tmp_path: Path, method: str) -> None:
    columns = {"label": ("label", pa.array(LABELS)), "text": ("text", pa.array([str(i) for i in range(80)]))}
    one = divided(tmp_path / "one", columns, validation=0)
    other = divided(tmp_path / "other", columns, validation=0, order=np.random.default_rng(1).permutation(80))
    chosen = [
        sorted(balanced(tmp_path / name, source, method=method)[0].column("train", "row_id"))
        for name, source in (("a", one), ("b", other))
    ]
    assert chosen[0] == chosen[1]
    assert chosen[0] != sorted(balanced(tmp_path / "c", one, 1, method=method)[0].column("train", "row_id"))


def test_weights_make_every_class_weigh_the_same(tmp_path: Path) -> None:
    own = ("weight", pa.array([2.0] * 85))
    source = texts(tmp_path / "in", [*LABELS, *LABELS[:5]], importance=own)
    data, _, _ = balanced(tmp_path / "a", source)
    sums: Counter[str] = Counter()
    for label, weight in zip(data.column("train", "label"), data.column("train", "importance"), strict=True):
        sums[label] += weight
    assert list(sums.values()) == pytest.approx([2 * 80 / 3] * 3)
    assert data.column("validation", "importance") == [2.0] * 5
    assert data.role("weight") == "importance"


def test_a_set_without_weights_gets_a_weight_column_that_training_reads(tmp_path: Path) -> None:
    from modelyard.methods.training.rows import read_splits

    data, _, _ = balanced(tmp_path / "a", texts(tmp_path / "in", [*LABELS, *LABELS[:5]]))
    training, validation, _, _ = read_splits(data)
    assert training.weights.mean() == pytest.approx(1.0)
    assert validation.weights.tolist() == [1.0] * 5


@pytest.mark.parametrize("method", ["oversample", "undersample", "weights", "smote"])
def test_validation_goes_through_unchanged(tmp_path: Path, method: str) -> None:
    source = numbers(tmp_path / "in")
    data, _, _ = balanced(tmp_path / "a", source, method=method)
    before = Dataset.open(source).table("validation")
    assert data.table("validation").select(before.schema.names).equals(before)


@pytest.mark.parametrize("method", ["smote", "borderline", "adasyn"])
def test_synthetic_rows_lie_between_training_rows_of_their_class(tmp_path: Path, method: str) -> None:
    data, log, _ = balanced(tmp_path / "a", numbers(tmp_path / "in"), method=method)
    train = data.table("train").to_pylist()
    real = [row for row in train if not row["row_id"].startswith("synthetic:")]
    made = [row for row in train if row["row_id"].startswith("synthetic:")]
    assert [row["row_id"] for row in real] == [f"r{place}" for place in range(100)]
    assert len(made) >= 50
    assert {row["label"] for row in made} == {"yes"}
    for name in ("age", "income"):
        of_class = [row[name] for row in real if row["label"] == "yes"]
        assert all(min(of_class) <= row[name] <= max(of_class) for row in made)
    assert log.num_rows("all") == len(made)


def test_smote_is_the_same_as_imbalanced_learns_own_on_scaled_features(tmp_path: Path) -> None:
    from imblearn.over_sampling import SMOTE

    source = numbers(tmp_path / "in")
    data, _, _ = balanced(tmp_path / "a", source, seed=7, method="smote")
    table = Dataset.open(source).table("train").to_pandas()
    scale = table[["age", "income"]].to_numpy().std(axis=0)
    x, _ = SMOTE(random_state=7).fit_resample(table[["age", "income"]].to_numpy() / scale, table["label"])
    made = data.table("train").to_pandas()[["age", "income"]].to_numpy()[100:]
    np.testing.assert_allclose(made[:, 1], (x[100:] * scale)[:, 1])
    np.testing.assert_array_equal(made[:, 0], np.rint((x[100:] * scale)[:, 0]))


def test_categories_of_synthetic_rows_are_ones_that_exist(tmp_path: Path) -> None:
    source = divided(
        tmp_path / "in",
        {
            "income": ("feature", pa.array(np.random.default_rng(0).normal(size=60))),
            "city": ("feature", pa.array(["京", "沪", "深"] * 20)),
            "paid": ("time", pa.array([0] * 60, pa.timestamp("us"))),
            "label": ("label", pa.array(["no"] * 40 + ["yes"] * 15 + ["no"] * 5)),
        },
    )
    data, _, _ = balanced(tmp_path / "a", source, method="smote")
    made = [row for row in data.table("train").to_pylist() if row["row_id"].startswith("synthetic:")]
    assert len(made) == 25
    assert {row["city"] for row in made} <= {"京", "沪", "深"}
    assert {row["paid"] for row in made} == {None}


def test_rows_without_a_class_stay(tmp_path: Path) -> None:
    data, _, _ = balanced(
        tmp_path / "a", texts(tmp_path / "in", [None, *LABELS[50:], *LABELS[:5]]), method="oversample"
    )
    assert data.column("train", "label").count(None) == 1


@pytest.mark.parametrize(
    ("settings", "labels", "found"),
    [
        ({"method": "oversample", "rows": {"spm": 9}}, [*LABELS, "ham"], "`rows` names the class `spm`"),
        ({"method": "smote"}, [*LABELS, "ham"], "SMOTE is for tables"),
        ({"method": "oversample"}, ["ham"] * 9, "nothing to balance"),
    ],
)
def test_what_cannot_be_balanced_is_said(tmp_path: Path, settings: dict, labels: list, found: str) -> None:
    with pytest.raises(InputError, match=found):
        balanced(tmp_path / "a", texts(tmp_path / "in", [*labels, *labels[:5]]), **settings)


def test_missing_numbers_and_tiny_classes_are_told_together(tmp_path: Path) -> None:
    source = divided(
        tmp_path / "in",
        {
            "income": ("feature", pa.array([1.0, None, float("nan"), *range(37)])),
            "label": ("label", pa.array(["no"] * 32 + ["yes"] * 3 + ["no"] * 5)),
        },
    )
    with pytest.raises(InputError) as caught:
        balanced(tmp_path / "a", source, method="smote")
    told = [problem.found for problem in caught.value.problems]
    assert told == ["`income` has 2 missing values in train", "class yes has 3 rows; 5 neighbours need more"]


@pytest.mark.parametrize("methods", [("oversample", "oversample"), ("smote", "smote")])
def test_balancing_twice_gives_every_row_an_id_of_its_own(tmp_path: Path, methods: tuple[str, str]) -> None:
    source = numbers(tmp_path / "in")
    for turn, (method, ratio) in enumerate(zip(methods, (0.5, 1.0), strict=True)):
        data, _, _ = balanced(tmp_path / str(turn), source, method=method, ratio=ratio)
        source = data.path
        ids = data.column("train", "row_id")
        assert len(set(ids)) == len(ids)


def test_weights_take_no_row_counts() -> None:
    with pytest.raises(ValidationError, match="count rows"):
        Config(method="weights", ratio=0.5)


def test_balancing_before_the_split_cannot_be_written(tmp_path: Path) -> None:
    """The popular mistake: copies first, then a split that puts them on both sides."""
    (tmp_path / "mail.csv").write_text("text,label\na,b\n")
    steps = {
        "mail": {"uses": "data.read", "with": {"path": "mail.csv", "text": "text", "label": "label"}},
        "balance": {"uses": "data.balance"},
        "split": {"uses": "data.split"},
    }
    problems = load_project_dict({"version": 1, "project": "p", "steps": steps}, tmp_path)[1]
    assert "`data.balance` needs the split train" in problems[0].found
    assert "data.split" in problems[0].remedy
