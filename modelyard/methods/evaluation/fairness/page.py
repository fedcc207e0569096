"""What evaluate.fairness shows: figures of the ledger, bars by group, what was too small, texts that flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.methods.data.group_columns import Grouping
from modelyard.methods.evaluation.blocks import Bar, Bars, Block, Figures, Phrase, Table, Text
from modelyard.methods.evaluation.fairness.classes import Found
from modelyard.methods.evaluation.fairness.swapping import Asked, Swaps
from modelyard.methods.evaluation.measuring.family import Shown, quote

BARRED = ("accuracy", "selection_rate", "tpr", "fpr", "mae")
CAPTIONS = {
    "accuracy": "Accuracy by {by}",
    "selection_rate": "Selection rate by {by}",
    "tpr": "True positive rate by {by}",
    "fpr": "False positive rate by {by}",
    "mae": "Mean absolute error by {by}",
}
FEW_SHOWN = 200


def of_groups(found: Found, groupings: Sequence[Grouping], positive: str, min_n: int) -> list[Block]:
    """Blocks of the part by group.

    Args:
        positive: the class that rates are of; empty if there is not one.
    """
    told: list[Block] = [
        Text(
            "Gaps are the largest over all groups; their intervals hold for the largest of all pairs at once. "
            "Groups with fewer rows than the least are listed, not compared."
        )
    ]
    if positive:
        told.append(Text(Phrase("Rates are of the class {label}.", {"label": positive})))
    gaps = sorted({f"fairness.{one.name}" for one in found.estimates if "group" not in one.slice})
    told.append(Figures("Gaps between groups", tuple(gaps)))
    for grouping in groupings:
        told += _bars(found, grouping)
    rates = sorted({f"fairness.{one.name}" for one in found.estimates if "group" in one.slice})
    told.append(Figures("Every group", tuple(rates)))
    if found.between:
        told.append(_between(found))
    if found.few:
        told.append(_few(found, min_n))
    if found.missing:
        rows = tuple((name, reason) for name, reason in found.missing.items())
        told.append(Table("Not measured", ("figure", "reason"), rows))
    return told


def _bars(found: Found, grouping: Grouping) -> list[Block]:
    blocks: list[Block] = []
    for name in BARRED:
        mine = [
            one
            for one in found.estimates
            if one.name == name and one.slice.get("by") == grouping.title and "class" not in one.slice
        ]
        bars = tuple(Bar(one.slice["group"], one.value, *(one.interval or (None, None))) for one in mine)
        if len(bars) > 1:
            blocks.append(Bars(Phrase(CAPTIONS[name], {"by": grouping.title}), bars))
    return blocks


def _between(found: Found) -> Table:
    rows = tuple((name, by, label, " – ".join(groups)) for (name, by, label), groups in sorted(found.between.items()))
    return Table("Between which groups", ("figure", "by", "class", "groups"), rows)


def _few(found: Found, min_n: int) -> Table:
    rows = tuple((one.by, one.group, one.class_, one.rate, one.n) for one in found.few[:FEW_SHOWN])
    note = Phrase(
        "{count} rates rest on fewer than {least} rows and are not compared.", {"count": len(found.few), "least": min_n}
    )
    return Table("Too few rows", ("by", "group", "class", "rate", "rows"), rows, note)


def of_swaps(
    asked: Sequence[Asked], swaps: Swaps, texts: Sequence[str], row_ids: Sequence[str], shown: Shown
) -> list[Block]:
    """Blocks of the counterfactual part: texts that flipped, the largest shifts first."""
    names = sorted({f"fairness.{one.name}" for one in swaps.estimates})
    counts = tuple((one.kind, one.num_rows, len(one.rows), sum(row.flipped for row in one.rows)) for one in asked)
    blocks: list[Block] = [
        Text("Each text with a word of identity was asked again with the other word of the pair."),
        Figures("Answers that hang on a word of identity", tuple(names)),
        Table("Rows with such a word", ("kind", "rows", "with a word", "flipped"), counts),
    ]
    if swaps.few:
        blocks.append(Table("Too few rows", ("kind", "pair", "rows"), swaps.few))
    flipped = sorted(
        ((one.kind, row) for one in asked for row in one.rows if row.flipped),
        key=lambda item: (-abs(item[1].shift), item[1].place),
    )[: shown.limit]
    rows = tuple(
        (row_ids[row.place], kind, quote({"text": texts[row.place]}, shown).get("text", ""),
         quote({"text": row.swapped.text}, shown).get("text", ""), row.before, row.after)
        for kind, row in flipped
    )  # fmt: skip
    if rows:
        blocks.append(Table("Texts that flipped", ("row", "kind", "text", "swapped", "answer", "then"), rows))
    return blocks


def data(found: Found | None, groupings: Sequence[Grouping], asked: Sequence[Asked]) -> Mapping[str, Any]:
    """For programs: sizes of groups and counts of terms."""
    return {
        "groups": [
            {"by": list(one.by), "sizes": dict(zip(one.names, one.sizes().tolist(), strict=True))} for one in groupings
        ],
        "few": [vars(one) for one in found.few] if found else [],
        "swaps": [{"kind": one.kind, "rows": one.num_rows, "with_term": len(one.rows)} for one in asked],
    }
