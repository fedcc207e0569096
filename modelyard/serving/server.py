"""A server's life: bind, load, serve, drain, stop.

Drain (RULES 1.2): at SIGTERM /readyz says 503 and service goes on for `drain_delay_s`; then every reply ends its
connection, no new connection begins, what was accepted is finished within `drain_timeout_s`, and the process ends
with success. /healthz stays 200 throughout. A second signal stops at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from email.utils import formatdate
from pathlib import Path

from modelyard.base.messages import t
from modelyard.errors import Interrupted, ModelyardError, ServingError
from modelyard.methods.runtimes.predictor import Predictor
from modelyard.serving.connection import Connection
from modelyard.serving.endpoint import Endpoint, Loader, ModelSource, load_predictor, warm_up
from modelyard.serving.gateway import Gateway
from modelyard.serving.listener import BACKLOG, bind, refuse_new, url_of
from modelyard.serving.settings import ServingSettings, check_address
from modelyard.serving.threads import in_thread

logger = logging.getLogger("modelyard.serving")

Say = Callable[[str], None]
_TICK_S = 0.25
_BACKLOG_S = 0.1
"""Seconds for connections that were being made when the door closed to come in."""


def serve(
    models: Mapping[str, Path | ModelSource],
    settings: ServingSettings,
    *,
    say: Say = logger.info,
    loader: Loader = load_predictor,
) -> None:
    """Serve models until SIGTERM or Ctrl-C, then drain and return.

    Args:
        models: served name to a model folder, a bundle, or a `ModelSource` with the release's version.
        settings: address, limits, batching, drain.
        say: told what a person wants to know: the address, what is loaded, the drain.
        loader: from folder to predictor; the default replays golden inputs and refuses a mismatch.

    Raises ServingError if the address is refused or taken, or a model does not load or fails its self-test;
    Interrupted if a second signal cut the drain short.
    """
    server = Server(models, settings, say, loader)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(server.run())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists (it does not on Windows)."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def sources(models: Mapping[str, Path | ModelSource]) -> dict[str, ModelSource]:
    """Served names to sources. Raises ServingError for none, or for a name that cannot stand in an address."""
    found = {}
    for name, model in models.items():
        if not name or len(name) > 128 or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise ServingError(
                t("`{name}` cannot be a served name", name=name), expected=t("letters, digits, `-` and `_`")
            )
        found[name] = model if isinstance(model, ModelSource) else ModelSource(Path(model))
    if not found:
        raise ServingError(t("there is no model to serve"))
    return found


class Server:
    """One process's server. `run` is its whole life; the rest is what connections ask of it."""

    def __init__(
        self, models: Mapping[str, Path | ModelSource], settings: ServingSettings, say: Say, loader: Loader
    ) -> None:
        self.settings = settings
        self.gateway = Gateway(sources(models), settings)
        self.connections: set[Connection] = set()
        self.date = b""
        self.last_replies = False
        self._say = say
        self._loader = loader
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self.gateway.metrics.connections.set_function(lambda: len(self.connections))

    async def run(self) -> None:
        """Bind, load, serve until told to stop, drain. Raises as `serve` says."""
        warning = check_address(self.settings)
        if warning:
            self._say(warning)
        listener = bind(self.settings)
        names, url = ", ".join(self.gateway.models), url_of(listener)
        self._say(t("loading {models}, listening at {url}", models=names, url=url))
        loop = asyncio.get_running_loop()
        with self._signals(loop):
            self._tick(loop)
            accepting = await loop.create_server(
                lambda: Connection(self.gateway, self, loop), sock=listener, backlog=BACKLOG
            )
            watchdog = loop.create_task(self._watch(loop))
            try:
                await self._until_stopped(loop, names, url)
                await self._drain(accepting, listener)
                if not self.gateway.in_flight:
                    await self.gateway.close()
            finally:
                watchdog.cancel()
                accepting.close()
                listener.close()
                for connection in list(self.connections):
                    connection.abort()

    # -- start

    async def _until_stopped(self, loop: asyncio.AbstractEventLoop, names: str, url: str) -> None:
        """Load, then serve until told to stop; loading is given up when that comes first."""
        load = loop.create_task(self._load(loop))
        stop = loop.create_task(self._stop.wait())
        await asyncio.wait({load, stop}, return_when=asyncio.FIRST_COMPLETED)
        if load.done():
            load.result()
            self._say(t("serving {models} at {url}", models=names, url=url))
        else:
            load.cancel()
        await stop

    async def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        """Load, test and warm each model beside the running event loop: /healthz answers, /readyz says loading."""
        for name, source in self.gateway.models.items():
            predictor, padding_costs = await in_thread(functools.partial(self._prepare, name, source))
            metrics = self.gateway.metrics
            inputs = self.gateway.inputs[name]
            self.gateway.add(
                Endpoint(name, source.version, predictor, self.settings, metrics, loop, padding_costs, inputs)
            )

    def _prepare(self, name: str, source: ModelSource) -> tuple[Predictor, bool]:
        try:
            predictor = self._loader(source.model_folder(), self.settings)
            return predictor, warm_up(predictor, self.gateway.inputs[name])
        except ServingError:
            raise
        except ModelyardError as error:
            raise ServingError(
                t("{name} cannot be served: {reason}", name=name, reason=error.problems[0].found),
                where=error.problems[0].where or str(source.folder),
                expected=error.problems[0].expected,
                remedy=error.problems[0].remedy,
            ) from error

    # -- stop

    @contextlib.contextmanager
    def _signals(self, loop: asyncio.AbstractEventLoop):  # type: ignore[no-untyped-def]
        """SIGTERM and SIGINT stop this server while it runs (only the main thread can listen to signals)."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.getsignal(number) for number in numbers}
        for number in numbers:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self.stop))
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Begin the drain; called again, stop at once. On the event loop."""
        if self._stop.is_set():
            self._now.set()
            return
        self.gateway.drain()
        self._stop.set()

    async def _drain(self, accepting: asyncio.Server, listener: socket.socket) -> None:
        self._say(t("stopping: finishing what was accepted"))
        await self._pause(self.settings.drain_delay_s)
        self.last_replies = True
        if refuse_new(listener):
            await self._pause(_BACKLOG_S)
        accepting.close()
        loop = asyncio.get_running_loop()
        end = loop.time() + self.settings.drain_timeout_s
        while self.connections and not self._now.is_set() and loop.time() < end:
            for connection in list(self.connections):
                if connection.idle_seconds(loop.time()) > self.settings.drain_idle_s:
                    connection.close()
            await self._pause(0.02)
        unanswered = self.gateway.in_flight
        if unanswered:
            self._say(t("stopped with {count} requests unanswered", count=unanswered))
        if self._now.is_set():
            raise Interrupted(t("stopped at once by a second signal; {count} requests unanswered", count=unanswered))

    async def _pause(self, seconds: float) -> None:
        """Wait, or less if a second signal comes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._now.wait(), seconds)

    # -- meanwhile

    async def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cut clients that do not send, do not read, or sleep."""
        tick = min(_TICK_S, self.settings.receive_timeout_s / 4)
        while True:
            await asyncio.sleep(tick)
            self._tick(loop)
            now = loop.time()
            for connection in list(self.connections):
                connection.check(now)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self.date = f"date: {formatdate(usegmt=True)}\r\n".encode()
