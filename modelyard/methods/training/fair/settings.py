"""The block of settings of fairness while a model learns. Light: pydantic only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.methods.data.settings import ColumnName

Kind = Literal["exponentiated_gradient", "group_dro", "gradient_reversal"]
Constraint = Literal["demographic_parity", "equal_opportunity", "equalized_odds"]
Watched = Literal["auto", "worst_group_accuracy", "accuracy_less_gap", "early_stopping"]
Cut = Annotated[float, Field(ge=-1e18, le=1e18)]
OF = {
    "exponentiated_gradient": ("gap", "rounds", "answer"),
    "group_dro": ("step_size", "with_label", "adjustment"),
    "gradient_reversal": ("strength", "schedule", "reads", "hidden"),
}
"""Settings of one kind alone."""
SHARED_BY_TWO = {"constraint": ("exponentiated_gradient", "gradient_reversal"),
                 "watch": ("group_dro", "gradient_reversal")}  # fmt: skip


class Fairness(BaseModel):
    """Groups of rows between which a model is not to differ: minded while it learns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = Field(
        description="`exponentiated_gradient`: models mixed so that rates differ by `gap` at most (trees, linear); "
        "`group_dro`: groups with large losses count more and more; `gradient_reversal`: an adversary must not find "
        "the group in the answers (both: networks)"
    )
    columns: tuple[ColumnName, ...] = Field(
        (), max_length=5, description="columns whose values are groups, several together; none: the one of role `group`"
    )
    bins: dict[ColumnName, Annotated[tuple[Cut, ...], Field(min_length=1, max_length=20)]] = Field(
        {}, description="where a number is cut into groups (`{age: [25, 45]}`)"
    )
    sees_groups: bool = Field(
        False, description="the model also reads these columns, and needs them at prediction; off: it never sees them"
    )
    min_rows: int = Field(
        30, ge=2, le=1_000_000, description="training rows of a group at least; smaller ones are taken together (rows)"
    )
    positive: str | None = Field(None, max_length=1000, description="the class of the rates; none: the second of two")
    constraint: Constraint = Field(
        "demographic_parity",
        description="what is not to differ: selection rates, true positive rates, or true and false positive rates",
    )
    gap: float = Field(
        0.02, ge=0.001, le=1, description="`exponentiated_gradient`: largest difference of two groups' rates in train"
    )
    rounds: int = Field(
        20,
        ge=1,
        le=500,
        description="`exponentiated_gradient`: rounds at most, of several models each (rounds)",
    )
    answer: Literal["best", "mixture", "single"] = Field(
        "best",
        description="`exponentiated_gradient`: an ensemble by the mixture's weights; one of the models trained on the "
        "way; or the `best` of these: the most accurate on validation within `gap`",
    )
    step_size: float = Field(
        0.01, gt=0, le=10, description="`group_dro`: how fast the weight of a group follows its loss"
    )
    with_label: bool = Field(True, description="`group_dro`: each group is divided by its labels too")
    adjustment: float = Field(
        0.0, ge=0, le=100, description="`group_dro`: adds this over the root of a group's rows to its loss"
    )
    strength: float = Field(
        1.0, ge=0, le=1000, description="`gradient_reversal`: what the adversary's gradient is multiplied by (lambda)"
    )
    schedule: Literal["ramp", "constant"] = Field(
        "ramp", description="`gradient_reversal`: `ramp` raises the strength from 0, steeply at first"
    )
    reads: Literal["answer", "representation"] = Field(
        "answer", description="`gradient_reversal`: what the adversary reads: the logits, or what the last layer gets"
    )
    hidden: int = Field(32, ge=1, le=4096, description="`gradient_reversal`: hidden units of the adversary (units)")
    watch: Watched = Field(
        "auto",
        description="networks: what decides on validation which weights are kept; `auto`: the worst group's accuracy "
        "for `group_dro`, accuracy less gap for `gradient_reversal`; `early_stopping`: its own metric",
    )

    @model_validator(mode="after")
    def _fits(self) -> Fairness:
        if set(self.bins) - set(self.columns):
            raise ValueError("`bins` cut columns that `columns` does not name")
        for name, cuts in self.bins.items():
            if list(cuts) != sorted(set(cuts)):
                raise ValueError(f"the bins of `{name}` must rise")
        owners = {name: (kind,) for kind, names in OF.items() for name in names} | SHARED_BY_TWO
        strange = sorted(name for name in self.model_fields_set if self.kind not in owners.get(name, (self.kind,)))
        if strange:
            raise ValueError(f"`{strange[0]}` is a setting of `{'`, `'.join(owners[strange[0]])}`, not `{self.kind}`")
        return self

    @property
    def watched(self) -> str | None:
        """Metric that decides which weights are kept; None: early stopping's own."""
        if self.watch == "early_stopping":
            return None
        if self.watch != "auto":
            return self.watch
        return "worst_group_accuracy" if self.kind == "group_dro" else "accuracy_less_gap"
