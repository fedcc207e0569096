"""JSONL, Parquet and Arrow: records whose columns have names in every row or in the file's schema."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.ipc
import pyarrow.parquet as pq

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.encoding import KEEP
from modelyard.methods.data.files.json_array import elements
from modelyard.methods.data.lines import TextFile
from modelyard.methods.data.rows import Bad, Row
from modelyard.methods.data.sources import Source, is_compressed, open_bytes

SCHEMA_ROWS = 1_000
BATCH_ROWS = 8_192
IMAGE_ROWS = 64


class JsonReader:
    """JSON objects, one a line or the elements of one array. Columns are the keys of the first SCHEMA_ROWS objects.

    Strings stay strings, null is missing, any other value becomes its JSON text, so that a column has one type. See
    `rows.Reader`.

    Attributes:
        notes: after `rows`: what was not kept.
    """

    def __init__(self, file: TextFile, *, is_array: bool) -> None:
        self._file = file
        self._is_array = is_array
        self.notes: list[str] = []
        self.names: list[str] = []
        known: dict[str, None] = {}
        for _, value, _ in islice(self._objects(), SCHEMA_ROWS):
            if isinstance(value, dict):
                known.update(dict.fromkeys(value))
        self.names = list(known)
        if not self.names:
            found = t("no element of the array is an object") if is_array else t("no line of the file is a JSON object")
            raise InputError(found, where=file.source.name)
        self.types: list[pa.DataType] = [pa.string()] * len(self.names)
        self.described = t("an array of JSON objects") if is_array else t("one JSON object a line")

    def rows(self) -> Iterator[Row]:
        known = set(self.names)
        num_unknown = 0
        for line, value, raw in self._objects():
            if isinstance(value, Bad):
                yield line, value, raw
                continue
            num_unknown += not known.issuperset(value)
            yield line, [_cell(value.get(name)) for name in self.names], raw
        if num_unknown:
            self.notes.append(
                t(
                    "{file}: {n:,} objects have keys that are no column; not kept",
                    file=self._file.source.name,
                    n=num_unknown,
                )
            )

    def _objects(self) -> Iterator[tuple[int, dict[str, Any] | Bad, str]]:
        for number, text in elements(self._file) if self._is_array else self._file.lines():
            if isinstance(text, Bad):
                yield number, text, text.raw
            elif text.strip("\ufeff \t\r\n"):
                yield number, _parse(text), text


def _parse(line: str) -> dict[str, Any] | Bad:
    try:
        value = json.loads(line.strip("\ufeff \t\r\n"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        return Bad("not JSON", "nested too deeply", line)
    except ValueError as error:
        return Bad("not JSON", str(error)[:200], line)
    if not isinstance(value, dict):
        return Bad("not a JSON object", type(value).__name__, line)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key appears twice")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _cell(value: Any) -> Any:
    """Strings, missing values and plain numbers as they are; the rest as JSON."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return json.dumps(value, ensure_ascii=False)


