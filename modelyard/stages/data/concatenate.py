"""Put several data sets together, one after another: `in: {data: [reviews, mails]}`.

Columns of one role become one column, whatever each set calls it; others are matched by name, and differing roles or
types are refused. Row ids stay; one that two sets share gets the position of its set before it, which is said. How many
rows of each set also stand in another is measured: the same text in two sources counts twice until data.clean or
data.deduplicate removes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS
from modelyard.methods.data.settings import ColumnName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.methods.data.concatenating import Overlap, United

OVERLAP = "data.overlap_rate"


class Config(BaseModel):
    """Settings of data.concatenate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: ColumnName | None = Field(None, description="name of a new column that says which set a row comes from")
    names: list[Annotated[str, Field(min_length=1, max_length=200)]] | None = Field(
        None, min_length=2, description="of the sets, in their order, for `source` and messages; else 1, 2, …"
    )
    missing: Literal["error", "fill"] = Field(
        "error", description="a column with a role that a set lacks; `fill` leaves it empty there"
    )


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.changes import ChangeLog
    from modelyard.methods.data.concatenating import overlap, unite, whole_columns, write
    from modelyard.methods.data.dataset import Dataset, SplitWriter, write_schema
    from modelyard.methods.data.roles import schema_of

    sets = [Dataset.open(path) for path in context.inputs("data")]
    names = _names(config, len(sets))
    united = unite([item.columns for item in sets], names, config.missing == "fill")
    columns = whole_columns(united, config.source)
    write_schema(context.output("data"), columns)
    with (
        SplitWriter(context.output("data"), "all", schema_of(columns)) as writer,
        ChangeLog(context.output("removed")) as log,
    ):
        source = (config.source, names) if config.source else None
        write(sets, united, source, writer, log, lambda done, total: context.progress(done, total, "rows"))
    _say(context, united, names)
    log.account.tell(context)
    found = overlap(sets)
    if found is not None:
        _measure(context, found, names)


def _names(config: Config, num: int) -> list[str]:
    from modelyard.base.messages import t
    from modelyard.errors import InputError

    if num < 2:
        raise InputError(
            t("{n} data sets to put together", n=num),
            where="data.concatenate",
            expected=t("at least two"),
            remedy=t("name them: `{example}`", example="in: {data: [first, second]}"),
        )
    if config.names is None:
        return [str(position) for position in range(1, num + 1)]
    if len(config.names) != num or len(set(config.names)) != num:
        raise InputError(
            t("{names} names for {n} data sets", names=len(config.names), n=num),
            where="data.concatenate",
            expected=t("one name for each, all different"),
        )
    return list(config.names)


def _say(context: Context, united: United, names: Sequence[str]) -> None:
    from modelyard.base.messages import t

    for name, renamed, lacking in zip(names, united.renamed, united.lacking, strict=True):
        if renamed:
            pairs = ", ".join(f"{own} → {target}" for own, target in renamed.items())
            context.say(t("{name}: columns taken by their role: {pairs}", name=name, pairs=pairs))
        if lacking:
            context.say(t("{name}: empty, since the set lacks them: {columns}", name=name, columns=", ".join(lacking)))
    for column in united.mixed:
        context.say(
            t(
                "{column}: repaired in the sets in different ways, so models will not repair what they are asked; put "
                "data.clean behind data.concatenate",
                column=column,
            )
        )


def _measure(context: Context, found: Overlap, names: Sequence[str]) -> None:
    from modelyard.base.messages import t

    for name, shared, rows in zip(names, found.shared, found.rows, strict=True):
        rate = shared / max(1, rows)
        context.say(
            t(
                "{name}: {shared:,} of {rows:,} rows have a {role} that also stands in another set",
                name=name,
                shared=shared,
                rows=rows,
                role=found.role,
            )
        )
        context.measure(OVERLAP, rate, about="data", on="", n=rows, interval="exact", slice={"source": name})
    context.measure(OVERLAP, found.rate, about="data", on="", n=sum(found.rows), interval="exact")


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port(
            "dataset", ("all",), many=True, optional=True, side=True, description="the data sets, in order; name them"
        )
    },
    outputs={
        "data": Port("dataset", ("all",), description="the rows of all sets"),
        "removed": Port("dataset", ("all",), side=True, description="the rows whose id was changed"),
    },
    claims=(
        *CLAIMS,
        Claim(
            OVERLAP,
            "share of the rows whose text (or image) also stands in another of the sets",
            better="lower",
            subject="lineage",
            any_split=True,
        ),
    ),
    libraries=("pyarrow", "numpy"),
)
