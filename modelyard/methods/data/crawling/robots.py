"""robots.txt: which paths a crawler may ask for (RFC 9309), with the `Crawl-delay` and `Sitemap` lines many sites add.

The groups for the crawler's name are taken together; without one the group `*` holds. Of the rules that match a path
the longest wins, `Allow` if two are as long. `*` stands for anything, `$` for the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.methods.data.crawling.urls import escaped

MOST_BYTES = 512 * 1024
"""RFC 9309 2.5 asks for at least 500 kibibytes; what stands behind is not read."""
MOST_RULE = 2_000
LINE = re.compile(r"\s*([A-Za-z-]+)\s*:\s*(.*)")


@dataclass(frozen=True)
class Rule:
    """One Allow or Disallow line; `path` is percent-encoded in one way, as addresses are."""

    allow: bool
    path: str

    def matches(self, target: str) -> bool:
        """Whether the rule is about a path with its query. Linear: parts between stars are found from left to right."""
        ended = self.path.endswith("$")
        parts = self.path.removesuffix("$").split("*") if ended else self.path.split("*")
        if not target.startswith(parts[0]):
            return False
        if len(parts) == 1:
            return not ended or target == parts[0]
        place = len(parts[0])
        for part in parts[1:-1]:
            found = target.find(part, place)
            if found < 0:
                return False
            place = found + len(part)
        last = parts[-1]
        if ended:
            return len(target) - len(last) >= place and target.endswith(last)
        return target.find(last, place) >= 0


@dataclass(frozen=True)
class Robots:
    """What robots.txt says to one crawler.

    Attributes:
        delay_s: seconds between requests the site asks for, or None.
        sitemaps: addresses of sitemaps, of the whole file.
    """

    rules: Sequence[Rule] = ()
    delay_s: float | None = None
    sitemaps: Sequence[str] = ()

    def allows(self, target: str) -> bool:
        """Whether a path with its query may be asked for. `/robots.txt` itself always may."""
        target = escaped(target)
        best = max(
            (rule for rule in self.rules if rule.matches(target)),
            key=lambda rule: (len(rule.path), rule.allow),
            default=None,
        )
        return best is None or best.allow or target == "/robots.txt"


def parse(body: bytes, agent: str) -> Robots:
    """What a robots.txt says to the crawler whose product name is `agent`.

    Bytes that are no UTF-8, unknown lines and lines without a colon are passed over, as the RFC wants it.
    """
    groups: dict[str, tuple[list[Rule], list[float]]] = {}
    named: list[str] = []
    fresh = True
    sitemaps = []
    for key, value in _lines(body):
        if key == "user-agent":
            named = [*named, value.lower()] if fresh and named else [value.lower()]
            fresh = True
        elif key == "sitemap":
            sitemaps.append(value)
        elif key in ("allow", "disallow", "crawl-delay"):
            fresh = False
            for name in named:
                _add(groups.setdefault(_product(name), ([], [])), key, value)
    # A group without rules allows everything, and it is still the crawler's own.
    for name in _agents(body):
        groups.setdefault(_product(name), ([], []))
    rules, delays = groups.get(agent.lower()) or groups.get("*") or ([], [])
    return Robots(tuple(rules), max(delays, default=None), tuple(sitemaps))


def _agents(body: bytes) -> list[str]:
    return [value.lower() for key, value in _lines(body) if key == "user-agent"]


def _product(name: str) -> str:
    """The product token of a user-agent line: letters, `_` and `-`; what follows (a version) does not count."""
    match = re.match(r"\*|[a-z_-]+", name)
    return match.group(0) if match else ""


def _add(group: tuple[list[Rule], list[float]], key: str, value: str) -> None:
    rules, delays = group
    if key == "crawl-delay":
        try:
            seconds = float(value)
        except ValueError:
            return
        if 0 <= seconds < float("inf"):
            delays.append(seconds)
    elif value:  # an empty path matches nothing
        rules.append(Rule(key == "allow", _pattern(value[:MOST_RULE])))


def _pattern(value: str) -> str:
    path = value if value.startswith(("/", "*")) else f"/{value}"
    return re.sub(r"\*{2,}", "*", escaped(path))


def _lines(body: bytes) -> list[tuple[str, str]]:
    text = body[:MOST_BYTES].removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="ignore")
    found = []
    for line in re.split(r"[\r\n]+", text):
        if match := LINE.fullmatch(line.partition("#")[0].rstrip()):
            found.append((match.group(1).lower(), match.group(2).strip()))
    return found
