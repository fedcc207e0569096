"""Make classes more equal in the training rows: oversample, undersample, synthetic rows (SMOTE), or weights.

Stands after data.split and sees train and validation alone; validation goes through unchanged, and steps that evaluate
bind past it to the split. So no copy and no synthetic row can stand in a split that anything is measured on.
`weights` costs nothing and is the first thing to try; `oversample` suits small data; `smote` is for tables.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS

Count = Annotated[int, Field(ge=1, le=100_000_000)]


class Config(BaseModel):
    """Settings of data.balance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["weights", "oversample", "undersample", "smote", "borderline", "adasyn"] = Field(
        "weights",
        description="`weights`: a weight a row, by its class; `oversample`: copies of rows of small classes; "
        "`undersample`: fewer rows of large ones; the others make synthetic rows for tables",
    )
    ratio: float = Field(
        1.0, gt=0, le=1, description="rows of the smallest class over rows of the largest, afterwards (share)"
    )
    rows: dict[str, Count] = Field(
        {}, max_length=1000, description="rows of a class afterwards, instead of by `ratio` (rows by class)"
    )
    neighbours: int = Field(
        5, ge=1, le=100, description="synthetic rows: nearest rows of the class to draw from (rows)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.method == "weights" and (self.ratio != 1.0 or self.rows):
            raise ValueError("`ratio` and `rows` count rows; `method: weights` gives every class the same weight")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.methods.data import balancing
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.smote import synthesize

    data = Dataset.open(context.input("data"))
    counts = balancing.label_counts(data, "train")
    balancing.check_rows(config.rows, counts)
    target, removed = context.output("data"), context.output("removed")

    def progress(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    if config.method == "weights":
        account = balancing.weigh(data, balancing.class_weights(counts), target, removed, progress)
    elif config.method == "oversample" or config.method == "undersample":
        change = balancing.raised if config.method == "oversample" else balancing.lowered
        wanted = change(counts, config.ratio, config.rows)
        account = balancing.resample(data, wanted, context.seed, target, removed, progress)
    else:
        wanted = balancing.raised(counts, config.ratio, config.rows)
        account = synthesize(data, wanted, config.method, config.neighbours, context.seed, target, removed)
    account.tell(context)
    after = balancing.label_counts(Dataset.open(target), "train")
    context.say(
        t(
            "classes in train: {before} → {after}",
            before=", ".join(f"{label} {count:,}" for label, count in counts.most_common(10)),
            after=", ".join(f"{label} {after[label]:,}" for label, _ in counts.most_common(10)),
        )
    )
    total = sum(after.values())
    context.measure(
        "data.balance_ratio", min(after.values()) / max(after.values()), about="data", on="data/train", n=total,
        interval="exact",
    )  # fmt: skip


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="rows with a label, divided")},
    outputs={
        "data": Port("dataset", ("train", "validation"), description="train balanced, validation unchanged"),
        "removed": Port("dataset", ("all",), side=True, description="rows left out and rows added, with the reason"),
    },
    claims=(
        *CLAIMS,
        Claim(
            "data.balance_ratio",
            "rows of the smallest class over rows of the largest, in train",
            better="none",
            subject="lineage",
            any_split=True,
        ),
    ),
    libraries=("pyarrow", "numpy", "imbalanced-learn", "scikit-learn"),
)
