"""Bring a text classifier that was trained elsewhere; from here on it is a model like any other.

`path` is a Hugging Face folder (config.json, model.safetensors, tokenizer.json), an ONNX file with its tokenizer.json,
or `owner/name` on the Hugging Face hub with the commit as `revision` (`modelscope:owner/name` with the digest of its
files). The bytes are copied. Refused, each with what to do instead: pickles (.bin, .pt, .pkl), configurations that name
code (`auto_map`), weights in files outside, a missing tokenizer, labels that do not fit the scores.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE


class Config(BaseModel):
    """Settings of model.read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(
        min_length=1,
        max_length=1000,
        description="a Hugging Face folder, an ONNX file (relative to the project), `owner/name` of the hub, or "
        "`modelscope:owner/name`",
    )
    revision: str | None = Field(
        None,
        pattern="^([0-9a-f]{40}|sha256:[0-9a-f]{64})$",
        description="what cannot change: the commit, 40 hex digits; of ModelScope `sha256:…` of the files, which the "
        "error of a wrong one says; a hub id needs it",
    )
    tokenizer: str | None = Field(
        None, min_length=1, max_length=1000, description="tokenizer.json, if it is not beside the weights"
    )
    labels: tuple[str, ...] | None = Field(
        None,
        min_length=2,
        max_length=10_000,
        description="names in the order of the scores; by default the model's own",
    )
    max_length: int | None = Field(
        None, ge=4, le=32_768, description="tokens of a text that are read; by default what the model can, at most 512"
    )
    licence: str = Field("unknown", min_length=1, max_length=100, description="SPDX expression of the model's licence")

    @model_validator(mode="after")
    def _distinct(self) -> Config:
        if self.labels and len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: a name is there twice")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.methods.export.bringing import Wishes, bring
    from modelyard.methods.export.locating import locate
    from modelyard.methods.runtimes.manifest import manifest

    found = locate(config.path, config.revision, context.base)
    source: dict[str, str] = {"path": Path(config.path).name} if not config.revision else {"hub": config.path}
    if config.revision:
        source["commit"] = config.revision
    tokenizer = context.base / Path(config.tokenizer).expanduser() if config.tokenizer else None
    target = context.output("model")
    wishes = Wishes(config.labels, config.max_length, config.licence, tokenizer, source)
    for note in bring(found, target, wishes):
        context.say(note)
    context.measure("size.bytes", manifest(target).size, about="model", on="", n=1, unit="bytes", interval="exact")


def fingerprint(config: Config, base: Path) -> Json:
    """Digests of the files that are read, or the commit."""
    from modelyard.methods.export.locating import fingerprint as of

    return of(config.path, config.revision, config.tokenizer, base)


STAGE = Stage(
    config=Config,
    run=run,
    outputs={"model": Port("model", description="the classifier, with model.json and golden answers")},
    claims=(Claim("size.bytes", "bytes of all files of the model", "bytes", better="lower", any_split=True),),
    libraries=("torch", "transformers", "safetensors", "tokenizers", "onnx", "onnxruntime"),
    loads=MODEL_CODE,
    external=("path", "revision", "tokenizer"),
    fingerprint=fingerprint,
)
