"""From a database to a data set through the real command line, and when it is fetched again."""

from __future__ import annotations

import json
import sqlite3

import pytest
from support.mail_project import modelyard

pytest.importorskip("sqlalchemy")

PROJECT = """version: 1
project: shop
steps:
  reviews:
    uses: data.sql
    with:
      url: URL
      query: SELECT id, body, stars FROM reviews WHERE id > :first
      parameters: {first: 10}
      key: id
      text: body
      label: stars
      refresh: 7d
  clean: {uses: data.clean}
"""


def write(folder, url="sqlite:///shop.db"):
    (folder / "modelyard.yaml").write_text(PROJECT.replace("URL", url))


def add(folder, first, last):
    connection = sqlite3.connect(folder / "shop.db")
    with connection:
        connection.execute("CREATE TABLE IF NOT EXISTS reviews (id INTEGER PRIMARY KEY, body TEXT, stars INTEGER)")
        rows = [(i, f"a review of thing number {i}", i % 2) for i in range(first, last)]
        connection.executemany("INSERT INTO reviews VALUES (?, ?, ?)", rows)
    connection.close()


def run(folder, *more):
    return {step["step"]: step for step in json.loads(modelyard("run", "--json", *more, cwd=folder).stdout)["steps"]}


def planned(folder, *more):
    return {step["step"]: step for step in json.loads(modelyard("plan", "--json", *more, cwd=folder).stdout)["steps"]}


def test_a_database_is_fetched_kept_while_young_and_fetched_again_when_asked(tmp_path):
    write(tmp_path)
    add(tmp_path, 0, 30)
    always = ("--set", "steps.reviews.with.refresh=always")
    first = run(tmp_path)
    assert not first["reviews"]["cached"]

    add(tmp_path, 30, 40)
    kept = planned(tmp_path)["reviews"]
    assert kept["state"] == "cached"
    assert "ago; `refresh: 7d` keeps it" in kept["reasons"][0]
    assert "`refresh: 7d` 继续用" in modelyard("plan", cwd=tmp_path, lang="zh").stdout

    old = planned(tmp_path, *always)["reviews"]
    assert (old["state"], len(old["reasons"])) == ("run", 1)
    assert "`refresh: always` fetches it again" in old["reasons"][0]
    second = run(tmp_path, *always)
    assert not second["reviews"]["cached"]
    assert second["reviews"]["outputs"]["data"] != first["reviews"]["outputs"]["data"]
    third = run(tmp_path, *always)
    assert not third["reviews"]["cached"]
    assert third["reviews"]["outputs"] == second["reviews"]["outputs"]
    assert third["clean"]["cached"]  # equal rows, fetched anew, are equal below
    assert run(tmp_path)["reviews"]["outputs"] == second["reviews"]["outputs"]


def test_a_password_in_the_file_is_a_problem_that_does_not_show_it(tmp_path):
    write(tmp_path, "postgresql://ann:hunter22@db.example/shop")
    done = modelyard("check", cwd=tmp_path, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 3
    assert "modelyard.yaml:7" in said
    assert "password" in said
    assert "secret: NAME" in said
    assert "hunter22" not in said
