"""The stage evaluate.fairness on small models, and words of identity swapped."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from support.fake_context import FakeContext
from support.small_model import write_dataset, write_linear_model

from modelyard.errors import InputError
from modelyard.methods.data import group_columns
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.evaluation.fairness import terms
from modelyard.stages.evaluate import fairness


def rows_with(words, count, seed):
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        word = words[generator.integers(len(words))]
        good = generator.random() < (0.8 if word == words[0] else 0.2)
        found.append((f"{word}说这里{'很好' if good else '很差'}{number}", "good" if good else "bad"))
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("swaps")
    train = rows_with(("男人", "女人"), 400, 1)
    data = write_dataset(root / "data", {"train": train, "test": rows_with(("男人", "女人"), 200, 2)})
    model = write_linear_model(root / "model", train)
    context = FakeContext(root, {"model": model, "data": data})
    fairness.STAGE.run(fairness.Config(swaps=("gender", "religion"), min_n=30), context)
    return context, json.loads((root / "outputs/report/fairness.json").read_text(encoding="utf-8"))


def found(context, claim, **part):
    return next(one for one in context.measurements if one.claim == claim and dict(one.slice) == part)


def test_a_model_that_learned_the_word_shows_it(made):
    context, report = made
    drift = found(context, "fairness.counterfactual_drift", kind="gender", pair="男人 / 女人")
    assert drift.interval[1] < 0  # from man to woman the score of `good` falls
    assert found(context, "fairness.counterfactual_score_shift", kind="gender").n == 200
    assert found(context, "fairness.counterfactual_flip_rate", kind="gender").n == 200
    assert report["data"]["swaps"] == [
        {"kind": "gender", "rows": 200, "with_term": 200},
        {"kind": "religion", "rows": 200, "with_term": 0},
    ]
    assert any("religion" in line and "too few" in line for line in context.said)


def test_groups_of_a_text_s_own_column(tmp_path):
    rows = rows_with(("男人", "女人"), 300, 3)
    names = ("row_id", "review", "y", "topic")
    roles = ("other", "text", "label", "other")
    schema = pa.schema([(name, pa.string()) for name in names])
    data = tmp_path / "data"
    data.mkdir()
    write_schema(data, [Column(name, role, "string") for name, role in zip(names, roles, strict=True)])
    topics = [None if place < 12 else ("a", "b")[place % 2] for place in range(300)]
    ids = [f"r{place}" for place in range(300)]
    columns = [ids, [text for text, _ in rows], [label for _, label in rows], topics]
    write_split(data, "test", [pa.table(columns, schema=schema)], schema)
    context = FakeContext(tmp_path, {"model": write_linear_model(tmp_path / "model", rows), "data": data})
    fairness.STAGE.run(fairness.Config(columns=("topic",), min_n=20), context)
    assert found(context, "fairness.unjudged_rate", by="topic").value == 12 / 300
    assert found(context, "fairness.accuracy", by="topic", group="a").n == 144
    gap = found(context, "fairness.demographic_parity_difference")
    assert gap.interval[0] <= gap.value <= gap.interval[1]
    assert any("(missing): 12" in line for line in context.said)
    few = FakeContext(tmp_path / "few", {"model": tmp_path / "model", "data": data})
    fairness.STAGE.run(fairness.Config(columns=("topic",), min_n=1000), few)
    said = [line for line in few.said if line.startswith("not measured")]
    assert len(said) == 1
    assert "Demographic parity difference by topic" in said[0]
    assert "more, listed in the report (fewer than two groups have enough rows)" in said[0]
    assert any("the setting `min_n`" in line and "1000 rows" in line for line in few.said)
    assert any("(missing): 12; a: 144; b: 144" in line for line in few.said)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("他和其他人去听吉他", "她和其他人去听吉他"),
        ("他们的女儿", "她们的儿子"),
        ("He saw her dog and told her.", "She saw his dog and told him."),
        ("HIS wife, himself", "HER husband, herself"),
        ("The human woman", "The human man"),
        ("nothing here", None),
    ],
)
def test_words_are_swapped_whole(text, expected):
    swapped = terms.Swapper(terms.built_in(["gender"])).swap(text)
    assert (swapped.text if swapped else None) == expected


@pytest.mark.parametrize("kind", terms.KINDS)
def test_every_word_of_the_table_has_one_partner(kind):
    words = [word for pair in terms.built_in([kind]) for word in (pair.first, pair.second)]
    assert len(words) == len(set(words))


def test_a_table_of_one_s_own_names_every_fault(tmp_path):
    path = tmp_path / "terms.csv"
    path.write_text("kind,first,second\nwork,护士,医生\nwork,护士,工人\nwork,,x\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        terms.read(path, "terms.csv")
    assert [problem.where for problem in caught.value.problems] == ["terms.csv:3", "terms.csv:4"]
    path.write_text("kind,first,second\nwork,护士,医生\n", encoding="utf-8")
    assert terms.read(path, "terms.csv") == [terms.Pair("work", "护士", "医生")]


def test_numbers_are_cut_into_bins():
    values = [None, math.nan, "", 24.9, "25", 44, 45, 99]
    expected = ["(missing)"] * 3 + ["< 25", "25 to < 45", "25 to < 45", ">= 45", ">= 45"]
    assert group_columns.labels("age", values, [25, 45]) == expected
    with pytest.raises(InputError, match="too many for groups"):
        group_columns.labels("age", list(range(200)), None)
    with pytest.raises(InputError, match="no number"):
        group_columns.labels("age", ["old"], [25])


@pytest.mark.parametrize(
    "settings",
    [{}, {"columns": ["a"], "bins": {"b": [1]}}, {"columns": ["a"], "bins": {"a": [2, 1]}}, {"columns": ["a", "a"]}],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        fairness.Config.model_validate(settings)
