"""How files are read, and the reader that fits a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data import encoding
from modelyard.methods.data.delimited import DelimitedReader
from modelyard.methods.data.files.limits import ArchiveLimits
from modelyard.methods.data.files.workbook import office_kind
from modelyard.methods.data.images import ImageLimits
from modelyard.methods.data.kinds import another_kind, refuse_binary, sniff_format
from modelyard.methods.data.lines import TextFile, newline_of
from modelyard.methods.data.roles import Limits
from modelyard.methods.data.rows import Reader
from modelyard.methods.data.sources import (
    ZIP,
    Source,
    head_of,
    is_compressed,
    open_bytes,
)
from modelyard.methods.data.structured import JsonReader, TableReader


@dataclass(frozen=True)
class Reading:
    """How files are read; the settings of data.read.

    Attributes:
        roles: role to column name.
        form: `auto`, `csv`, `tsv`, `json` (an array), `jsonl`, `parquet`, `arrow` or `excel`.
        quote: True, False, or None to find it.
        keep: other columns to keep; None keeps all.
        labels: name of each value of the label column; empty if the values are names.
        image: the greatest image.
        sheet: of a workbook; None takes the first with a value.
        archive: the greatest archive.
        room: where members of archives are laid while they are read; None makes a folder of its own.
    """

    roles: Mapping[str, str] = field(default_factory=dict)
    form: str = "auto"
    encoding: str | None = None
    delimiter: str | None = None
    quote: bool | None = None
    header: bool = True
    columns: Sequence[str] | None = None
    keep: Sequence[str] | None = None
    max_cell_bytes: int = 1 << 20
    max_bad_fraction: float = 0.05
    labels: Mapping[str, str] = field(default_factory=dict)
    image: ImageLimits = field(default_factory=ImageLimits)
    sheet: str | None = None
    archive: ArchiveLimits = field(default_factory=ArchiveLimits)
    room: Path | None = None

    @property
    def limits(self) -> Limits:
        return Limits(self.max_cell_bytes, self.image, self.labels)

    @property
    def wanted(self) -> list[str]:
        """Columns that must be there."""
        return [*self.roles.values(), *(self.keep or ())]


def open_reader(source: Source, reading: Reading) -> tuple[Reader, str]:
    """The reader of a file, and in words how it is read (format and encoding).

    Raises:
        InputError: it is empty, binary, of another kind, or in no known encoding.
    """
    head = head_of(source)
    form = sniff_format(source, head) if reading.form == "auto" else reading.form
    if form == "arrow" and not head.startswith(b"ARROW1"):
        form = "arrow-stream"
    if form in ("parquet", "arrow", "arrow-stream"):
        return TableReader(source, form), {"parquet": "Parquet", "arrow": "Arrow"}.get(form, t("Arrow stream"))
    if form == "excel":
        return _workbook(source, head, reading), "Excel"
    return _text_reader(source, head, form, reading)


def _workbook(source: Source, head: bytes, reading: Reading) -> Reader:
    from modelyard.methods.data.files.excel import ExcelReader  # not above: few need it

    if is_compressed(source):
        raise InputError(t("a workbook inside gzip or zstd"), where=source.name, remedy=t("decompress it first"))
    kind = office_kind(source) if head.startswith(ZIP) else "excel"
    if kind != "excel":
        raise another_kind(source.name, kind or "zip")
    return ExcelReader(
        source,
        reading.archive,
        sheet=reading.sheet,
        header=reading.header,
        columns=reading.columns,
        wanted=reading.wanted,
    )


def _text_reader(source: Source, head: bytes, form: str, reading: Reading) -> tuple[Reader, str]:
    if reading.encoding:
        found = encoding.Encoding(encoding.check_name(reading.encoding, source.name), t("as set"))
    else:
        found = encoding.detect(lambda: open_bytes(source), head, source.name, lambda: refuse_binary(source, head))
    file = TextFile(source, found, newline_of(head), reading.max_cell_bytes)
    how = f"{found.name.upper().removesuffix('-SIG')} ({found.how})"
    if form in ("json", "jsonl"):
        return JsonReader(file, is_array=form == "json"), f"{form.upper()}, {how}"
    reader = DelimitedReader(
        file,
        delimiter=reading.delimiter,
        quote=reading.quote,
        header=reading.header,
        columns=reading.columns,
        wanted=reading.wanted,
        prefer_tab=form == "tsv",
    )
    return reader, f"{form.upper()}, {how}"
