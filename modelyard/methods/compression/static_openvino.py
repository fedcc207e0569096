"""Static int8 for OpenVINO through NNCF post-training quantisation, saved so that equal inputs give equal bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import StageError
from modelyard.methods.export.openvino import save
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.quiet_openvino import nncf, openvino


def quantise(
    source: Path, target: Path, calibration: Sequence[Arrays], exclude: Sequence[str], attention: bool
) -> None:
    """Write `target` (model.xml, with model.bin beside it), the int8 form of the ONNX file `source`.

    Args:
        calibration: arrays of real rows, one row each.
        exclude: names of nodes that stay in fp32.
        attention: the network is a transformer: softmax and normalisation stay in fp32, activations are smoothed
            into weights (Xiao et al. 2023, SmoothQuant).
    """
    library, tool = openvino(), nncf()
    import logging

    tool.set_log_level(logging.ERROR)
    scope = tool.IgnoredScope(patterns=[f"^{re.escape(name)}(/.*)?$" for name in exclude], validate=False)
    try:
        model = library.Core().read_model(str(source))
        quantised: Any = tool.quantize(
            model,
            tool.Dataset(list(calibration)),
            preset=tool.QuantizationPreset.MIXED,
            model_type=tool.ModelType.TRANSFORMER if attention else None,
            subset_size=len(calibration),
            ignored_scope=scope if exclude else None,
        )
    except Exception as error:  # the tool raises many types
        raise StageError(t("NNCF cannot quantise the model: {error}", error=error), where=str(source)) from error
    save(quantised, target)
