"""The blocks of settings that the stages of encoders share. Light: a stage's Config is read at every start."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Family = Literal["bert", "roberta"]
Size = Literal["tiny", "mini", "small", "base", "large"]
Unit = Literal["words", "tokens"]
Pooling = Literal["mean", "cls"]


class Architecture(BaseModel):
    """An encoder to train from fresh weights: a family of transformers and its shape."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family = Field("bert", description="the architecture, by its name in transformers")
    size: Size = Field(
        "mini",
        description="layers x width: tiny 2 x 128, mini 4 x 256, small 4 x 512, base 12 x 768, large 24 x 1024",
    )
    layers: int | None = Field(None, ge=1, le=200, description="blocks, instead of the size's (layers)")
    width: int | None = Field(None, ge=16, le=16_384, description="of the hidden states, instead of the size's (units)")
    heads: int | None = Field(None, ge=1, le=256, description="of attention; must divide the width (heads)")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of activations dropped in training")


class Masking(BaseModel):
    """What is hidden in training: chosen anew in every epoch, by the seed, the epoch and the place alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Unit = Field(
        "words",
        description="`words`: all tokens of a word together, Chinese words being learned from the training texts; "
        "`tokens`: each by itself (in Chinese: characters)",
    )
    share: float = Field(0.15, gt=0, lt=1, description="of units that are chosen; at least one of each piece of text")
    masked: float = Field(0.8, ge=0, le=1, description="share of chosen tokens that the mask stands for")
    replaced: float = Field(0.1, ge=0, le=1, description="share of chosen tokens that another, drawn at random, is for")
    words: int = Field(
        20_000, ge=300, le=500_000, description="`words`: size of the list that Chinese words are learned into (words)"
    )


class EncoderTokens(BaseModel):
    """The tokenizer that an encoder from fresh weights learns from the training texts: byte-pair encoding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocabulary_size: int = Field(8000, ge=300, le=500_000, description="tokens, 256 bytes included (tokens)")
    texts: int = Field(200_000, ge=1, le=100_000_000, description="training texts it learns from, the first (rows)")


class Rewriter(BaseModel):
    """An encoder with a decoder to train from fresh weights: a family of transformers and its shape."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["t5", "bart"] = Field("t5", description="the architecture, by its name in transformers")
    size: Size = Field(
        "tiny",
        description="layers of each half x width: tiny 2 x 128, mini 4 x 256, small 6 x 512, base 12 x 768, "
        "large 24 x 1024",
    )
    layers: int | None = Field(None, ge=1, le=200, description="blocks of each half, instead of the size's (layers)")
    width: int | None = Field(None, ge=16, le=16_384, description="of the hidden states, instead of the size's (units)")
    heads: int | None = Field(None, ge=1, le=256, description="of attention; must divide the width (heads)")
    # Fresh weights learn to copy by finding places; dropout makes them do so much later. T5 1.1 began without it, too.
    dropout: float = Field(0.0, ge=0, lt=1, description="share of activations dropped in training")
