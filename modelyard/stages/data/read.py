"""Read files into a data set: CSV, TSV, JSON, JSONL, Parquet, Arrow, Excel, folders of images; also in archives.

Encoding, delimiter and format are found and said. A row that cannot be used is kept apart in `rejected` with its file,
line and reason; past `max_bad_fraction` of them the step fails. `path` may name several files, patterns, a folder of
images or one that `datasets` saved, a zip or tar, a URL of an object store (`s3://bucket/key*.parquet`), or one path
for each of train, validation and test when the data comes already split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.files.settings import Archive, Options, holds_credential, looked_up, plain_secrets
from modelyard.methods.data.settings import ColumnName, ColumnRoles, roles_of

PathText = Annotated[str, Field(min_length=1)]


class _Where(BaseModel):
    """What is read. A base, so that `path` stands before the roles in the help."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: PathText | list[PathText] | dict[Literal["train", "validation", "test"], PathText | list[PathText]] = Field(
        description="file, pattern (`data/*.csv.gz`), folder of images or URL; a list; or one for each split"
    )
    storage_options: Options = Field(
        {}, description="for URLs: fsspec's options (`endpoint_url`, `key: {secret: NAME}`)"
    )


class Config(ColumnRoles, _Where):
    """Settings of data.read."""

    labels: dict[str, str] = Field({}, description="name of each value of the label column: `{0: ham, 1: spam}`")
    format: Literal["auto", "csv", "tsv", "json", "jsonl", "parquet", "arrow", "excel"] = Field(
        "auto", description="`auto`: by content, then by extension"
    )
    encoding: str | None = Field(None, max_length=40, description="of text files, such as `gb18030`; found if not set")
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="of CSV and TSV; found if not set")
    quote: Literal["auto", "double", "none"] = Field("auto", description='whether fields stand in "double quotes"')
    header: bool = Field(True, description="the first line of CSV and TSV names the columns")
    columns: list[ColumnName] | None = Field(None, min_length=1, description="names instead of the header's")
    sheet: str | None = Field(
        None, min_length=1, max_length=200, description="of a workbook; the first with a value if not set"
    )
    archive: Archive = Field(Archive(), description="the greatest zip or tar")
    max_image_bytes: int = Field(1 << 25, ge=1, le=1 << 30, description="a larger image rejects its row; bytes")
    max_image_pixels: int = Field(
        50_000_000, ge=1, le=178_000_000, description="an image of more, decoded, rejects its row (decompression bombs)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if not self.header and self.columns is None:
            raise ValueError("`header: false` needs `columns: [...]`, the names in the order of the fields")
        if self.columns is not None and len(set(self.columns)) != len(self.columns):
            raise ValueError("`columns` names one twice")
        if isinstance(self.path, dict) and "train" not in self.path:
            raise ValueError("`path` by split needs at least `train`")
        plain = list(plain_secrets(self.storage_options))
        if plain:
            raise ValueError(
                f"`storage_options` holds a credential: `{plain[0]}`; write `{plain[0]}: {{secret: NAME}}`"
            )
        if any(holds_credential(path) for path in _all_paths(self.path)):
            raise ValueError("a URL in `path` holds a credential; name it in `storage_options: {key: {secret: NAME}}`")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.images import ImageLimits
    from modelyard.methods.data.reading import Reading, read
    from modelyard.methods.data.sources import Source, resolve

    reading = Reading(
        roles=roles_of(config),
        form=config.format,
        encoding=config.encoding,
        delimiter=config.delimiter,
        quote={"auto": None, "double": True, "none": False}[config.quote],
        header=config.header,
        columns=config.columns,
        keep=config.keep,
        max_cell_bytes=config.max_cell_bytes,
        max_bad_fraction=config.max_bad_fraction,
        labels=config.labels,
        image=ImageLimits(config.max_image_bytes, config.max_image_pixels),
        sheet=config.sheet,
        archive=config.archive.limits(),
        room=context.scratch(),
    )
    options, hidden = looked_up(config.storage_options, context.secret)

    def fetch(url: str) -> list[Source]:
        from modelyard.methods.data.files.remote import bring

        room = context.scratch() / "fetched"
        return bring(url, options, hidden, room, lambda done, total: context.progress(done, total, "bytes"))

    outcome = read(
        resolve(_paths(config), context.base, fetch),
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


def _no_secret(name: str) -> str:
    raise KeyError(name)


def fingerprint(config: Config, base: Path, secret: Callable[[str], str] = _no_secret) -> Json:
    """Digest of every file that is read, by its name relative to the project and the split it is named for.

    Of a file in an object store: of what the store says of its bytes (ETag and size, else time and size).
    """
    from modelyard.methods.data.sources import Source, resolve

    def identify(url: str) -> list[Source]:
        from modelyard.methods.data.files import remote

        return remote.identify(url, *looked_up(config.storage_options, secret))

    sources = resolve(_paths(config), base, identify)
    return [[source.split, source.name, source.digest, *filter(None, [source.inner])] for source in sources]


def _paths(config: Config) -> str | Sequence[str] | dict[str, str | Sequence[str]]:
    if isinstance(config.path, dict):
        return {str(split): paths for split, paths in config.path.items()}
    return config.path


def _all_paths(path: object) -> Iterator[str]:
    if isinstance(path, str):
        yield path
    else:
        for item in path.values() if isinstance(path, dict) else path if isinstance(path, list) else ():
            yield from _all_paths(item)


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
    libraries=("pyarrow", "charset-normalizer", "pillow", "python-calamine"),
    external=("path", "storage_options"),
    fingerprint=fingerprint,
)
