"""What a split looks like: its labels, how long its texts are, in which scripts. For the report, never for training."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.dataset import Dataset

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
MOST_LABELS = 1_000

# First code point of each block and its script; "" is what all scripts share (digits, punctuation, symbols).
_BLOCKS = (
    (0x0000, ""), (0x0041, "Latin"), (0x005B, ""), (0x0061, "Latin"), (0x007B, ""), (0x00C0, "Latin"),
    (0x0250, ""), (0x0370, "Greek"), (0x0400, "Cyrillic"), (0x0530, "Armenian"), (0x0590, "Hebrew"),
    (0x0600, "Arabic"), (0x0780, ""), (0x0900, "Devanagari"), (0x0980, "Bengali"), (0x0A00, "other"),
    (0x0E00, "Thai"), (0x0E80, "other"), (0x10A0, "Georgian"), (0x1100, "Hangul"), (0x1200, "other"),
    (0x1E00, "Latin"), (0x1F00, "Greek"), (0x2000, ""), (0x2E80, "Han"), (0x2FE0, ""), (0x3040, "Kana"),
    (0x3100, "Han"), (0x3130, "Hangul"), (0x3190, ""), (0x31F0, "Kana"), (0x3200, ""), (0x3400, "Han"),
    (0x4DC0, ""), (0x4E00, "Han"), (0xA000, "other"), (0xAC00, "Hangul"), (0xD7B0, ""), (0xF900, "Han"),
    (0xFB00, ""), (0xFB50, "Arabic"), (0xFE00, ""), (0xFE70, "Arabic"), (0xFF00, ""), (0xFF21, "Latin"),
    (0xFF3B, ""), (0xFF41, "Latin"), (0xFF5B, ""), (0xFF66, "Kana"), (0xFFA0, "Hangul"), (0xFFE0, ""),
    (0x20000, "Han"), (0x32000, ""),
)  # fmt: skip
_STARTS = np.array([start for start, _ in _BLOCKS])
SCRIPTS = tuple(dict.fromkeys(script for _, script in _BLOCKS))
_SCRIPT_OF_BLOCK = np.array([SCRIPTS.index(script) for _, script in _BLOCKS])


def describe(dataset: Dataset, split: str) -> dict[str, Any]:
    """A profile of one split as JSON values.

    Returns:
        `rows`; `labels` (label to rows, most frequent first, at most MOST_LABELS) and `num_labels` if there is a
        label; with a text, `text_length` (`unit` characters, `mean`, `quantiles` by share) and `scripts` (script to
        the share of texts written mostly in it; Japanese counts as Kana where it has any, `none` has no letters).
        Rows without a text count in neither; `missing_texts` says how many there are, if any.
        A label that is a quantity has `target` (`mean`, `quantiles`) instead of `labels`.
    """
    text, label = dataset.role("text"), dataset.role("label")
    is_quantity = any(column.name == label and column.type == "double" for column in dataset.columns)
    columns = [name for name in (text, label) if name]
    labels: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    missing = 0
    scripts = np.zeros(len(SCRIPTS), dtype=np.int64)
    for batch in dataset.batches(split, columns) if columns else ():
        if label:
            labels.update(batch.column(label).to_pylist())
        if text:
            texts = batch.column(text).drop_null().to_pylist()
            missing += batch.num_rows - len(texts)
            lengths.update(map(len, texts))
            scripts += np.bincount(main_scripts(texts), minlength=len(SCRIPTS))
    found: dict[str, Any] = {"rows": dataset.num_rows(split)}
    if label and is_quantity:
        found["target"] = _quantity(labels)
    elif label:
        ordered = sorted(labels.items(), key=lambda item: (-item[1], str(item[0])))
        found["num_labels"] = len(ordered)
        found["labels"] = {str(name): count for name, count in ordered[:MOST_LABELS]}
    if text:
        found["text_length"] = _lengths(lengths)
        if missing:
            found["missing_texts"] = missing
        total = max(1, int(scripts.sum()))
        names = {name or "none": int(count) for name, count in zip(SCRIPTS, scripts, strict=True) if count}
        found["scripts"] = {name: round(count / total, 4) for name, count in sorted(names.items(), key=lambda x: -x[1])}
    return found


def _lengths(counts: Counter[int]) -> dict[str, Any]:
    """From rows by length; quantiles are lengths that occur (inverted distribution function)."""
    if not counts:
        return {"unit": "characters", "mean": 0.0, "quantiles": {}}
    lengths = np.array(sorted(counts), dtype=np.int64)
    below = np.cumsum([counts[length] for length in lengths.tolist()])
    places = np.searchsorted(below, [max(1, math.ceil(share * int(below[-1]))) for share in QUANTILES])
    quantiles = {f"{share:g}": int(lengths[place]) for share, place in zip(QUANTILES, places, strict=True)}
    mean = sum(length * count for length, count in counts.items()) / int(below[-1])
    return {"unit": "characters", "mean": round(mean, 2), "quantiles": quantiles}


def _quantity(counts: Counter[Any]) -> dict[str, Any]:
    """From rows by value; quantiles are values that occur."""
    values = np.array(sorted(value for value in counts.elements() if value is not None))
    if not len(values):
        return {"mean": None, "quantiles": {}}
    places = [max(1, math.ceil(share * len(values))) - 1 for share in QUANTILES]
    quantiles = {f"{share:g}": float(values[place]) for share, place in zip(QUANTILES, places, strict=True)}
    return {"mean": float(f"{values.mean():.6g}"), "quantiles": quantiles}


def main_scripts(texts: list[str]) -> NDArray[np.int64]:
    """Index into SCRIPTS of each text's main script, by letters; Han with any Kana is Kana (Japanese)."""
    points = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    script = _SCRIPT_OF_BLOCK[np.searchsorted(_STARTS, points, "right") - 1]
    row = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    counts = np.bincount(row * len(SCRIPTS) + script, minlength=len(texts) * len(SCRIPTS)).reshape(
        len(texts), len(SCRIPTS)
    )
    counts[:, SCRIPTS.index("")] = 0
    main = np.where(counts.any(axis=1), counts.argmax(axis=1), SCRIPTS.index(""))
    kana = counts[:, SCRIPTS.index("Kana")] > 0.1 * counts.sum(axis=1)
    return np.where(kana & (main == SCRIPTS.index("Han")), SCRIPTS.index("Kana"), main)
