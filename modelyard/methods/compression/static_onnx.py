"""Static int8 through ONNX Runtime's quantisation tool: activations in uint8 with ranges learned from training rows,
weights in int8 per channel, as QuantizeLinear/DequantizeLinear pairs that the runtime fuses.

Static and not dynamic: a dynamic range is that of the whole batch, so an answer would depend on the batch it is in.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from modelyard.base.messages import t
from modelyard.errors import StageError
from modelyard.methods.runtimes.batching import Arrays

Method = Literal["minmax", "percentile", "entropy"]

OPERATORS = ("Conv", "Gemm", "MatMul")
"""What is computed in int8. Look-up tables are done before (tables.py); the rest (normalisation, softmax, GELU) costs
little and loses much: GELU and additions in int8 lost 2 % of the answers on a small encoder."""


def quantise(
    source: Path,
    target: Path,
    calibration: Sequence[Arrays],
    method: Method,
    per_channel: bool,
    weight_bits: int,
    exclude: Sequence[str],
) -> None:
    """Write `target`, the int8 form of the ONNX file `source`.

    Args:
        calibration: arrays of real rows, one row each so that padding does not widen the ranges.
        method: how a range is taken from what was seen: all of it, 99.999 % of it, or least relative entropy.
        weight_bits: 8, or 7 for x86 processors without VNNI, where sums of 8-bit products overflow.
        exclude: names of nodes that stay in fp32.
    """
    from onnxruntime import quantization

    methods = {
        "minmax": quantization.CalibrationMethod.MinMax,
        "percentile": quantization.CalibrationMethod.Percentile,
        "entropy": quantization.CalibrationMethod.Entropy,
    }
    try:
        with _quiet():
            quantization.quantize_static(
                source,
                target,
                _reader(calibration),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(OPERATORS),
                per_channel=per_channel,
                reduce_range=weight_bits == 7,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=list(exclude),
                calibrate_method=methods[method],
                # One row at a time: without it every activation of every row is kept in memory.
                extra_options={"CalibStridedMinMax": 1},
            )
    except Exception as error:  # the tool raises bare exceptions
        raise StageError(
            t("ONNX Runtime cannot quantise the model: {error}", error=error), where=str(source)
        ) from error


def _reader(calibration: Sequence[Arrays]) -> Any:
    """The tool's interface over a list of arrays."""
    from onnxruntime.quantization import CalibrationDataReader

    class Rows(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.set_range(0, len(calibration))

        def set_range(self, start_index: int, end_index: int) -> None:
            self._rows = iter(calibration[start_index:end_index])

        def get_next(self) -> Arrays | None:
            return next(self._rows, None)

        def __len__(self) -> int:
            return len(calibration)

    return Rows()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The tool advises on pre-processing through the root logger; the exporter has done that already."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
