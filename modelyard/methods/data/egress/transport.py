"""httpx's way to the network through `GuardedNetwork`, directly or by the proxies of the environment."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import httpcore
import httpx

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.egress.addresses import GuardedNetwork, refuse_literal


class GuardedTransport(httpx.BaseTransport):
    """Sends a request on; what may be reached is the business of the networks.

    `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` count, as for httpx. Behind a proxy the name is resolved by
    the proxy: then only what the name itself says can be checked, and the proxy's own rules must do the rest.
    """

    def __init__(self, network: GuardedNetwork, proxy_network: GuardedNetwork, allow_private: bool) -> None:
        self._context = httpx.create_ssl_context()
        self._network, self._proxy_network = network, proxy_network
        self._allow_private = allow_private
        self._pools: dict[str, httpcore.ConnectionPool] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        url = request.url
        proxy = proxy_of(url)
        if proxy:
            refuse_literal(url.host, self._allow_private)
        answer = self._pool(proxy).handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Stream(answer))

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def _pool(self, proxy: str) -> httpcore.ConnectionPool:
        if proxy not in self._pools:
            self._pools[proxy] = httpcore.ConnectionPool(
                ssl_context=self._context,
                proxy=_proxy(proxy) if proxy else None,
                network_backend=self._proxy_network if proxy else self._network,
            )
        return self._pools[proxy]


def proxy_of(url: httpx.URL) -> str:
    """The proxy that the environment names for a URL, or ``."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all") or ""
    if not proxy or urllib.request.proxy_bypass(url.netloc.decode("ascii").rpartition("@")[2]):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _proxy(address: str) -> httpcore.Proxy:
    proxy = httpx.Proxy(address)
    if proxy.url.scheme not in ("http", "https"):
        raise InputError(
            t("a proxy of the kind `{scheme}` is not supported", scheme=proxy.url.scheme),
            where=t("the environment's proxy settings"),
            expected="http://, https://",
        )
    bare = httpcore.URL(
        scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=proxy.url.raw_path
    )
    return httpcore.Proxy(bare, auth=proxy.raw_auth, headers=proxy.headers.raw, ssl_context=proxy.ssl_context)


class _Stream(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
