"""The walk over one site: address after address, no faster than agreed, until nothing is left or a bound is reached."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.crawling import robots, urls
from modelyard.methods.data.crawling.frontier import Frontier, Kept, Waiting
from modelyard.methods.data.crawling.pages import Page, TooHard, decode, read_page
from modelyard.methods.data.egress import Egress, Limits, Reply

ANSWERS = frozenset(range(300, 500)) - {408, 425, 429}
"""Statuses that are an answer and no fault that may pass."""
REDIRECTS = (301, 302, 303, 307, 308)
MOST_FAILURES = 10
MOST_SITEMAPS = 50
MOST_LISTED = 50_000
LOCATION = re.compile(r"<loc>\s*([^<\s]+)\s*</loc>", re.IGNORECASE)
AMPERSAND = "&amp;"
PAGES = ("text/html", "application/xhtml+xml", "text/plain", "")


@dataclass(frozen=True)
class Visit:
    """How a site is crawled.

    Attributes:
        start: addresses of one site.
        agent: the crawler's product name, letters, `_` and `-`.
        contact: address of who crawls, told to the site with every request.
        requests_per_second: at most; the site's `Crawl-delay` can only make it slower.
        max_depth: links from a start.
        max_of_a_kind: addresses that differ in digits or in values of their query only.
        include, exclude: patterns of path and query, `*` for anything.
    """

    start: Sequence[str]
    agent: str
    contact: str
    requests_per_second: float = 1.0
    max_pages: int = 1_000
    max_requests: int = 10_000
    max_depth: int = 10
    max_of_a_kind: int = 500
    max_page_bytes: int = 2 << 20
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    sitemap: bool = False

    @property
    def header(self) -> str:
        return f"Mozilla/5.0 (compatible; {self.agent}; +{self.contact})"

    def wants(self, url: str) -> bool:
        """Whether the patterns let an address in."""
        target = urls.target_of(url)
        inside = not self.include or any(fnmatch.fnmatchcase(target, pattern) for pattern in self.include)
        return inside and not any(fnmatch.fnmatchcase(target, pattern) for pattern in self.exclude)


class _Visitor(Egress):
    """An Egress that follows no redirect: each hop must be asked of robots.txt first."""

    def _redirect(self, ask: object, response: httpx.Response, url: httpx.URL) -> None:
        return None


def crawl(visit: Visit, file: Path, say: Callable[[str], None], progress: Callable[[int, int], None]) -> Frontier:
    """Crawl a site, or go on with it. The frontier, to be closed by the caller, holds pages and what was passed over.

    Raises:
        InputError: the starts are of several sites, robots.txt cannot be had or allows none of them, or the site does
            not answer any more.
    """
    starts = [urls.canonical(url, url) or "" for url in visit.start]
    site = urls.Site.of(starts[0] or visit.start[0])
    if not all(start and site.holds(start) for start in starts):
        raise InputError(
            t("the starts are of several sites"), where="start", remedy=t("crawl each in a step of its own")
        )
    frontier = Frontier(file)
    try:
        allowed = _robots(visit, starts[0])
        walk = _Walk(visit, site, allowed, frontier, say, progress)
        walk.begin(starts)
        walk.run()
    except BaseException:
        frontier.close()
        raise
    return frontier


def _robots(visit: Visit, start: str) -> robots.Robots:
    """RFC 9309 2.3.1: a file that is not there allows everything, one that cannot be had allows nothing."""
    parts = urlsplit(start)
    limits = Limits(max_bytes=4 << 20, retries=3)
    with Egress(limits, headers={"user-agent": visit.header}) as egress:
        try:
            reply = egress.get(f"{parts.scheme}://{parts.netloc}/robots.txt", accept=ANSWERS)
        except InputError as error:
            first = error.problems[0]
            raise InputError(
                t("robots.txt cannot be had, so nothing may be crawled: {reason}", reason=first.found),
                where=first.where,
                remedy=t("try again later, or ask the site's owner"),
            ) from None
    return robots.Robots() if reply.status >= 400 else robots.parse(reply.body, visit.agent)


class _Walk:
    """One run over the frontier."""

    def __init__(
        self,
        visit: Visit,
        site: urls.Site,
        allowed: robots.Robots,
        frontier: Frontier,
        say: Callable[[str], None],
        progress: Callable[[int, int], None],
    ) -> None:
        self._visit, self._site, self._allowed, self._frontier = visit, site, allowed, frontier
        self._say, self._progress = say, progress
        gap = max(1 / visit.requests_per_second, allowed.delay_s or 0.0)
        if allowed.delay_s and gap > 1 / visit.requests_per_second:
            say(t("robots.txt asks for {seconds:g} seconds between requests: obeyed", seconds=allowed.delay_s))
        limits = Limits(
            requests_per_second=1 / gap, max_bytes=visit.max_page_bytes, retries=2, whole_s=120.0, max_wait_s=300.0
        )
        self._egress = _Visitor(limits, headers={"user-agent": visit.header})
        self._failures = 0

    def begin(self, starts: Sequence[str]) -> None:
        """Put the starts, and what the sitemaps list, at the head of an empty frontier."""
        if self._frontier.fact("begun"):
            done = self._frontier.num_asked
            self._say(t("goes on after {n:,} addresses that a run before it had dealt with", n=done))
            return
        self._frontier.add(((url, f"start {url}") for url in starts), 0, 1)
        if self._visit.sitemap:
            listed = self._sitemaps(starts[0])
            self._say(t("sitemaps list {n:,} addresses of the site", n=len(listed)))
            self._frontier.add(((url, urls.shape(url)) for url in listed), 1, self._visit.max_of_a_kind)
        self._frontier.note("begun", "yes")

    def run(self) -> None:
        frontier, visit = self._frontier, self._visit
        with self._egress:
            while frontier.num_pages < visit.max_pages and frontier.num_asked < visit.max_requests:
                waiting = frontier.next()
                if waiting is None:
                    return
                self._deal_with(waiting)
                self._progress(frontier.num_pages, visit.max_pages)
        if left := frontier.num_waiting():
            bound = "max_pages" if frontier.num_pages >= visit.max_pages else "max_requests"
            said = t(
                "stopped at {n:,} pages by `{bound}`; {left:,} addresses were not asked for",
                n=frontier.num_pages,
                bound=bound,
                left=left,
            )
            self._say(said)

    def _deal_with(self, waiting: Waiting) -> None:
        if reason := self._refused(waiting):
            self._frontier.skip(waiting, reason, asked=False)
            return
        try:
            reply = self._egress.get(waiting.url, headers={"accept": "text/html,text/plain;q=0.5"}, accept=ANSWERS)
        except InputError as error:
            self._failed(waiting, error)
            return
        self._failures = 0
        if reply.status in REDIRECTS:
            self._moved(waiting, reply)
        elif reply.status >= 300:
            self._frontier.skip(waiting, "no page", str(reply.status))
        else:
            self._arrived(waiting, reply)

    def _refused(self, waiting: Waiting) -> str:
        """Why an address is not asked for, or ``."""
        if not self._allowed.allows(urls.target_of(waiting.url)):
            return "robots.txt"
        if waiting.depth > self._visit.max_depth:
            return "too deep"
        if waiting.depth > 0 and not self._visit.wants(waiting.url):
            return "not wanted"
        return "endless path" if urls.looks_endless(waiting.url) else ""

    def _failed(self, waiting: Waiting, error: InputError) -> None:
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            raise InputError(
                t("{n} addresses one after the other gave no answer, the last: {why}", n=self._failures,
                  why=error.problems[0].found),
                where=waiting.url,
                remedy=t("run again later: it goes on from here"),
            ) from error  # fmt: skip
        self._frontier.skip(waiting, "not to be had", error.problems[0].found)

    def _moved(self, waiting: Waiting, reply: Reply) -> None:
        target = urls.canonical(waiting.url, reply.headers.get("location", ""))
        if target is None or not self._site.holds(target):
            self._frontier.skip(waiting, "leads elsewhere", target or "")
        else:
            self._frontier.lead(
                waiting, "redirected", target, [(target, urls.shape(target))], self._visit.max_of_a_kind
            )

    def _arrived(self, waiting: Waiting, reply: Reply) -> None:
        content_type = reply.headers.get("content-type", "").lower()
        if content_type.partition(";")[0].strip() not in PAGES:
            self._frontier.skip(waiting, "no text", content_type[:100])
            return
        markup = decode(reply.body, content_type)
        try:
            page = self._page(markup, content_type, reply)
        except TooHard as error:
            self._frontier.skip(waiting, "too hard to read", str(error))
            return
        links = self._links(waiting, page) if page.follow and waiting.depth < self._visit.max_depth else []
        if not page.keep:
            self._frontier.lead(waiting, "asks not to be kept", "", links, self._visit.max_of_a_kind)
        elif not page.text:
            self._frontier.lead(waiting, "no text", "", links, self._visit.max_of_a_kind)
        else:
            kept = Kept(waiting.url, page.title, page.language, page.text)
            self._frontier.keep(waiting, kept, self._marks(waiting, page), links, self._visit.max_of_a_kind)

    def _page(self, markup: str, content_type: str, reply: Reply) -> Page:
        if content_type.startswith("text/plain"):
            markup = "<pre>" + markup.replace("&", AMPERSAND).replace("<", "&lt;") + "</pre>"
        return read_page(markup, reply.headers, self._visit.agent)

    def _links(self, waiting: Waiting, page: Page) -> list[tuple[str, str]]:
        base = urls.canonical(waiting.url, page.base) if page.base else waiting.url
        found = (urls.canonical(base or waiting.url, link) for link in page.links)
        mine = dict.fromkeys(url for url in found if url and self._site.holds(url) and not urls.is_binary(url))
        return [(url, urls.shape(url)) for url in mine]

    def _marks(self, waiting: Waiting, page: Page) -> list[str]:
        """What two addresses of one page share: the address it calls its own, and its text."""
        digest = hashlib.sha256(f"{page.title}\n{page.text}".encode("utf-8", "replace")).hexdigest()
        own = urls.canonical(waiting.url, page.canonical) if page.canonical else None
        return [digest, own] if own and self._site.holds(own) else [digest]

    def _sitemaps(self, start: str) -> list[str]:
        """Addresses of the site that its sitemaps list, those of sitemaps they list included."""
        parts = urlsplit(start)
        waiting = [*self._allowed.sitemaps] or [f"{parts.scheme}://{parts.netloc}/sitemap.xml"]
        asked: set[str] = set()
        found: dict[str, None] = {}
        while waiting and len(asked) < MOST_SITEMAPS and len(found) < MOST_LISTED:
            url = urls.canonical(start, waiting.pop(0))
            if url is None or url in asked or not self._site.holds(url):
                continue
            asked.add(url)
            for listed in self._listed(url):
                if listed.endswith(".xml"):
                    waiting.append(listed)
                elif (page := urls.canonical(start, listed)) and self._site.holds(page) and not urls.is_binary(page):
                    found[page] = None
        return list(found)[:MOST_LISTED]

    def _listed(self, url: str) -> list[str]:
        try:
            reply = self._egress.get(url, accept=ANSWERS)
        except InputError as error:
            self._say(t("{url} cannot be read: {reason}", url=url, reason=error.problems[0].found))
            return []
        if reply.status >= 300:
            return []
        return [item.replace(AMPERSAND, "&") for item in LOCATION.findall(reply.text())]
