"""Small servers that speak the interfaces of the Hugging Face hub and of ModelScope, as far as data.hub asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from support.hostile_http import Answer, Asked, Route, Site

COMMIT = "c0ffee" + "0" * 34
LARGE = (".parquet", ".safetensors", ".bin")


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(json.dumps(value).encode(), status, {"content-type": "application/json", **headers})


def blob(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def ranged(body: bytes, **headers: str) -> Route:
    """A file that can be asked for in parts."""

    def answer(asked: Asked) -> Answer:
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        start = asked.headers.get("range", "").removeprefix("bytes=").removesuffix("-")
        if start and asked.headers.get("if-range") == etag:
            place = f"bytes {start}-{len(body) - 1}/{len(body)}"
            return Answer(body[int(start) :], 206, {"etag": etag, "content-range": place, **headers})
        return Answer(body, 200, {"etag": etag, **headers})

    return answer


class FakeHuggingFace:
    """One repository on a running site; `files` is what it holds. Large files are redirected to another host."""

    def __init__(
        self, site: Site, name: str, files: Mapping[str, bytes], kind: str = "dataset", token: str | None = None
    ) -> None:
        self.site, self.name, self.files, self.kind, self.token = site, name, dict(files), kind, token
        self.page = 2
        api = f"/api/{kind}s/{name}"
        for revision in ("main", "v1.0", COMMIT):
            site.routes[f"{api}/revision/{revision}"] = self._guard(lambda asked: as_json({"id": name, "sha": COMMIT}))
        site.routes[f"{api}/revision/gone"] = lambda asked: as_json({}, 404, **{"X-Error-Code": "RevisionNotFound"})
        site.routes[f"{api}/tree/{COMMIT}"] = self._guard(self._tree)
        for path in files:
            self._serve(path)

    def _serve(self, path: str) -> None:
        root = "/datasets" if self.kind == "dataset" else ""
        body = self.files[path]
        here = f"{root}/{self.name}/resolve/{COMMIT}/{quote(path)}"
        if path.endswith(LARGE):
            away = f"http://localhost:{self.site.port}/cdn/{quote(path)}"
            self.site.routes[here] = self._guard(
                lambda asked: Answer(b"", 302, {"location": away, "x-repo-commit": COMMIT})
            )
            self.site.routes[f"/cdn/{quote(path)}"] = ranged(body)
        else:
            self.site.routes[here] = self._guard(ranged(body, **{"x-repo-commit": COMMIT}))

    def _guard(self, route: Route) -> Route:
        def guarded(asked: Asked) -> Answer:
            if self.token and asked.headers.get("authorization") != f"Bearer {self.token}":
                return as_json({"error": "Repository not found"}, 401, **{"X-Error-Code": "RepoNotFound"})
            return route(asked)

        return guarded

    def _tree(self, asked: Asked) -> Answer:
        entries: list[dict[str, Any]] = [{"type": "directory", "path": "data", "oid": "0" * 40, "size": 0}]
        for path, body in sorted(self.files.items()):
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(body), "oid": blob(body)}
            if path.endswith(LARGE):
                entry["lfs"] = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 130}
            entries.append(entry)
        start = int(asked.params.get("cursor", 0))
        headers = {}
        if start + self.page < len(entries):
            url = f"{self.site.url}{asked.path}?recursive=true&cursor={start + self.page}"
            headers["link"] = f'<{url}>; rel="next"'
        return as_json(entries[start : start + self.page], **headers)


class FakeModelScope:
    """One repository on a running site, under its `master` branch."""

    def __init__(
        self, site: Site, name: str, files: Mapping[str, bytes], kind: str = "dataset", token: str | None = None
    ) -> None:
        self.files, self.token = dict(files), token
        api = f"/api/v1/{kind}s/{name}"
        site.routes[f"{api}/repo/tree" if kind == "dataset" else f"{api}/repo/files"] = self._tree
        site.routes[f"{api}/repo"] = self._file

    def _refused(self, asked: Asked) -> Answer | None:
        if self.token and asked.headers.get("cookie") != f"m_session_id={self.token}":
            return as_json({"Code": 10010205001, "Message": "no right", "Success": False}, 403)
        if asked.params.get("Revision") != "master":
            return as_json({"Code": 10010205001, "Message": "no revision", "Success": False}, 404)
        return None

    def _tree(self, asked: Asked) -> Answer:
        if refused := self._refused(asked):
            return refused
        entries: list[dict[str, Any]] = [{"Path": "data", "Name": "data", "Type": "tree", "Size": 0, "Sha256": ""}]
        entries += [
            {"Path": path, "Type": "blob", "Size": len(body), "Sha256": hashlib.sha256(body).hexdigest()}
            for path, body in sorted(self.files.items())
        ]
        size, page = int(asked.params.get("PageSize", 3000)), int(asked.params.get("PageNumber", 1))
        part = entries[(page - 1) * size : page * size]
        return as_json({"Code": 200, "Data": {"Files": part}, "Success": True})

    def _file(self, asked: Asked) -> Answer:
        if refused := self._refused(asked):
            return refused
        body = self.files.get(asked.params.get("FilePath", ""))
        return Answer(b"", 404) if body is None else ranged(body)(asked)
