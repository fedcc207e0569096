"""Runtime `recorded`: the answers somebody else's service gave to certain records, kept as a model folder.

A service changes behind its address; what it said to these records does not. So a comparison is about bytes that can be
looked at again, and asking once is enough. `answers.jsonl` holds a line a record: a digest of the record (not the
record), the answer or None, seconds, tokens in and out. Other records are refused: nobody asked about them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modelyard.base.canonical import canonical_json, digest_json
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Prediction, Record
from modelyard.methods.tasks.tabular_regression import Quantity
from modelyard.methods.tasks.text_classification import Classification
from modelyard.methods.tasks.text_generation import Generated

FORMAT = "recorded"
FILE = "answers.jsonl"
NO_ANSWER = "(no answer)"
"""The label of a row that got no valid answer: it is wrong, whatever is true."""
HOW = ("max_new_tokens", "temperature", "top_p", "seed", "stop", "beams")
"""Fields of a record that say how is written, not what about."""
CLASSES = ("text-classification", "tabular-classification")
NUMBERS = ("text-regression", "tabular-regression")
TEXTS = ("text-generation", "text-to-text")
TASKS = (*CLASSES, *NUMBERS, *TEXTS)


@dataclass(frozen=True)
class Kept:
    """One record's answer.

    Attributes:
        key: of the record.
        answer: `{"label": …, "scores": {…}}`, `{"value": …}`, `{"text": …}`; None if none was valid.
        seconds: until it was there.
        tokens_in, tokens_out: None if the service did not tell.
    """

    key: str
    answer: Mapping[str, Any] | None
    seconds: float
    tokens_in: int | None = None
    tokens_out: int | None = None


def key_of(record: Record) -> str:
    """Digest of what a record is about."""
    plain = {name: _plain(value) for name, value in record.items() if name not in HOW and value is not None}
    return digest_json(plain)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, str | int | float | bool | list | dict) else str(value)


def write(folder: Path, card: ModelCard, kept: Iterable[Kept]) -> None:
    """A model folder; one line a different record, in the order of their keys."""
    lines = {one.key: canonical_json(asdict(one)) for one in kept}
    (folder / FILE).write_bytes(b"".join(lines[key] + b"\n" for key in sorted(lines)))
    card.write(folder)


def read(folder: Path) -> dict[str, Kept]:
    """By key. Raises InputError for a file that is none of ours."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
        return {one.key: one for one in (Kept(**json.loads(line)) for line in lines)}
    except (ValueError, TypeError) as error:
        raise InputError(t("the recorded answers cannot be read: {error}", error=error), where=str(folder)) from None


def answer_of(task: str, value: Mapping[str, Any] | None, labels: Sequence[str]) -> Any:
    """An answer of the task. Classes without scores get all of it on the class that was named."""
    if task in NUMBERS:
        return Quantity(float(value["value"]) if value else float("nan"))
    if task in TEXTS:
        text = str(value["text"]) if value else ""
        return Generated(text, "stop" if value else "none", 0)
    label = str(value["label"]) if value else NO_ANSWER
    given = (value or {}).get("scores") or {label: 1.0}
    return Classification(label, {name: float(given.get(name, 0.0)) for name in labels})


class RecordedPredictor:
    """Implements `Predictor` for the records that were asked about."""

    def __init__(self, digest: str, card: ModelCard, kept: Mapping[str, Kept]) -> None:
        self.digest, self.task, self.labels = digest, card.task, card.labels
        self.runtime = f"recorded answers of {card.network.get('name', '?')}"
        self._kept = kept

    def predict(self, records: Sequence[Record]) -> list[Prediction]:
        found = []
        for place, record in enumerate(records):
            one = self._kept.get(key_of(record))
            if one is None:
                raise InputError(
                    t("the endpoint was not asked about this record"),
                    where=f"records[{place}]",
                    expected=t("the test rows that evaluate.endpoint asked about, unchanged"),
                    remedy=t("what changes records (robustness, explanation) needs the model itself"),
                )
            found.append(answer_of(self.task, one.answer, self.labels))
        return found

    def close(self) -> None:
        """Nothing is held."""


def open_predictor(folder: Path, card: ModelCard, threads: int | None, token_budget: int | None) -> RecordedPredictor:
    """Open a folder that `validation.check` has passed."""
    return RecordedPredictor(manifest(folder).digest, card, read(folder))


@dataclass(frozen=True)
class Spent:
    """What each record cost, in `currency`, and how long it took, in seconds."""

    costs: tuple[float, ...]
    currency: str
    seconds: tuple[float, ...]


def spent(folder: Path) -> Spent | None:
    """None for a model of another format; no costs if no price was named or tokens were not told."""
    card = ModelCard.read(folder)
    if card.format != FORMAT:
        return None
    kept = [one for _, one in sorted(read(folder).items())]
    prices = card.network.get("prices") or {}
    price_in, price_out = float(prices.get("in", 0)), float(prices.get("out", 0))
    told = all(one.tokens_in is not None and one.tokens_out is not None for one in kept)
    costs: tuple[float, ...] = ()
    if told and (price_in or price_out):
        costs = tuple(((one.tokens_in or 0) * price_in + (one.tokens_out or 0) * price_out) / 1e6 for one in kept)
    elif prices.get("record"):
        costs = tuple(float(prices["record"]) for _ in kept)
    return Spent(costs, str(prices.get("currency", "")), tuple(one.seconds for one in kept if one.seconds))
