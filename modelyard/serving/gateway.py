"""The one door: every request passes `Gateway.admit`, whatever protocol brought it, and every route is in one table.

Paths are matched whole against the table, so no client text is ever taken apart into a file name or a look-up.
A route states its permission; access control (a later issue) checks it here, in front of all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from modelyard.base.messages import t
from modelyard.serving import openai, openapi, pages, rest
from modelyard.serving.endpoint import Endpoint, ModelSource
from modelyard.serving.errors import Refusal
from modelyard.serving.http import Header, Reply, Streaming, json_reply, reply_of
from modelyard.serving.inputs import body_limit
from modelyard.serving.metrics import CONTENT_TYPE, NO_MODEL, Metrics
from modelyard.serving.rest import Asked
from modelyard.serving.settings import ServingSettings
from modelyard.serving.threads import in_thread

logger = logging.getLogger("modelyard.serving")

State = Literal["loading", "ready", "draining"]
Permission = Literal["public", "read", "predict"]
LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
BODY_TYPES = {b"application/json", b"text/plain", b"application/x-www-form-urlencoded"}
"""What a JSON body may call itself: the second and third because curl's `-d` and simple clients say so."""


RAW_IMAGE = (b"image/", b"application/octet-stream")
"""How the type begins of a body that is one image."""
EVENTS: tuple[Header, ...] = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"))


@dataclass(frozen=True)
class Route:
    """One path of the server.

    Attributes:
        method: `GET` (HEAD too) or `POST`.
        permission: what a client must be allowed; enforced where access control is on.
        model: the served name it is about, or None.
        answer: for GET, makes the reply; None for predict.
        read: for predict, how a body is read. Raises Refusal.
        read_raw: likewise, of a body that is one image; None where there is no such form.
        max_body_bytes: for predict, that a body may have.
    """

    method: Literal["GET", "POST"]
    permission: Permission
    answer: Callable[[], Reply] | None = None
    model: str | None = None
    read: Callable[[bytes], Asked] | None = None
    read_raw: Callable[[bytes], Asked] | None = None
    max_body_bytes: int = 0


