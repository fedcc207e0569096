"""The old model, opened to be trained further."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import networks, preprocessing, runtimes
from modelyard.methods.runtimes import hf
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.validation import check, refuse
from modelyard.methods.tasks import fill_mask, image_classification, text_classification, text_generation, text_to_text

FORMATS = ("hf", "modelyard")
TASKS = (text_classification.NAME, image_classification.NAME, text_generation.NAME)
GOING_ON = {
    text_to_text.NAME: "train.text_to_text",
    fill_mask.NAME: "train.masked_language_model",
}
"""What goes on with a model of language, which has no labels to keep: its own trainer, with the model as base."""


@dataclass(frozen=True)
class Known:
    """A model as it was released.

    Attributes:
        folder: where its files are.
        card: its model.json.
        module: its network, in fp32 and evaluation mode.
        reader: its preprocessing: text or images to arrays.
    """

    folder: Path
    card: ModelCard
    module: torch.nn.Module
    reader: Any


def open_card(folder: Path) -> ModelCard:
    """What a folder says of its model, which can be trained further.

    Raises:
        InputError: it cannot: another task, exported, quantised, damaged.
    """
    card = ModelCard.read(folder)
    if card.task not in TASKS:
        raise InputError(
            t("the model is for {task}", task=card.task),
            where="model",
            expected=", ".join(TASKS),
            remedy=_remedy(card.task),
        )
    if card.format not in FORMATS or card.precision not in ("fp32", "bf16", "fp16"):
        raise InputError(
            t("the model is in format {format} ({precision}), which can no longer learn", format=card.format,
              precision=card.precision),
            where="model",
            expected=t("a model as training made it: {formats}", formats=", ".join(FORMATS)),
            remedy=t(
                "update the model from before it was exported or quantised (release that step, or name its folder in "
                "`model.read`), and compress the updated one again"
            ),
        )  # fmt: skip
    refuse(check(folder, card))
    _refuse_changed(folder)
    return card


def open_known(folder: Path, card: ModelCard) -> Known:
    """The classifier of a folder whose card was opened."""
    return Known(folder, card, _module(folder, card), preprocessing.load(folder, card.preprocessing))


def _remedy(task: str) -> str:
    """What to do with a model that is not updated."""
    if task in GOING_ON:
        return t("go on with {stage}: bind the model to its port `base`, and put some old rows among the new ones "
                 "(`data.concatenate`), or it forgets", stage=GOING_ON[task])  # fmt: skip
    return t("train it again on old and new rows together (`data.concatenate`)")


def _refuse_changed(folder: Path) -> None:
    """Raises InputError if the model no longer gives its golden answers: what it has now would be learned into it."""
    predictor = runtimes.load(folder)
    try:
        problems = check_golden(folder, predictor)
    finally:
        predictor.close()
    if problems:
        raise InputError(
            t("the model does not answer as when it was made: {found}", found=problems[0].found),
            where=problems[0].where,
            expected=problems[0].expected,
            remedy=t("its tokenizer, labels or weights are another model's: bring the whole folder again"),
        )


def _module(folder: Path, card: ModelCard) -> torch.nn.Module:
    if card.format == "modelyard":
        return networks.load(folder, card.network)
    if card.task == image_classification.NAME:
        return hf.open_module(folder, None, "AutoModelForImageClassification")
    return hf.open_module(folder)
