"""A signed bundle is checked anywhere, and any change to it is found and named."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.errors import IntegrityError, StoreError
from modelyard.store import signing


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return signing.make_key(tmp_path / "keys")


@pytest.fixture
def bundle(tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    folder = tmp_path / "bundle"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights.bin").write_bytes(bytes(range(256)) * 20)
    (folder / "card.json").write_text("{}")
    (folder / ".hidden").write_text("counts too")
    (folder / ".gitattributes").write_text("counts too")
    signing.sign(folder, keys[0])
    return folder


def test_the_private_key_is_its_owners_and_never_overwritten(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    private, public = keys
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"PRIVATE" not in public.read_bytes()
    before = private.read_bytes()
    with pytest.raises(StoreError, match="already"):
        signing.make_key(tmp_path / "keys")
    public.unlink()
    with pytest.raises(StoreError, match="already"):
        signing.make_key(tmp_path / "keys")
    assert private.read_bytes() == before


def test_a_signed_bundle_verifies_also_under_another_name_and_place(
    bundle: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    signing.verify(bundle, keys[1])
    shutil.copytree(bundle, tmp_path / "elsewhere" / "renamed")
    signing.verify(tmp_path / "elsewhere" / "renamed", keys[1])
    signing.sign(bundle, keys[0])
    signing.verify(bundle, keys[1])


@pytest.mark.parametrize("path", ["model/weights.bin", "card.json", ".hidden", ".gitattributes"])
@pytest.mark.parametrize("kind", ["change", "remove", "swap"])
def test_a_change_to_any_file_is_found_and_named(bundle: Path, keys: tuple[Path, Path], path: str, kind: str) -> None:
    target = bundle / path
    if kind == "change":
        data = bytearray(target.read_bytes())
        data[0] ^= 1
        target.write_bytes(data)
    if kind == "remove":
        target.unlink()
    if kind == "swap":
        shutil.copy(target, bundle.parent / "aside")
        target.unlink()
        target.symlink_to(bundle.parent / "aside")
    with pytest.raises(IntegrityError) as caught:
        signing.verify(bundle, keys[1])
    assert [problem.where for problem in caught.value.problems] == [str(target)]


@pytest.mark.parametrize(
    "path", ["new", "model/new", ".git/config", ".gitignore", "model/model.sig", "__pycache__/x.pyc"]
)
def test_an_added_file_is_found_wherever_it_hides(bundle: Path, keys: tuple[Path, Path], path: str) -> None:
    added = bundle / path
    added.parent.mkdir(exist_ok=True)
    added.write_text("evil")
    with pytest.raises(IntegrityError) as caught:
        signing.verify(bundle, keys[1])
    assert str(added) in [problem.where for problem in caught.value.problems]


def test_anothers_signature_is_refused(bundle: Path, tmp_path: Path, keys: tuple[Path, Path]) -> None:
    other_private, other_public = signing.make_key(tmp_path / "others")
    with pytest.raises(IntegrityError, match="by this key"):
        signing.verify(bundle, other_public)
    (bundle / "card.json").write_text("forged")
    signing.sign(bundle, other_private)
    with pytest.raises(IntegrityError):
        signing.verify(bundle, keys[1])


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"dsseEnvelope": {}}', "\x00"])
def test_a_broken_signature_is_refused(bundle: Path, keys: tuple[Path, Path], text: str) -> None:
    (bundle / "model.sig").write_text(text)
    with pytest.raises(IntegrityError):
        signing.verify(bundle, keys[1])


def test_every_byte_of_the_signature_matters_where_it_means_something(bundle: Path, keys: tuple[Path, Path]) -> None:
    import base64
    import json

    path = bundle / "model.sig"
    original = json.loads(path.read_text())
    for place in ("payload", "sig"):
        changed = json.loads(json.dumps(original))
        envelope = changed["dsseEnvelope"]
        holder, name = (envelope, "payload") if place == "payload" else (envelope["signatures"][0], "sig")
        data = bytearray(base64.b64decode(holder[name]))
        data[-2] ^= 1
        holder[name] = base64.b64encode(bytes(data)).decode()
        path.write_text(json.dumps(changed))
        with pytest.raises(IntegrityError):
            signing.verify(bundle, keys[1])


def test_without_signature_or_key_the_error_says_which(bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none\.pub"):
        signing.verify(bundle, tmp_path / "none.pub")
    (bundle / "model.sig").unlink()
    with pytest.raises(StoreError, match=r"model\.sig"):
        signing.verify(bundle, keys[1])
    with pytest.raises(StoreError, match="no signing key"):
        signing.sign(bundle, tmp_path / "none.key")


def test_a_key_that_others_can_read_does_not_sign(bundle: Path, keys: tuple[Path, Path]) -> None:
    os.chmod(keys[0], 0o644)
    with pytest.raises(StoreError, match="600"):
        signing.sign(bundle, keys[0])


def test_the_openssf_tool_accepts_our_signature(bundle: Path, keys: tuple[Path, Path]) -> None:
    command = [sys.executable, "-m", "model_signing", "verify", "key", "--public_key", keys[1]]
    command += ["--signature", bundle / "model.sig", "--no-ignore-git-paths", bundle]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_key_whose_making_was_cut_short_is_finished(tmp_path):
    private, public = signing.ensure_key(tmp_path)
    whole = public.read_bytes()
    public.unlink()
    assert signing.ensure_key(tmp_path) == (private, public)
    assert public.read_bytes() == whole


def test_a_lost_private_key_is_said_and_no_new_one_made(tmp_path):
    private, _ = signing.ensure_key(tmp_path)
    private.unlink()
    with pytest.raises(StoreError, match="private half"):
        signing.ensure_key(tmp_path)
