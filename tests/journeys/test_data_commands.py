"""`modelyard data` through the real command line, on the bundled e-mails: two versions, a contract, a datasheet."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from support.mail_project import modelyard, write_project

PROJECT = """version: 1
project: mail
steps:
  mail: {uses: data.read, with: {path: mail.csv, text: text, label: label, provenance: {licence: CC0-1.0}}}
  arrived: {uses: data.contract, with: {columns: {label: {categories: [ham, spam], max_missing: 0}}}}
  clean: {uses: data.clean}
  sheet: {uses: data.datasheet, with: {title: Mail}}
  split: {uses: data.split, with: {validation: 0.15, test: 0.3}}
"""
EVIL = "\x1b[2Jevil\u202e\x07 天气很好 needle\nsecond line"
CHANGED = 3
ROWS = 160


def ask(folder: Path, *arguments: str) -> Any:
    return json.loads(modelyard("data", *arguments, "--json", cwd=folder).stdout)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions: in the second some rows are gone, one came, some labels flipped."""
    folder = write_project(tmp_path_factory.mktemp("data") / "mail", rows=ROWS, text=PROJECT)
    modelyard("run", cwd=folder)
    with (folder / "mail.csv").open(encoding="utf-8", newline="") as stream:
        head, *rows = csv.reader(stream)
    label = head.index("label")
    for row in rows[10 : 10 + CHANGED]:
        row[label] = "ham" if row[label] == "spam" else "spam"
    rows.append([EVIL if name == "text" else "spam" if name == "label" else "" for name in head])
    with (folder / "mail.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([head, *rows])
    modelyard("run", cwd=folder)
    return folder


def test_the_list_names_every_data_set_with_rows_splits_and_digest(project: Path) -> None:
    found = {f"{item['step']}.{item['port']}": item for item in ask(project, "list")}
    assert found["mail.data"]["rows"] == ROWS + 1
    assert set(found["split.data"]["splits"]) == {"train", "validation", "test"}
    assert {"arrived.violations", "clean.removed"} <= set(found)
    text = modelyard("data", "list", cwd=project).stdout
    assert found["mail.data"]["digest"][7:19] in text


def test_rows_are_pruned_filtered_and_printed_in_every_form(project: Path) -> None:
    found = ask(project, "rows", "mail", "--columns", "label,row_id", "--where", "label=spam", "--limit", "3")
    assert [list(row) for row in found["rows"]] == [["label", "row_id"]] * 3
    assert {row["label"] for row in found["rows"]} == {"spam"}
    lines = modelyard("data", "rows", "mail", "--format", "jsonl", "--limit", "0", cwd=project).stdout.splitlines()
    assert len(lines) == ROWS + 1
    assert json.loads(lines[-1])["text"] == EVIL
    printed = modelyard("data", "rows", "mail", "--format", "csv", "--limit", "0", cwd=project).stdout
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert len(rows) == ROWS + 1
    assert rows[-1]["text"] == EVIL


def test_nothing_from_data_steers_the_terminal(project: Path) -> None:
    asked = [
        ("rows", "mail", "--where", "text~needle"), ("rows", "mail", "--where", "text~needle", "--format", "jsonl"),
        ("search", "mail", "needle"), ("diff", "mail"), ("stats", "mail"), ("sample", "mail", "-n", "1000"),
        ("history", "mail"), ("removed", "clean"), ("contract", "mail"),
    ]  # fmt: skip
    for arguments in asked:
        out = modelyard("data", *arguments, cwd=project).stdout
        assert not {"\x1b", "\x07", "\u202e"} & set(out), arguments


def test_samples_repeat_and_strata_are_all_there(project: Path) -> None:
    one = ask(project, "sample", "mail", "-n", "12", "--seed", "5", "--by", "label")
    assert one == ask(project, "sample", "mail", "-n", "12", "--seed", "5", "--by", "label")
    assert {row["label"] for row in one["rows"]} == {"ham", "spam"}
    assert len(one["rows"]) == 12


def test_removed_rows_are_counted_by_reason_and_their_ids_printed_alone(project: Path) -> None:
    found = ask(project, "removed", "clean")
    total = {(item["action"], item["reason"]): item["rows"] for item in found["counts"]}
    assert total
    (action, reason), rows = next(iter(sorted(total.items())))
    ids = modelyard(
        "data", "removed", "clean", "--reason", reason, "--action", action, "--ids", cwd=project
    ).stdout.split()
    known = {row["row_id"] for row in ask(project, "rows", "mail", "--limit", "10000")["rows"]}
    assert 0 < len(set(ids)) <= rows
    assert set(ids) <= known


def test_figures_are_those_of_the_file_and_kept_beside_the_artifact(project: Path) -> None:
    found = ask(project, "stats", "mail")
    assert found["rows"] == ROWS + 1
    assert sum(item["rows"] for item in found["columns"][0]["top"] or []) <= ROWS + 1
    assert list((project / ".modelyard" / "cache" / "derived").glob("statistics-*/*/*/all.json"))
    assert ask(project, "stats", "mail") == found


def test_the_two_versions_differ_in_the_rows_that_were_changed(project: Path) -> None:
    found = ask(project, "diff", "mail")
    assert (found["num_old"], found["num_new"]) == (ROWS, ROWS + 1)
    assert found["key"] == ["text"]  # a changed file gives its rows new ids
    assert (found["num_flips"], found["changed"], found["added"], found["removed"]) == (CHANGED, CHANGED, 1, 0)
    history = ask(project, "history", "mail")
    assert [item["rows"] for item in history] == [ROWS, ROWS + 1]
    assert history[1]["psi_max"] is not None
    same = ask(project, "diff", "mail~0", "mail")
    assert (same["added"], same["removed"], same["changed"]) == (0, 0, 0)
    assert "→" in modelyard("data", "diff", "mail~1", "mail", cwd=project).stdout


def test_search_finds_words_phrases_and_chinese_and_makes_its_index_once(project: Path) -> None:
    for query in ("needle", "天气", "天气很好", '"很好 needle"', "needle label:spam", "needl*"):
        found = ask(project, "search", "mail", query)
        assert (found["total"], found["hits"][0]["row"]["text"]) == (1, EVIL), query
    assert ask(project, "search", "mail", "needle -天气")["total"] == 0
    index = next((project / ".modelyard" / "cache" / "derived").glob("search-*/*/*"))
    before = {path.name: path.stat().st_mtime_ns for path in index.iterdir()}
    ask(project, "search", "mail", "label:ham")
    assert {path.name: path.stat().st_mtime_ns for path in index.iterdir()} == before


@pytest.mark.parametrize("arguments", [
    ("search", "mail", '"open'), ("search", "mail", "((("), ("search", "mail", "lable:spam"), ("search", "mail", "-"),
    ("search", "mail", ""), ("search", "mail", "x" * 3_000), ("rows", "mail", "--where", "labl=x"),
    ("rows", "mail", "--columns", "nope"), ("sample", "mail", "--by", "nope"), ("sample", "mail", "-n", "0"),
    ("rows", "mail", "--split", "train"), ("stats", "sheet"), ("removed", "clean", "--reason", "nope"),
    ("rows", "mail", "--limit", "0", "--json"),
])  # fmt: skip
def test_a_wrong_question_is_refused_as_usage_with_what_to_do(project: Path, arguments: tuple[str, ...]) -> None:
    done = modelyard("data", *arguments, cwd=project, check=False)
    assert done.returncode == 2, done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "name", ["nothing", "mail~9", "mail.nope", "../../etc", "sha256:zz", "%", "mail~1~1", "", "removed"]
)
def test_a_name_of_nothing_is_said_so(project: Path, name: str) -> None:
    for arguments in (("rows", name), ("history", name), ("diff", name), ("removed", name)):
        done = modelyard("data", *arguments, cwd=project, check=False)
        assert done.returncode in (2, 5), (arguments, done.stdout, done.stderr)


