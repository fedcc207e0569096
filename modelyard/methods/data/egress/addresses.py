"""Which addresses may be connected to, checked on the very address that is connected to.

A name is resolved once, every address it has is judged, and the connection is made to one of those addresses: between
check and use there is no second look-up that could answer otherwise (DNS rebinding). TLS still proves the name.

Sources: RFC 6890 (special-purpose addresses), RFC 4291 2.5.5.2 (IPv4 in IPv6), RFC 3056 (6to4), RFC 6052
(64:ff9b::/96); the clouds' own pages for the addresses of their metadata services outside 169.254.0.0/16.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any, Literal

import httpcore

from modelyard.base.messages import t
from modelyard.errors import InputError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Verdict = Literal["public", "private", "forbidden"]

METADATA = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "fe80::/10",
        "fd00:ec2::/32",  # AWS over IPv6
        "fd20:ce::254/128",  # Google over IPv6
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure
        "192.0.0.192/32",  # Oracle
    )
)
METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"})
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def verdict(address: IPAddress) -> Verdict:
    """What an address is: `forbidden` ones are never connected to, `private` ones only where the caller says so."""
    address = _inner(address)
    if any(address in network for network in METADATA if network.version == address.version):
        return "forbidden"
    if address.is_link_local or address.is_multicast or int(address) == (1 << address.max_prefixlen) - 1:
        return "forbidden"
    return "public" if address.is_global else "private"


def _inner(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 one carries, if it carries one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    carried = address.ipv4_mapped or address.sixtofour
    if carried is None and address in NAT64:
        carried = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return carried or address


def literal(host: str) -> IPAddress | None:
    """The address a host is written as, also in the spellings `inet_aton` takes (`2130706433`, `0x7f.1`)."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def refuse(host: str, address: IPAddress | None, allow_private: bool) -> None:
    """Raise InputError if `host`, which is at `address`, may not be connected to."""
    kind = "forbidden" if address is None else verdict(address)
    if kind == "public" or (kind == "private" and allow_private):
        return
    shown = f"{host} ({address})" if address is not None and str(address) != host else host
    if kind == "private":
        found = t("a private address, which this source may not be on: {host}", host=shown)
        raise InputError(found, where=host, remedy=t("`allow_private: true`, if the server is yours"))
    raise InputError(
        t("a link-local or cloud metadata address is never connected to: {host}", host=shown),
        where=host,
        remedy=t("such an address hands out this machine's credentials: name another server"),
    )


def refuse_literal(host: str, allow_private: bool) -> None:
    """As `refuse`, for what can be said without resolving: all there is when a proxy resolves the name."""
    address = literal(host)
    if address is not None:
        refuse(host, address, allow_private)
    elif host.rstrip(".").lower() in METADATA_NAMES:
        refuse(host, None, allow_private)


class GuardedNetwork(httpcore.NetworkBackend):
    """Connects to judged addresses only, and ends every wait at the deadline of the request.

    Attributes:
        deadline: returns the seconds left to the running request, or None if it has no limit.
    """

    def __init__(self, allow_private: bool, deadline: Callable[[], float | None]) -> None:
        self._allow_private = allow_private
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = resolve(host, port)
        for address in addresses:
            refuse(host, ipaddress.ip_address(address.partition("%")[0]), self._allow_private)
        for last, address in enumerate(addresses, start=1):
            try:
                wait = shorter(timeout, self._deadline())
                stream = self._sockets.connect_tcp(address, port, wait, local_address, socket_options)
            except httpcore.ConnectError:
                if last == len(addresses):
                    raise
            else:
                return _Timed(stream, self._deadline)
        raise httpcore.ConnectError(f"no address for {host}")


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, in the resolver's order. Raises httpcore.ConnectError if there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def shorter(timeout: float | None, left: float | None) -> float | None:
    """The shorter of two waits. Raises httpcore.ReadTimeout if nothing is left."""
    if left is None:
        return timeout
    if left <= 0:
        raise httpcore.ReadTimeout("whole")
    return left if timeout is None else min(timeout, left)


class _Timed(httpcore.NetworkStream):
    """A stream whose reads and writes, headers that drip in included, end at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Callable[[], float | None]) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, shorter(timeout, self._deadline()))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, shorter(timeout, self._deadline()))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = shorter(timeout, self._deadline())
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class Deadline:
    """The moment at which a thread's running request must be over."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._local = threading.local()

    def set(self, seconds: float | None) -> None:
        self._local.moment = None if seconds is None else self._clock() + seconds

    def left(self) -> float | None:
        """Seconds left, negative if it is over; None without a limit."""
        moment: float | None = getattr(self._local, "moment", None)
        return None if moment is None else moment - self._clock()
