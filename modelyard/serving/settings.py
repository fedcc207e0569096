"""Settings of a server: every limit has a bound, a unit and a default that is safe on one host."""

from __future__ import annotations

import ipaddress
import os

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.errors import ServingError


def default_workers() -> int:
    """Batches computed at once: one a processor, at most eight."""
    return max(1, min(8, os.cpu_count() or 1))


class ServingSettings(BaseModel):
    """How a server listens, what it accepts and how it stops."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", min_length=1, max_length=253, description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    allow_remote: bool = Field(
        False, description="Allow an address other machines reach. There is no authentication: anybody there may ask."
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        max_length=64,
        description="Names accepted in the Host header besides loopback ones (against DNS rebinding).",
    )

    workers: int = Field(default_factory=default_workers, ge=1, le=64, description="Batches computed at once, a model.")
    threads: int | None = Field(
        None, ge=1, le=256, description="Threads the runtime uses inside one batch; empty: what suits the format."
    )
    max_batch_rows: int = Field(16, ge=1, le=4096, description="Rows computed together at most.")
    max_wait_us: int = Field(
        0, ge=0, le=1_000_000, description="Microseconds an idle worker waits for a fuller batch; 0 starts at once."
    )
    max_queue_rows: int = Field(512, ge=1, le=1_000_000, description="Rows waiting, a model; more are refused (429).")
    deadline_ms: int = Field(10_000, ge=1, le=600_000, description="Milliseconds until an unanswered request gets 504.")

    max_body_bytes: int = Field(1 << 20, ge=64, le=1 << 28, description="Bytes of a request body at most.")
    max_instances: int = Field(256, ge=1, le=100_000, description="Instances (rows) in one request at most.")
    max_text_chars: int = Field(20_000, ge=1, le=10_000_000, description="Characters of one text at most.")
    max_image_bytes: int = Field(
        8 << 20,
        ge=64,
        le=1 << 25,
        description="Bytes of one image at most; a request with images may be larger by that.",
    )
    max_new_tokens: int = Field(1024, ge=1, le=100_000, description="Tokens a request may ask a model to write.")
    max_header_bytes: int = Field(16 << 10, ge=512, le=1 << 20, description="Bytes of a request's head at most.")
    max_header_lines: int = Field(100, ge=8, le=1000, description="Header lines of a request at most.")
    max_connections: int = Field(1024, ge=1, le=100_000, description="Connections open at once at most.")
    receive_timeout_s: float = Field(
        10.0, gt=0, le=600, description="Seconds a client has to send a whole request, or to read its answer."
    )
    keep_alive_s: float = Field(
        75.0, gt=0, le=3600, description="Seconds an idle connection stays open (> proxies' 60)."
    )

    drain_delay_s: float = Field(
        0.0,
        ge=0,
        le=600,
        description="Seconds of normal service after SIGTERM while /readyz says 503 (15 on Kubernetes).",
    )
    drain_timeout_s: float = Field(30.0, ge=0, le=3600, description="Seconds that accepted requests have to finish.")
    drain_idle_s: float = Field(
        1.0, ge=0, le=60, description="Seconds of silence after which a draining server closes a kept connection."
    )

    def threads_for(self, model_format: str) -> int:
        """Threads inside one batch.

        One, with several batches at once: measured faster than one pool for all at 1, 16 and 64 connections. OpenVINO
        runs batches one after another, each on all processors.
        """
        chosen = (os.cpu_count() or 1) if model_format == "openvino" else 1
        return self.threads or chosen

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach `host`."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def check_address(settings: ServingSettings) -> str | None:
    """The warning to show for this address, if any. Raises ServingError for a remote address nobody allowed."""
    if settings.is_loopback:
        return None
    if not settings.allow_remote:
        raise ServingError(
            t("{host} can be reached from other machines, and this server has no authentication", host=settings.host),
            where="host",
            expected=t("a loopback address such as 127.0.0.1"),
            remedy=t("say --allow-remote if a proxy in front of it checks who asks"),
        )
    return t(
        "{host} can be reached from other machines, and this server has no authentication yet: "
        "put a proxy that checks who asks in front of it",
        host=settings.host,
    )
