"""How an API cuts its rows into pages, and where the next page is.

Light: the settings are read by a stage file at start-up; nothing here speaks HTTP.

A short page ends nothing: servers cut pages shorter than asked for, and by other limits than ours. Pages by number and
offset end at an empty page; an offset moves on by as many rows as came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from modelyard.base.canonical import digest_json
from modelyard.base.messages import t
from modelyard.errors import InputError

Name = Annotated[str, Field(min_length=1, max_length=200)]
Place = Annotated[str, StringConstraints(pattern=r"^[^.\s][^\s]{0,198}$")]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.\[\]_:-]{1,260}$")]
Style = Literal["none", "page", "offset", "cursor", "link", "next_url"]
PARAMETERS = {"page": "page", "offset": "offset", "cursor": "cursor"}
LINK = re.compile(r"<([^>]*)>\s*((?:;[^,;]*)*)")
REL = re.compile(r";\s*rel\s*=\s*\"?([^\";]*)", re.IGNORECASE)


class Paging(BaseModel):
    """Settings: how the API cuts its rows into pages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    style: Style = Field("none", description="where the next page is: a number, an offset, a cursor, a header, a URL")
    parameter: Name | None = Field(
        None, description="parameter of page, offset or cursor; `page`, `offset` or `cursor` if not set"
    )
    first: int = Field(1, ge=0, le=1, description="number of the first page")
    size: int | None = Field(None, ge=1, le=1_000_000, description="rows of a page to ask for")
    size_parameter: Name = Field("limit", description="parameter of the page's size")
    next: Place | None = Field(None, description="where the body says cursor or URL of the next page: `meta.next`")
    hosts: list[Host] = Field([], max_length=100, description="other hosts that next pages may be on; credentials too")

    @model_validator(mode="after")
    def _consistent(self) -> Paging:
        if self.style in ("cursor", "next_url") and self.next is None:
            raise ValueError(f"`style: {self.style}` needs `next`, the place in the body, such as `meta.next`")
        if self.style not in PARAMETERS and self.parameter is not None:
            raise ValueError(f"`style: {self.style}` takes no `parameter`")
        return self

    @property
    def name(self) -> str:
        """The parameter that says which page."""
        return self.parameter or PARAMETERS.get(self.style, "")


@dataclass(frozen=True)
class Spot:
    """Where a page is: a URL, and the number, offset or cursor, if it is one of these.

    Attributes:
        url: without the parameters that the settings give, and without secrets.
        value: None for the first page of a style that names it by nothing.
        num_pages: pages before this one.
        last, mark: digests of the page before, and of an earlier one: a server that turns in a circle is noticed.
    """

    url: str
    value: int | str | None = None
    num_pages: int = 0
    last: str = ""
    mark: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def first_spot(paging: Paging, url: str) -> Spot:
    return Spot(url, {"page": paging.first, "offset": 0}.get(paging.style))


def parameters_of(paging: Paging, spot: Spot) -> dict[str, Any]:
    """The parameters that ask for a page; a URL that the server gave has them already."""
    if paging.style in ("link", "next_url") and spot.num_pages:
        return {}
    given = {} if spot.value is None or not paging.name else {paging.name: spot.value}
    return given if paging.size is None else {**given, paging.size_parameter: paging.size}


def next_spot(
    paging: Paging, spot: Spot, body: Any, headers: Mapping[str, str], num_items: int, digest: str
) -> Spot | None:
    """Where the next page is; None if this was the last one.

    Args:
        num_items: rows of this page.
        digest: of the rows; the same rows with the same way on mean that the server turns in a circle.

    Raises:
        InputError: it is on a host that was not named, is no URL or cursor, or the same page comes again.
    """
    url, value = spot.url, spot.value
    if paging.style == "none":
        return None
    if paging.style in ("page", "offset"):
        if not num_items:
            return None
        value = int(spot.value or 0) + (1 if paging.style == "page" else num_items)
    elif paging.style == "cursor":
        value = _cursor(at(body, paging.next or ""), paging)
        if value is None:
            return None
    else:
        found = linked(headers.get("link", "")) if paging.style == "link" else at(body, paging.next or "")
        if not found:
            return None
        url = _followed(paging, spot.url, found)
    if paging.style not in ("page", "offset"):  # a cursor may stay the same while the rows go on
        digest = digest_json([digest, value, url])
    if digest in (spot.last, spot.mark):
        raise InputError(
            t("page {n:,} is the same as one before it: the server gives it again and again", n=spot.num_pages + 1),
            remedy=t("check the style of `paging` and its parameter"),
        )
    # Brent's way to find a cycle: one earlier page is remembered, and replaced at every power of two.
    number = spot.num_pages + 1
    return Spot(url, value, number, digest, digest if number & (number - 1) == 0 else spot.mark)


def at(body: Any, path: str) -> Any:
    """The value at a dotted path (`data.items`, `0.rows`) in a JSON value; None if there is none; all for ``."""
    for part in path.split(".") if path else ():
        if isinstance(body, Mapping):
            body = body.get(part)
        elif isinstance(body, Sequence) and not isinstance(body, str) and part.isdecimal() and int(part) < len(body):
            body = body[int(part)]
        else:
            return None
    return body


def lists_in(body: Any, prefix: str = "", depth: int = 3) -> list[str]:
    """Paths of the lists in a body, for a remedy; `.` for the body itself."""
    if isinstance(body, list):
        return [prefix or "."]
    if not isinstance(body, Mapping) or not depth:
        return []
    return [path for name, value in body.items() for path in lists_in(value, f"{prefix}.{name}".lstrip("."), depth - 1)]


def linked(header: str) -> str:
    """The target of `rel="next"` in a Link header (RFC 8288), or ``."""
    for match in LINK.finditer(header):
        relation = REL.search(match.group(2))
        if relation and "next" in relation.group(1).lower().split():
            return match.group(1)
    return ""


def without_values(url: str, secrets: Sequence[str]) -> str:
    """A URL without user, password and the parameters whose values are secrets: these are sent by other ways."""
    parts = urlsplit(url)
    pairs = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if value not in secrets]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=urlencode(pairs)))


def _cursor(value: Any, paging: Paging) -> int | str | None:
    if value is None or value is False or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        found = t("the cursor at `{path}` is {kind}", path=paging.next, kind=type(value).__name__)
        raise InputError(found, expected=t("text or a whole number"))
    return value


def _followed(paging: Paging, url: str, found: Any) -> str:
    """The URL of the next page, on a host that it may be on, never with less protection than this one."""
    if not isinstance(found, str):
        kind = type(found).__name__
        raise InputError(t("the next URL at `{path}` is {kind}", path=paging.next, kind=kind), expected=t("text"))
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, found))
        hosts = {_host(here), *(name.lower() for name in paging.hosts)}
        name = _host(there)
    except ValueError:
        hosts, name = set(), found[:200]
    if name not in hosts:
        raise InputError(
            t("the next page is on another host: {host}", host=name),
            expected=", ".join(sorted(hosts)),
            remedy=t("if that is right, name it: `paging: {{hosts: [{host}]}}`", host=name),
        )
    if name == _host(here):
        there = there._replace(scheme=here.scheme, netloc=here.netloc)  # servers behind a proxy say http of https
    return urlunsplit(there)


def _host(parts: Any) -> str:
    """Host, and port where it is not the scheme's own: a server that says `http` of itself is the same."""
    port = parts.port
    return f"{parts.hostname or ''}{f':{port}' if port not in (None, 80, 443) else ''}"
