"""Rows of a paged JSON API: page after page through the one client, kept as they come."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from modelyard.base.canonical import digest_bytes
from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.arrival import Arrival
from modelyard.methods.data.egress import Egress, Reply
from modelyard.methods.data.egress.reply import EXCERPT, excerpt, masked
from modelyard.methods.data.paging import (
    Paging,
    Spot,
    at,
    first_spot,
    linked,
    lists_in,
    next_spot,
    parameters_of,
    without_values,
)

HINTS = ("next", "next_page", "next_url", "nextPageToken", "has_more", "meta.next", "links.next", "paging.next")
GONE = 404


@dataclass(frozen=True)
class Api:
    """What is asked.

    Attributes:
        url: of the first page, without user, password and parameters that are secrets (`credentials_of`).
        params: sent with every request; secrets among them.
        items: dotted path of the list of rows in the body; `` if the body is the list.
        secrets: values that nothing on the disk may hold.
    """

    url: str
    params: Mapping[str, Any] = field(default_factory=dict)
    items: str = ""
    paging: Paging = field(default_factory=Paging)
    secrets: Sequence[str] = ()


@dataclass(frozen=True)
class Credentials:
    """What a URL that is a secret holds: how it is sent, and what no message may show."""

    params: Mapping[str, str]
    headers: Mapping[str, str]
    secrets: tuple[str, ...]


def credentials_of(url: str) -> Credentials:
    """User and password of a URL as a header, and the values of its parameters."""
    parts = urlsplit(url)
    params = dict(parse_qsl(parts.query, keep_blank_values=True))
    user = parts.netloc.rpartition("@")[0]
    if not user:
        return Credentials(params, {}, tuple(params.values()))
    plain = unquote(user) if ":" in user else f"{unquote(user)}:"
    basic = base64.b64encode(plain.encode()).decode("ascii")
    return Credentials(params, {"authorization": f"Basic {basic}"}, (*params.values(), plain.partition(":")[2], basic))


def fetch(
    api: Api,
    egress: Egress,
    arrival: Arrival,
    max_pages: int,
    max_rows: int | None,
    progress: Callable[[int], None],
    say: Callable[[str], None],
) -> None:
    """Fetch every page that is not there yet.

    Args:
        max_pages, max_rows: where to stop; that there was more is said.

    Raises:
        InputError: a page cannot be had or read; what came before it stays for the next attempt.
    """
    spot = Spot(**arrival.cursor) if arrival.cursor else first_spot(api.paging, api.url)
    while not arrival.done:
        reply = _ask(api, egress, spot)
        try:
            rows, after = _read(api, reply, spot)
        except InputError as error:
            raise _placed(error, reply) from None
        if reply.status == GONE:
            say(t("page {n:,} is answered with 404: taken for the end", n=spot.num_pages + 1))
        if after is None and not spot.num_pages:
            _note_more(api.paging, reply, say)
        room = len(rows) if max_rows is None else max_rows - arrival.num_rows
        full = room <= len(rows) and max_rows is not None and (after is not None or room < len(rows))
        cut = after is not None and after.num_pages >= max_pages
        arrival.add(rows[:room], after.to_json() if after else None, done=after is None or full or cut)
        progress(arrival.num_rows)
        if full:
            say(t("only the first {n:,} rows: `max_rows`", n=arrival.num_rows))
        elif cut:
            say(t("only the first {n:,} pages: `max_pages`", n=max_pages))
        spot = after or spot


def _ask(api: Api, egress: Egress, spot: Spot) -> Reply:
    params = {**api.params, **parameters_of(api.paging, spot)}
    if spot.num_pages and api.paging.style in ("link", "next_url"):
        params = {name: value for name, value in api.params.items() if value in api.secrets}
    accept = (GONE,) if api.paging.style == "page" and spot.num_pages else ()
    return egress.get_json(spot.url, params=params, accept=accept)


def _read(api: Api, reply: Reply, spot: Spot) -> tuple[list[Mapping[Any, Any]], Spot | None]:
    """The rows of a page, and where the next one is."""
    if reply.status == GONE:  # how some servers say that there is no such page any more
        return [], None
    body = reply.json()
    rows = [item if isinstance(item, Mapping) else {"value": item} for item in _items(api, body)]
    digest = digest_bytes(json.dumps(rows).encode())
    after = next_spot(api.paging, spot, body, reply.headers, len(rows), digest)
    return rows, after and replace(after, url=without_values(after.url, api.secrets))


def _items(api: Api, body: Any) -> Iterator[Any]:
    found = at(body, api.items)
    if found is None and api.items and isinstance(at(body, api.items.rpartition(".")[0]), Mapping):
        parent = at(body, api.items.rpartition(".")[0])
        if api.items.rpartition(".")[2] in parent:
            return iter(())  # `"results": null` is how some servers write an empty list
    if isinstance(found, list):
        return iter(found)
    lists = lists_in(body)
    here = t(
        "`items` names no list of rows (`{path}`): {excerpt}", path=api.items or ".", excerpt=_shown(body, api.secrets)
    )
    paths = masked(", ".join(lists[:10]), api.secrets)
    raise InputError(here, remedy=t("lists in the answer: {paths}", paths=paths) if lists else "")


def _shown(body: Any, secrets: Sequence[str]) -> str:
    if isinstance(body, Mapping):
        return "{" + ", ".join(masked(str(name), secrets)[:40] for name in list(body)[:12])[:EXCERPT] + "}"
    return excerpt(json.dumps(body).encode(), secrets)


def _note_more(paging: Paging, reply: Reply, say: Callable[[str], None]) -> None:
    """Say that a page which is taken for the only one looks as if there were more."""
    if paging.style != "none":
        return
    body = reply.json()
    hint = next((name for name in HINTS if at(body, name)), "")
    if linked(reply.headers.get("link", "")):
        hint = "Link: rel=next"
    if hint:
        say(t("only one page was read, but the answer names more (`{hint}`): see `paging`", hint=hint))


def _placed(error: InputError, reply: Reply) -> InputError:
    """With the address, and without secrets: a next URL or cursor is the server's word."""
    problems = [
        Problem(
            problem.where or reply.shown,
            reply.masked(problem.found),
            reply.masked(problem.expected),
            reply.masked(problem.remedy),
        )
        for problem in error.problems
    ]
    placed = InputError.of(problems)
    assert isinstance(placed, InputError)
    return placed
