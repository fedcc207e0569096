"""The block of settings of adversarial training. Light: pydantic only."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["fgm", "pgd", "freelb", "vat"]


class Adversarial(BaseModel):
    """Training against inputs moved where the loss grows: embeddings of texts, pixels of images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Method = Field(
        "fgm",
        description="`fgm`: one step along the gradient; `pgd`: several, the last counts; `freelb`: several, all "
        "count; `vat`: where the answer itself changes most, whatever the label",
    )
    epsilon: float = Field(
        1.0,
        gt=0,
        le=1000,
        description="How far a row moves: the length (`l2`) or each number (`linf`), as the network reads it",
    )
    steps: int = Field(3, ge=1, le=50, description="Steps of `pgd` and `freelb`: each is a pass forward and back")
    step_size: float | None = Field(
        None, gt=0, le=1000, description="Length of one step; without it 1.5 · epsilon / steps"
    )
    norm: Literal["l2", "linf"] = Field("l2", description="What `epsilon` bounds; images usually `linf`")
    share: float = Field(
        0.5, gt=0, le=1, description="Weight of the moved rows' loss (`vat`: of its divergence); the rest is the rows'"
    )