def test_test_rows_are_hidden_until_named_and_each_look_is_counted(project: Path) -> None:
    shown = ask(project, "rows", "split", "--limit", "10000")
    assert shown["splits"] == ["train", "validation"]
    before = _openings(project)
    named = ask(project, "rows", "split", "--split", "test", "--limit", "1")
    assert named["splits"] == ["test"]
    ask(project, "search", "split", "free", "--split", "test")
    assert _openings(project) == before + 2


def _openings(project: Path) -> int:
    runs = json.loads(modelyard("show", "runs", "--limit", "1000", "--json", cwd=project).stdout)
    return sum(1 for run in runs if any("test" in item["splits"] for item in run["inputs"]))


def test_a_proposed_contract_is_a_step_that_its_data_keeps(project: Path, tmp_path: Path) -> None:
    step = YAML(typ="safe").load(modelyard("data", "contract", "clean", cwd=project).stdout)
    text = PROJECT.replace("  sheet:", f"  kept: {json.dumps(step['contract'])}\n  sheet:")
    copy = tmp_path / "mail"
    shutil.copytree(project, copy, symlinks=True)
    (copy / "modelyard.yaml").write_text(text)
    modelyard("run", cwd=copy)
    found = json.loads(
        modelyard("show", "evidence", "kept", "--claim", "data.contract_violations", "--json", cwd=copy).stdout
    )
    assert found[-1]["value"] == 0


