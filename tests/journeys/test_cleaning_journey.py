"""Cleaning through the real command line: a leak that comes with the data is found, what was taken out comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = """
version: 1
project: cleaning
steps:
  rows:
    uses: data.read
    with: {path: {train: train.tsv, test: test.tsv}, text: text, label: label}
  clean:  {uses: data.clean, with: {markup: strip, width: full_to_half, script: simplified}}
  fit:    {uses: data.filter, with: {languages: [zh], min_characters: 4}}
  back:
    uses: data.restore
    with: {reason: min_characters}
    in: {data: fit, removed: [clean.removed, fit.removed]}
  split:  {uses: data.split, in: {data: back}, with: {validation: 0}}
"""
SUBJECTS = ("酒店", "早餐", "房间", "前台", "位置")
VERBS = ("很好", "很差", "还可以", "让人失望", "出乎意料")


def write_rows(folder: Path) -> None:
    rows = [(str(n % 2), f"第{n}次来，{SUBJECTS[n % 5]}{VERBS[n // 5 % 5]}，下次再说") for n in range(40)]
    train = [
        *rows,
        ("1", "<p>這家&nbsp;Ａ級酒店</p>"),
        ("0", "短"),
        ("1", "An English sentence about a hotel and its staff"),
    ]
    test = [*rows[:3], ("0", "測試集裡的句子，只有一次"), ("1", "测试集里的另一句话，也只有一次")]
    for name, part in (("train", train), ("test", test)):
        lines = ["label\ttext", *(f"{label}\t{text}" for label, text in part)]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def modelyard(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "modelyard", *arguments]
    env = {**os.environ, "MODELYARD_LANG": "en"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_a_leak_is_found_and_short_rows_come_back(tmp_path: Path) -> None:
    write_rows(tmp_path)
    (tmp_path / "modelyard.yaml").write_text(PROJECT, encoding="utf-8")
    modelyard(tmp_path, "run", "--quiet")
    runs = [json.loads(modelyard(tmp_path, "show", "run", str(number), "--json")) for number in range(1, 6)]
    said = json.dumps(runs, ensure_ascii=False)
    for line in (
        "3 of 5 test rows, as the data comes, also stand in train",
        "48 rows in = 48 kept + 0 removed",
        "48 rows in = 46 kept + 2 removed",
        "1 rows were added (restored 1)",
        "3 of 5 test rows also stand in train",
        "3 rows are taken out of train",
    ):
        assert line in said, line
