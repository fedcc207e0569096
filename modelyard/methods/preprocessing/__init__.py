"""Preprocessing: what turns records (texts, images, rows of tables) into the arrays a network eats. It ships with the
model, so that training, evaluation, export and serving all read a record the same way.

A kind is one file: `tokens` (sub-words of a tokenizer), `ngrams` (weighted n-grams), `union` (several at once),
`table` (columns of numbers and categories), `image` (pixels); `ngrams_hashed` and `table_hashed` read streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.preprocessing import image, ngrams, ngrams_hashed, table, table_hashed, tokens, union

Arrays = dict[str, NDArray[Any]]


class Preprocessor(Protocol):
    """Records' values (texts, …) to arrays. Immutable once loaded; safe to call from several threads.

    Attributes:
        input_names: of the arrays, in the order a network takes them.
    """

    @property
    def input_names(self) -> tuple[str, ...]: ...

    def encode(self, values: Sequence[Any], /) -> Arrays:
        """Arrays with one row a value (a text, an image, a row of a table), padded to the longest of the batch. A row's
        content does not depend on the others. No texts: arrays of shape [0, 1]."""
        ...


_LOADERS: Mapping[str, Callable[[Path, Mapping[str, Any]], Preprocessor]] = {
    "tokens": tokens.load,
    "ngrams": ngrams.load,
    "ngrams_hashed": ngrams_hashed.load,
    "table": table.load,
    "table_hashed": table_hashed.load,
    "image": image.load,
    "union": lambda folder, spec: union.Union(tuple(load(folder, part) for part in spec["parts"])),
}
KINDS = tuple(_LOADERS)


def load(folder: Path, spec: Mapping[str, Any]) -> Preprocessor:
    """The preprocessor that `model.json` names.

    Args:
        folder: the model folder; file names in `spec` are relative to it.
        spec: `{"kind": …}` and its settings.

    Raises:
        InputError: the kind is unknown, a setting is missing, or a file is missing or unreadable.
    """
    kind = str(spec.get("kind"))
    if kind not in _LOADERS:
        raise InputError(
            t("unknown preprocessing `{kind}`", kind=kind),
            where=str(folder),
            expected=", ".join(KINDS),
            remedy=did_you_mean(kind, list(KINDS)),
        )
    try:
        return _LOADERS[kind](folder, spec)
    except KeyError as error:
        raise InputError(
            t("preprocessing `{kind}` lacks the setting {name}", kind=kind, name=str(error)), where=str(folder)
        ) from None
