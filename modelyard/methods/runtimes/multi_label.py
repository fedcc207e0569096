"""Opens models that give a text several labels: the thresholds stand in `model.json` beside the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.runtimes import batching
from modelyard.methods.runtimes.model_folder import FILE, ModelCard
from modelyard.methods.runtimes.reading import reading
from modelyard.methods.tasks.text_multi_label import TextMultiLabel


def open_predictor(
    folder: Path, card: ModelCard, threads: int | None, token_budget: int | None
) -> batching.BatchPredictor:
    """Raises InputError if the thresholds are not one number from 0 to 1 for each label."""
    thresholds = thresholds_of(card, folder)
    predictor = batching.open_predictor(folder, card, threads, token_budget)
    return replace(predictor, about=reading(card, TextMultiLabel(thresholds)))


def thresholds_of(card: ModelCard, folder: Path) -> tuple[float, ...]:
    """As `model.json` has them; none if it has none."""
    output: Any = card.outputs.get("labels", {})
    found = output.get("thresholds", []) if isinstance(output, Mapping) else output
    if not isinstance(found, list) or len(found) not in (0, len(card.labels)) or not all(map(_is_share, found)):
        raise InputError(
            t("the thresholds are not one number from 0 to 1 for each label"),
            where=str(folder / FILE),
            expected=t("{count} numbers", count=len(card.labels)),
        )
    return tuple(float(one) for one in found)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
