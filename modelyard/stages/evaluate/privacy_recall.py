"""Measures how much of the personal data in an annotated set the recognisers of data.deidentify find.

Give it rows of yours in which a person marked what is personal: a column of JSON lists of `{"start", "end", "type"}`
beside the text, and the same `types`, `min_score`, `allow` and `model` as in data.deidentify. An annotated span is
found if enough of its letters and digits are hidden, by whatever type; a find is right if at least half of its own are
annotated. Rates by type have Wilson's 95 % interval; `privacy.leak` is the share of annotated letters and digits that
stay readable.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.privacy.settings import Scanning, Type

if TYPE_CHECKING:
    from collections import Counter

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.privacy.measuring import Measured

ColumnName = Annotated[str, Field(min_length=1, max_length=200)]
FEW = 30


class Config(Scanning):
    """Settings of evaluate.privacy_recall."""

    annotations: ColumnName = Field("spans", description="column of the marked spans, as JSON")
    names: dict[ColumnName, Type] = Field(
        {},
        description="types of the annotation under our names: `{CREDIT_CARD: bank_card}`; types that are neither named "
        "here nor ours are not measured",
    )
    coverage: float = Field(
        0.9, gt=0, le=1, description="share of a span's letters and digits that must be hidden for it to count as found"
    )


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset

    data = Dataset.open(context.input("data"))
    measured, unknown = _measure(config, context, data)
    if not measured.spans:
        raise InputError(
            t("no span of a measured type is annotated"),
            where="evaluate.privacy_recall",
            expected=t("a type of ours, or one that `names` maps"),
            remedy=t("types in the annotation: {types}", types=", ".join(sorted(unknown)) or "-"),
        )
    if unknown:
        context.say(t("not measured: {types}", types=", ".join(sorted(unknown))))
    _tell(context, measured)
    _write(context.output("report"), measured, config)


def _measure(config: Config, context: Context, data: Dataset) -> tuple[Measured, set[str]]:
    """Counts, and the annotated types that are not measured."""
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import ROW_ID
    from modelyard.methods.privacy.measuring import Measured, annotations_of, names_of

    text, scanner = data.need("text"), config.scanner(context.base)
    if config.annotations not in {column.name for column in data.columns}:
        raise InputError(
            t("no column is called `{name}`", name=config.annotations),
            where="annotations",
            expected=t("a column of marked spans"),
        )
    measured, unknown, total = Measured(), set[str](), data.num_rows("all")
    for batch in data.batches("all", [ROW_ID, text, config.annotations], rows=1_024):
        for row in batch.to_pylist():
            value = row[text] or ""
            try:
                marks = annotations_of(row[config.annotations], len(value))
            except ValueError as error:
                raise InputError(t(str(error)), where=str(row[ROW_ID])) from None
            names = names_of({mark.type for mark in marks}, config.names)
            unknown |= {mark.type for mark in marks} - set(names)
            measured.add(value, marks, scanner.scan(value), names, config.coverage)
        context.progress(measured.num_texts, total, "rows")
    return measured, unknown


def _tell(context: Context, measured: Measured) -> None:
    """Claims over everything, by type, and of the type that is worst at its interval's bad end."""
    from modelyard.base.messages import t

    _rate(context, "privacy.recall", measured.found, measured.spans)
    _rate(context, "privacy.recall_strict", measured.strict, measured.spans)
    _rate(context, "privacy.precision", measured.right, measured.finds)
    letters = measured.letters.total()
    context.measure(
        "privacy.leak",
        measured.left.total() / max(1, letters),
        about="data",
        on="data/all",
        n=letters,
        interval="exact",
    )
    context.say(
        t(
            "{spans:,} annotated spans in {texts:,} texts: {found:,} found; {finds:,} finds, {right:,} of them right",
            spans=measured.spans.total(),
            texts=measured.num_texts,
            found=measured.found.total(),
            finds=measured.finds.total(),
            right=measured.right.total(),
        )
    )
    few = sorted(kind for kind, count in measured.spans.items() if count < FEW)
    if few:
        context.say(t("fewer than {n} spans, so wide intervals: {types}", n=FEW, types=", ".join(map(t, few))))


def _rate(context: Context, claim: str, hits: Counter[str], counts: Counter[str]) -> None:
    from modelyard.methods.statistics.wilson import wilson

    def tell(name: str, hit: int, count: int, **slice: str) -> None:
        context.measure(
            name, hit / count, about="data", on="data/all", n=count, interval=wilson(hit, count), slice=slice or None
        )

    if not counts.total():
        return
    tell(claim, hits.total(), counts.total())
    for kind, count in sorted(counts.items()):
        tell(claim, hits[kind], count, type=kind)
    if claim != "privacy.recall_strict":
        worst = min(counts, key=lambda kind: (wilson(hits[kind], counts[kind])[0], kind))
        tell(f"{claim}_worst", hits[worst], counts[worst])


def _write(folder: Path, measured: Measured, config: Config) -> None:
    """`privacy.json`: the counts by type and the settings they were made with. No text, no value."""
    from modelyard.base.canonical import canonical_json

    counts = ("spans", "found", "strict", "finds", "right", "letters", "left")
    types = sorted(set(measured.spans) | set(measured.finds))
    value = {
        "texts": measured.num_texts,
        "coverage": config.coverage,
        "min_score": config.min_score,
        "types": {kind: {name: getattr(measured, name)[kind] for name in counts} for kind in types},
    }
    (folder / "privacy.json").write_bytes(canonical_json(value) + b"\n")


def fingerprint(config: Config, base: Path) -> Json:
    """Which named-entity model is asked, if one is named."""
    from modelyard.methods.privacy.entity_models import fingerprint_of

    return fingerprint_of(config.model, base)


def _claim(name: str, description: str) -> Claim:
    return Claim(name, description, subject="lineage", sizing="rate", any_split=True)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("all",), description="texts with marked spans")},
    outputs={"report": Port("report", description="privacy.json: counts by type")},
    claims=(
        _claim("privacy.recall", "share of the annotated spans that are hidden; by type"),
        _claim("privacy.recall_worst", "recall of the type whose interval reaches lowest"),
        _claim("privacy.recall_strict", "share of the annotated spans found with the same ends and type; by type"),
        _claim("privacy.precision", "share of the finds that are personal data; by type"),
        _claim("privacy.precision_worst", "precision of the type whose interval reaches lowest"),
        Claim(
            "privacy.leak",
            "share of the annotated letters and digits that are not hidden",
            better="lower",
            subject="lineage",
            any_split=True,
        ),
    ),
    libraries=("pyarrow", "numpy", "onnxruntime", "tokenizers"),
    external=("model",),
    fingerprint=fingerprint,
)
