"""Read rows from a JSON API over HTTP, page by page, into a data set.

Pages come by number, offset, cursor, `Link` header or a URL in the body. Failing requests are repeated with growing
waits, `Retry-After` is honoured, the rate is bounded. Pages that came stay when a run is killed: the next one goes on
after them. Credentials are named as secrets; they are sent to the named host only and shown nowhere.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from modelyard.core.project import SecretName
from modelyard.core.stage import Context, Stage
from modelyard.methods.data.fetching import CLAIMS, OUTPUTS, FetchSettings, without_password
from modelyard.methods.data.paging import Paging
from modelyard.methods.data.settings import ColumnName, text_of

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]{1,4000}$")]
Header = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}$")]
Value = bool | int | float | str
CREDENTIAL = re.compile(r"authorization|cookie|api.?key|token|secret|password", re.IGNORECASE)


class Config(FetchSettings):
    """Settings of data.http_api."""

    url: Url | SecretName = Field(description="address of the first page, or `{secret: NAME}`")
    items: str = Field("", max_length=200, description="where the body holds its rows: `data.items`; empty: it is them")
    paging: Paging = Field(Paging(), description="how the API cuts its rows into pages")
    params: dict[ColumnName, Value | SecretName] = Field({}, description="parameters of every request")
    headers: dict[Header, str | SecretName] = Field({}, description="headers of every request")
    bearer: SecretName | None = Field(None, description="secret sent as `Authorization: Bearer …`")
    requests_per_second: float = Field(10.0, gt=0, le=10_000, description="at most so many requests a second")
    max_pages: int = Field(100_000, ge=1, le=10_000_000, description="read at most so many pages")
    max_page_bytes: int = Field(1 << 26, ge=1, le=1 << 31, description="a larger page fails the step; bytes, unpacked")
    timeout_s: float = Field(120, gt=0, le=86_400, description="longest time for one page; seconds")
    retries: int = Field(5, ge=0, le=100, description="further attempts at a page that fails for a passing reason")
    allow_private: bool = Field(True, description="the server may stand on a private address or on this machine")

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str | SecretName) -> str | SecretName:
        return without_password(url)

    @field_validator("params", "headers")
    @classmethod
    def _named_credentials(cls, given: dict[str, object]) -> dict[str, object]:
        for name, value in given.items():
            if isinstance(value, str) and CREDENTIAL.search(name):
                raise PydanticCustomError("password_in_url", "{why}", {"why": f"{name}: {{secret: NAME}}"})
        return given


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.api import Api, credentials_of, fetch
    from modelyard.methods.data.arrival import arriving, hand_over
    from modelyard.methods.data.egress import Egress, Limits
    from modelyard.methods.data.paging import without_values

    url = text_of(config.url, context.secret)
    hidden = credentials_of(url)
    secrets = _secrets(config, context)
    if isinstance(config.url, SecretName):
        secrets += hidden.secrets
    params: dict[str, Value] = {name: value for name, value in hidden.params.items() if value in secrets}
    params |= {name: _text(value, context) for name, value in config.params.items()}
    headers = {name.lower(): text_of(value, context.secret) for name, value in config.headers.items()}
    headers = {**hidden.headers, **headers}
    if config.bearer is not None:
        headers["authorization"] = f"Bearer {context.secret(config.bearer.secret)}"
    limits = Limits(
        whole_s=config.timeout_s,
        read_s=min(60.0, config.timeout_s),
        max_bytes=config.max_page_bytes,
        retries=config.retries,
        requests_per_second=config.requests_per_second,
        allow_private=config.allow_private,
    )
    with Egress(limits, secrets=secrets, headers=headers, seed=context.seed) as egress:
        bare = without_values(url, secrets)
        arrival = arriving(config, context, egress.shown(bare))
        api = Api(bare, params, config.items, config.paging, secrets)
        told = lambda done: context.progress(done, done, "rows")  # noqa: E731
        fetch(api, egress, arrival, config.max_pages, config.max_rows, told, context.say)
    hand_over(arrival, config, context)


def _text(value: Value | SecretName, context: Context) -> Value:
    return context.secret(value.secret) if isinstance(value, SecretName) else value


def _secrets(config: Config, context: Context) -> list[str]:
    """Every secret's value that this step sends."""
    given = [config.bearer, config.url, *config.params.values(), *config.headers.values()]
    return [context.secret(value.secret) for value in given if isinstance(value, SecretName)]


STAGE = Stage(
    config=Config,
    run=run,
    outputs=OUTPUTS,
    claims=CLAIMS,
    libraries=("pyarrow", "httpx"),
    refresh="refresh",
)
