"""The listening socket: bound before anything is loaded, and closed without losing a client."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys

from modelyard.base.messages import t
from modelyard.errors import ServingError
from modelyard.serving.settings import ServingSettings

BACKLOG = 2048
_SO_ATTACH_FILTER = 26
_DROP_SYN = (
    (0x30, 0, 0, 13),  # load the byte with TCP's flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone, a new connection:
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # anything else passes
)


def bind(settings: ServingSettings) -> socket.socket:
    """A socket that listens at the address of `settings`. Raises ServingError if it cannot be had."""
    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServingError(t("cannot listen: {reason}", reason=error.strerror or error), where=where) from error
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ServingError(
            t("cannot listen: {reason}", reason=error.strerror or error),
            where=where,
            remedy=t("stop what uses this port, or name another with --port"),
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """`http://host:port` of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def refuse_new(listener: socket.socket) -> bool:
    """Let no new connection begin, while those in the backlog can still be accepted. Returns whether that worked.

    Closing a listening socket resets connections that the kernel has completed and nobody accepted: their clients
    have sent a request and lose it. A packet filter (Linux, no privilege needed) drops SYN only, so that the backlog
    runs dry first; a dropped client tries again and finds the port closed, or the next server on it.
    """
    if not sys.platform.startswith("linux"):
        return False
    program = b"".join(struct.pack("HBBI", *line) for line in _DROP_SYN)
    buffer = ctypes.create_string_buffer(program)
    try:
        option = struct.pack("HL", len(_DROP_SYN), ctypes.addressof(buffer))
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)
    except OSError:
        return False
    return True
