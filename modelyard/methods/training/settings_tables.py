"""The blocks of settings of training on tables, apart from what they set: see settings.py."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Trees(BaseModel):
    """Boosted trees."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: int = Field(3000, ge=1, le=100_000, description="Rounds at most; early stopping ends most runs sooner")
    patience: int = Field(100, ge=0, le=10_000, description="Rounds without a better validation loss; 0 never stops")
    learning_rate: float = Field(0.03, gt=0, le=1, description="Share of each tree's answer that counts")
    leaves: int = Field(31, ge=2, le=4096, description="Leaves of a tree at most")
    min_rows: int = Field(20, ge=1, le=1_000_000, description="Training rows of a leaf at least")
    columns_share: float = Field(0.7, gt=0, le=1, description="Share of the columns a tree may look at")
    rows_share: float = Field(0.8, gt=0, le=1, description="Share of the rows a round learns from")
    l2: float = Field(1.0, ge=0, le=1e6, description="L2 penalty on the answers of leaves")
    bins: int = Field(255, ge=4, le=65_535, description="Values of a number told apart")
    segment: int = Field(250, ge=1, le=100_000, description="Rounds between two checkpoints")


class Linear(BaseModel):
    """Logistic or ridge regression."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strengths: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0),
        min_length=1,
        max_length=20,
        description="Inverse strengths of the L2 penalty to try; validation chooses",
    )


class Transformer(BaseModel):
    """The FT-Transformer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(96, ge=8, le=4096, description="Numbers a column becomes; a multiple of `heads`")
    layers: int = Field(3, ge=1, le=48, description="Blocks of attention and hidden layer")
    heads: int = Field(8, ge=1, le=64, description="Attention heads")

    @model_validator(mode="after")
    def _divides(self) -> Transformer:
        if self.width % self.heads:
            raise ValueError(f"`width` {self.width} is no multiple of `heads` {self.heads}")
        return self
