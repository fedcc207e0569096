"""A contract: every planted fault is found, in one go, each with its rows; good data passes unchanged."""

from __future__ import annotations

import datetime
import filecmp
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML
from support.fake_context import FakeContext
from support.small_data import make

from modelyard.engine.bind import load_project_dict
from modelyard.errors import InputError
from modelyard.methods.data.contracts import repeats
from modelyard.methods.data.contracts.proposing import propose, step_yaml
from modelyard.methods.data.contracts.rules import try_pattern
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.statistics.describe import describe
from modelyard.stages.data.contract import Config, run

Columns = Mapping[str, tuple[str, str, Sequence[Any]]]


def checked(root: Path, rows_of: Columns, /, reference: Dataset | None = None, **settings: Any) -> FakeContext:
    data = make(root / "in", rows_of)
    context = FakeContext(root, {"data": data.path, **({"reference": reference.path} if reference else {})})
    run(Config.model_validate(settings), context)
    return context


def violations(context: FakeContext) -> list[tuple[str, str, str]]:
    rows = Dataset.open(context.output("violations")).table("all").to_pylist()
    return sorted((row["rule"], row["column"], row["row_id"]) for row in rows)


FAULTY: Columns = {
    "text": ("text", "string", ["fine", "", "much too long", None, "fine", "bad\x00"]),
    "label": ("label", "string", ["a", "b", "c", "a", None, "a"]),
    "age": ("other", "double", [1.0, -2.0, 3.5, float("nan"), None, 400.0]),
    "code": ("other", "string", ["10", "x", " 7 ", "1e3", "+5", None]),
}
RULES: dict[str, Any] = {
    "columns": {
        "text": {"max_missing": 0, "min_length": 1, "max_length": 8, "pattern": "[a-z ]*", "unique": True},
        "label": {"categories": ["a", "b"], "max_missing": 0.1},
        "age": {"type": "integer", "min": 0, "max": 120},
        "code": {"type": "number", "max": 100},
        "gone": {"type": "string"},
    },
}


def test_every_planted_fault_is_found_in_one_go(tmp_path: Path) -> None:
    context = checked(tmp_path, FAULTY, rows={"min": 10}, labels={"max_share": 0.5}, **RULES)
    assert violations(context) == sorted(
        [
            ("no column", "gone", ""),
            ("number of rows", "", ""),
            ("label share", "label", ""),
            ("missing share", "label", ""),
            ("missing", "text", "r3"),
            ("length", "text", "r1"),
            ("length", "text", "r2"),
            ("pattern", "text", "r5"),
            ("repeated key", "text", "r4"),
            ("category", "label", "r2"),
            ("type", "age", "r2"),
            ("range", "age", "r1"),
            ("range", "age", "r5"),
            ("type", "code", "r1"),
            ("range", "code", "r3"),
        ]
    )
    assert context.value("data.contract_violations") == 15
    assert context.value("data.contract_rows_violating_rate") == pytest.approx(5 / 6)
    by_rule = {(m.slice.get("rule"), m.slice.get("column")): m.value for m in context.measurements if m.slice}
    assert by_rule[("range", "age")] == 2
    assert context.value("data.rows") == 6


def test_the_data_goes_on_byte_for_byte_whether_or_not_it_keeps_the_contract(tmp_path: Path) -> None:
    context = checked(tmp_path, FAULTY, **RULES)
    for file in ("dataset.json", "all/00000.parquet"):
        assert filecmp.cmp(tmp_path / "in" / file, context.output("data") / file, shallow=False)


def test_good_data_keeps_the_contract_and_says_so(tmp_path: Path) -> None:
    context = checked(tmp_path, {"text": ("text", "string", ["one", "two"])}, columns={"text": {"unique": True}})
    assert context.value("data.contract_violations") == 0
    assert any("contract is kept" in line for line in context.said)


