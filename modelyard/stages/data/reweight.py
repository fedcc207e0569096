"""Weigh training rows so that the label does not depend on a group: fairness before training.

Rows of a group that has a label less often than others weigh more where it has it (Kamiran and Calders 2012). Stands
after data.split and sees train and validation alone; validation goes through unchanged. Every trainer that reads
weights follows. Whether the gap of the answers shrinks, and what it costs, evaluate.fairness measures.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS
from modelyard.methods.data.settings import ColumnName

Cut = Annotated[float, Field(ge=-1e18, le=1e18)]


class Config(BaseModel):
    """Settings of data.reweight."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[ColumnName, ...] = Field(
        min_length=1, max_length=5, description="columns whose values are groups; several: their combinations"
    )
    bins: dict[ColumnName, Annotated[tuple[Cut, ...], Field(min_length=1, max_length=20)]] = Field(
        {}, description="where a number is cut into groups (`{age: [25, 45]}`)"
    )

    @model_validator(mode="after")
    def _fits(self) -> Config:
        strange = sorted(set(self.bins) - set(self.columns))
        if strange:
            raise ValueError(f"`bins` cut columns that `columns` does not name: {', '.join(strange)}")
        for name, cuts in self.bins.items():
            if list(cuts) != sorted(set(cuts)):
                raise ValueError(f"the bins of `{name}` must rise")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data import reweighting
    from modelyard.methods.data.dataset import Dataset

    data = Dataset.open(context.input("data"))
    there = [column.name for column in data.columns]
    for name in config.columns:
        if name not in there:
            raise InputError(t("no column `{name}`", name=name), where="columns", expected=", ".join(there))
    found = reweighting.masses(data, config.columns, config.bins)
    if len({label for _, label in found.of}) < 2 or len({group for group, _ in found.of}) < 2:
        raise InputError(
            t("one label or one group: there is nothing to weigh"),
            where="data/train",
            expected=t("at least two classes"),
        )
    factors = found.factors()
    account = reweighting.write(
        data, config.columns, config.bins, factors, context.output("data"), context.output("removed"),
        lambda done, total: context.progress(done, total, "rows"),
    )  # fmt: skip
    account.tell(context)
    for group, label in found.empty():
        context.say(t("no training row of {group} has the label {label}: no weight can help", group=group, label=label))
    least, most = min(factors.values()), max(factors.values())
    context.say(t("weights from {least} to {most}", least=f"{least:.3f}", most=f"{most:.3f}"))
    for name, value in (
        ("data.group_label_gap", found.gap(weighted=False)),
        ("data.group_label_gap_weighted", found.gap(weighted=True)),
        ("data.effective_rows_rate", found.effective()),
    ):
        context.measure(name, value, about="data", on="data/train", n=found.rows, interval="exact")


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="rows with a label, divided")},
    outputs={
        "data": Port("dataset", ("train", "validation"), description="train with weights, validation unchanged"),
        "removed": Port("dataset", ("all",), side=True, description="nothing: no row is left out"),
    },
    claims=(
        *CLAIMS,
        Claim(
            "data.group_label_gap",
            "largest difference between groups in the share of one label, in train",
            better="lower",
            subject="lineage",
            any_split=True,
        ),
        Claim(
            "data.group_label_gap_weighted",
            "the same difference with the new weights",
            better="lower",
            subject="lineage",
            any_split=True,
        ),
        Claim(
            "data.effective_rows_rate",
            "effective rows (Kish) with the new weights over those before: what the weights cost",
            subject="lineage",
            any_split=True,
        ),
    ),
    libraries=("pyarrow", "numpy"),
)
