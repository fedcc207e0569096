"""Whether a model has gradients, told from its card: torch is imported only where it has."""

from __future__ import annotations

from modelyard.base.messages import t
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.tasks import find

FORMATS = ("hf", "modelyard")


def gradients_problem(card: ModelCard) -> str:
    """Why a model has no gradients; empty if it has."""
    if card.format not in FORMATS:
        return t("a model of the format `{format}` has no gradients", format=card.format)
    if find(card.task).opener not in ("batching", "multi_label", "spans"):
        return t("models of the task `{task}` are not opened for gradients", task=card.task)
    if card.format == "hf":
        return ""
    kind = str(card.network.get("kind"))
    known = ("linear", "cnn", "encoder", "tagger", "blend", "image_cnn", "image_residual", "ft_transformer")
    if kind in known or (kind == "table_linear" and not card.network.get("sizes")):
        return ""
    return t("the network `{kind}` looks codes up: it has no gradients at its inputs", kind=kind)
