"""Labels through the real command line: errors found, answered, corrected, run again; a kill loses no answer."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from support.mail_project import EXAMPLE, modelyard

PROJECT = """version: 1
project: mail
steps:
  mail: {uses: data.read, with: {path: mail.csv, text: text, label: label}}
  corrected: {uses: data.correct, with: {path: labels/errors.jsonl, optional: true}}
  split: {uses: data.split}
  errors: {uses: data.label_errors, with: {folds: 3, audit: 3}}
"""
AUDITED = """version: 1
project: mail
steps:
  mail: {uses: data.read, with: {path: mail.csv, text: text, label: label}}
  uncorrected: {uses: data.split}
  errors: {uses: data.label_errors, with: {folds: 3, audit: 3}}
  corrected:
    uses: data.correct
    in: {data: mail, queue: errors.queue}
    with: {path: labels/errors.jsonl, optional: true}
"""
WRONG = (20, 90, 160)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """300 mails cut to 300 characters, three labels wrong; the steps have run."""
    folder = tmp_path_factory.mktemp("labelling")
    with (EXAMPLE / "mail.csv").open(encoding="utf-8", newline="") as stream:
        rows = [(row["text"][:300], row["label"]) for row in csv.DictReader(stream)][:300]
    for place in WRONG:
        text, label = rows[place]
        rows[place] = (text, {"ham": "spam", "spam": "ham"}[label])
    with (folder / "mail.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    (folder / "modelyard.yaml").write_text(PROJECT)
    modelyard("run", cwd=folder)
    return folder


def label(folder, text, *options, author="li"):
    environment = {**os.environ, "MODELYARD_LANG": "en"}
    command = [sys.executable, "-m", "modelyard", "label", "errors", "--author", author, *options]
    done = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_session_shows_rows_takes_answers_and_goes_on_where_it_was(project, tmp_path):
    to = tmp_path / "answers.jsonl"
    shown = label(project, "k\nwhat\n?\nn odd one\na\nu\na\nq\n", "--to", str(to))
    assert "row 1 of" in shown
    assert "drawn at random" in shown
    assert "there is no label `what`" in shown
    found = lines(to)
    assert [line["after"] is None for line in found] == [False, False, True, False]
    assert found[0]["before"] == found[0]["after"]
    assert found[1]["note"] == "odd one"
    assert {line["why"] for line in found} == {"audit"}
    assert all(line["from"].startswith("sha256:") and line["time"] and line["key"] for line in found)
    again = label(project, "q\n", "--to", str(to))
    assert "2 answered for by li" in again
    assert "row 3 of" in again
    assert "0 answered for by wu" in label(project, "", "--to", str(to), author="wu")


def test_a_killed_session_has_lost_no_answer(project, tmp_path):
    to = tmp_path / "answers.jsonl"
    command = [sys.executable, "-m", "modelyard", "label", "errors", "--author", "li", "--to", str(to)]
    with subprocess.Popen(command, cwd=project, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        process.stdin.write("a\na\n")
        process.stdin.flush()
        deadline = time.monotonic() + 120
        while not (to.exists() and len(to.read_bytes().splitlines()) == 2) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
    assert len(lines(to)) == 2
    assert "2 answered for by li" in label(project, "q\n", "--to", str(to))


def test_label_studio_and_back_is_the_same_as_the_terminal(project, tmp_path):
    label(project, "", "--export", "label-studio", str(tmp_path / "tasks.json"))
    assert (tmp_path / "tasks.xml").is_file()
    tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    for task in tasks:
        task["annotations"] = [{"completed_by": 1, "updated_at": "2026-01-01T00:00:00Z",
                                "result": task.pop("predictions")[0]["result"]}]  # fmt: skip
    tasks.append({"data": {"row_id": "foreign"}, "annotations": []})
    (tmp_path / "done.json").write_text(json.dumps(tasks), encoding="utf-8")
    to = ("--to", str(tmp_path / "answers.jsonl"))
    first = json.loads(label(project, "", "--import", str(tmp_path / "done.json"), "--json", *to))
    assert first["answers"] == first["new"] == len(tasks) - 1
    assert first["left"] == {"foreign task": 1}
    assert json.loads(label(project, "", "--import", str(tmp_path / "done.json"), "--json", *to))["new"] == 0


def test_answers_make_a_new_version_of_the_data_with_its_difference_on_record(project):
    before = json.loads(modelyard("show", "artifact", "corrected", "--json", cwd=project).stdout)["digest"]
    answered = json.loads(label(project, "a\nk\nk\n" + "a\n" * 2 + "q\n", "--json"))
    assert answered["answered"] == 5
    expected = {
        line["row_id"] for line in lines(project / "labels" / "errors.jsonl") if line["before"] != line["after"]
    }
    result = json.loads(modelyard("run", "--json", cwd=project).stdout)
    cached = {step["step"]: step["cached"] for step in result["steps"]}
    assert cached == {"mail": True, "corrected": False, "split": False, "errors": False}
    assert json.loads(modelyard("show", "artifact", "corrected", "--json", cwd=project).stdout)["digest"] != before
    evidence = json.loads(modelyard("show", "evidence", "corrected", "--json", cwd=project).stdout)
    values = {item["claim"]: item for item in evidence if not item["slice"]}
    assert values["data.corrected_rate"]["value"] == pytest.approx(len(expected) / 300)
    assert "data.audited_error_rate" not in values  # nothing proves here that the rows were drawn at random


def test_rows_drawn_at_random_measure_the_rate_where_their_queue_is_bound(project, tmp_path):
    shutil.copy(project / "mail.csv", tmp_path / "mail.csv")
    (tmp_path / "modelyard.yaml").write_text(AUDITED)
    modelyard("run", cwd=tmp_path)
    label(tmp_path, "k\nk\na\nq\n")
    modelyard("run", cwd=tmp_path)
    evidence = json.loads(modelyard("show", "evidence", "corrected", "--json", cwd=tmp_path).stdout)
    (rate,) = [item for item in evidence if item["claim"] == "data.audited_error_rate" and not item["slice"]]
    wrong = sum(line["before"] != line["after"] for line in lines(tmp_path / "labels" / "errors.jsonl"))
    assert (rate["n"], rate["value"]) == (3, pytest.approx(wrong / 3))


def test_a_step_without_a_queue_is_an_error_that_says_so(project):
    done = modelyard("label", "split", cwd=project, check=False)
    assert done.returncode == 5
    assert "split.queue" in done.stderr
