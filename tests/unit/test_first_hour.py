"""What a newcomer stumbled over in the first hour, each with the right answer now."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.base.messages import catalogue
from modelyard.cli.click_words import TEXTS
from modelyard.cli.output import duration
from modelyard.cli.run import MOST_ASKED, question
from modelyard.engine.guess import guess
from modelyard.engine.guessed import TABLE_NUMBERS
from modelyard.errors import InputError
from modelyard.methods.data.splitting import checking
from modelyard.methods.data.splitting.sides import Rows
from modelyard.methods.preprocessing.table import Column, Placed, Table, number_of, word_of
from modelyard.methods.training import choices
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings import Compute

ROOT = Path(__file__).resolve().parents[2]


def test_the_hint_after_a_run_is_a_record_as_the_model_reads_it() -> None:
    assert question({"text": "free money"}) == question(None) == "'…'"
    assert question({"age": 39, "city": "O'Hare"}) == """'{"age": 39, "city": "O'"'"'Hare"}'"""
    assert question({"image": "aGk="}) == "…"
    assert question({f"column {place}": 1.5 for place in range(300)}) == "--file records.jsonl"
    assert MOST_ASKED < 4_096


def test_a_number_column_takes_neither_true_nor_false() -> None:
    table = Table((Column("age", "number"), Column("member", "category", ("false", "true"))))
    with pytest.raises(InputError) as caught:
        table.encode([Placed(0, {"age": True, "member": True})])
    problem = caught.value.problems[0]
    assert problem.where == "records[0].age"
    assert "True" in problem.found
    assert table.encode([Placed(0, {"age": 39, "member": True})])["table"].tolist() == [[39.0, 3.0]]
    assert word_of(True) == "true"
    with pytest.raises(ValueError):
        number_of(True)


def test_a_column_under_another_name_is_told_by_the_model_s_name() -> None:
    table = Table((Column("user_id", "category", ("1",)), Column("age", "number")))
    with pytest.raises(InputError) as caught:
        table.encode([Placed(0, {"user": "1", "age": 3})])
    assert "`user` in the record: did you mean `user_id`?" in caught.value.problems[0].remedy
    with pytest.raises(InputError) as caught:
        table.encode([Placed(0, {"age": 3})])
    assert "did you mean" not in caught.value.problems[0].remedy


def test_a_number_format_is_said_only_where_something_is_computed_in_it(tmp_path: Path) -> None:
    said: list[str] = []
    hooks = Hooks(lambda *_, **__: None, lambda *_: None, said.append)
    choices.settle(Compute(), tmp_path / "network", hooks)
    choices.settle(Compute(), tmp_path / "trees", hooks, in_format=False)
    assert " in " in said[0]
    assert " in " not in said[1]


def test_the_target_of_houses_is_the_price_though_it_is_not_the_last_column(tmp_path: Path) -> None:
    path = tmp_path / "housing.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["longitude", "median_income", "median_house_value", "ocean_proximity"])
        writer.writerows(
            [-122 - n / 100, n % 17 / 3, 100_000 + 700 * n, ["INLAND", "NEAR BAY"][n % 2]] for n in range(300)
        )
    found = guess(path)
    assert (found.task, found.target) == (TABLE_NUMBERS, "median_house_value")


def test_texts_that_are_all_equal_are_named_as_the_reason() -> None:
    import numpy as np

    keys = np.zeros((30, 2), np.uint64)
    rows = Rows(keys, np.zeros(30, np.int64), None, None, None, None)
    with pytest.raises(InputError) as caught:
        checking.check(rows, np.zeros(30, np.int8), [0, 1, 2])
    problem = caught.value.problems[0]
    assert "hold 1 different texts" in problem.found
    assert "is `text` the right column" in problem.remedy


def test_durations_and_the_words_of_a_help_page_are_chinese_in_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    assert duration(2.34) == "2.3 s"
    monkeypatch.setenv("MODELYARD_LANG", "zh")
    assert duration(2.34) == "2.3 秒"
    assert duration(153) == "2 分 33 秒"
    assert duration(7_260) == "2 小时 01 分"
    assert [text for text in TEXTS if text not in catalogue("zh")] == []


def test_a_whole_help_page_is_in_one_language() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modelyard", "predict", "--help"],
        cwd=ROOT,
        env={"MODELYARD_LANG": "zh", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("用法：")
    assert "选项:" in done.stdout
