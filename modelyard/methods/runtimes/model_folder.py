"""`model.json`: what a model folder says of itself, whatever its format.

Formats so far: `hf` (a Hugging Face folder as transformers writes it), `modelyard` (model.safetensors and a
`network` from the closed table of methods/networks), `onnx` (model.onnx), `openvino` (model.xml, model.bin), `gbdt`
(model.txt: boosted trees in LightGBM's own text), `ensemble` (whole model folders in `members/`),
`recorded` (what a service answered to certain records).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modelyard.base.canonical import canonical_json
from modelyard.errors import InputError

FILE = "model.json"
GOLDEN = "golden.json"
VERSION = 1
OPTIONAL = ("postprocessing", "repairs")
"""Fields that are left out of the file where they are empty."""


@dataclass(frozen=True)
class ModelCard:
    """The content of `model.json`. (The card a person reads is the report.)

    Attributes:
        task: name of the task (`text-classification`).
        format: `ensemble`, `gbdt`, `hf`, `modelyard`, `onnx`, `openvino`, `recorded`.
        labels: in the order of the logits.
        inputs, outputs: `{name: {"type": "string" | "float32", "shape": […]}}` as the task's records see it.
        preprocessing: `{"kind": …}` and its settings: which preprocessor turns records into arrays, and the files
            (relative to the folder) it needs. See methods/preprocessing.
        network: `{"kind": …}` and its settings for format `modelyard`; for `ensemble`
            the combination and its `members`; empty otherwise.
        provenance: where it came from: base model, training data digest, tool and version; no times, no hosts.
        licence: SPDX expression, or `unknown`.
        postprocessing: `{"kind": …}` for each step between the network's outputs and the answer (calibration, sets,
            thresholds), with its fitted numbers. See methods/postprocessing. Left out of the file if there is none.
        repairs: how the texts it learned from were repaired, in order (`methods.text.travelling`): every text it is
            asked about is repaired so before anything reads it. Left out of the file if there is none.
        precision: `fp32`, `bf16`, `int8` …: of the weights as stored.
    """

    task: str
    format: str
    labels: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    network: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    licence: str = "unknown"
    precision: str = "fp32"
    version: int = VERSION
    postprocessing: tuple[Mapping[str, Any], ...] = ()
    repairs: tuple[Mapping[str, Any], ...] = ()

    def write(self, folder: Path) -> None:
        """Write `model.json`, canonical, so that equal models have equal bytes."""
        value = asdict(self)
        for name in OPTIONAL:
            if not value[name]:
                del value[name]
        (folder / FILE).write_bytes(canonical_json(value) + b"\n")

    @classmethod
    def read(cls, folder: Path) -> ModelCard:
        """Read `model.json`. Raises InputError if it is missing, not JSON, of another version or incomplete."""
        path = folder / FILE
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(
                f"no {FILE} in {folder}",
                where=str(folder),
                expected="a model folder",
                remedy="use `model.read` to bring a model trained elsewhere",
            ) from None
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InputError(f"{FILE} is not JSON: {error}", where=str(path)) from None
        if not isinstance(value, dict) or value.get("version") != VERSION:
            found = value.get("version") if isinstance(value, dict) else type(value).__name__
            raise InputError(f"{FILE} is of version {found}", where=str(path), expected=f"version {VERSION}")
        try:
            lists = {name: tuple(value.get(name, ())) for name in OPTIONAL}
            return cls(**{**value, **lists, "labels": tuple(value["labels"])})
        except (KeyError, TypeError) as error:
            raise InputError(f"{FILE} is incomplete or has unknown fields: {error}", where=str(path)) from None
