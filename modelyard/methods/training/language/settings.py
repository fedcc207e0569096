"""The blocks of settings that the stages of language models share. Light: a stage's Config is read at every start."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Family = Literal["llama", "qwen2", "qwen3", "mistral", "gpt2"]
Size = Literal["tiny", "mini", "small", "base", "large"]
TooLong = Literal["cut", "leave_out"]


class Architecture(BaseModel):
    """A network to train from fresh weights: a family of transformers and its shape."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family = Field("llama", description="the architecture, by its name in transformers")
    size: Size = Field(
        "mini",
        description="layers x width: tiny 4 x 128, mini 6 x 256, small 8 x 512, base 12 x 768, large 24 x 1024",
    )
    layers: int | None = Field(None, ge=1, le=200, description="blocks, instead of the size's (layers)")
    width: int | None = Field(None, ge=16, le=16_384, description="of the hidden states, instead of the size's (units)")
    heads: int | None = Field(None, ge=1, le=256, description="of attention; must divide the width (heads)")
    key_value_heads: int | None = Field(
        None, ge=1, le=256, description="that queries share (grouped-query attention); must divide the heads (heads)"
    )
    tie: bool = Field(True, description="the output layer is the table of embeddings")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of activations dropped in training")


class Tokens(BaseModel):
    """The tokenizer that a network from fresh weights learns from the training texts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["bytes", "characters"] = Field(
        "bytes", description="`bytes`: byte-pair encoding of UTF-8; `characters`: each character a token"
    )
    vocabulary_size: int = Field(8000, ge=300, le=500_000, description="of byte-pair encoding (tokens)")
    texts: int = Field(200_000, ge=1, le=100_000_000, description="training texts it learns from, the first (rows)")


class Adapter(BaseModel):
    """Low-rank changes beside frozen weights: LoRA (Hu et al. 2021), DoRA (Liu et al. 2024), either beside 4 bits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["lora", "dora"] = Field("lora", description="`dora` also learns the length of each column")
    base: Literal["fp32", "nf4"] = Field(
        "fp32", description="how the frozen matrices are held; `nf4`: in 4 bits (QLoRA, Dettmers et al. 2023)"
    )
    rank: int = Field(16, ge=1, le=1024, description="of the change of a matrix")
    alpha: float = Field(32, gt=0, le=10_000, description="the change is multiplied by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of its inputs dropped in training")
    targets: tuple[str, ...] | Literal["all"] = Field(
        "all", description="names of the layers that are changed (`q_proj`); `all`: every matrix but the output layer"
    )


class Generation(BaseModel):
    """How the model writes unless a record says otherwise; kept in `generation_config.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_new_tokens: int = Field(128, ge=1, le=100_000, description="at most so many are written (tokens)")
    temperature: float = Field(0.0, ge=0, le=10, description="0: always the likeliest token")
    top_p: float = Field(1.0, gt=0, le=1, description="only the likeliest tokens that have this share together")
