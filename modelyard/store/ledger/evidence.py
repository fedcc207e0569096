"""Evidence in the ledger: added by the run that measured it, found by subject, withdrawn with a name and a reason."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from modelyard.base.messages import t
from modelyard.core.evidence import Evidence, Exact, Interval
from modelyard.errors import StoreError, UsageError
from modelyard.store.ledger.changes import Writer, changing
from modelyard.store.ledger.database import Database, Row, among, plain, to_json

_COLUMNS = (
    "claim, value, interval_kind, low, high, n, unit, subject, dataset, split, evaluator, run, sequence, slice,"
    " against, withdrawn"
)


def stored(value: float | None) -> float | None:
    """A number as it is stored: NaN as NULL."""
    return None if value is None or math.isnan(value) else float(value)


def number(value: float | None) -> float:
    """A number as it was measured: NULL was NaN."""
    return math.nan if value is None else float(value)


class EvidenceTable:
    """Reading and withdrawing evidence."""

    _database: Database

    def evidence_about(self, subjects: Iterable[str]) -> tuple[Evidence, ...]:
        """All evidence about these artifacts, withdrawn included, in the order it was recorded."""
        digests = sorted(set(subjects))
        rows: list[Row] = []
        for start in range(0, len(digests), 500):
            names, parameters = among(digests[start : start + 500])
            rows += self._database.read(f"SELECT {_COLUMNS} FROM evidence WHERE subject IN ({names})", parameters)
        return tuple(sorted(map(_to_evidence, rows), key=lambda evidence: evidence.sequence))

    def evidence_of(self, run: int) -> tuple[Evidence, ...]:
        """What one run measured, in the order it was recorded."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM evidence WHERE run = :run ORDER BY sequence", {"run": run})
        return tuple(map(_to_evidence, rows))

    def withdraw(self, sequence: int, name: str, reason: str) -> None:
        """Take one piece of evidence back. It stays visible; no gate accepts it, and the card shows why.

        Raises:
            UsageError: no name or no reason.
            StoreError: there is no such evidence, or it is withdrawn already.
        """
        if not name.strip() or not reason.strip():
            raise UsageError(t("evidence is withdrawn by somebody, for a reason"), expected=t("a name and a reason"))
        with changing(self._database) as writer:
            changed = writer.execute(
                "UPDATE evidence SET withdrawn = :text WHERE sequence = :sequence AND withdrawn IS NULL",
                {"text": plain(f"{name.strip()}: {reason.strip()}"), "sequence": sequence},
            )
            if not changed:
                raise StoreError(t("there is no evidence {number} to withdraw", number=sequence))
            writer.record("evidence.withdrawn", str(sequence), {"name": name.strip(), "reason": reason.strip()})


def insert_evidence(writer: Writer, run: int, evidence: Sequence[Evidence]) -> None:
    """Add what a run measured; each piece gets the next number of the ledger's counter."""
    if not evidence:
        return
    first = writer.next("evidence", len(evidence)) - len(evidence) + 1
    writer.execute_many(
        "INSERT INTO evidence (claim, value, interval_kind, low, high, n, unit, subject, dataset, split, evaluator,"
        " run, sequence, slice, against, withdrawn) VALUES (:claim, :value, :kind, :low, :high, :n, :unit, :subject,"
        " :dataset, :split, :evaluator, :run, :sequence, :slice, :against, NULL)",
        [_to_row(piece, run, first + index) for index, piece in enumerate(evidence)],
    )


def _to_row(piece: Evidence, run: int, sequence: int) -> dict[str, object]:
    kind, low, high = _take_apart(piece.interval)
    return {
        "claim": piece.claim, "value": stored(piece.value), "kind": kind, "low": low, "high": high, "n": piece.n,
        "unit": piece.unit, "subject": piece.subject, "dataset": piece.dataset, "split": piece.split,
        "evaluator": piece.evaluator, "run": run, "sequence": sequence, "slice": to_json(dict(piece.slice)),
        "against": piece.against,
    }  # fmt: skip


def _take_apart(interval: Interval | Exact | None) -> tuple[str, float | None, float | None]:
    if interval is None:
        return "none", None, None
    if isinstance(interval, str):
        return "exact", None, None
    return "ends", stored(interval[0]), stored(interval[1])


def _to_evidence(row: Row) -> Evidence:
    claim, value, kind, low, high, n, unit, subject, dataset, split, evaluator, run, sequence, part, against, gone = row
    interval: Interval | Exact | None = None
    if kind == "exact":
        interval = "exact"
    elif kind == "ends":
        interval = (number(low), number(high))
    return Evidence(
        claim, number(value), interval, n, unit, subject, dataset, split, evaluator, run, sequence,
        json.loads(part), against, gone,
    )  # fmt: skip
