"""ModelScope's HTTP interface, as its own client (modelscope_hub 0.5: _legacy_api.py) asks it.

    /api/v1/datasets/{id}/repo/tree?Revision=…&Recursive=True&PageNumber=…&PageSize=200
    /api/v1/models/{id}/repo/files?Revision=…&Recursive=True    not in pages, cut at 3,000 entries
    /api/v1/datasets/{id}/repo?Revision=…&FilePath=…            the file

Listings are `{"Code": 200, "Data": {"Files": [{Path, Type, Size, Sha256}]}}`. No commit is named: the digests pin.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from modelyard.base.canonical import PREFIX
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.egress import Egress
from modelyard.methods.data.hubs.repository import RemoteFile, Repository, Snapshot, safe_path

REFUSALS = (400, 401, 403, 404)
PAGE_SIZE = 200
MOST_PAGES = 5_000
CUT = 3_000
SHA256 = re.compile(r"[0-9a-f]{64}")


def headers(token: str | None) -> dict[str, str]:
    """Older addresses want the token as a cookie, newer ones as a header."""
    return {"authorization": f"Bearer {token}", "cookie": f"m_session_id={token}"} if token else {}


def snapshot(egress: Egress, repository: Repository, revision: str) -> Snapshot:
    """Every file of a revision."""
    entries = (
        _pages(egress, repository, revision) if repository.kind == "dataset" else _all(egress, repository, revision)
    )
    kept = [entry for entry in entries if entry.get("Type", "blob") != "tree"]
    return Snapshot(repository, revision, "", tuple(_file(entry, repository) for entry in kept))


def url_of(found: Snapshot, path: str) -> str:
    """Where a file is."""
    return f"{_api(found.repository)}/repo?{urlencode({'Revision': found.revision, 'FilePath': path})}"


def _api(repository: Repository) -> str:
    return f"{repository.endpoint}/api/v1/{repository.kind}s/{repository.id}"


def _pages(egress: Egress, repository: Repository, revision: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for page in range(1, MOST_PAGES + 1):
        asked = {"Revision": revision, "Recursive": "True", "PageNumber": page, "PageSize": PAGE_SIZE}
        entries = _entries(egress, f"{_api(repository)}/repo/tree", asked, repository)
        found += entries
        if len(entries) < PAGE_SIZE:
            return found
    raise InputError(t("more than {n:,} pages of files", n=MOST_PAGES), where=str(repository))


def _all(egress: Egress, repository: Repository, revision: str) -> list[dict[str, Any]]:
    asked = {"Revision": revision, "Recursive": "True"}
    found = _entries(egress, f"{_api(repository)}/repo/files", asked, repository)
    if len(found) >= CUT:
        raise InputError(
            t("the listing is cut at {n:,} files", n=CUT),
            where=str(repository),
            remedy=t("download the repository with its own client, and name the folder"),
        )
    return found


def _entries(egress: Egress, url: str, asked: dict[str, Any], repository: Repository) -> list[dict[str, Any]]:
    reply = egress.get(url, params=asked, accept=REFUSALS)
    if reply.status in (401, 403, 404):
        raise InputError(
            t("no such repository or revision, or it is private"),
            where=f"{repository}, {asked['Revision']}",
            expected=t("an id such as `owner/name`"),
            remedy=t("check the id; of a private repository give `token: {example}`", example="{secret: NAME}"),
        )
    value = reply.json()
    if not isinstance(value, dict) or value.get("Success") is False or value.get("Code", 200) not in (200, "200"):
        said = reply.masked(str(value.get("Message", "")))[:200] if isinstance(value, dict) else ""
        raise InputError(t("the hub refuses: {status}", status=said or reply.status), where=str(repository))
    data = value.get("Data")
    found = data.get("Files") if isinstance(data, dict) else data
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise InputError(
            t("the answer is none of ModelScope"),
            where=repository.endpoint,
            remedy=t("check `endpoint` and MODELSCOPE_ENDPOINT"),
        )
    return found


def _file(entry: dict[str, Any], repository: Repository) -> RemoteFile:
    size, digest = entry.get("Size"), entry.get("Sha256") or ""
    if not isinstance(size, int) or size < 0 or (digest and not SHA256.fullmatch(str(digest))):
        raise InputError(
            t("the answer is none of ModelScope"),
            where=repository.endpoint,
            remedy=t("check `endpoint` and MODELSCOPE_ENDPOINT"),
        )
    return RemoteFile(safe_path(entry.get("Path"), repository), size, PREFIX + digest if digest else "")
