"""An HTML page's own text, title, language and links, and what it asks of robots.

The text is that of `main`, else of the body, without scripts, navigation, header, footer and asides. What would keep
the parser busy for minutes is refused first: it takes quadratic time on deep nesting and on many attributes of a tag.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from modelyard.methods.text.markup import strip_html

MOST_NESTED = 2_000
MOST_ATTRIBUTES = 500
MOST_WORK = 2_000_000
MOST_LINKS = 10_000
DROPPED = (
    "script, style, noscript, template, nav, header, footer, aside, form, iframe, object, svg, math, canvas, dialog, "
    "button, select, [hidden], [aria-hidden=true], [role=navigation], [role=banner], [role=contentinfo], [role=search]"
)
NO_CHARSETS = {"utf-7", "idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"}
"""Codecs of Python that no page is in, some of them slow on purpose-made bytes."""
NO_TEXT = {"noindex", "none", "noai"}
NO_LINKS = {"nofollow", "none"}
_SCRIPT = re.compile(r"<(script|style|noscript|svg|template)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.I | re.S)
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_ATTRIBUTE = re.compile(r"[\s/]*=?[^\s/>=]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]*))?")
# Elements that hold nothing, or that the next one of their kind ends: they do not nest by themselves.
_FLAT = frozenset(
    re.findall(
        r"\w+",
        "area base br col embed hr img input link meta param source track wbr p li td th tr dt dd option optgroup "
        "thead tbody tfoot body html head rp rt",
    )
)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)


@dataclass(frozen=True)
class Page:
    """What a page holds.

    Attributes:
        language: as the page says (`zh-CN`), or ``.
        canonical: the address the page calls its own, or ``.
        links: as written, those marked `nofollow` left out.
        base: what relative links start from, if the page says so.
        keep, follow: whether the page lets robots keep its text and follow its links.
    """

    title: str
    language: str
    text: str
    canonical: str
    base: str
    links: tuple[str, ...]
    keep: bool
    follow: bool


class TooHard(ValueError):
    """A page that would keep the parser busy for too long; its words say why, in English."""


def decode(body: bytes, content_type: str) -> str:
    """A page's bytes as text: by its header, by what it says itself, as UTF-8, as GB18030."""
    match = re.search(r"charset=[\"']?([\w.:-]+)", content_type, re.IGNORECASE)
    said = match.group(1) if match else ""
    inside = _CHARSET.search(body[:4096])
    names = [said, inside.group(1).decode("ascii") if inside else "", "utf-8", "gb18030"]
    for name in names:
        name = "gb18030" if name.lower() in ("gb2312", "gbk") else name
        try:
            if name and name.lower().replace("_", "-") not in NO_CHARSETS:
                return body.decode(name)
        except (LookupError, UnicodeDecodeError):
            continue
    return body.decode("utf-8", errors="replace")


def read_page(markup: str, headers: Mapping[str, str], agent: str) -> Page:
    """What a page holds and allows.

    Args:
        headers: of the answer, by lower-case name: `x-robots-tag`, `tdm-reservation`.
        agent: the crawler's product name: directives for it count as those for all.

    Raises:
        TooHard: parsing it would take too long.
    """
    check(lean := _SCRIPT.sub(" ", markup.replace("\0", "")))
    tree = LexborHTMLParser(lean)
    asked = _asked_by_header(headers, agent) | _asked_by_page(tree, agent)
    links = tuple(_links(tree))
    title = tree.css_first("title")
    root = tree.css_first("html")
    base, canonical = tree.css_first("base[href]"), tree.css_first('link[rel~="canonical"][href]')
    found = Page(
        title=" ".join(title.text().split()) if title else "",
        language=(root.attributes.get("lang") or "").strip()[:35] if root else "",
        text=_text(tree),
        canonical=_value(canonical, "href"),
        base=_value(base, "href"),
        links=links,
        keep=not asked & NO_TEXT,
        follow=not asked & NO_LINKS,
    )
    return found


def check(markup: str) -> None:
    """Raise TooHard if the parser would take too long; linear in the page's length."""
    open_tags: Counter[str] = Counter()
    nested = work = 0
    for tag in _TAG.finditer(markup):
        name = tag.group(2).lower()[:20]
        if tag.group(1):
            nested -= bool(open_tags[name])
            open_tags[name] -= bool(open_tags[name])
        elif name not in _FLAT:
            open_tags[name] += 1
            nested += 1
            if nested > MOST_NESTED:
                raise TooHard("nested too deeply")
        work += _attributes(markup, tag.end())
        if work > MOST_WORK:
            raise TooHard("too many attributes")


def _attributes(markup: str, place: int) -> int:
    num = 0
    while (found := _ATTRIBUTE.match(markup, place)) is not None:
        num, place = num + 1, found.end()
        if num > MOST_ATTRIBUTES:
            raise TooHard("too many attributes")
    return num


def _value(node: LexborNode | None, name: str) -> str:
    return (node.attributes.get(name) or "").strip() if node is not None else ""


def _links(tree: LexborHTMLParser) -> Iterable[str]:
    for node in tree.css("a[href], area[href]")[:MOST_LINKS]:
        rel = (node.attributes.get("rel") or "").lower().split()
        if "nofollow" not in rel and (link := _value(node, "href")):
            yield link


def _text(tree: LexborHTMLParser) -> str:
    """The page's own text: block elements on lines of their own, runs of white space as one space."""
    for node in tree.css(DROPPED):
        node.decompose()
    mains = [node for node in tree.css("main, [role=main]") if node.text(strip=True)]
    chosen = mains[0] if mains else tree.body
    if chosen is None or not chosen.html:
        return ""
    lines = (" ".join(line.split()) for line in strip_html(chosen.html).splitlines())
    return "\n".join(line for line in lines if line)


def _asked_by_page(tree: LexborHTMLParser, agent: str) -> set[str]:
    found: set[str] = set()
    for node in tree.css("meta[name][content]"):
        name = (node.attributes.get("name") or "").strip().lower()
        content = (node.attributes.get("content") or "").lower()
        if name in ("robots", agent.lower()):
            found |= {word.strip() for word in content.split(",")}
        elif name == "tdm-reservation" and content.strip() == "1":
            found.add("noai")
    return found


def _asked_by_header(headers: Mapping[str, str], agent: str) -> set[str]:
    """Directives of `X-Robots-Tag`; one may be for a named crawler only: `otherbot: noindex`."""
    found: set[str] = set()
    current = ""
    for part in headers.get("x-robots-tag", "").lower().split(","):
        word = part.strip()
        name, colon, rest = word.partition(":")
        if colon and name.strip() not in ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"):
            current, word = name.strip(), rest.strip()
        if current in ("", "robots", agent.lower()):
            found.add(word)
    if headers.get("tdm-reservation", "").strip() == "1":
        found.add("noai")
    return found
