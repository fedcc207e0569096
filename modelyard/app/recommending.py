"""The best items for a user, from a release or a model folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.app.models import locate
from modelyard.base.messages import t
from modelyard.errors import UsageError

if TYPE_CHECKING:
    from modelyard.methods.runtimes.recommending import Recommendation

MOST = 10_000


def recommend(
    reference: str | Path,
    record: Mapping[str, Any],
    *,
    top: int = 10,
    exclude: Collection[Any] = (),
    label: str | None = None,
    items: Sequence[Mapping[str, Any]] | None = None,
    project: str | Path | None = None,
    profile: str | None = None,
) -> list[Recommendation]:
    """Ask a recommender (see `locate` for what a reference may be) for the best items.

    Args:
        record: the user by the model's own column, and the columns that are not the items' own:
            `{"user": "196", "age": 49}`.
        top: at most so many.
        exclude: items not to recommend, such as those the user had.
        label: whose probability counts, for a model of classes; None: the second of two.
        items: records to choose from; None: all that training saw.

    Raises:
        InputError: the model is no recommender, or a record cannot be read.
    """
    from modelyard.methods import runtimes
    from modelyard.methods.runtimes import recommending

    if not 1 <= top <= MOST:
        raise UsageError(t("{count} items are asked for", count=top), expected=f"1 … {MOST}")
    folder = locate(reference, project=project, profile=profile).path
    catalogue = recommending.load_catalogue(folder)
    predictor = runtimes.load(folder)
    try:
        return recommending.recommend(predictor, catalogue, record, top, exclude, label, items)
    finally:
        predictor.close()
