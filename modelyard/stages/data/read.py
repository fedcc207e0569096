"""Read CSV, TSV, JSONL, Parquet or Arrow files, plain or in gzip or zstd, into a data set.

Encoding, delimiter and format are found and said. A row that cannot be used is kept apart in `rejected` with its file,
line and reason; past `max_bad_fraction` of them the step fails. `path` may name several files, patterns, or one path
for each of train, validation and test when the data comes already split.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage

ROLES = ("text", "label", "group", "time", "weight", "subject", "split")
PathText = Annotated[str, Field(min_length=1)]
ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


class Config(BaseModel):
    """Settings of data.read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: PathText | list[PathText] | dict[Literal["train", "validation", "test"], PathText | list[PathText]] = Field(
        description="file or pattern (`data/*.csv.gz`), relative to the project; a list; or one for each split"
    )
    text: ColumnName | None = Field(None, description="column that holds the text")
    label: ColumnName | None = Field(None, description="column that holds the class; values become strings")
    group: ColumnName | None = Field(None, description="column of what must stay on one side of a split (a customer)")
    time: ColumnName | None = Field(None, description="column of the time: ISO 8601 or seconds since 1970, UTC")
    weight: ColumnName | None = Field(None, description="column of the row's weight, a number of at least 0")
    subject: ColumnName | None = Field(None, description="column of the person the row is about, for erasure")
    split: ColumnName | None = Field(None, description="column that says train, validation or test")
    keep: list[ColumnName] | None = Field(None, description="other columns to keep; without it all are kept")
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "arrow"] = Field(
        "auto", description="`auto`: by content, then by extension"
    )
    encoding: str | None = Field(None, max_length=40, description="of text files, such as `gb18030`; found if not set")
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="of CSV and TSV; found if not set")
    quote: Literal["auto", "double", "none"] = Field("auto", description='whether fields stand in "double quotes"')
    header: bool = Field(True, description="the first line of CSV and TSV names the columns")
    columns: list[ColumnName] | None = Field(None, min_length=1, description="names instead of the header's")
    max_cell_bytes: int = Field(1 << 20, ge=1, le=1 << 28, description="a larger cell rejects its row; bytes of UTF-8")
    max_bad_fraction: float = Field(0.05, ge=0, le=1, description="more rejected rows than this share fail the step")

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if not self.header and self.columns is None:
            raise ValueError("`header: false` needs `columns: [...]`, the names in the order of the fields")
        if self.columns is not None and len(set(self.columns)) != len(self.columns):
            raise ValueError("`columns` names one twice")
        if isinstance(self.path, dict) and "train" not in self.path:
            raise ValueError("`path` by split needs at least `train`")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.reading import Reading, read
    from modelyard.methods.data.sources import resolve

    reading = Reading(
        roles={role: name for role in ROLES if (name := getattr(config, role)) is not None},
        form=config.format,
        encoding=config.encoding,
        delimiter=config.delimiter,
        quote={"auto": None, "double": True, "none": False}[config.quote],
        header=config.header,
        columns=config.columns,
        keep=config.keep,
        max_cell_bytes=config.max_cell_bytes,
        max_bad_fraction=config.max_bad_fraction,
    )
    outcome = read(
        resolve(_paths(config), context.base),
        reading,
        context.output("data"),
        context.output("rejected"),
        lambda done, total: context.progress(done, total, "bytes"),
    )
    for note in outcome.notes:
        context.say(note)
    total = outcome.num_rows + outcome.num_rejected
    context.measure(
        "data.rows", outcome.num_rows, about="data", on="", n=outcome.num_rows, unit="rows", interval="exact"
    )
    context.measure("data.rejected_rate", outcome.rejected_rate, about="data", on="", n=total, interval="exact")


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of every file that is read, by its name relative to the project and the split it is named for."""
    from modelyard.methods.data.sources import resolve

    return [[source.split, source.name, source.digest] for source in resolve(_paths(config), base)]


def _paths(config: Config) -> str | Sequence[str] | dict[str, str | Sequence[str]]:
    if isinstance(config.path, dict):
        return {str(split): paths for split, paths in config.path.items()}
    return config.path


STAGE = Stage(
    config=Config,
    run=run,
    outputs={
        "data": Port("dataset", ("all",), description="the rows that can be used"),
        "rejected": Port("dataset", ("all",), side=True, description="the rows that cannot, with place and reason"),
    },
    claims=(
        Claim("data.rows", "rows read", "rows", better="none", subject="lineage", any_split=True),
        Claim(
            "data.rejected_rate",
            "share of the rows in the files that could not be used",
            better="lower",
            subject="lineage",
            any_split=True,
        ),
    ),
    libraries=("pyarrow", "charset-normalizer"),
    external=("path",),
    fingerprint=fingerprint,
)
