"""The Hugging Face hub's HTTP interface, as its own client (huggingface_hub 2.4: hf_api.py, file_download.py) asks it.

    /api/datasets/{id}/revision/{revision}           `sha`: the commit
    /api/datasets/{id}/tree/{commit}?recursive=true  pages of `{type, path, size, oid, lfs: {oid}}`, next page in `Link`
    /datasets/{id}/resolve/{commit}/{path}           the file; of models without `/datasets`

`lfs.oid` is the SHA-256 of the file; of other files `oid` is the SHA-1 of the Git blob.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from modelyard.base.canonical import PREFIX
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.egress import Egress, Reply
from modelyard.methods.data.hubs.repository import COMMIT, RemoteFile, Repository, Snapshot, safe_path

REFUSALS = (400, 401, 403, 404)
NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')
MOST_PAGES = 1_000
SHA256 = re.compile(r"[0-9a-f]{64}")


def headers(token: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def commit_of(egress: Egress, repository: Repository, revision: str) -> str:
    """The commit that a branch, tag or commit names now."""
    value = _asked(egress, f"{_api(repository)}/revision/{quote(revision, safe='')}", repository, revision).json()
    found = value.get("sha") if isinstance(value, dict) else None
    if not isinstance(found, str) or not COMMIT.fullmatch(found):
        raise _not_a_hub(repository)
    if COMMIT.fullmatch(revision) and found != revision:
        raise InputError(
            t("the hub answers with commit {found}", found=found), where=str(repository), expected=revision
        )
    return found


def snapshot(egress: Egress, repository: Repository, revision: str) -> Snapshot:
    """Every file of a revision."""
    commit = commit_of(egress, repository, revision)
    url: str | None = f"{_api(repository)}/tree/{commit}?recursive=true"
    files: list[RemoteFile] = []
    for _ in range(MOST_PAGES):
        if url is None:
            return Snapshot(repository, commit, commit, tuple(files))
        reply = _asked(egress, url, repository, revision)
        entries = reply.json()
        if not isinstance(entries, list):
            raise _not_a_hub(repository)
        files += [_file(entry, repository) for entry in entries if _kind(entry) == "file"]
        url = _next(reply, repository)
    raise InputError(t("more than {n:,} pages of files", n=MOST_PAGES), where=str(repository))


def url_of(found: Snapshot, path: str) -> str:
    """Where a file is."""
    repository = found.repository
    root = f"{repository.endpoint}/datasets" if repository.kind == "dataset" else repository.endpoint
    return f"{root}/{repository.id}/resolve/{found.commit}/{quote(path)}"


def _api(repository: Repository) -> str:
    return f"{repository.endpoint}/api/{repository.kind}s/{repository.id}"


def _kind(entry: Any) -> str:
    return str(entry.get("type")) if isinstance(entry, dict) else ""


def _file(entry: dict[str, Any], repository: Repository) -> RemoteFile:
    path = safe_path(entry.get("path"), repository)
    lfs = entry.get("lfs")
    size, oid = entry.get("size"), entry.get("oid")
    if isinstance(lfs, dict):
        size, oid = lfs.get("size", size), lfs.get("oid")
    pattern = SHA256 if isinstance(lfs, dict) else COMMIT
    if not isinstance(size, int) or size < 0 or not isinstance(oid, str) or not pattern.fullmatch(oid):
        raise _not_a_hub(repository)
    return RemoteFile(path, size, PREFIX + oid) if isinstance(lfs, dict) else RemoteFile(path, size, "", oid)


def _next(reply: Reply, repository: Repository) -> str | None:
    match = NEXT.search(reply.headers.get("link", ""))
    if match is None:
        return None
    url = str(urljoin(reply.url, match.group(1)))
    here, there = urlsplit(repository.endpoint), urlsplit(url)
    if (here.scheme, here.netloc) != (there.scheme, there.netloc):
        # The token goes with every page: a mirror may not lead it elsewhere.
        host = reply.masked(there.netloc.rpartition("@")[2])
        raise InputError(t("the next page is on another server: {host}", host=host), where=str(repository))
    return url


def _asked(egress: Egress, url: str, repository: Repository, revision: str) -> Reply:
    reply = egress.get(url, accept=REFUSALS)
    if reply.status < 400:
        return reply
    code, where = reply.masked(reply.headers.get("x-error-code", "")), str(repository)
    if code == "GatedRepo":
        raise InputError(
            t("the repository is gated"),
            where=where,
            expected=t("a `token` of an account that was granted access"),
            remedy=t("accept its terms on its page, {url}", url=f"{repository.endpoint}/{_page(repository)}"),
        )
    if code == "RevisionNotFound":
        raise InputError(t("no revision `{revision}`", revision=revision), where=where)
    if code == "RepoNotFound" or reply.status in (401, 404):
        raise InputError(
            t("no such repository, or it is private"),
            where=where,
            expected=t("an id such as `owner/name`"),
            remedy=t("check the id; of a private repository give `token: {example}`", example="{secret: NAME}"),
        )
    raise InputError(t("the hub refuses: {status}", status=f"{reply.status} {code}".strip()), where=where)


def _page(repository: Repository) -> str:
    return f"datasets/{repository.id}" if repository.kind == "dataset" else repository.id


def _not_a_hub(repository: Repository) -> InputError:
    return InputError(
        t("the answer is none of the Hugging Face hub"),
        where=repository.endpoint,
        remedy=t("check `endpoint` and HF_ENDPOINT"),
    )
