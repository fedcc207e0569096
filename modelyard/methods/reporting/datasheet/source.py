"""What was stated of the place that rows came from."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.methods.data.settings import SECONDS, seconds_of

SOURCE_FIELDS = ("source", "licence", "consent", "purpose", "retention", "collected", "contact")


@dataclass(frozen=True)
class Source:
    """Where rows came in, and what was stated of them; empty where nothing was."""

    step: str
    uses: str
    origin: str = ""
    source: str = ""
    licence: str = ""
    consent: str = ""
    purpose: str = ""
    retention: str = ""
    collected: str = ""
    contact: str = ""

    def missing(self) -> list[str]:
        """Fields that nobody filled in."""
        return [name for name in SOURCE_FIELDS if not getattr(self, name)]

    @property
    def retention_days(self) -> float | None:
        return seconds_of(self.retention) / SECONDS["d"] if self.retention else None
