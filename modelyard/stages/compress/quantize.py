"""Make a classifier small and fast: weights and activations in int8, compared with the model it came from.

The network is exported to ONNX and checked against its source. Look-up tables (embeddings, n-gram weights) become int8
with one scale a column; matrix products and convolutions are computed in int8 with ranges learned from training rows,
static, so that an answer never depends on the other texts of its batch. Normalisation, softmax and GELU stay in fp32.
The same model, rows and settings give the same bytes. On a network of four layers and 256 units `onnx` is faster for
one text at a time and exactly the same alone and in a batch; `openvino` is faster for large batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.methods.compression.int8 import Quantised
    from modelyard.methods.data.dataset import Dataset

LOW_AGREEMENT = 0.98
"""Below this the user is told, rule or no rule."""


class Config(BaseModel):
    """Settings of compress.quantize."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["onnx", "openvino"] = Field(
        "onnx", description="what computes the int8 model: ONNX Runtime or OpenVINO; also its format"
    )
    calibration_rows: int = Field(
        300, ge=1, le=10_000, description="training rows whose activations set the ranges, drawn at random"
    )
    validation_rows: int = Field(
        5000, ge=0, le=1_000_000, description="at most so many validation rows are compared with the source"
    )
    method: Literal["auto", "minmax", "percentile", "entropy"] = Field(
        "auto",
        description="how a range is taken from what calibration saw: all of it, all but 0.001 %, or least relative "
        "entropy; `auto` tries them in this order until 99.5 % of validation answers agree (`onnx` only; `openvino` "
        "has its own)",
    )
    per_channel: bool = Field(True, description="one scale for each output channel of a weight, not one for all")
    weight_bits: Literal[7, 8] = Field(
        8, description="7 for x86 processors without VNNI, on which sums of 8-bit products overflow (`onnx` only)"
    )
    exclude: tuple[str, ...] = Field(
        (), max_length=100, description="patterns (`*`, `?`) of weights or nodes that stay in fp32"
    )

    @model_validator(mode="after")
    def _only_onnx(self) -> Config:
        if self.engine == "openvino" and (self.method != "auto" or self.weight_bits != 8 or not self.per_channel):
            raise ValueError("method, weight_bits and per_channel are settings of `engine: onnx`; openvino has its own")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.methods.compression.int8 import Recipe, golden_records, quantise
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.runtimes.golden import write_golden

    source, target = context.input("model"), context.output("model")
    data = Dataset.open(context.input("data"))
    calibration = _sample(data, "train", config.calibration_rows, context.seed)
    validation = _sample(data, "validation", config.validation_rows, context.seed)
    recipe = Recipe(config.engine, config.method, config.per_channel, config.weight_bits, config.exclude)
    result = quantise(source, target, calibration, validation, recipe, context.scratch(), context.say)
    write_golden(target, golden_records(source, validation or calibration))
    _say(result, context)
    _measure(result, source, target, context)


def _sample(data: Dataset, split: str, limit: int, seed: int) -> list[str]:
    """Texts of at most `limit` rows of a split, in order; which ones is a function of the seed."""
    import random

    count = data.num_rows(split)
    chosen = set(random.Random(seed).sample(range(count), min(limit, count)))
    name, texts, position = data.need("text"), [], 0
    for batch in data.batches(split, [name]):
        texts += [text for row, text in enumerate(batch.column(0).to_pylist(), position) if row in chosen]
        position += batch.num_rows
    return [text for text in texts if isinstance(text, str)]


def _say(result: Quantised, context: Context) -> None:
    from modelyard.base.messages import t

    context.say(t("exported to ONNX; largest difference of a logit {error:.1e}", error=result.export_error))
    context.say(
        t(
            "in int8: {products} matrix products and convolutions, {tables} look-up tables; in fp32: {kept}",
            products=result.products,
            tables=result.tables,
            kept=", ".join(f"{name} {count}" for name, count in result.kept.items()) or t("the rest"),
        )
    )
    for method, agree in result.tried if result.rows else ():
        name = method or t("tables only")
        context.say(t("{method}: {agree} of {rows} answers agree", method=name, agree=agree, rows=result.rows))
    if not result.rows:
        context.say(t("no validation rows: how far the answers agree was not measured"))
    elif result.agree < LOW_AGREEMENT * result.rows:
        context.say(t("few answers agree: use the model before this step, or `exclude` sensitive parts"))


def _measure(result: Quantised, source: Path, target: Path, context: Context) -> None:
    from modelyard.methods.compression.int8 import agreement_interval
    from modelyard.methods.runtimes.manifest import manifest

    size, before = manifest(target).size, manifest(source).size
    context.measure("size.bytes", size, about="model", on="", n=1, unit="bytes", interval="exact")
    context.measure("size.mb", size / 1e6, about="model", on="", n=1, unit="MB", interval="exact")
    context.measure("compress.size_ratio", size / before, about="model", on="", n=1, interval="exact", against="model")
    if result.rows:
        context.measure(
            "compress.label_agreement",
            result.agree / result.rows,
            about="model",
            on="data/validation",
            n=result.rows,
            interval=agreement_interval(result.agree, result.rows),
            against="model",
        )


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="a trained classifier"),
        "data": Port("dataset", ("train", "validation"), description="rows to calibrate and to compare on"),
    },
    outputs={"model": Port("model", description="the same classifier in int8")},
    claims=(
        Claim("size.bytes", "bytes of all files of the model", "bytes", better="lower", any_split=True),
        Claim(
            "size.mb", "size of all files of the model, 1 MB = 1,000,000 bytes", "MB", better="lower", any_split=True
        ),
        Claim(
            "compress.size_ratio",
            "bytes of the model over bytes of the model it was made from",
            better="lower",
            subject="pair",
            any_split=True,
        ),
        Claim(
            "compress.label_agreement",
            "share of rows that get the same label as from the model it was made from",
            subject="pair",
            sizing="rate",
            any_split=True,
        ),
    ),
    libraries=("torch", "transformers", "onnx", "onnxscript", "onnxruntime", "openvino", "nncf", "tokenizers"),
    loads=MODEL_CODE,
)
