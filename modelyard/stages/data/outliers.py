"""Find rows of train that lie far from the others: in a column of numbers, in all together, or by length of text.

Limits are learned from train and used on train alone; validation and test stay as they are, because the model will meet
such rows too. Rows are flagged in a column `outlier`, or removed if that is set: look first, an outlier is often the
rare case that matters.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS
from modelyard.methods.data.settings import ColumnName

LIMITS = {"robust_z": 3.5, "fences": 1.5, "forest": 0.0}


class Config(BaseModel):
    """Settings of data.outliers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["robust_z", "fences", "forest"] = Field(
        "robust_z",
        description="`robust_z`: by median and median distance; `fences`: by quartiles; `forest`: an isolation forest "
        "over all columns together",
    )
    columns: list[ColumnName] = Field([], description="columns of numbers; none means all but labels and weights")
    text_length: bool = Field(False, description="look at the number of characters of the text too")
    limit: float | None = Field(
        None, gt=0, le=1_000, description="robust z beyond which a value is far (3.5), or the fences' factor (1.5)"
    )
    share: float = Field(0.01, ge=0, le=0.5, description="of the rows that the forest takes for outliers")
    trees: int = Field(100, ge=1, le=10_000, description="of the forest")
    action: Literal["flag", "remove"] = Field("flag", description="what to do with rows of train that are outliers")


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.outlying import Search, load, numeric_columns, take_out

    data = Dataset.open(context.input("data"))
    there = numeric_columns(data)
    wrong = [name for name in config.columns if name not in there]
    names = config.columns or there
    if wrong or not (names or config.text_length):
        raise InputError(
            t("no column of numbers: {names}", names=", ".join(wrong) or "-"),
            where="data.outliers",
            expected=t("one of: {names}", names=", ".join(there) or "-"),
            remedy=t("name other columns, give one a type in data.clean_table, or set `text_length: true`"),
        )
    limit = config.limit if config.limit is not None else LIMITS[config.method]
    search = Search(config.method, limit, config.share, config.trees, context.seed)
    found = take_out(
        data,
        load(data, names, config.text_length),
        search,
        config.action == "remove",
        context.output("data"),
        context.output("removed"),
        lambda done, total: context.progress(done, total, "rows"),
    )
    for name, (low, high) in found.limits.items():
        n = found.found[name]
        context.say(t("{name}: {n:,} rows outside {low:.4g} to {high:.4g}", name=name, n=n, low=low, high=high))
    if found.labels:
        shown = ", ".join(f"{label} {count:,}" for label, count in found.labels.most_common(5))
        context.say(t("outliers by label: {shown}", shown=shown))
    found.account.tell(context)
    rate = found.num_found / max(1, found.num_train)
    context.measure("data.outlier_rate", rate, about="data", on="data/train", n=found.num_train, interval="exact")


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="rows of numbers, or with a text, divided")},
    outputs={
        "data": Port("dataset", ("train", "validation"), description="train without outliers or with a flag"),
        "removed": Port("dataset", ("all",), side=True, description="the outliers, with what is far about them"),
    },
    claims=(
        *CLAIMS,
        Claim(
            "data.outlier_rate",
            "share of the rows of train that are outliers",
            better="none",
            subject="lineage",
            any_split=True,
        ),
    ),
    libraries=("pyarrow", "numpy", "scikit-learn"),
)
