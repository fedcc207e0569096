"""The account every data stage gives: rows in + added = kept + removed, with reasons, and how many of the kept changed.

Light: stage files import it at module level. What was removed or changed is written by `changes.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from modelyard.base.messages import t
from modelyard.core.evidence import Claim

ROWS = Claim("data.rows", "rows kept", "rows", better="none", subject="lineage", any_split=True)
REMOVED_RATE = Claim(
    "data.removed_rate", "share of the rows in that were removed", better="none", subject="lineage", any_split=True
)
CHANGED_RATE = Claim(
    "data.changed_rate", "share of the rows in that were kept, changed", better="none", subject="lineage",
    any_split=True,
)  # fmt: skip
CLAIMS = (ROWS, REMOVED_RATE, CHANGED_RATE)
"""What `Account.tell` measures: a stage that calls it declares these."""


class Teller(Protocol):
    """The part of a stage's context that an account speaks to."""

    def say(self, message: str) -> None: ...

    def measure(
        self,
        claim: str,
        value: float,
        *,
        about: str,
        on: str,
        n: int,
        unit: str = "",
        interval: tuple[float, float] | Literal["exact"] | None,
        slice: Mapping[str, str] | None = None,
    ) -> None: ...


@dataclass
class Account:
    """Counts of rows by what became of them. A row that was changed in several ways counts once in `num_changed`.

    Attributes:
        num_in: rows that came.
        num_kept: rows that went out, changed or not, added ones included.
        num_changed: of the rows that came and were kept, those that differ.
        removed, added: rows by reason.
        changed: changes by reason; a row may have several.
    """

    num_in: int = 0
    num_kept: int = 0
    num_changed: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)

    def check(self) -> None:
        """Raises AssertionError if a row was lost: a mistake of the programmer, never of the data."""
        came, went = self.num_in + self.added.total(), self.num_kept + self.removed.total()
        assert came == went, f"{came} rows came, {went} are accounted for"
        assert self.num_changed <= self.num_kept

    def line(self) -> str:
        """One line for the user, with every reason."""
        parts = [
            t(
                "{n:,} rows in = {kept:,} kept + {removed:,} removed{reasons}; "
                "{changed:,} of the kept were changed{how}",
                n=self.num_in,
                kept=self.num_kept - self.added.total(),
                removed=self.removed.total(),
                reasons=_reasons(self.removed),
                changed=self.num_changed,
                how=_reasons(self.changed),
            )
        ]
        if self.added:
            parts.append(t("{n:,} rows were added{reasons}", n=self.added.total(), reasons=_reasons(self.added)))
        return "; ".join(parts)

    def tell(self, teller: Teller, about: str = "data") -> None:
        """Check, say the line, and measure CLAIMS about the output port `about`, in all and by reason.

        By reason, `data.changed_rate` counts changes: a row changed twice counts twice.
        """
        self.check()
        teller.say(self.line())
        num_in = max(1, self.num_in)
        for claim, reasons in ((REMOVED_RATE, self.removed), (CHANGED_RATE, self.changed)):
            for reason, count in sorted(reasons.items()):
                part = {"reason": reason}
                teller.measure(
                    claim.name, count / num_in, about=about, on="", n=self.num_in, interval="exact", slice=part
                )
        teller.measure(
            ROWS.name, self.num_kept, about=about, on="", n=self.num_kept, unit="rows", interval="exact"
        )  # fmt: skip
        for claim, count in ((REMOVED_RATE, self.removed.total()), (CHANGED_RATE, self.num_changed)):
            teller.measure(claim.name, count / num_in, about=about, on="", n=self.num_in, interval="exact")


def _reasons(counts: Counter[str]) -> str:
    if not counts:
        return ""
    return " (" + ", ".join(f"{t(reason)} {count:,}" for reason, count in counts.most_common()) + ")"
