"""A store that somebody cleared, edited or lost parts of: a clear error or a repair, and the next run goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.toy import write_toy

import modelyard
from modelyard.errors import IntegrityError, StoreError, UsageError

FOLDERS = ("cache", "locks", "quarantine", "scratch", "tmp")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    write_toy(folder)
    modelyard.run(folder)
    return folder


def bundle_of(project: Path) -> Path:
    bundle = modelyard.releases(project=project)[0].bundle
    assert bundle is not None
    return bundle


def change(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"\n")


def test_a_damaged_bundle_is_set_aside_and_sealed_again_as_the_next_version(project: Path) -> None:
    change(bundle_of(project) / "release.json")
    with pytest.raises(IntegrityError, match="next version"):
        modelyard.verify_release("toy", project=project)
    again = modelyard.run(project)
    assert again.new_release
    assert again.release is not None
    assert again.release.version == 2
    modelyard.verify_release("toy", project=project)
    assert list((project / ".modelyard" / "quarantine").iterdir())
    assert not modelyard.run(project).new_release


def test_a_lost_bundle_is_sealed_again_and_the_ledger_keeps_both_versions(project: Path) -> None:
    bundle = bundle_of(project)
    shutil.rmtree(bundle)
    bundle.with_name(bundle.name + ".json").unlink()
    with pytest.raises(StoreError, match="next version"):
        modelyard.verify_release("toy", project=project)
    assert modelyard.run(project).new_release
    modelyard.verify_release("toy", project=project)
    assert [item.release.version for item in modelyard.releases(project=project)] == [2, 1]


def test_a_refusal_to_make_releases_sets_nothing_aside(project: Path) -> None:
    change(bundle_of(project) / "release.json")
    assert not modelyard.run(project, release=False).new_release
    assert not list((project / ".modelyard" / "quarantine").iterdir())


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_the_store_that_was_cleared_away_is_made_again(project: Path, name: str) -> None:
    shutil.rmtree(project / ".modelyard" / name)
    assert all(step.cached for step in modelyard.run(project).steps)
    modelyard.verify_release("toy", project=project)


def test_artifacts_that_were_cleared_away_are_missed_by_verify_and_made_again_by_run(project: Path) -> None:
    shutil.rmtree(project / ".modelyard" / "artifacts")
    assert modelyard.verify(project).problems
    assert modelyard.run(project).new_release
    modelyard.verify_release("toy", project=project)


@pytest.mark.parametrize("how", ["deleted", "emptied"])
def test_a_lost_ledger_is_said_and_gc_removes_nothing(project: Path, how: str) -> None:
    ledger = project / ".modelyard" / "ledger.db"
    saved = ledger.read_bytes()
    ledger.unlink() if how == "deleted" else ledger.write_bytes(b"")
    for command in (modelyard.run, modelyard.gc):
        with pytest.raises(StoreError, match="the ledger is gone"):
            command(project)
    ledger.write_bytes(saved)
    modelyard.verify_release("toy", project=project)


def test_a_release_is_checked_without_the_private_key_and_no_key_is_made_by_checking(project: Path) -> None:
    keys = project / ".modelyard" / "keys"
    (keys / "signing.key").unlink()
    modelyard.verify_release("toy", project=project)
    (keys / "signing.pub").unlink()
    with pytest.raises(StoreError, match="public key is gone"):
        modelyard.verify_release("toy", project=project)
    assert not list(keys.iterdir())


@pytest.mark.parametrize("half", ["signing.key", "signing.pub"])
def test_no_release_is_sealed_with_a_damaged_key(project: Path, half: str) -> None:
    path = project / ".modelyard" / "keys" / half
    saved = path.read_bytes()
    path.write_bytes(b"nonsense\n")
    with pytest.raises(StoreError, match=half):
        modelyard.run(project, sets=["seed=7"], release=True)
    path.write_bytes(saved)
    assert modelyard.run(project, sets=["seed=7"], release=True).new_release
    modelyard.verify_release("toy", project=project)


@pytest.mark.parametrize("alias", ["", "a b", "../x", "a:b", "x" * 65])
def test_an_alias_is_a_plain_name(project: Path, alias: str) -> None:
    with pytest.raises(UsageError):
        modelyard.promote("toy@1", alias, project=project)


@pytest.mark.parametrize("reference", ["x" * 5000, "toy@²", "toy@" + "9" * 30, "toy@" + "9" * 5000, "", ":", "@"])
def test_a_reference_that_can_be_no_release_is_an_error_of_the_store(project: Path, reference: str) -> None:
    with pytest.raises(StoreError):
        modelyard.verify_release(reference, project=project)


def cli(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command line, in bytes: the terminal may speak ASCII only."""
    command = [sys.executable, "-m", "modelyard", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, env={**os.environ, **environment}, check=False)


@pytest.mark.parametrize("arguments", [("run", "x" * 5000), ("check", "x" * 5000), ("show", "run", "9" * 30),
                                       ("show", "run", "²"), ("init", "x" * 5000), ("init", "/proc/none")])  # fmt: skip
def test_names_no_disk_or_ledger_can_hold_are_usage_errors(project: Path, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments, cwd=project, MODELYARD_LANG="en")
    assert done.returncode == 2, done.stderr
    assert b"unexpected" not in done.stderr


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk"])
def test_a_terminal_of_any_encoding_shows_the_gate_table(project: Path, lang: str, encoding: str) -> None:
    done = cli("run", cwd=project, MODELYARD_LANG=lang, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert b"score.rate" in done.stdout


def test_json_is_json_in_an_ascii_terminal(project: Path) -> None:
    import json

    done = cli("release", "show", "nosuch", "--json", cwd=project, MODELYARD_LANG="zh", PYTHONIOENCODING="ascii")
    assert done.returncode == 5
    assert "nosuch" in json.loads(done.stdout)["problems"][0]["found"]


@pytest.mark.skipif(os.name == "nt", reason="shells of POSIX")
@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_a_closed_descriptor_changes_nothing(project: Path, redirection: str) -> None:
    command = f'"{sys.executable}" -m modelyard run {redirection}'
    assert subprocess.run(["sh", "-c", command], cwd=project, check=False).returncode == 0
    modelyard.verify_release("toy", project=project)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_an_error(project: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "modelyard", "run"]
        done = subprocess.run(command, cwd=project, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 5
    assert b"Traceback" not in done.stderr
    assert b"unexpected" not in done.stderr


def test_a_reader_that_left_is_no_fault_and_no_success(project: Path) -> None:
    command = [sys.executable, "-m", "modelyard", "schema"]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait() in (0, 141)
    assert errors == b""


def test_a_refusal_for_withdrawn_evidence_says_how_to_measure_again(project: Path) -> None:
    modelyard.withdraw(
        modelyard.evidence(project=project)[0]["sequence"], name="Li Hua", reason="labels", project=project
    )
    done = cli("run", cwd=project, MODELYARD_LANG="en")
    assert done.returncode == 7
    assert b"mend what it was withdrawn for" in done.stderr
    assert not modelyard.run(project, sets=["seed=3"]).refused
