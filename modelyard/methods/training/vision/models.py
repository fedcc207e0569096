"""Image classifiers: ours, from a configuration of transformers, or from a local Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from modelyard.base.canonical import digest_file
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing.image import MAX_SIDE, Image
from modelyard.methods.runtimes.validation import code_problems, refuse
from modelyard.methods.training import devices
from modelyard.methods.training.random import seed_torch

Size = Literal["cnn", "resnet", "vit", "mobilenet"]
Freeze = Literal["nothing", "encoder"]
HEADS = ("classifier", "head", "fc")
PROCESSOR = "preprocessor_config.json"
SMALL = 64


class KeepStill(torch.nn.Module):
    """A model whose frozen part stays in evaluation mode: batch normalisation learns there too, without a gradient."""

    def __init__(self, model: Any, still: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        self._still = [still]

    def train(self, mode: bool = True) -> KeepStill:
        super().train(mode)
        for part in self._still:
            part.eval()
        return self

    def forward(self, pixel_values: torch.Tensor) -> Any:
        return self.model(pixel_values=pixel_values)


def cnn_spec(reading: Image, num_labels: int, dropout: float) -> dict[str, Any]:
    """Of our own network: deeper where images are larger."""
    widths = [32, 64, 128] if max(reading.height, reading.width) <= SMALL else [24, 48, 96, 160, 224]
    return {
        "kind": "image_residual",
        "channels": reading.channels,
        "num_labels": num_labels,
        "widths": widths,
        "dropout": dropout,
    }


def from_config(size: Size, reading: Image, num_labels: int, dropout: float | None) -> Any:
    """A model of transformers with fresh weights, smaller for images of at most 64 pixels a side."""
    from transformers import AutoModelForImageClassification

    return AutoModelForImageClassification.from_config(_config(size, reading, num_labels, dropout))


def _config(size: Size, reading: Image, num_labels: int, dropout: float | None) -> Any:
    from transformers import MobileNetV2Config, ResNetConfig, ViTConfig

    small = max(reading.height, reading.width) <= SMALL
    shared: dict[str, Any] = {"num_channels": reading.channels, "num_labels": num_labels}
    if size == "resnet":
        widths = [64, 128, 256] if small else [64, 128, 256, 512]
        return ResNetConfig(
            embedding_size=64, hidden_sizes=widths, depths=[2] * len(widths), layer_type="basic", **shared
        )
    if size == "mobilenet":
        given = {} if dropout is None else {"classifier_dropout_prob": dropout}
        return MobileNetV2Config(image_size=max(reading.height, reading.width), **given, **shared)
    width, layers, heads, patch = (128, 6, 4, 4) if small else (192, 12, 3, 16)
    rate = 0.0 if dropout is None else dropout
    return ViTConfig(
        image_size=(reading.height, reading.width), patch_size=patch, hidden_size=width, num_hidden_layers=layers,
        num_attention_heads=heads, intermediate_size=4 * width, hidden_dropout_prob=rate,
        attention_probs_dropout_prob=rate, **shared,
    )  # fmt: skip


def open_base(folder: Path, num_labels: int, seed: int) -> Any:
    """The model of a folder with a head for `num_labels`, in fp32; the seed decides weights that the folder lacks.

    Raises:
        InputError: the folder holds no image model of transformers, or code.
    """
    from transformers import AutoModelForImageClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if not (folder / "config.json").is_file():
        raise InputError(t("no config.json in the folder"), where=str(folder), expected=t("a Hugging Face folder"))
    refuse(code_problems(folder))
    try:
        with devices.reproducible(torch.device("cpu"), torch.get_num_threads()):
            seed_torch(seed, "base", 0)
            return AutoModelForImageClassification.from_pretrained(
                folder, num_labels=num_labels, ignore_mismatched_sizes=True, use_safetensors=True, dtype=torch.float32,
                local_files_only=True, trust_remote_code=False,
            )  # fmt: skip
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError) as error:
        lines = str(error).strip().splitlines()
        raise InputError(
            t("transformers cannot load it: {error}", error=lines[0] if lines else type(error).__name__),
            where=str(folder),
            expected=t("an image model that transformers has a class for, with model.safetensors"),
        ) from None


def freeze(model: Any, what: Freeze) -> torch.nn.Module:
    """The module to train; with `encoder` only the head learns.

    Raises InputError if the head cannot be told from the rest.
    """
    if what == "nothing":
        module: torch.nn.Module = model
        return module
    encoder = getattr(model, model.base_model_prefix, None)
    if not isinstance(encoder, torch.nn.Module) or encoder is model:
        raise InputError(t("the model has no encoder apart from its head"), where="freeze", expected="nothing")
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    return KeepStill(model, encoder)


def reading_of(folder: Path, model: Any, ours: Image, side: int | None) -> Image:
    """How the base reads images: size, mean and deviation of its `preprocessor_config.json`, else of its configuration.

    Raises InputError if those are no numbers.
    """
    path = folder / PROCESSOR
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        channels = int(getattr(model.config, "num_channels", 3))
        size = value.get("crop_size") if value.get("do_center_crop") else value.get("size")
        height, width = _sides(side or size or getattr(model.config, "image_size", None) or (ours.height, ours.width))
        mean = tuple(float(one) for one in value.get("image_mean") or [0.5] * channels)
        std = tuple(float(one) for one in value.get("image_std") or [0.5] * channels)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(t("the base's image settings cannot be read: {error}", error=error), where=str(path)) from None
    sound = channels in (1, 3) and len(mean) == len(std) == channels and min(std) > 0
    if not sound or not (min(height, width) >= 1 and max(height, width) <= MAX_SIDE):
        raise InputError(t("the base's image settings do not fit each other"), where=str(path))
    return replace(ours, height=height, width=width, channels=channels, mean=mean, std=std)


def _sides(size: Any) -> tuple[int, int]:
    if isinstance(size, Mapping):
        if "shortest_edge" in size:
            return int(size["shortest_edge"]), int(size["shortest_edge"])
        return int(size["height"]), int(size["width"])
    if isinstance(size, int):
        return size, size
    height, width = size
    return int(height), int(width)


def fingerprint(folder: Path) -> list[list[str]]:
    """Name and digest of every file of a base that can matter."""
    found = (path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix in (".json", ".safetensors"))
    return [[path.name, digest_file(path)] for path in found]
