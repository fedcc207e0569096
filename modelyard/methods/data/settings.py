"""The blocks of settings that data stages share, apart from what they set: a stage's Config is read at every start of
the command line, and must not bring Arrow along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from modelyard.core.project import SecretName

ColumnName = Annotated[str, Field(min_length=1, max_length=200)]
Duration = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4}(s|min|h|d)$")]
Refresh = Literal["never", "always"] | Duration
ROLES = ("text", "image", "label", "target", "soft_label", "group", "time", "weight", "subject", "split")
SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
Basis = Literal[
    "",
    "consent",
    "contract",
    "legal_obligation",
    "vital_interests",
    "public_interest",
    "legitimate_interests",
    "not_personal",
]
"""GDPR Article 6 (1) in its order; `not_personal` if no row is about a person."""


class Provenance(BaseModel):
    """Where rows come from and what may be done with them: the source's part of the datasheet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field("", max_length=500, description="who made the data, and where it was got")
    licence: str = Field("", max_length=200, description="SPDX identifier where there is one, such as `CC-BY-4.0`")
    consent: Basis = Field("", description="legal basis on which rows about people are used")
    purpose: str = Field("", max_length=500, description="what the rows may be used for")
    retention: Duration | Literal[""] = Field("", description="how long they may be kept, such as `365d`")
    collected: str = Field("", max_length=100, description="when they were collected, such as `2024-01/2024-06`")
    contact: str = Field("", max_length=200, description="who answers for the source")


class ColumnRoles(BaseModel):
    """What a source's columns are; every stage that brings rows in has these settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: ColumnName | None = Field(None, description="column that holds the text")
    image: ColumnName | None = Field(None, description="column that holds the image, as encoded bytes")
    label: ColumnName | None = Field(None, description="column that holds the class; values become strings")
    target: ColumnName | None = Field(
        None, description="column of the number to predict, instead of `label`: regression"
    )
    soft_label: ColumnName | None = Field(None, description='column of class shares, as JSON: `{"spam": 0.7}`')
    group: ColumnName | None = Field(None, description="column of what must stay on one side of a split (a customer)")
    time: ColumnName | None = Field(None, description="column of the time: ISO 8601 or seconds since 1970, UTC")
    weight: ColumnName | None = Field(None, description="column of the row's weight, a number of at least 0")
    subject: ColumnName | None = Field(None, description="column of the person the row is about, for erasure")
    split: ColumnName | None = Field(None, description="column that says train, validation or test")
    keep: list[ColumnName] | None = Field(None, description="other columns to keep; without it all are kept")
    max_cell_bytes: int = Field(1 << 20, ge=1, le=1 << 28, description="a larger cell rejects its row; bytes of UTF-8")
    max_bad_fraction: float = Field(0.05, ge=0, le=1, description="more rejected rows than this share fail the step")
    provenance: Provenance = Field(Provenance(), description="licence, consent and purpose, for the datasheet")

    @model_validator(mode="after")
    def _one_label(self) -> ColumnRoles:
        if self.target is not None and (self.label is not None or self.soft_label is not None):
            raise ValueError("`target` (a number) stands instead of `label` and `soft_label` (a class)")
        return self


def roles_of(config: ColumnRoles) -> dict[str, str]:
    """Role to column name, of the roles that are set."""
    return {role: name for role in ROLES if (name := getattr(config, role)) is not None}


def seconds_of(duration: str) -> int:
    """Seconds of `30s`, `5min`, `2h` or `7d`."""
    number = duration.rstrip("smindh")
    return int(number) * SECONDS[duration[len(number) :]]


def text_of(value: str | SecretName, secret: Callable[[str], str]) -> str:
    """A setting that may name a secret; `secret` looks it up (`Context.secret`)."""
    return secret(value.secret) if isinstance(value, SecretName) else value


def is_here(host: str) -> bool:
    """Whether a host is this machine by its very name: a loopback address or `localhost`."""
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
