"""To OpenVINO: read from the ONNX that onnx.py wrote and checked, saved without names that change from run to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import StageError
from modelyard.methods.export.onnx import TOLERANCE, largest_difference
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.onnx import OnnxNetwork
from modelyard.methods.runtimes.openvino import FILE, OpenvinoNetwork
from modelyard.methods.runtimes.quiet_openvino import openvino


def export(source: Path, target: Path, batches: Sequence[Arrays], tolerance: float = TOLERANCE) -> float:
    """Write `target/model.xml` and `model.bin` from an ONNX file; returns the largest difference of a logit.

    Args:
        batches: real arrays, at least one batch.

    Raises:
        StageError: OpenVINO cannot read it, or answers differently from ONNX Runtime.
    """
    try:
        model = openvino().Core().read_model(str(source))
    except RuntimeError as error:
        raise StageError(t("OpenVINO cannot read the network: {error}", error=error), where=str(source)) from error
    path = target / FILE
    save(model, path)
    wanted, found = OnnxNetwork(source, None), OpenvinoNetwork(path, None)
    try:
        difference = max(largest_difference(wanted.logits(batch), found.logits(batch)) for batch in batches)
    finally:
        wanted.close()
        found.close()
    if not difference <= tolerance:
        raise StageError(
            t("the exported network differs from its source by {difference:.2g}", difference=difference),
            where=str(path),
            expected=t("at most {tolerance}", tolerance=tolerance),
        )
    return difference


def save(model: Any, path: Path) -> None:
    """Write a model in fp32 and int8 as it is (no silent fp16).

    Operators get names by their position: OpenVINO numbers them by a counter of the process, so the same model saved
    twice would have other bytes.
    """
    for position, operator in enumerate(model.get_ordered_ops()):
        if operator.get_type_name() not in ("Parameter", "Result"):
            operator.set_friendly_name(f"{operator.get_type_name()}_{position}")
    openvino().save_model(model, str(path), compress_to_fp16=False)
