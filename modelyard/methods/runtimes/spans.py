"""Opens models that mark spans of a text: tokens with their places, scores of tags, the best valid path.

A text longer than the network is read in overlapping windows, so that nothing of it is left unread.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import preprocessing
from modelyard.methods.data.marked_spans import Span, trimmed
from modelyard.methods.preprocessing.tokens import Tokens, pad_ids
from modelyard.methods.preprocessing.windows import Placed, Windows
from modelyard.methods.runtimes.batching import Network
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import FILE, ModelCard
from modelyard.methods.runtimes.predictor import NotNumbers, Prediction, Record
from modelyard.methods.tasks import chains, find, tags
from modelyard.methods.tasks.token_classification import FoundSpan, Spans, TokenClassification

AT_ONCE = 256
"""Texts tokenized at a time."""


@dataclass(frozen=True)
class SpanReader:
    """Texts to spans, with any network that scores tags.

    Attributes:
        pad_id: what fills short rows.
        token_budget: padded tokens computed in one go.
    """

    windows: Windows
    pad_id: int
    chain: chains.Chain
    network: Network
    token_budget: int

    def read(self, texts: Sequence[str]) -> list[Spans]:
        """The spans of each text, in order."""
        found: list[Spans] = []
        for start in range(0, len(texts), AT_ONCE):
            some = texts[start : start + AT_ONCE]
            placed = self.windows.read(some)
            scores = self.scores(placed)
            found += [self.spans(*one) for one in zip(some, placed, scores, strict=True)]
        return found

    def scores(self, placed: Sequence[Placed]) -> list[NDArray[np.float64]]:
        """Of each text the tags' scores [tokens, tags]."""
        found = [np.zeros((len(one.ids), len(self.chain.tags))) for one in placed]
        pieces = [(text, *piece) for text, one in enumerate(placed) for piece in self.windows.pieces(len(one.ids))]
        # Rows of like length together: the answer does not depend on it, the time does.
        pieces.sort(key=lambda piece: (piece[1][1] - piece[1][0], piece[0], piece[1]))
        for batch in self._batches(pieces):
            rows = [self.windows.row(placed[text].ids[start:stop]) for text, (start, stop), _ in batch]
            outputs = self.network.logits(pad_ids(rows, self.pad_id))
            for (text, (start, stop), (first, last)), output in zip(batch, outputs, strict=True):
                inside = self.windows.inside(output, stop - start)
                found[text][first:last] = inside[first - start : last - start]
        for text, one in enumerate(found):
            if not np.isfinite(one).all():
                raise NotNumbers(
                    t("the model's scores for record {row} are not numbers", row=text),
                    where=f"records[{text}]",
                    expected=t("finite logits"),
                    remedy=t("the weights are damaged or overflow: train or export the model again"),
                )
        return found

    def _batches(self, pieces: Sequence[Any]) -> Iterator[Sequence[Any]]:
        start = 0
        around = len(self.windows.prefix) + len(self.windows.suffix)
        for end, (_, (first, last), _) in enumerate(pieces):
            if end > start and (end - start + 1) * (last - first + around) > self.token_budget:
                yield pieces[start:end]
                start = end
        if pieces:
            yield pieces[start:]

    def spans(self, text: str, placed: Placed, scores: NDArray[np.float64]) -> Spans:
        """The spans of the best path, each with its probability."""
        found = self._found(text, placed, scores)
        if not found:
            return Spans(())
        totals = chains.sums(self.chain, scores)
        return Spans(
            tuple(
                FoundSpan(
                    span.start,
                    span.end,
                    span.label,
                    text[span.start : span.end],
                    chains.span_probability(self.chain, scores, totals, start, stop, span.label),
                )
                for span, start, stop in found
            )
        )

    def plain_spans(self, text: str, placed: Placed, scores: NDArray[np.float64]) -> list[Span]:
        """As `spans`, without probabilities: half the work."""
        return [span for span, _, _ in self._found(text, placed, scores)]

    def _found(self, text: str, placed: Placed, scores: NDArray[np.float64]) -> list[tuple[Span, int, int]]:
        """(span, its first token, one past its last) along the best path; what has no characters is no span."""
        if not placed.ids:
            return []
        runs = tags.runs(chains.best_path(self.chain, scores), self.chain.tags)
        found = [
            (trimmed(Span(placed.offsets[start][0], placed.offsets[stop - 1][1], label), text), start, stop)
            for start, stop, label in runs
        ]
        return [one for one in found if one[0].start < one[0].end]


@dataclass
class SpanPredictor:
    """Implements `Predictor`.

    Attributes:
        labels: the tags, in the order of the scores.
    """

    digest: str
    about: TokenClassification
    labels: tuple[str, ...]
    reader: SpanReader

    def __post_init__(self) -> None:
        self.runtime = self.reader.network.runtime
        self.task = self.about.name

    def predict(self, records: Sequence[Record]) -> list[Prediction]:
        return list(self.reader.read(self.about.values(records)))

    def close(self) -> None:
        self.reader.network.close()


def open_predictor(folder: Path, card: ModelCard, threads: int | None, token_budget: int | None) -> SpanPredictor:
    """Raises InputError if the parts of the folder do not fit."""
    tokens: Any = preprocessing.load(folder, card.preprocessing)
    if not isinstance(tokens, Tokens):
        raise InputError(
            t("the preprocessing `{kind}` does not know where a token stands", kind=str(card.preprocessing["kind"])),
            where=str(folder / FILE),
            expected="tokens",
        )
    chain = chains.Chain.of(card.labels, transitions_of(card, folder))
    overlap = card.preprocessing.get("overlap")
    windows = Windows.of(tokens, None if overlap is None else int(overlap))
    network: Network = importlib.import_module(f"modelyard.methods.runtimes.{card.format}").open_network(
        folder, card, threads
    )
    reader = SpanReader(windows, tokens.pad_id, chain, network, token_budget or network.token_budget)
    about: Any = find(card.task)
    predictor = SpanPredictor(manifest(folder).digest, about, card.labels, reader)
    try:
        probe(predictor, folder)
    except BaseException:
        predictor.close()
        raise
    return predictor


def transitions_of(card: ModelCard, folder: Path) -> NDArray[np.float64] | None:
    """The learned scores [T, T] of one tag after another, or None if the model has none."""
    output: Any = card.outputs.get("spans", {})
    found = output.get("transitions") if isinstance(output, Mapping) else None
    if found is None:
        return None
    try:
        matrix = np.asarray(found, np.float64)
    except (ValueError, TypeError):
        matrix = np.zeros(0)
    if matrix.shape != (len(card.labels),) * 2 or not np.isfinite(matrix).all():
        raise InputError(
            t("the transitions are not one number for each pair of tags"),
            where=str(folder / FILE),
            expected=f"[{len(card.labels)}, {len(card.labels)}]",
        )
    return matrix


def probe(predictor: SpanPredictor, folder: Path) -> None:
    """One small record through everything. Raises InputError if the scores do not fit the tags."""
    reader = predictor.reader
    placed = reader.windows.read(predictor.about.values([predictor.about.sample()]))
    row = reader.windows.row(placed[0].ids)
    shape = reader.network.logits(pad_ids([row], reader.pad_id)).shape
    if shape != (1, len(row), len(predictor.labels)):
        raise InputError(
            t("the network answers {found} for a text of {tokens} tokens", found=str(shape), tokens=len(row)),
            where=str(folder),
            expected=t("{count} scores for each token, one for each tag", count=len(predictor.labels)),
            remedy=t("the labels in model.json and the weights belong to different models"),
        )
