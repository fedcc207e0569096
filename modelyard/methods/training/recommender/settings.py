"""The blocks of settings of recommenders, apart from what they set: see training/settings.py."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["factorization", "wide_deep", "dcn"]
Width = Annotated[int, Field(ge=1, le=8192)]


class Embedding(BaseModel):
    """What stands for a user, an item, a category."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int | None = Field(
        None, ge=1, le=4096, description="Numbers that stand for a user, an item or a category; by default the kind's"
    )
    penalty: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Weight of the squares of what a row looks up, in its loss; by default the kind's (printed)",
    )
    unknown_share: float = Field(
        0.01,
        ge=0,
        le=0.5,
        description="Share of rows whose user, and of rows whose item, is hidden: from them strangers are learned",
    )
    min_rows: int = Field(
        1, ge=1, le=1_000_000, description="A user or item is known if so many training rows have it; others: unknown"
    )


class Crosses(BaseModel):
    """The crosses of DCN V2."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: int = Field(2, ge=1, le=16, description="Crosses one after the other: degree of the products, less one")
    rank: int = Field(32, ge=1, le=4096, description="Columns of the two matrices of a cross")


class Deep(BaseModel):
    """Hidden layers of wide & deep and of DCN V2."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: tuple[Width, ...] = Field((128, 64), max_length=16, description="Sizes of the hidden layers; `[]`: none")
