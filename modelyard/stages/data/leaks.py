"""Find columns that know the answer: what is only known afterwards, a copy of the label, means of it by category.

Each column is measured alone (out of fold) and against boosted trees on all others. A column is suspected if alone it
is almost the label, if it tells more than all others together, if the trees' error is less than half with it, or if its
values are means of the label. Nothing is dropped: name a suspect in `leave_out` here and where the model is trained, or
in `known` if it is known when the model answers. In texts, words that are almost the label are looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.settings import ColumnName

if TYPE_CHECKING:
    from modelyard.methods.evaluation.leaks.judging import Told, Verdict
    from modelyard.methods.evaluation.leaks.telling import Telling


class Config(BaseModel):
    """Settings of data.leaks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    known: list[ColumnName] = Field(
        [], description="columns that are known when the model answers: measured and shown, never suspected"
    )
    leave_out: list[ColumnName] = Field([], description="columns that no model learns from: not looked at")
    rows: int = Field(5_000, ge=100, le=1_000_000, description="rows that columns are measured on, drawn by row id")
    encoding_rows: int = Field(
        100_000, ge=100, le=10_000_000, description="rows in which means of the label are looked for, drawn by row id"
    )
    folds: int = Field(3, ge=2, le=20, description="how often a model is fitted; each row is judged by one of them")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.leaks import judging, page, rows

    data = Dataset.open(context.input("data"))
    _check(config, [column.name for column in data.columns if column.role == "feature"])
    most = max(config.rows, config.encoding_rows)
    found = rows.read(data, config.leave_out, most, context.seed)
    verdict = judging.judge(
        found, config.rows, config.folds, context.seed, lambda done, total: context.progress(done, total, "fits")
    )
    if verdict.num_rows < found.num_all:
        context.say(t("{n:,} of {total:,} rows are measured", n=verdict.num_rows, total=found.num_all))
    suspected = [told for told in verdict.suspected if told.name not in config.known]
    for told in suspected:
        context.say(page.sentence(told, verdict))
    if not suspected:
        context.say(t("no column is suspected to know the answer"))
    for told in verdict.naming:
        context.say(t("`{name}` names rows: most of its values occur once", name=told.name))
    _measure(context, verdict, len(suspected))
    page.write(context.output("report"), verdict, config.known)


def _check(config: Config, there: list[str]) -> None:
    from modelyard.base.messages import did_you_mean
    from modelyard.errors import InputError, Problem

    problems = [
        Problem(
            t("setting `{name}`", name=setting),
            t("no feature `{name}`", name=name),
            ", ".join(there) or "-",
            did_you_mean(name, there),
        )
        for setting, names in (("known", config.known), ("leave_out", config.leave_out))
        for name in names
        if name not in there
    ]
    if problems:
        raise InputError.of(problems)


def _measure(context: Context, verdict: Verdict, num_suspected: int) -> None:
    def count(claim: str, value: int) -> None:
        context.measure(claim, value, about="data", on="data/train", n=verdict.num_rows, interval="exact")

    count("data.leak_columns", num_suspected)
    count("data.id_columns", len(verdict.naming))
    unit = "r2" if verdict.is_number else "auc"
    for told in verdict.columns:
        _tell(context, f"data.{unit}_alone", told.alone, told)
        if told.without is not None:
            _tell(context, f"data.{unit}_without", told.without, told)
    if verdict.together is not None:
        _tell(context, f"data.{unit}_together", verdict.together)


def _tell(context: Context, claim: str, value: Telling, told: Told | None = None) -> None:
    context.measure(
        claim,
        value.value,
        about="data",
        on="data/train",
        n=value.influence.size,
        interval=value.interval,
        slice={"column": told.name} if told else None,
    )


def _told(name: str, description: str) -> Claim:
    return Claim(name, description, better="none", subject="lineage", any_split=True)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train",), description="labelled rows of a table; only train is looked at")},
    outputs={"report": Port("report", description="leaks.json: every column, alone and against the others")},
    claims=(
        Claim(
            "data.leak_columns", "columns suspected to know the answer, less those in `known`", "", better="lower",
            subject="lineage", any_split=True,
        ),
        Claim(
            "data.id_columns", "columns most of whose values occur once", "", better="lower", subject="lineage",
            any_split=True,
        ),
        _told("data.auc_alone", "AUC of a column alone, out of fold; several classes: each against the rest"),
        _told("data.auc_without", "AUC of boosted trees on all other columns, out of fold; by column"),
        _told("data.auc_together", "AUC of boosted trees on all columns, out of fold"),
        _told("data.r2_alone", "R² of a column alone, out of fold"),
        _told("data.r2_without", "R² of boosted trees on all other columns, out of fold; by column"),
        _told("data.r2_together", "R² of boosted trees on all columns, out of fold"),
    ),
    libraries=("numpy", "scipy", "scikit-learn", "pyarrow"),
    loads=("modelyard.methods.preprocessing",),
)  # fmt: skip