def test_chinese_is_spoken(project: Path) -> None:
    out = modelyard("data", "stats", "mail", cwd=project, lang="zh").stdout
    assert "最常见" in out
    assert "没有符合的行" in modelyard("data", "search", "mail", "zzzz", cwd=project, lang="zh").stdout


def test_an_index_that_is_damaged_is_made_again(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "mail"
    shutil.copytree(project, copy, symlinks=True)
    ask(copy, "search", "mail", "needle")
    for path in (copy / ".modelyard" / "cache" / "derived").glob("search-*/*/*/meta.json"):
        path.write_text("{")
    assert ask(copy, "search", "mail", "needle")["total"] == 1


@pytest.fixture(params=["without an index", "with an index"])
def sealed(project: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A copy of the project whose store its reader may not write to, where any user gets at it."""
    ask(project, "search", "mail", "needle")
    room = Path(tempfile.mkdtemp(prefix="modelyard-sealed-"))
    room.chmod(0o755)
    copy = room / "mail"
    shutil.copytree(project, copy, symlinks=True)
    if request.param == "without an index":
        shutil.rmtree(copy / ".modelyard" / "cache" / "derived", ignore_errors=True)
    for path in [copy, *copy.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod((mode | stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)) & ~0o222)
    yield copy
    for path in [copy, *copy.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(room)


READING = [
    ("list",),
    ("rows", "mail", "--limit", "2"),
    ("sample", "mail", "-n", "2"),
    ("stats", "mail"),
    ("diff", "mail"),
    ("history", "mail"),
    ("removed", "clean"),
    ("search", "mail", "needle"),
    ("contract", "mail"),
]


AS_NOBODY = """
import io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from modelyard.cli.main import run

def answer(project, arguments):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(["data", *arguments, "--project", project, "--json"])
    return [arguments, code, out.getvalue(), err.getvalue()]

writable, sealed, asked = json.loads(sys.argv[1])
for arguments in asked[:-1]:
    answer(writable, arguments)  # whatever is imported is imported while this user may read it
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print(json.dumps([answer(sealed, arguments) for arguments in asked]))
"""


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_store_that_cannot_be_written_can_still_be_read(project: Path, sealed: Path) -> None:
    """As a user without rights (root may write anywhere): everything answers, and test rows stay closed."""
    shutil.rmtree(project / ".modelyard" / "cache" / "derived")
    asked = json.dumps([str(project), str(sealed), [*READING, ("rows", "split", "--split", "test")]])
    environment = {**os.environ, "MODELYARD_LANG": "en", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, asked], cwd="/", capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    *reading, closed = json.loads(done.stdout)
    for arguments, code, out, err in reading:
        assert code == 0, f"{arguments} {out} {err}"
        assert json.loads(out)
    assert closed[1] == 5
    told = next(err for arguments, _, _, err in reading if arguments[0] == "search")
    kept = (sealed / ".modelyard" / "cache" / "derived").exists()
    assert ("made for this search alone" in told) is not kept
