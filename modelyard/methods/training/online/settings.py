"""The blocks of settings of online learning, apart from what they set: see training/settings.py."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

OnDrift = Literal["rates", "model", "nothing"]


class Learning(BaseModel):
    """How weights follow rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float | None = Field(
        None, gt=0, le=10, description="AdaGrad's step size; by default 0.2 for texts, 0.05 for tables"
    )
    l2: float = Field(0.0, ge=0, le=1, description="Weight of half the squares of the weights a row touches")
    bits: int = Field(18, ge=8, le=24, description="The table of weights has 2^bits rows; memory is fixed by it")
    max_labels: int = Field(50, ge=2, le=1000, description="Classes at most; a stream with more is refused")


class Drift(BaseModel):
    """What happens when the share of errors rises."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delta: float = Field(0.002, gt=0, lt=1, description="ADWIN's chance of a false alarm a look")
    answer: OnDrift = Field(
        "rates",
        description="`rates`: keep the weights and learn as fast as at first; `model`: begin anew; `nothing`: report",
    )
