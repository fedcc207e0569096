"""Divide a data set into train, validation, test and, if wanted, calibration, with no text and no group on two sides.

With a label every class is divided alike; with a group no group is divided; `by: time` puts the newest rows into test.
Data that comes split stays so: rows of train that also stand in validation or test are moved to `removed`, and a
missing validation split is carved from train.

`calibration` keeps rows on which the stages `calibrate.*` fit how sure a trained model is; no other stage sees them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS

if TYPE_CHECKING:
    from modelyard.methods.data.splitting.dividing import Division


class Config(BaseModel):
    """Settings of data.split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    validation: float = Field(0.1, ge=0, lt=1, description="share of the rows for validation")
    test: float = Field(0.2, ge=0, le=1, description="share of the rows for test; 1: all, of rows that only measure")
    calibration: float = Field(0, ge=0, lt=1, description="share of the rows for calibration; 0: no such split")
    by: Literal["auto", "label", "time", "given"] = Field(
        "auto",
        description="`label`: every class alike, groups whole; `time`: oldest to train, newest to test; "
        "`given`: as the data comes; `auto`: given if the data is split, else label",
    )
    overlap: Literal["remove_from_train", "keep"] = Field(
        "remove_from_train",
        description="what to do with rows of train whose text or group also stands in another split",
    )

    @model_validator(mode="after")
    def _leave_train(self) -> Config:
        held = self.validation + self.test + self.calibration
        if held >= 1 and not self.test == held == 1:
            names = "validation, test and calibration" if self.calibration else "validation and test"
            raise ValueError(f"{names} together are {held:g}: nothing is left to train")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.splitting.dividing import Shares, divide
    from modelyard.methods.data.splitting.loading import load_rows
    from modelyard.methods.data.splitting.writing import write

    data = Dataset.open(context.input("data"))
    rows = load_rows(data)
    shares = Shares(config.validation, config.test, config.calibration)
    division = divide(rows, data, config.by, shares, context.seed, config.overlap == "keep")
    for note in division.notes:
        context.say(note)
    write(data, division, context.output("data"), context.output("removed")).tell(context)
    _measure(division, context)


def _measure(division: Division, context: Context) -> None:
    def exact(claim: str, value: float, n: int, unit: str = "") -> None:
        context.measure(claim, value, about="data", on="", n=n, unit=unit, interval="exact")

    num_train, num_validation, num_test, num_calibration = division.counts
    exact("data.train_rows", num_train, num_train, "rows")
    exact("data.validation_rows", num_validation, num_validation, "rows")
    exact("data.test_rows", num_test, num_test, "rows")
    if num_calibration:
        exact("data.calibration_rows", num_calibration, num_calibration, "rows")
    exact("data.leakage_rate", division.leakage_rate, num_test)
    exact("data.overlap_found_rate", division.overlap_found_rate, num_test)
    exact("data.duplicate_rate", division.duplicate_rate, sum(division.counts))
    if division.future_rate is not None:
        exact("data.future_rate", division.future_rate, num_train)


def _count(split: str) -> Claim:
    return Claim(f"data.{split}_rows", f"rows of {split}", "rows", subject="lineage", any_split=True)


def _share(name: str, description: str) -> Claim:
    return Claim(name, description, better="lower", subject="lineage", any_split=True)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("all",), description="rows with a text or other columns")},
    outputs={
        "data": Port(
            "dataset",
            ("train", "validation", "test", "calibration"),
            given_by={"calibration": "calibration"},
            description="the rows, divided",
        ),
        "removed": Port("dataset", ("all",), side=True, description="rows taken out because another split has them"),
    },
    claims=(
        *CLAIMS,
        _count("train"),
        _count("validation"),
        _count("test"),
        _count("calibration"),
        _share("data.leakage_rate", "share of the test rows whose text or group stands in another split"),
        _share("data.overlap_found_rate", "the same share before rows were taken out of train"),
        _share("data.future_rate", "share of the training rows newer than the oldest test row, where rows have times"),
        _share("data.duplicate_rate", "share of the rows that repeat the text of another, whatever their split"),
    ),
    libraries=("pyarrow", "numpy"),
)
