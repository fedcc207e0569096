"""A NameNode's REST interface (WebHDFS) over files in memory, as far as a reader needs it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PREFIX = "/webhdfs/v1"


class HdfsServer:
    """`files` maps absolute paths to bytes. A context manager; listens on a free port of this machine.

    Attributes:
        user: if set, requests of other users are refused.
        requests: (operation, path, offset) of every request.
        broken_after: after so many reads the connection is cut; None for never.
    """

    def __init__(self, files: dict[str, bytes], user: str = "", broken_after: int | None = None) -> None:
        self.files = files
        self.user = user
        self.times = dict.fromkeys(files, 1_700_000_000_000)
        self.requests: list[tuple[str, str, int]] = []
        self.broken_after = broken_after
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> HdfsServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def status(self, path: str) -> dict[str, Any] | None:
        name = path.rsplit("/", 1)[-1]
        if path in self.files:
            size, time = len(self.files[path]), self.times[path]
            return {"pathSuffix": name, "type": "FILE", "length": size, "modificationTime": time}
        if any(file.startswith(path.rstrip("/") + "/") for file in self.files):
            return {"pathSuffix": name, "type": "DIRECTORY", "length": 0, "modificationTime": 0}
        return None

    def listing(self, path: str) -> list[dict[str, Any]]:
        root = path.rstrip("/") + "/"
        if path in self.files:
            return [{**(self.status(path) or {}), "pathSuffix": ""}]
        names = sorted({root + file[len(root) :].split("/")[0] for file in self.files if file.startswith(root)})
        return [status for name in names if (status := self.status(name))]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {key.lower(): values[0] for key, values in parse_qs(parts.query).items()}
                path, operation = unquote(parts.path).removeprefix(PREFIX) or "/", query.get("op", "").upper()
                offset = int(query.get("offset", 0))
                server.requests.append((operation, path, offset))
                if server.user and query.get("user.name") != server.user:
                    return self.fail(403, "AccessControlException", "Permission denied")
                if server.status(path) is None:
                    return self.fail(404, "FileNotFoundException", f"File does not exist: {path}")
                if operation == "GETFILESTATUS":
                    return self.answer({"FileStatus": server.status(path)})
                if operation == "LISTSTATUS":
                    return self.answer({"FileStatuses": {"FileStatus": server.listing(path)}})
                if "from" not in query:  # the NameNode sends the reader on to a DataNode
                    self.send_response(307)
                    self.send_header("Location", f"http://{server.address}{self.path}&from=namenode")
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                reads = sum(item[0] == "OPEN" for item in server.requests) // 2
                if server.broken_after is not None and reads > server.broken_after:
                    self.close_connection = True
                    return None
                data = server.files[path][offset:]
                self.send(200, data[: int(query.get("length", len(data)))])

            def answer(self, value: object, code: int = 200) -> None:
                self.send(code, json.dumps(value).encode())

            def fail(self, code: int, kind: str, message: str) -> None:
                self.answer({"RemoteException": {"exception": kind, "message": message}}, code)

            def send(self, code: int, data: bytes) -> None:
                self.send_response(code)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        return Handler
