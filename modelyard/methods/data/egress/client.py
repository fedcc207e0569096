"""The client itself: what is asked, how often it is tried, and what an error says."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from modelyard.base.canonical import canonical_json
from modelyard.base.clock import monotonic
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.egress import download
from modelyard.methods.data.egress.addresses import Deadline, GuardedNetwork
from modelyard.methods.data.egress.asking import Ask
from modelyard.methods.data.egress.cache import HttpCache
from modelyard.methods.data.egress.decoding import pieces
from modelyard.methods.data.egress.faults import FAULTS, Passing, of_connection, of_status
from modelyard.methods.data.egress.limits import Limits, TokenBucket
from modelyard.methods.data.egress.reply import Download, Reply, masked, masked_url
from modelyard.methods.data.egress.transport import GuardedTransport
from modelyard.methods.data.egress.waiting import Patience, Tell

T = TypeVar("T")
AGENT = "modelyard"
SCHEMES = ("http", "https")
REDIRECTS = (301, 302, 303, 307, 308)


class Egress:
    """Sends requests to one source within its limits; a context manager. Not for several threads at once.

    Every method raises InputError, with the address but without credentials, if the answer cannot be had.

    Args:
        secrets: values that no message may show; also what to leave out of the names of cached answers.
        headers: sent with every request to the host that is asked, and to no other a redirect leads to.
        seed: of the jitter between attempts.
        clock, sleep: injectable time, in seconds.
        tell: called when a wait between attempts begins.

    Attributes:
        num_retries: attempts so far that were repeated.
        waited: seconds from the last request that was sent to its whole answer; what the limits of this client made it
            wait before, and attempts that failed, are not counted.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        secrets: Collection[str] = (),
        headers: Mapping[str, str] | None = None,
        seed: int = 0,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], None] | None = None,
        tell: Tell | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.num_retries = 0
        self.waited = self._sent = 0.0
        self._clock = clock
        self._secrets = tuple(secrets)
        self._headers = {name.lower(): value for name, value in (headers or {}).items()}
        self._seed, self._sleep, self._tell = seed, sleep or pause, tell
        self._bucket = TokenBucket(self.limits.requests_per_second, clock, self._sleep)
        self._deadline = Deadline(clock)
        allow = self.limits.allow_private
        network = GuardedNetwork(allow, self._deadline.left)
        # A proxy stands where the machine's owner put it, mostly on a private address.
        transport = GuardedTransport(network, GuardedNetwork(True, self._deadline.left), allow)
        timeout = httpx.Timeout(self.limits.read_s, connect=self.limits.connect_s)
        self._client = httpx.Client(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)

    def __enter__(self) -> Egress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
        cache: HttpCache | None = None,
    ) -> Reply:
        """GET an answer into memory.

        Args:
            params: added to the URL's own.
            accept: statuses over 299 that are an answer too (404 of a `robots.txt`).
            cache: where the answer is looked for first and kept.
        """
        return self._cached(self._ask("GET", url, params, headers), accept, cache, lambda reply: None)

    def head(self, url: str, *, headers: Mapping[str, str] | None = None, accept: Collection[int] = ()) -> Reply:
        """The headers of an answer; the body is empty."""
        return self._cached(self._ask("HEAD", url, None, headers), accept, None, lambda reply: None)

    def get_json(
        self,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
        cache: HttpCache | None = None,
    ) -> Reply:
        """As `get`, of an answer that must be JSON (`Reply.json()`); one that is cut short is asked for again."""
        ask = self._ask("GET", url, params, {"accept": "application/json", **(headers or {})})
        return self._cached(ask, accept, cache, _must_be_json)

    def post_json(
        self,
        url: str,
        value: Any,
        *,
        headers: Mapping[str, str] | None = None,
        idempotent: bool = False,
        cache: HttpCache | None = None,
    ) -> Reply:
        """POST a value as JSON. Redirects are refused, since they change what is asked.

        Args:
            idempotent: asking twice does no harm: a failed attempt is repeated.
        """
        typed = {"accept": "application/json", "content-type": "application/json", **(headers or {})}
        ask = self._ask("POST", url, None, typed, canonical_json(value))
        return self._cached(ask, (), cache, _must_be_json, idempotent)

    def stream_to(
        self,
        path: Path,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        digest: str | None = None,
        size: int | None = None,
    ) -> Download:
        """Download a file. What a killed download left beside `path` is gone on with, if the server's file is the same.

        Args:
            path: where it comes to lie, whole or not at all.
            digest: `sha256:…` that it must have.
            size: bytes that it must have.
        """
        ask = self._ask("GET", url, None, {"accept-encoding": "identity", **(headers or {})})
        part = download.Part(path)
        patience = self._patience(str(ask.url))
        while True:
            before = part.size()
            try:
                return download.fetch(self, ask, part, digest, size)
            except Passing as fault:
                if part.size() > before:  # a bad line that gets on is no reason to give up
                    patience = self._patience(str(ask.url))
                self._wait(patience, fault)

    def refused(self, response: httpx.Response) -> Passing | InputError:
        """The error of a status that is no success."""
        return of_status(response, self.shown(response.url), self._secrets)

    def shown(self, url: object) -> str:
        """A URL without credentials."""
        return masked_url(str(url), self._secrets)

    @contextmanager
    def open(self, ask: Ask, whole_s: float | None) -> Iterator[httpx.Response]:
        """One attempt at an answer, redirects followed, body not yet read.

        Raises:
            Passing: connection faults, in the body too.
            InputError: an address that may not be connected to, a redirect that may not be followed.
        """
        self._deadline.set(whole_s)
        url, headers = ask.url, {**self._headers, **ask.headers}
        for _ in range(self.limits.max_redirects + 1):
            self._bucket.take()
            self._sent = self._clock()
            try:
                defaults = {"user-agent": AGENT, "accept": "*/*", "accept-encoding": "gzip"}
                request = self._client.build_request(ask.method, url, headers=defaults | headers, content=ask.body)
                response = self._client.send(request, stream=True)
            except FAULTS as error:
                raise self._fault(error, url) from error
            except UnicodeError:
                found = t("a header holds letters that HTTP does not know")
                raise InputError(found, where=self.shown(url), expected="ASCII") from None
            try:
                target = self._redirect(ask, response, url)
                if target is None:
                    yield response
                    return
            except FAULTS as error:
                raise self._fault(error, url) from error
            finally:
                response.close()
            if _origin(target) != _origin(url):
                headers = {name: value for name, value in ask.headers.items() if name in download.HARMLESS}
            url = target
        found = t("more than {n} redirects", n=self.limits.max_redirects)
        raise InputError(found, where=self.shown(ask.url), remedy=t("name the final address"))

    def _ask(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        body: bytes | None = None,
    ) -> Ask:
        target = self._parsed(url)
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        return Ask(method, target.copy_merge_params(params) if params else target, lower, body)

    def _parsed(self, url: str) -> httpx.URL:
        try:
            target = httpx.URL(url)
        except (httpx.InvalidURL, TypeError) as error:
            raise InputError(
                t("no URL: {reason}", reason=masked(str(error), self._secrets)), where=self.shown(url)
            ) from None
        if target.scheme not in SCHEMES or not target.host:
            found = t("a URL of the kind `{scheme}`", scheme=target.scheme or "?")
            raise InputError(found, where=self.shown(url), expected="http://…, https://…")
        return target

    def _cached(
        self,
        ask: Ask,
        accept: Collection[int],
        cache: HttpCache | None,
        check: Callable[[Reply], None],
        idempotent: bool = True,
    ) -> Reply:
        key = [ask.method, self.shown(ask.url), masked((ask.body or b"").decode(), self._secrets)]
        kept = cache.find(key) if cache else None
        if kept is not None:
            return replace(kept, secrets=self._secrets)
        reply = self._repeated(lambda: self._exchange(ask, accept, check), str(ask.url), idempotent)
        if cache:
            cache.keep(key, reply)
        return reply

    def _exchange(self, ask: Ask, accept: Collection[int], check: Callable[[Reply], None]) -> Reply:
        with self.open(ask, self.limits.whole_s) as response:
            shown = self.shown(response.url)
            if not response.is_success and response.status_code not in accept:
                raise self.refused(response)
            headers = {name.lower(): value for name, value in response.headers.items()}
            body = b"" if ask.method == "HEAD" else self._body(response, shown)
            self.waited = self._clock() - self._sent
            reply = Reply(str(response.url), shown, response.status_code, headers, body, secrets=self._secrets)
        check(reply)
        return reply

    def _body(self, response: httpx.Response, shown: str) -> bytes:
        body = bytearray()
        for piece in pieces(response, shown):
            body += piece
            if len(body) > self.limits.max_bytes:
                found = t("the answer is larger than {limit:,} bytes", limit=self.limits.max_bytes)
                raise InputError(found, where=shown, remedy=t("ask for smaller pages, or raise the limit"))
        return bytes(body)

    def _fault(self, error: Exception, url: httpx.URL) -> Passing | InputError:
        return of_connection(error, self.shown(url), self.limits, self._deadline.left(), self._secrets)

    def _repeated(self, work: Callable[[], T], subject: str, idempotent: bool) -> T:
        patience = self._patience(subject)
        while True:
            try:
                return work()
            except Passing as fault:
                if not idempotent:
                    raise fault.error from fault
                self._wait(patience, fault)

    def _patience(self, subject: str) -> Patience:
        return Patience(self.limits, self._seed, subject, self._sleep, self._tell)

    def _wait(self, patience: Patience, fault: Passing) -> None:
        patience.wait(fault)
        self.num_retries += 1

    def _redirect(self, ask: Ask, response: httpx.Response, url: httpx.URL) -> httpx.URL | None:
        """Where an answer sends us; None if it is the answer."""
        location = response.headers.get("location")
        if response.status_code not in REDIRECTS or location is None:
            return None
        if ask.method == "POST":
            found = t("the server redirects what is posted to {target}", target=self.shown(location))
            raise InputError(found, where=self.shown(url), remedy=t("name the final address"))
        try:
            target = url.join(location)
        except httpx.InvalidURL:
            target = httpx.URL("")
        if target.scheme not in SCHEMES or not target.host:
            found = t("a redirect to what is no web address: {target}", target=self.shown(location))
            raise InputError(found, where=self.shown(url))
        return target


def pause(seconds: float) -> None:
    """Sleep."""
    time.sleep(seconds)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _must_be_json(reply: Reply) -> None:
    if reply.status >= 300:
        return
    try:
        reply.json()
    except InputError as error:
        raise Passing(error) from None