class Gateway:
    """Routes, checks and state of one server. Lives on the event loop."""

    def __init__(self, models: Mapping[str, ModelSource], settings: ServingSettings) -> None:
        self.settings = settings
        self.models = models
        self.inputs = {name: source.inputs() for name, source in models.items()}
        self.metrics = Metrics()
        self.endpoints: dict[str, Endpoint] = {}
        self.state: State = "loading"
        self.routes = self._routes()
        self.max_body_bytes = max(route.max_body_bytes for route in self.routes.values())
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in settings.allowed_hosts}
        self._check_host = settings.is_loopback or bool(settings.allowed_hosts)
        self.metrics.ready.set_function(lambda: float(self.state == "ready"))

    def _routes(self) -> dict[str, Route]:
        routes = {
            "/": Route("GET", "public", lambda: Reply(307, ((b"location", b"/docs"),), b"")),
            "/healthz": Route("GET", "public", lambda: json_reply({"status": "alive"})),
            "/readyz": Route("GET", "public", self._ready),
            "/metrics": Route("GET", "read", lambda: Reply(200, ((b"content-type", CONTENT_TYPE),), self._scrape())),
            "/docs": Route("GET", "public", lambda: pages.docs_reply(self.models, self.settings, self.inputs)),
            "/openapi.json": Route("GET", "public", lambda: json_reply(self._described())),
            "/v1/models": Route("GET", "read", lambda: json_reply(openai.listing(self.inputs))),
        }
        for path, read in openai.forms(self.inputs, self.settings).items():
            routes[path] = Route("POST", "predict", read=read, max_body_bytes=self.settings.max_body_bytes)
        for name, source in self.models.items():
            base = f"/v1/models/{name}"
            for path in (base, f"{base}/versions/{source.version}"):
                routes[path] = Route("GET", "read", lambda name=name: self._status(name), name)  # type: ignore[misc]
                routes[path + "/metadata"] = Route(
                    "GET", "read", lambda name=name: self._metadata(name), name  # type: ignore[misc]
                )  # fmt: skip
                routes[path + ":predict"] = self._predict_route(name)
        return routes

    def _predict_route(self, name: str) -> Route:
        inputs = self.inputs[name]
        raw = rest.raw_form(name, inputs, self.settings) if inputs.kind == "image" else None
        read = rest.form(name, inputs, self.settings)
        return Route("POST", "predict", None, name, read, raw, body_limit(inputs, self.settings))

    def _described(self) -> dict[str, object]:
        return openapi.document(self.models, self.settings, self.inputs)

    # -- the door

    def admit(self, method: str, path: str, headers: Sequence[Header]) -> Route:
        """Check a request's head. Raises Refusal; what passes may send its body."""
        seen = dict(headers)
        if self._check_host:
            self._admit_host(seen.get(b"host", b""))
        route = self.routes.get(path)
        if route is None:
            raise Refusal("not_found", t("there is nothing at this address; /docs lists what is"))
        if method != route.method and not (method == "HEAD" and route.method == "GET"):
            allow = b"POST" if route.method == "POST" else b"GET, HEAD"
            raise Refusal("method_not_allowed", t("only {allow} here", allow=allow.decode()), ((b"allow", allow),))
        return self._admit_body(seen, route) if route.method == "POST" else route

    def _admit_host(self, host: bytes) -> None:
        """A page elsewhere may name this server by its own domain (DNS rebinding); its Host header gives it away."""
        if _host_name(host) not in self._hosts:
            raise Refusal("misdirected_host", t("this server does not answer for that host"))

    def _admit_body(self, headers: Mapping[bytes, bytes], route: Route) -> Route:
        origin = headers.get(b"origin")
        if origin is not None and _origin_host(origin) != headers.get(b"host", b"").lower():
            raise Refusal("forbidden_origin", t("pages of other sites may not ask"))
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refusal("unsupported_media_type", t("compressed bodies are not accepted"))
        kind, _, parameters = headers.get(b"content-type", b"application/json").lower().partition(b";")
        charset = parameters.replace(b" ", b"").replace(b'"', b"")
        if route.read_raw is not None and kind.startswith(RAW_IMAGE):
            route = replace(route, read=route.read_raw)
        elif kind.strip() not in BODY_TYPES or (b"charset=" in charset and b"charset=utf-8" not in charset):
            raise Refusal("unsupported_media_type", t("the body must be application/json in UTF-8"))
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            raise Refusal("bad_request", t("Content-Length is not a number"))
        if len(length) > 12 or int(length) > route.max_body_bytes:
            raise self.too_large(route.max_body_bytes)
        return route

    def too_large(self, most: int) -> Refusal:
        return Refusal("too_large", t("the body is larger than {most} bytes", most=most))

    # -- answers

    def answer(self, route: Route) -> Reply:
        """The reply of a route that needs no model. A defect in it becomes a 500 with a trace."""
        try:
            return route.answer() if route.answer else self.refuse(Refusal("not_found", t("nothing here")))
        except Exception as error:
            return self.refuse(_defect(error))

    def predict(self, route: Route, body: bytes, reply: Callable[[Reply | Streaming], None]) -> Callable[[], None]:
        """Answer a predict request through `reply`, once, on the event loop.

        Returns a function that cancels it (the client is gone; `reply` is then never called).
        """
        endpoint = self.endpoints.get(route.model or "")
        try:
            if route.read is None or (endpoint is None and route.model):
                raise Refusal("loading", t("the model is being loaded"))
            asked = route.read(body)
            endpoint = self.endpoints.get(asked.model)
            if endpoint is None:
                raise Refusal("loading", t("the model is being loaded"))
            cancel = self._ask(endpoint, asked, reply)
        except Exception as error:
            reply(self.refuse(error if isinstance(error, Refusal) else _defect(error), endpoint))
            return _nothing
        return cancel

    def _ask(self, endpoint: Endpoint, asked: Asked, reply: Callable[[Reply | Streaming], None]) -> Callable[[], None]:
        """Put a request that was read into the model's queue. Raises Refusal."""
        seconds = self.settings.deadline_ms / 1000
        if asked.events is None:
            job = endpoint.submit(asked, seconds, lambda answer: reply(self._final(answer, endpoint)))
        else:
            written = Written(self, endpoint, asked.events, reply)
            job = endpoint.submit(asked, seconds, written.end, written.part)
        return lambda: endpoint.cancel(job)

    def _final(self, answer: Reply | Refusal, endpoint: Endpoint | None) -> Reply:
        if isinstance(answer, Reply):
            return answer
        return self.refuse(answer, endpoint)

    def refuse(self, refusal: Refusal, endpoint: Endpoint | None = None) -> Reply:
        """The error reply, counted."""
        self.metrics.error(refusal.code, endpoint.name if endpoint else NO_MODEL)
        return reply_of(refusal, endpoint.identity if endpoint else ())

    def _ready(self) -> Reply:
        if self.state == "ready":
            return json_reply({"status": "ready"})
        return self.refuse(Refusal(self.state, t("not ready: {state}", state=self.state)))

    def _status(self, name: str) -> Reply:
        endpoint = self.endpoints.get(name)
        if endpoint is not None:
            return json_reply({"model_version_status": [endpoint.status()]}, endpoint.identity)
        status = {"error_code": "OK", "error_message": ""}
        version = str(self.models[name].version)
        return json_reply({"model_version_status": [{"version": version, "state": "LOADING", "status": status}]})

    def _metadata(self, name: str) -> Reply:
        endpoint = self.endpoints.get(name)
        if endpoint is None:
            return self.refuse(Refusal("loading", t("the model is being loaded")))
        return json_reply(endpoint.metadata(), endpoint.identity)

    def _scrape(self) -> bytes:
        return self.metrics.render()

    # -- state

    def add(self, endpoint: Endpoint) -> None:
        """Start serving a loaded model; ready when it is the last."""
        self.endpoints[endpoint.name] = endpoint
        if self.state == "loading" and self.endpoints.keys() == self.models.keys():
            self.state = "ready"

    def drain(self) -> None:
        """From now on /readyz says 503; what is asked is still answered."""
        self.state = "draining"

    @property
    def in_flight(self) -> int:
        return sum(endpoint.in_flight for endpoint in self.endpoints.values())

    async def close(self) -> None:
        """Free the models, off the loop."""
        for endpoint in self.endpoints.values():
            await in_thread(endpoint.close)


