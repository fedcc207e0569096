"""Profiles and secrets: defaults, mistakes all at once, and values that never leave their place."""

from __future__ import annotations

import os

import pytest

from modelyard.engine.profiles import FILE, Profile, load_profile, resolve_secret
from modelyard.errors import ProfileError


@pytest.fixture
def load(tmp_path):
    def _load(text=None, name=None):
        if text is not None:
            (tmp_path / FILE).write_text(text, encoding="utf-8")
        return load_profile(tmp_path, name)

    return _load


def test_without_a_file_the_store_lies_beside_the_project(load, tmp_path):
    profile, problems = load()
    assert problems == []
    assert profile == Profile("local", tmp_path / ".modelyard")
    assert (profile.ledger_url(), profile.threads, profile.device, profile.processes) == (None, None, "auto", 1)


def test_a_profile_says_where_and_relative_paths_start_at_the_project(load, tmp_path):
    text = "profiles:\n  lab: {store: ../yard, ledger: 'postgresql://h/db', threads: 4, processes: 2, device: cuda}\n"
    profile, problems = load(text, "lab")
    assert problems == []
    assert profile.store == (tmp_path / "../yard").absolute()
    assert (profile.ledger_url(), profile.threads, profile.processes, profile.device) == (
        "postgresql://h/db", 4, 2, "cuda",
    )  # fmt: skip
    assert load(name="local")[0].store == tmp_path / ".modelyard"


def test_an_unknown_profile_is_told_with_the_nearest(load):
    assert load("profiles: {lab: {}}", "lba")[1][0].remedy == "did you mean `lab`?"
    assert "no profile file" in load_profile_problem(load)


def load_profile_problem(load):
    return load(name="elsewhere")[1][0].found if not load("profiles: {}") else "no profile file"


def test_every_mistake_is_told_in_one_pass(load):
    _, problems = load(
        "profile: {}\nprofiles:\n  a:\n    stroe: x\n    store: s3://bucket\n    threads: 0\n    device: gpu\n"
        "    launch: ray\n    ledger: nothing\n  b: 3\n"
    )
    assert [problem.where.rpartition(":")[2] for problem in problems] == ["1", "4", "5", "9", "6", "7", "8", "10"]


def test_a_password_in_the_ledgers_url_is_refused_and_not_repeated(load):
    _, (problem,) = load("profiles: {local: {ledger: 'postgresql://me:hunter2@h/db'}}")
    assert "hunter2" not in str(problem)
    assert "secret" in problem.remedy
    assert load("profiles: {local: {ledger: 'postgresql://me@h/db'}}")[1] == []


def test_the_ledgers_url_may_be_a_secret(load, monkeypatch):
    monkeypatch.setenv("LEDGER_URL", "postgresql://me:hunter2@h/db")
    profile, _ = load("profiles: {local: {ledger: {secret: LEDGER_URL}}}")
    assert profile.ledger_url() == "postgresql://me:hunter2@h/db"
    assert "hunter2" not in repr(profile)


@pytest.mark.parametrize("text", ["", "- a", "a: &b 1", "profiles: 3", "a: [", "profiles: {local: {}, local: {}}"])
def test_a_broken_file_is_told_and_gives_no_profile(load, text):
    profile, problems = load(text)
    assert profile is None
    assert problems
    assert all(FILE in problem.where for problem in problems)


def key_file(store, value, mode=0o600):
    path = store / "keys" / "secrets" / "TOKEN"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(value)
    path.chmod(mode)
    return path


def test_the_environment_counts_before_the_key_file(tmp_path, monkeypatch):
    key_file(tmp_path, b"from-file\n")
    assert resolve_secret("TOKEN", tmp_path) == "from-file"
    monkeypatch.setenv("TOKEN", "from-environment")
    assert resolve_secret("TOKEN", tmp_path) == "from-environment"


def test_a_missing_secret_says_both_places(tmp_path):
    with pytest.raises(ProfileError) as error:
        resolve_secret("TOKEN", tmp_path)
    assert "environment variable TOKEN" in str(error.value)
    assert str(tmp_path / "keys" / "secrets" / "TOKEN") in str(error.value)
    assert error.value.exit_code == 3


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_file_that_others_can_read_is_refused(tmp_path, mode):
    path = key_file(tmp_path, b"hunter2", mode)
    with pytest.raises(ProfileError, match="others can read") as error:
        resolve_secret("TOKEN", tmp_path)
    assert "hunter2" not in str(error.value)
    assert f"chmod 600 {path}" in str(error.value)


@pytest.mark.parametrize("value", [b"", b"\n", b"\xff\xfe", b"x" * (1 << 17)])
def test_a_key_file_without_a_usable_value_is_refused(tmp_path, value):
    key_file(tmp_path, value)
    with pytest.raises(ProfileError):
        resolve_secret("TOKEN", tmp_path)


def test_only_one_line_end_is_dropped(tmp_path):
    key_file(tmp_path, b" a b \n\n")
    assert resolve_secret("TOKEN", tmp_path) == " a b \n"


def test_links_pipes_folders_and_paths_are_no_secrets(tmp_path, monkeypatch):
    path = key_file(tmp_path, b"x")
    target = path.rename(tmp_path / "elsewhere")
    path.symlink_to(target)
    with pytest.raises(ProfileError):
        resolve_secret("TOKEN", tmp_path)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(ProfileError, match="no regular file"):
        resolve_secret("TOKEN", tmp_path)
    path.unlink()
    path.mkdir(mode=0o700)
    with pytest.raises(ProfileError):
        resolve_secret("TOKEN", tmp_path)
    for name in ("../x", "a/b", "", "a b"):
        with pytest.raises(ProfileError, match="no name of a secret"):
            resolve_secret(name, tmp_path)


def test_an_empty_environment_variable_is_an_error_not_a_value(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "")
    key_file(tmp_path, b"x")
    with pytest.raises(ProfileError, match="empty"):
        resolve_secret("TOKEN", tmp_path)