def test_rows_that_break_a_rule_can_be_taken_out_with_the_rule_as_reason(tmp_path: Path) -> None:
    context = checked(tmp_path, FAULTY, on_violation="remove_rows", **RULES)
    assert Dataset.open(context.output("data")).column("all", "row_id") == ["r0"]
    removed = Dataset.open(context.output("removed")).table("all").to_pylist()
    assert [row["row_id"] for row in removed] == ["r1", "r2", "r3", "r4", "r5"]
    assert removed[0]["detail"] == "text: length; age: range; code: type"
    assert '"age": -2.0' in removed[0]["row"]
    assert context.value("data.removed_rate") == pytest.approx(5 / 6)


def test_failing_tells_every_rule_with_examples(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        checked(tmp_path, FAULTY, on_violation="fail", **RULES)
    told = str(error.value)
    for word in ("gone", "age: range: 2 rows", "text: repeated", "code: type", "r2 'much too long'"):
        assert word in told


def test_values_never_stand_in_notes_and_nowhere_if_they_are_personal(tmp_path: Path) -> None:
    secret = {"text": ("text", "string", ["call 555-0199 now"])}
    rules = {"columns": {"text": {"max_length": 3}}}
    context = checked(tmp_path / "a", secret, **rules)
    assert not any("555" in line for line in context.said)
    assert Dataset.open(context.output("violations")).column("all", "value") == ["call 555-0199 now"]
    context = checked(tmp_path / "b", secret, show_values=False, **rules)
    assert Dataset.open(context.output("violations")).column("all", "value") == [None]
    with pytest.raises(InputError) as error:
        checked(tmp_path / "c", secret, show_values=False, on_violation="fail", **rules)
    assert "555" not in str(error.value)


@pytest.mark.parametrize("part_rows", [1_000_000, 3])
def test_repeats_of_one_column_and_of_several_are_the_later_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_rows: int
) -> None:
    monkeypatch.setattr(repeats, "PART_ROWS", part_rows)
    columns: Columns = {
        "a": ("other", "string", ["x", "x", "y", None, None, "x", "z"]),
        "b": ("other", "int64", [1, 2, 1, None, None, 1, None]),
    }
    context = checked(tmp_path, columns, columns={"a": {"unique": True}}, unique=[["a", "b"]])
    assert violations(context) == [
        ("repeated key", "a", "r1"),
        ("repeated key", "a", "r5"),
        ("repeated key", "a, b", "r5"),
    ]


def day(number: int) -> datetime.datetime:
    return datetime.datetime(2024, 6, number)  # noqa: DTZ001 (UTC without zone)


def test_freshness_is_counted_from_a_moment_that_is_named(tmp_path: Path) -> None:
    times: Columns = {"at": ("time", "timestamp[us]", [day(1), day(3), None])}
    for place, (limit, num) in enumerate((("2d", 0), ("1d", 1))):
        context = checked(tmp_path / str(place), times, freshness={"max_age": limit, "as_of": "2024-06-05"})
        assert context.value("data.freshness_days") == 2.0
        assert context.value("data.contract_violations") == num
    older = make(tmp_path / "reference", {"at": ("time", "timestamp[us]", [day(2)])})
    context = checked(tmp_path / "r", times, reference=older, drift={"min_rows": 100})
    assert context.value("data.freshness_days") == 0.0
    assert violations(context) == [("drift", "", "")]


def test_a_row_later_than_the_moment_is_a_violation_and_hides_no_stale_data(tmp_path: Path) -> None:
    times: Columns = {"at": ("time", "timestamp[us]", [day(1), day(30), day(5), None])}
    context = checked(tmp_path / "a", times, freshness={"max_age": "2d", "as_of": "2024-06-04T12:00"})
    assert violations(context) == [
        ("freshness", "at", ""), ("later than as_of", "at", "r1"), ("later than as_of", "at", "r2")
    ]  # fmt: skip
    assert context.value("data.freshness_days") == 3.5
    zoned = checked(tmp_path / "z", times, freshness={"as_of": "2024-06-05T02:00+02:00"})
    assert violations(zoned) == [("later than as_of", "at", "r1")]
    day_of = checked(tmp_path / "d", times, freshness={"max_age": "1d", "as_of": "2024-06-05"})
    assert violations(day_of) == [("later than as_of", "at", "r1")]
    assert day_of.value("data.freshness_days") == 0.0
    future = checked(tmp_path / "f", times, freshness={"max_age": "1d", "as_of": "2020-01-01"})
    assert [rule for rule, _, _ in violations(future)] == ["freshness"] + 3 * ["later than as_of"]
    assert [m for m in future.measurements if m.claim == "data.freshness_days"] == []


