"""Which encoding a text file is in: byte order mark, then UTF-8 strictly, then the likely others, then a guess.

The whole file is tried as UTF-8 (about 1 GB/s), since a sample cannot prove it. A file that is UTF-8 but for a
few lines is read as UTF-8 and those lines are kept apart; it is never re-read in another encoding because of them.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

from modelyard.base.messages import t
from modelyard.errors import InputError

SAMPLE_BYTES = 1 << 18
KEEP = "modelyard.keep"
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The characters that make up about half of any running Chinese text, simplified then traditional, and its punctuation.
COMMON_CHINESE = frozenset(
    "的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多然于心学么之都好看起发当没成只如事把还用第样道想作种开美总从无情己面最女但现前些所同日手又行意动方期它头经长儿回位分爱老因很给名法间斯知世什两次使身者被高已亲其进此话常与活正感"
    "這個們來時為說國著裡後會過對於學麼發當沒還樣種開總從無現經長兒愛給間兩親進與點機關電話東車馬門書買賣讓該買錢務實際網"
    "，。！？、；：“”（）《》「」"
)

OpenBytes = Callable[[], AbstractContextManager[tuple[BinaryIO, BinaryIO]]]


def _keep_bytes(error: UnicodeError) -> tuple[str, int]:
    """Decode what cannot be decoded to lone surrogates, one for each byte, so that the row can be found and shown."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(KEEP, _keep_bytes)


@dataclass(frozen=True)
class Encoding:
    """How a file is decoded.

    Attributes:
        name: Python's codec name.
        how: in words, how it was found.
        num_foreign_lines: lines that are not in it, as far as is known.
        mixed: lines in UTF-8 stand among those of another encoding; they must be told apart one by one.
    """

    name: str
    how: str
    num_foreign_lines: int = 0
    mixed: bool = False


def detect(open_bytes: OpenBytes, head: bytes, where: str, refuse_binary: Callable[[], None]) -> Encoding:
    """Find the encoding. `head` is the beginning of the bytes; `where` names the file in errors.

    `refuse_binary` is called once it is clear that `head` is not UTF-16, whose bytes look binary.

    Raises:
        InputError: no encoding fits.
    """
    for mark, name in BOMS:
        if head.startswith(mark):
            return Encoding(name, t("byte order mark"))
    wide = _wide(head)
    if wide:
        return Encoding(wide, t("every second byte of its ASCII characters is zero"))
    refuse_binary()
    if _all_utf8(open_bytes):
        return Encoding("utf-8", t("every byte decodes"))
    good, bad, sample = _count_lines(open_bytes)
    if good >= bad:
        return Encoding(
            "utf-8", t("{good:,} of {all:,} lines that are not ASCII decode", good=good, all=good + bad), bad
        )
    other = _other(sample)
    if other is None:
        raise InputError(
            t("no encoding fits: not UTF-8, GB18030, Big5, UTF-16 or a Western one"),
            where=where,
            remedy=t("name it: `encoding: <name>`"),
        )
    return Encoding(other, t("not UTF-8; its characters are those of that encoding"), good, good > 0)


def check_name(name: str, where: str) -> str:
    """A codec name the user gave. Raises InputError if Python does not know it or it is not a text encoding."""
    try:
        "".encode(name)
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError):
        raise InputError(t("unknown encoding `{name}`", name=name), where=where) from None
    return "utf-8-sig" if codecs.lookup(name).name == "utf-8" else name


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: zeros almost only at even or only at odd places, and newlines of two bytes."""
    zeros = [head[parity::2].count(0) for parity in (0, 1)]
    total = sum(zeros)
    if total < 2 or total < len(head) / 100:
        return None
    for name, parity, newline in (("utf-16-le", 1, b"\n\0"), ("utf-16-be", 0, b"\0\n")):
        if zeros[parity] < 0.95 * total or newline not in head:
            continue
        try:
            head[: len(head) // 4 * 4 - 4].decode(name)
        except UnicodeDecodeError:
            continue
        return name
    return None


def _all_utf8(open_bytes: OpenBytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes() as (stream, _):
        try:
            while chunk := stream.read(1 << 20):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _count_lines(open_bytes: OpenBytes) -> tuple[int, int, bytes]:
    """Lines with non-ASCII bytes that are UTF-8, those that are not, and a sample of the latter."""
    good = bad = 0
    sample = bytearray()
    for line in _byte_lines(open_bytes):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            good += 1
        except UnicodeDecodeError:
            bad += 1
            if len(sample) < SAMPLE_BYTES:
                sample += line
    return good, bad, bytes(sample)


def _byte_lines(open_bytes: OpenBytes) -> Iterator[bytes]:
    with open_bytes() as (stream, _):
        while line := stream.readline(1 << 20):
            yield line


def _other(sample: bytes) -> str | None:
    """The encoding of lines that are not UTF-8, by how common the characters are that it makes of them."""
    scores = {name: _chinese_share(sample, name) for name in ("gb18030", "big5")}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] >= 0.15:
        return best
    if _looks_western(sample):
        return "cp1252" if _decodes(sample, "cp1252") else "latin-1"
    from charset_normalizer import from_bytes

    guess = from_bytes(sample).best()
    if guess is not None and not guess.encoding.startswith(("utf_16", "utf_32")):  # lines of those were told before
        return guess.encoding
    return best if scores[best] > 0 else None


def _decodes(sample: bytes, name: str) -> bool:
    try:
        sample.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _chinese_share(sample: bytes, name: str) -> float:
    """Share of common Chinese characters among what is not ASCII; 0 if one line in ten does not decode."""
    lines = sample.splitlines()
    texts = [line.decode(name) for line in lines if _decodes(line, name)]
    wide = [char for text in texts for char in text if ord(char) > 127]
    if len(texts) < 0.9 * len(lines) or not wide:
        return 0.0
    return sum(char in COMMON_CHINESE for char in wide) / len(wide)


def _looks_western(sample: bytes) -> bool:
    """Accented letters stand between ASCII letters; in an Eastern encoding they come in pairs."""
    high = [place for place, byte in enumerate(sample) if byte > 127]
    alone = sum(
        (place == 0 or sample[place - 1] < 128) and (place + 1 == len(sample) or sample[place + 1] < 128)
        for place in high
    )
    return alone >= 0.8 * len(high)