class Written:
    """An answer on its way in pieces; the reply begins with the first, so that a refusal before it is a plain one."""

    def __init__(
        self, gateway: Gateway, endpoint: Endpoint, events: rest.Events, reply: Callable[[Reply | Streaming], None]
    ) -> None:
        self._gateway = gateway
        self._endpoint = endpoint
        self._events = events
        self._reply = reply
        self._stream: Streaming | None = None

    def part(self, text: str) -> None:
        self._begun().send(self._events.piece(text))

    def end(self, answer: Reply | Refusal) -> None:
        """The last events, or an error: as an event if the answer has begun."""
        if isinstance(answer, Refusal):
            refused = self._gateway.refuse(answer, self._endpoint)
            if self._stream is None:
                self._reply(refused)
                return
        stream = self._begun()
        stream.send(answer.body if isinstance(answer, Reply) else self._events.failed(answer))
        stream.send(None)

    def _begun(self) -> Streaming:
        if self._stream is None:
            self._stream = Streaming(200, (*EVENTS, *self._endpoint.identity))
            self._reply(self._stream)
        return self._stream


def _defect(error: Exception) -> Refusal:
    """A defect of this server: the client gets a trace, the log the rest."""
    refusal = Refusal("internal", t("the server failed"))
    logger.error("a request failed, trace %s", refusal.trace, exc_info=error)
    return refusal


def _nothing() -> None:
    """Cancels a request that is answered already."""


def _host_name(host: bytes) -> str:
    """The name in a Host header, lower case, without port and brackets; empty if it is no host."""
    try:
        return urlsplit("//" + host.decode("ascii")).hostname or ""
    except ValueError:
        return ""


def _origin_host(origin: bytes) -> bytes:
    """`host[:port]` of an Origin header; empty for `null` and nonsense."""
    _, separator, host = origin.lower().partition(b"://")
    return host if separator else b""