def test_what_is_no_number_is_missing_and_an_infinity_is_out_of_any_range(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    values: Columns = {"x": ("other", "double", [1.0, nan, inf, -inf, None, nan])}
    low = {"type": "number", "max_missing": 0, "min": 0, "unique": True}
    assert violations(checked(tmp_path / "a", values, columns={"x": low})) == [
        ("missing", "x", "r1"), ("missing", "x", "r4"), ("missing", "x", "r5"),
        ("range", "x", "r2"), ("range", "x", "r3"),
    ]  # fmt: skip
    share = checked(tmp_path / "b", values, columns={"x": {"max_missing": 0.4, "max": 9}})
    assert violations(share) == [("missing share", "x", ""), ("range", "x", "r2"), ("range", "x", "r3")]
    own = make(tmp_path / "c", values)
    assert violations(checked(tmp_path / "d", values, **propose(describe(own, ["all"])))) == []


@pytest.mark.parametrize("columns", [{"at": ("time", "timestamp[us]", [None])}, {"text": ("text", "string", ["x"])}])
def test_freshness_that_cannot_be_judged_is_not_kept(tmp_path: Path, columns: Columns) -> None:
    context = checked(tmp_path / "a", columns, freshness={"max_age": "1d", "as_of": "2024-06-05"})
    assert [rule for rule, _, _ in violations(context)] == ["freshness"]
    assert [m for m in context.measurements if m.claim == "data.freshness_days"] == []
    moments: Columns = {"at": ("time", "timestamp[us]", [day(1)])}
    assert violations(checked(tmp_path / "b", moments, freshness={"max_age": "1d"}))[0][0] == "freshness"


def numbers(shift: float, rows: int, seed: int) -> Columns:
    generator = np.random.default_rng(seed)
    return {
        "n": ("feature", "double", (shift + generator.normal(size=rows)).tolist()),
        "label": ("label", "string", generator.choice(["a", "b"], rows).tolist()),
    }


def test_drift_from_a_reference_is_measured_with_an_interval_and_names_the_column(tmp_path: Path) -> None:
    reference = make(tmp_path / "reference", numbers(0, 2_000, 0))
    context = checked(tmp_path / "a", numbers(1, 2_000, 1), reference=reference)
    assert violations(context) == [("drift", "n", "")]
    evidence = next(m for m in context.measurements if m.claim == "data.drift_psi_max")
    assert isinstance(evidence.interval, tuple)
    assert evidence.interval[0] <= evidence.value <= evidence.interval[1]
    assert evidence.n == 2_000
    still = checked(tmp_path / "b", numbers(0, 2_000, 2), reference=reference)
    assert violations(still) == []
    assert still.value("data.drift_psi_max") < 0.05


def test_too_few_rows_are_no_proof_of_no_drift(tmp_path: Path) -> None:
    reference = make(tmp_path / "reference", numbers(0, 2_000, 0))
    context = checked(tmp_path / "a", numbers(3, 60, 1), reference=reference)
    assert violations(context) == [("drift", "", "")]
    assert [m for m in context.measurements if m.claim == "data.drift_psi_max"] == []


def test_without_a_reference_nothing_is_said_of_drift(tmp_path: Path) -> None:
    context = checked(tmp_path, numbers(0, 600, 0))
    assert [m for m in context.measurements if "drift" in m.claim] == []


def test_the_reference_binds_only_by_name(tmp_path: Path) -> None:
    steps: dict[str, Any] = {
        "old": {"uses": "data.read", "with": {"path": "old.csv"}},
        "new": {"uses": "data.read", "with": {"path": "new.csv"}},
        "plain": {"uses": "data.contract", "in": {"data": "new"}},
        "against": {"uses": "data.contract", "in": {"data": "new", "reference": "old"}},
    }
    bound, problems = load_project_dict({"version": 1, "project": "p", "steps": steps}, tmp_path)
    assert problems == []
    assert bound is not None
    assert "reference" not in bound.step("plain").bindings
    assert bound.step("against").bindings["reference"] == (("old", "data"),)


@pytest.mark.parametrize("pattern", [r"(a+)+\1", r"(?=x)x", r"(?<!x)x", r"(?P=x)", "(?>a)", "[", "(", "*a"])
def test_patterns_that_could_run_away_or_are_none_are_refused_with_the_project(pattern: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        Config.model_validate({"columns": {"x": {"pattern": pattern}}})


def test_a_pattern_that_is_catastrophic_elsewhere_is_linear_here_and_a_huge_one_is_refused(tmp_path: Path) -> None:
    text = "a" * 200_000 + "!"
    context = checked(
        tmp_path, {"x": ("text", "string", [text])}, columns={"x": {"pattern": "(a+)+b|(a|a)*c|(.*a){20}d"}}
    )
    assert len(violations(context)) == 1
    with pytest.raises(InputError, match="pattern"):
        try_pattern("((((a{100}){100}){100}){100})")


@pytest.mark.parametrize(
    "settings",
    [
        {"columns": {"x": {"min": 3, "max": 2}}},
        {"columns": {"x": {"min_length": 3, "max_length": 2}}},
        {"columns": {"x": {"type": "decimal"}}},
        {"freshness": {"as_of": "yesterday"}},
        {"drift": {"min_rows": 10}},
        {"columns": {"x": {"max_missing": 2}}},
        {"on_violation": "ignore"},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate(settings)


def test_a_key_of_columns_that_are_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nope"):
        checked(tmp_path, numbers(0, 5, 0), unique=[["n", "nope"]])


def test_no_rows_at_all_are_judged_too(tmp_path: Path) -> None:
    context = checked(tmp_path, {"text": ("text", "string", [])}, rows={"min": 1}, columns={"text": {"unique": True}})
    assert [rule for rule, _, _ in violations(context)] == ["number of rows"]


def test_the_proposed_contract_is_kept_by_its_own_data_and_is_a_step_that_can_be_pasted(tmp_path: Path) -> None:
    columns: Columns = {
        **numbers(0, 300, 0),
        "text": ("text", "string", ["some words"] * 299 + [None]),
        "odd: {name}": ("other", "int64", range(300)),
        "at": ("time", "timestamp[us]", [day(1)] * 300),
    }
    data = make(tmp_path / "d", columns)
    settings = propose(describe(data, ["all"]))
    assert settings["columns"]["label"]["categories"] == ["a", "b"]
    assert settings["columns"]["odd: {name}"]["type"] == "integer"
    pasted = YAML(typ="safe").load(step_yaml(settings))["contract"]
    assert pasted["uses"] == "data.contract"
    assert Config.model_validate(pasted["with"]) == Config.model_validate(settings)
    context = FakeContext(tmp_path, {"data": data.path})
    run(Config.model_validate(settings), context)
    assert violations(context) == []


def test_evidence_is_tied_to_the_contract_so_that_a_mended_rule_is_judged_anew(tmp_path: Path) -> None:
    """The gate takes the worst evidence on the same data: here the data is the violations, which hold the contract."""
    files = []
    for place, most in enumerate((5, 6)):
        rules = {"columns": {"text": {"max_length": most}}}
        context = checked(tmp_path / str(place), {"text": ("text", "string", ["fine"])}, **rules)
        measured = [m for m in context.measurements if m.claim.startswith("data.contract_")]
        assert {m.on for m in measured} == {"violations"}
        files.append((context.output("violations") / "contract.json").read_bytes())
    assert files[0] != files[1]
