"""Bodies in bounded pieces: decompressed by ourselves, so that a small answer cannot become a huge one unseen."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import httpcore
import httpx

from modelyard.base.messages import t
from modelyard.errors import InputError

PIECE_BYTES = 1 << 20
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def encoding_of(response: httpx.Response) -> str:
    """`` if the body comes as it is, else the name of its compression."""
    name = response.headers.get("content-encoding", "").strip().lower()
    return "" if name == "identity" else name


def pieces(response: httpx.Response, shown: str) -> Iterator[bytes]:
    """The decompressed body in pieces of at most PIECE_BYTES, as they arrive: what came before a fault was handed on.

    Raises:
        InputError: compressed in a way that was not asked for, or damaged.
        httpcore.RemoteProtocolError: it ends too early.
    """
    name = encoding_of(response)
    if not name:
        yield from response.iter_raw()
        return
    if name not in ("gzip", "x-gzip", "deflate"):
        raise InputError(t("the answer is compressed as `{name}`", name=name), where=shown, expected="gzip")
    decoder = zlib.decompressobj(GZIP_OR_ZLIB)
    try:
        for part in response.iter_raw():
            while part:
                yield decoder.decompress(part, PIECE_BYTES)
                part = decoder.unconsumed_tail
        while rest := decoder.decompress(b"", PIECE_BYTES):
            yield rest
    except zlib.error as error:
        raise InputError(t("the answer's compression is damaged: {reason}", reason=error), where=shown) from None
    if not decoder.eof:
        raise httpcore.RemoteProtocolError("the compressed body ends too early")
