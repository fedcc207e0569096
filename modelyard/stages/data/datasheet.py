"""Write the datasheet of a data set: where it comes from, what it holds, what was done to it, what it may be used for.

The seven parts follow Gebru et al., "Datasheets for Datasets" (2021). What the steps above know is filled in: licence,
basis, purpose and retention of every source, the account of every step, contracts, figures. What only people know is in
the settings. What nobody stated is shown as missing, and counted, so that a release may ask for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage

if TYPE_CHECKING:
    from modelyard.methods.reporting.datasheet import Datasheet


def _words(description: str) -> str:
    field: str = Field("", max_length=4_000, description=f"{description} (characters)")
    return field


class Config(BaseModel):
    """Settings of data.datasheet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lang: Literal["en", "zh"] = Field("en", description="language the page opens in; it holds both")
    title: str = Field("", max_length=200, description="name of the data set; the project's if empty (characters)")
    motivation: str = _words("for what purpose it was created")
    creators: str = _words("who created it and who paid for it")
    composition: str = _words("what a row represents; whom it is about")
    collection: str = _words("how it was collected")
    uses: str = _words("what it is for")
    not_for: str = _words("what it must not be used for")
    distribution: str = _words("how and under which licence it is passed on")
    maintenance: str = _words("who maintains it and how errors are mended")
    contact: str = _words("whom to ask")


def run(config: Config, context: Context) -> None:
    from modelyard.base.canonical import canonical_json, digest_file
    from modelyard.base.files import walk
    from modelyard.base.messages import t
    from modelyard.core.artifact import FileEntry, Manifest
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.statistics.describe import describe
    from modelyard.methods.reporting import parse
    from modelyard.methods.reporting.datasheet import Owner, gather, html, markdown

    path = context.input("record") / "record.json"
    try:
        record = parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(
            t("the record cannot be read: {error}", error=error), where=str(path), expected="record.json"
        ) from None
    data = context.input("data")
    files = [FileEntry(p.relative_to(data).as_posix(), p.stat().st_size, digest_file(p)) for p in walk(data)]
    figures = describe(Dataset.open(data), ["all"], progress=lambda done, n: context.progress(done, n, "rows"))
    owner = Owner(**config.model_dump(exclude={"lang"}))
    sheet = gather(record, Manifest.of(files).digest, figures, owner)
    folder = context.output("report")
    (folder / "datasheet.html").write_text(html(sheet, config.lang), encoding="utf-8", newline="\n")
    (folder / "datasheet.json").write_bytes(canonical_json(sheet.to_json()) + b"\n")
    for lang, name in (("en", "datasheet.md"), ("zh", "datasheet.zh.md")):
        (folder / name).write_text(markdown(sheet, lang), encoding="utf-8", newline="\n")
    _measure(sheet, context)


def _measure(sheet: Datasheet, context: Context) -> None:
    from modelyard.base.messages import language
    from modelyard.methods.reporting.datasheet.answers import limits
    from modelyard.methods.reporting.datasheet.rights import NON_COMMERCIAL
    from modelyard.methods.reporting.words import Words

    n = len(sheet.sources)
    counts = {
        "data.sources": n,
        "data.sources_without_licence": len(sheet.without_licence),
        "data.sources_without_basis": len(sheet.without_basis),
        "data.sources_non_commercial": sum(1 for one in sheet.sources if NON_COMMERCIAL.search(one.licence)),
        "data.provenance_conflicts": len(sheet.conflicts),
    }
    # On the record: what was not stated in an earlier one says nothing of this one.
    for claim, value in counts.items():
        context.measure(claim, value, about="data", on="record", n=n, interval="exact")
    days = sheet.retention_days_min
    if days is not None:
        stated = sum(1 for one in sheet.sources if one.retention)
        context.measure(
            "data.retention_days_min", days, about="data", on="record", n=stated, unit="days", interval="exact"
        )
    for text in limits(sheet, Words(language())):
        context.say(text)


def _claim(name: str, description: str, unit: str = "", better: Literal["lower", "none"] = "lower") -> Claim:
    return Claim(f"data.{name}", description, unit, better=better, subject="lineage", any_split=True)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "data": Port("dataset", ("all",), description="the data set, not yet split"),
        "record": Port("record", description="everything known of the steps above"),
    },
    outputs={"report": Port("report", description="datasheet.html, .json, .md and .zh.md")},
    claims=(
        _claim("sources", "steps that brought rows in", better="none"),
        _claim("sources_without_licence", "of them, those whose licence is not stated"),
        _claim("sources_without_basis", "of them, those whose legal basis is not stated"),
        _claim("sources_non_commercial", "of them, those whose licence forbids commercial use by its words"),
        _claim("provenance_conflicts", "statements about sources that do not fit together"),
        _claim("retention_days_min", "shortest time that a source may be kept", "days", better="none"),
    ),
    libraries=("pyarrow", "numpy"),
)
