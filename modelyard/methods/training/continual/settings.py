"""Settings of going on with a model; light, for stages read them at every start."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Elastic(BaseModel):
    """Elastic weights (EWC): a spring on each weight, as stiff as the old answers depend on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: float = Field(
        0.0,
        ge=0,
        le=1e9,
        description="Stiffness beside the mean loss of a row; old rows / new rows is Bayes' value; 0: no springs",
    )
    rows: int = Field(
        1000, ge=1, le=1_000_000, description="Rows the stiffness is measured on: old ones if there are any (rows)"
    )


class Distillation(BaseModel):
    """Distillation (learning without forgetting): the old model's answers to the rows are a second target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float | None = Field(
        None,
        ge=0,
        le=1000,
        description="Of the second target beside the labels; by default 1 without `old` data, else 0",
    )
    temperature: float = Field(2.0, ge=0.1, le=100, description="Divides the logits of both models")
