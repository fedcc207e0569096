"""The best items for a user: a recommender is asked about the user with every item, through its predictor.

`items.json` of the model folder holds the items that training saw, with what is known of each. Whom the answers go to
is in no file: which items somebody had already is the caller's to say.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.preprocessing.table import word_of
from modelyard.methods.runtimes.predictor import Predictor

FILE = "items.json"
ASKED = 4096
"""Records in one call of the predictor."""


@dataclass(frozen=True)
class Catalogue:
    """What a recommender can recommend.

    Attributes:
        user, item: names of the columns.
        items: a record for each item: its name, and the columns that are its own.
    """

    user: str
    item: str
    items: tuple[Mapping[str, Any], ...]

    def save(self, folder: Path) -> None:
        """Write `items.json`."""
        value = {"user": self.user, "item": self.item, "items": [dict(one) for one in self.items]}
        (folder / FILE).write_bytes(canonical_json(value) + b"\n")


@dataclass(frozen=True)
class Recommendation:
    """An item, and the model's score of it: the predicted number, or the probability of the label asked for."""

    item: str
    score: float

    def to_json(self) -> dict[str, Any]:
        return {"item": self.item, "score": self.score}


def load_catalogue(folder: Path) -> Catalogue:
    """Raises InputError if the model is no recommender or the file is damaged."""
    path = folder / FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        found = Catalogue(str(value["user"]), str(value["item"]), tuple(dict(one) for one in value["items"]))
        if not all(isinstance(one[found.item], str) for one in found.items):
            raise ValueError(t("an item without a name"))
    except FileNotFoundError:
        raise InputError(
            t("the model is no recommender: it has no {file}", file=FILE),
            where=str(folder),
            expected=t("a model of train.recommender"),
        ) from None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(t("the items of the model cannot be read: {error}", error=error), where=str(path)) from None
    return found


def recommend(
    predictor: Predictor,
    catalogue: Catalogue,
    record: Mapping[str, Any],
    top: int = 10,
    exclude: Collection[Any] = (),
    label: str | None = None,
    items: Sequence[Mapping[str, Any]] | None = None,
) -> list[Recommendation]:
    """The `top` items of the highest scores, equal scores in the order of the catalogue.

    Args:
        record: the user, and the columns that are not the items' own.
        exclude: names of items not to recommend, such as those the user had.
        label: whose probability counts, for a model of classes; None: the second of two.
        items: records to choose from; None: all that training saw.

    Raises:
        InputError: a column is missing, the label is not the model's, or a class must be named.
    """
    unwanted = {word_of(name) for name in exclude}
    chosen = [one for one in (catalogue.items if items is None else items) if _name(one, catalogue) not in unwanted]
    scored: list[Recommendation] = []
    rows = iter(chosen)
    while some := list(islice(rows, ASKED)):
        answers = predictor.predict([{**record, **one} for one in some])
        scored += [
            Recommendation(str(_name(one, catalogue)), _score(answer, label))
            for one, answer in zip(some, answers, strict=True)
        ]
    return sorted(scored, key=lambda one: -one.score)[:top]


def _name(item: Mapping[str, Any], catalogue: Catalogue) -> str | None:
    if catalogue.item not in item:
        raise InputError(t("an item has no `{name}`", name=catalogue.item), expected=catalogue.item)
    try:
        return word_of(item[catalogue.item])
    except ValueError:
        raise InputError(
            t("`{name}` is {found}", name=catalogue.item, found=repr(item[catalogue.item])[:40]),
            expected=t("a string, or null"),
        ) from None


def _score(answer: Any, label: str | None) -> float:
    if not hasattr(answer, "scores"):
        return float(answer.value)
    names = list(answer.scores)
    if label is None and len(names) == 2:
        return float(answer.scores[names[1]])
    if label not in names:
        found = t("no label `{name}`", name=label) if label else t("the model has {count} classes", count=len(names))
        raise InputError(found, expected=", ".join(names), remedy=did_you_mean(label or "", names))
    return float(answer.scores[label])
