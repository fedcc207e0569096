"""The gateway as an ASGI application: for tests without sockets, and for mounting in another server.

`serve` does not go through it: its own connections are faster and enforce deadlines that ASGI cannot see.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from modelyard.base.messages import t
from modelyard.serving.endpoint import Endpoint, Loader, ModelSource, load_predictor
from modelyard.serving.errors import Refusal
from modelyard.serving.gateway import Gateway
from modelyard.serving.http import Reply, Streaming
from modelyard.serving.server import sources
from modelyard.serving.settings import ServingSettings
from modelyard.serving.threads import in_thread

Message: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class App:
    """ASGI 3. The models are loaded by `start` (or the lifespan protocol) and freed by `stop`."""

    def __init__(self, models: Mapping[str, Path | ModelSource], settings: ServingSettings, loader: Loader) -> None:
        self.settings = settings
        self.gateway = Gateway(sources(models), settings)
        self._loader = loader

    async def start(self) -> None:
        """Load the models. Raises as `serve` does."""
        loop = asyncio.get_running_loop()
        for name, source in self.gateway.models.items():
            predictor = await in_thread(functools.partial(self._loader, source.model_folder(), self.settings))
            inputs, metrics = self.gateway.inputs[name], self.gateway.metrics
            self.gateway.add(Endpoint(name, source.version, predictor, self.settings, metrics, loop, inputs=inputs))

    async def stop(self) -> None:
        self.gateway.drain()
        await self.gateway.close()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            reply = await self._reply(scope, receive)
            if isinstance(reply, Streaming):
                await _send_pieces(reply, send)
                return
            headers = [*reply.headers, (b"content-length", str(len(reply.body)).encode())]
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _reply(self, scope: Mapping[str, Any], receive: Receive) -> Reply | Streaming:
        try:
            route = self.gateway.admit(scope["method"], scope["path"], scope["headers"])
            if route.answer is not None:
                return self.gateway.answer(route)
            body = await self._body(receive, route.max_body_bytes)
        except Refusal as refusal:
            return self.gateway.refuse(refusal)
        answer: asyncio.Future[Reply | Streaming] = asyncio.get_running_loop().create_future()
        cancel = self.gateway.predict(route, body, answer.set_result)
        try:
            return await answer
        except asyncio.CancelledError:
            cancel()
            raise

    async def _body(self, receive: Receive, limit: int) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal("client_gone", t("the client is gone"))
            body += message.get("body", b"")
            if len(body) > limit:
                raise self.gateway.too_large(limit)
            if not message.get("more_body", False):
                return bytes(body)


async def _send_pieces(reply: Streaming, send: Send) -> None:
    """Send an answer as it comes."""
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
    reply.listen(pieces.put_nowait)
    await send({"type": "http.response.start", "status": reply.status, "headers": list(reply.headers)})
    while (data := await pieces.get()) is not None:
        await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def build_app(
    models: Mapping[str, Path | ModelSource], settings: ServingSettings | None = None, loader: Loader = load_predictor
) -> App:
    """The application over `models`, not loaded yet."""
    return App(models, settings or ServingSettings(), loader)