class TableReader:
    """A Parquet file, an Arrow file or an Arrow stream; see `rows.Reader`. Lines are record numbers.

    Attributes:
        notes: after `rows`: what was not kept.
    """

    def __init__(self, source: Source, form: str) -> None:
        self._source = source
        self._form = form
        self._arrow: list[pa.DataType | None] = []
        self.notes: list[str] = []
        if form != "arrow-stream" and is_compressed(source):
            raise InputError(
                t("a {form} file inside gzip or zstd cannot be read at any place", form=form),
                where=source.name,
                remedy=t("decompress it first; {form} compresses by itself", form=form),
            )
        with self._batches() as (schema, _):
            self.names = list(schema.names)
            self._arrow = [_plain(field.type) for field in schema]
        self.types = [kept or pa.string() for kept in self._arrow]
        self.described = t("typed columns")

    def rows(self) -> Iterator[Row]:
        number = 0
        cut: Counter[str] = Counter()
        with self._batches() as (_, batches):
            for batch in (part for whole in batches for part in self._slices(whole)):
                columns = [
                    self._column(column, name, kept, cut)
                    for column, name, kept in zip(batch.columns, self.names, self._arrow, strict=True)
                ]
                for values in zip(*columns, strict=True):
                    number += 1
                    yield number, list(values), ""
        for name, num in cut.items():
            self.notes.append(
                t(
                    "{file}: column {name}: {n:,} times have nanoseconds; cut to microseconds",
                    file=self._source.name, name=name, n=num,
                )
            )  # fmt: skip

    def _column(self, column: pa.Array, name: str, kept: pa.DataType | None, cut: Counter[str]) -> list[Any]:
        """The values of a column; `cut` counts those whose nanoseconds are cut off."""
        try:
            if _is_nanoseconds(column.type):
                if num := _num_finer(column):
                    cut[name] += num
                column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
            return _values(column, kept)
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise InputError(
                t("column {name}: a value cannot be read: {reason}", name=name, reason=str(error).splitlines()[0]),
                where=self._source.name,
                remedy=t("leave it out: `keep: [...]`, or write the file with another type"),
            ) from error

    @property
    def _rows_at_once(self) -> int:
        """Few of what may be pictures: each is held as a Python value."""
        return IMAGE_ROWS if pa.binary() in self._arrow else BATCH_ROWS

    def _slices(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        for start in range(0, batch.num_rows, self._rows_at_once):
            yield batch.slice(start, self._rows_at_once)

    @contextmanager
    def _batches(self) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        try:
            with open_bytes(self._source) as (stream, _):
                if self._form == "parquet":
                    file = pq.ParquetFile(stream)
                    yield file.schema_arrow, (batch for batch in file.iter_batches(self._rows_at_once))
                elif self._form == "arrow":
                    reader = pa.ipc.open_file(stream)
                    yield reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))
                else:
                    stream_reader = pa.ipc.open_stream(stream)
                    yield stream_reader.schema, iter(stream_reader)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(
                t("not a whole {form} file: {reason}", form=self._form, reason=str(error).splitlines()[0]),
                where=self._source.name,
                remedy=t("write or copy the file again"),
            ) from error


def _is_nanoseconds(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) and kind.unit == "ns")


def _num_finer(column: pa.Array) -> int:
    """Times that microseconds cannot hold."""
    numbers = column.cast(pa.int64()).drop_null().to_numpy()
    return int((numbers % 1_000 != 0).sum())


def _values(column: pa.Array, kept: pa.DataType | None) -> list[Any]:
    """A column as Python values; strings that are not UTF-8 come with lone surrogates, which mark the row as bad."""
    if kept is None:
        return [_cell(_jsonable(value)) for value in column.to_pylist()]
    if pa.types.is_struct(column.type):
        column = pa.compute.struct_field(column, "bytes")
    plain = column.cast(kept)
    try:
        values: list[Any] = plain.to_pylist()
    except UnicodeDecodeError:
        raw = plain.cast(pa.binary()).to_pylist()
        values = [None if value is None else value.decode("utf-8", errors=KEEP) for value in raw]
    return values


def _plain(kind: pa.DataType) -> pa.DataType | None:
    """The type a column keeps; None if its values are stored as JSON text."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.timestamp("us")
    if _is_binary(kind) or _is_image(kind):
        return pa.binary()
    simple = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return kind if simple else None


def _is_binary(kind: pa.DataType) -> bool:
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(check(kind) for check in checks)


def _is_image(kind: pa.DataType) -> bool:
    """A struct of `bytes` and `path`, as the Hugging Face hub stores images; the path is never followed."""
    if not pa.types.is_struct(kind):
        return False
    fields = {kind.field(place).name: kind.field(place).type for place in range(kind.num_fields)}
    return set(fields) == {"bytes", "path"} and _is_binary(fields["bytes"])


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
