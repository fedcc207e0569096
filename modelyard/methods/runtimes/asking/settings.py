"""Settings of stages that ask somebody else's service: where, how fast, for how much. Light."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.core.project import SecretName
from modelyard.methods.data.settings import is_here

USUAL_RATE = 5.0
"""Requests a second to somebody else's service."""
Money = Annotated[float, Field(ge=0, le=1e9)]


class Asked(BaseModel):
    """A service that is asked, and its limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str = Field(
        pattern=r"^https?://[^\s/@]+(/\S*)?$",
        max_length=500,
        description="the address: `https://host/v1` of an OpenAI-compatible API, else of the service itself",
    )
    key: SecretName | None = Field(None, description="`{secret: NAME}`: sent as bearer token")
    sends_data: bool = Field(False, description="the rows may leave this machine for the endpoint's host")
    price_in: Money = Field(0.0, description="of a million tokens that are sent")
    price_out: Money = Field(0.0, description="of a million tokens that are answered")
    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="of the prices")
    max_requests: int = Field(10_000, ge=1, le=100_000_000, description="at most; a row takes up to `attempts`")
    max_cost: Money | None = Field(
        None, description="money at most, by the prices of tokens; requests under way may pass it"
    )
    requests_per_second: float | None = Field(
        None, ge=0.001, le=1_000, description="at most, in all; none: 5, and no limit for a service on this machine"
    )
    workers: int = Field(4, ge=1, le=64, description="requests under way at once")
    attempts: int = Field(2, ge=1, le=5, description="how often one row is asked, if the answer is none")
    max_answer_tokens: int = Field(256, ge=1, le=100_000, description="of one answer; models that think need more")
    timeout_s: float = Field(
        120.0,
        ge=1,
        le=3_600,
        description="seconds without a byte until a request is given up; twice as long for a server that asks to wait",
    )

    @model_validator(mode="after")
    def _allowed(self) -> Asked:
        if self.max_cost is not None and not (self.price_in or self.price_out):
            raise ValueError("`max_cost` needs `price_in` and `price_out`")
        if not self.sends_data and not is_here(self.host):
            raise ValueError(f"the rows would leave this machine for {self.host}: say `sends_data: true` if they may")
        return self

    @property
    def rate(self) -> float | None:
        """Requests a second at most; None: as fast as it answers."""
        return self.requests_per_second or (None if is_here(self.host) else USUAL_RATE)

    @property
    def host(self) -> str:
        """Where the rows go."""
        from urllib.parse import urlsplit

        return urlsplit(self.endpoint).hostname or ""
