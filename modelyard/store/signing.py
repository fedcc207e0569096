"""Signing a bundle, and checking it anywhere, offline: OpenSSF model-signing with a local EC P-256 key.

The signature is a Sigstore bundle (DSSE envelope, in-toto statement) over the SHA-256 of every file but itself, hidden
ones included; `model_signing verify key` of the OpenSSF's own tool checks it too.
"""

from __future__ import annotations

import base64
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from modelyard.base import files
from modelyard.base.canonical import PREFIX, digest_file
from modelyard.base.messages import t
from modelyard.errors import IntegrityError, Problem, StoreError
from modelyard.store.contents import entries
from modelyard.store.failures import as_store_errors

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

SIGNATURE = "model.sig"
PRIVATE_KEY = "signing.key"
PUBLIC_KEY = "signing.pub"


def make_key(folder: Path) -> tuple[Path, Path]:
    """Make a key pair: the private key readable by its owner only, the public key beside it.

    Args:
        folder: made if missing.

    Returns:
        Private and public key files, PEM.

    Raises:
        StoreError: there is a key already; keys are never overwritten.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private, public = folder / PRIVATE_KEY, folder / PUBLIC_KEY
    with as_store_errors(folder):
        for path in (private, public):
            if path.exists():
                raise StoreError(
                    t("there is a key already"),
                    where=str(path),
                    remedy=t("keep it: releases signed with it could not be checked with another"),
                )
        files.make_folder(folder)
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files.write_new(private, pem, mode=0o600)  # first: the public half can be made from it after a crash
        files.write_new(public, public_pem(key))
    return private, public


def ensure_key(folder: Path) -> tuple[Path, Path]:
    """The key pair in a folder: made if there is none, finished if its making was cut short.

    Raises:
        StoreError: the private half is gone or no key, or the public half is not its own.
    """
    private, public = folder / PRIVATE_KEY, folder / PUBLIC_KEY
    if not private.is_file():
        if public.is_file():
            raise StoreError(
                t("the private half of the signing key is gone"),
                where=str(private),
                remedy=t("restore it; or move the public half away to begin with a new key"),
            )
        return make_key(folder)
    with as_store_errors(folder):
        expected = public_pem(_load(private))
        if not public.is_file():
            files.write_new(public, expected)
        elif public.read_bytes() != expected:
            raise StoreError(
                t("this is not the public half of the signing key"),
                where=str(public),
                remedy=t("restore it; or remove it: it is made again from the private half"),
            )
    return private, public


def _load(private: Path) -> EllipticCurvePrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(private.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise StoreError(
            t("this is no signing key"),
            where=str(private),
            expected=t("an EC P-256 private key, PEM, not encrypted"),
            remedy=t("restore it; or move both halves away to begin with a new key"),
        ) from error
    return cast("EllipticCurvePrivateKey", key)


def public_pem(key: EllipticCurvePrivateKey) -> bytes:
    """The public half of a key, as PEM."""
    from cryptography.hazmat.primitives import serialization

    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def sign(folder: Path, private_key: Path) -> Path:
    """Write `model.sig` into a folder; it covers every other file.

    Raises:
        StoreError: the key cannot be used, the folder holds links, or the disk refuses.
    """
    from model_signing import signing

    _check_private(private_key)
    with as_store_errors(folder), tempfile.TemporaryDirectory() as outside:
        written = Path(outside) / SIGNATURE
        try:
            config = signing.Config().use_elliptic_key_signer(private_key=private_key)
            config.set_hashing_config(_hashing()).sign(folder, written)
        except (ValueError, TypeError) as error:
            raise StoreError(
                t("the folder could not be signed: {reason}", reason=str(error)), where=str(private_key)
            ) from error
        files.write_atomic(folder / SIGNATURE, written.read_bytes())
    return folder / SIGNATURE


def verify(folder: Path, public_key: Path) -> None:
    """Check that a folder holds exactly the bytes that were signed.

    Args:
        folder: with `model.sig` in it.
        public_key: PEM of whom you trust; never taken from the folder itself.

    Raises:
        IntegrityError: one problem for each file that was changed, added or lost; or the signature is not by this key.
        StoreError: there is no signature, or no such key.
    """
    from cryptography.exceptions import InvalidSignature
    from model_signing import verifying

    for path in (folder / SIGNATURE, public_key):
        if not path.is_file():
            raise StoreError(t("there is no such file"), where=str(path))
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
        config.set_hashing_config(_hashing()).verify(folder, folder / SIGNATURE)
        problems = _differences(folder)
    except (ValueError, KeyError, TypeError, AttributeError, InvalidSignature) as error:
        problems = _differences(folder) or [_not_signed(folder, error)]
    if problems:
        raise IntegrityError.of(problems)


def _hashing() -> Any:
    """Every file counts, hidden and git's own included."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _check_private(path: Path) -> None:
    if not path.is_file():
        raise StoreError(
            t("there is no signing key"), where=str(path), remedy=t("`modelyard init` makes one; or bring yours")
        )
    if os.name != "nt" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise StoreError(
            t("other users can read the signing key"),
            where=str(path),
            expected=t("mode 600"),
            remedy=t("chmod 600 {path}", path=path),
        )


def _not_signed(folder: Path, error: Exception) -> Problem:
    reason = str(error) or type(error).__name__
    return Problem(
        str(folder / SIGNATURE),
        t("is no signature of these bytes by this key: {reason}", reason=reason),
        remedy=t("get the bundle and the public key again from whom you trust"),
    )


def _differences(folder: Path) -> list[Problem]:
    """Which files are not as the statement in the signature says. (Whether to believe it, the signature decides.)"""
    try:
        expected = _signed_files(folder / SIGNATURE)
    except (ValueError, KeyError, TypeError):
        return []
    problems = []
    for path, status in entries(folder):
        if path == SIGNATURE:
            continue
        digest = expected.pop(path, None)
        if digest is None:
            problems.append(Problem(str(folder / path), t("was added after signing"), t("no file of that name")))
        elif not stat.S_ISREG(status.st_mode):
            problems.append(Problem(str(folder / path), t("is a symbolic link or a special file"), digest))
        elif digest_file(folder / path) != digest:
            problems.append(Problem(str(folder / path), t("was changed after signing"), digest))
    problems += [Problem(str(folder / path), t("is missing"), digest) for path, digest in expected.items()]
    return problems


def _signed_files(signature: Path) -> dict[str, str]:
    """Path to digest of every file that the signature's statement names."""
    bundle = json.loads(signature.read_text(encoding="utf-8"))
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    return {entry["name"]: PREFIX + entry["digest"] for entry in statement["predicate"]["resources"]}
