"""The header of a safetensors file, read strictly before anything maps the file.

Format: 8 bytes little-endian length N, N bytes of JSON, then the tensors. The format's own attack notes list what
lenient readers let through (overlapping offsets, holes that hide a second file, lengths that lie, duplicate keys);
here each of them is a problem.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from modelyard.base.messages import t

MAX_HEADER = 100 * 1024 * 1024
WIDTHS = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip
"""Bytes of one element."""


def header_problem(path: Path) -> str:
    """What is wrong with the file, in one sentence; empty if nothing is."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(MAX_HEADER, size - 8):
            return t("the header is longer than the file: truncated, or no safetensors")
        raw = stream.read(length)
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        return t("the header is not JSON: {error}", error=error)
    if not isinstance(header, dict):
        return t("the header is not a JSON object")
    header.pop("__metadata__", None)
    return _layout_problem(header, size - 8 - length)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(t("a name is there twice"))
    return found


def _layout_problem(header: dict[str, Any], data_bytes: int) -> str:
    """The tensors must fill the data without a gap or an overlap, each as long as its shape says."""
    spans: list[tuple[int, int]] = []
    for name, entry in header.items():
        try:
            begin, end = entry["data_offsets"]
            shape, width = entry["shape"], WIDTHS[entry["dtype"]]
            fits = all(type(number) is int and number >= 0 for number in (begin, end, *shape))
        except (KeyError, TypeError, ValueError):
            return t("the entry of `{name}` is not a tensor", name=name)
        if not fits or end - begin != math.prod(shape) * width:
            return t("the length of `{name}` does not fit its shape", name=name)
        spans.append((begin, end))
    position = 0
    for begin, end in sorted(spans):
        if begin != position:
            return t("tensors overlap or leave a hole")
        position = end
    if position != data_bytes:
        return t("the tensors do not fill the file: truncated, or something is appended")
    return ""
