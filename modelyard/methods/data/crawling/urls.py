"""One spelling for one address (RFC 3986 section 6), and the looks of addresses that never end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urljoin, urlsplit, urlunsplit

from modelyard.base.messages import t
from modelyard.errors import InputError

MOST_CHARACTERS = 2_000
TRACKING = re.compile(r"utm_[a-z]+|gclid|fbclid|msclkid|spm|yclid|_ga|mc_[ce]id", re.IGNORECASE)
SESSION = re.compile(r"phpsessid|jsessionid|sid|session_?id|aspsessionid\w*", re.IGNORECASE)
BINARY = re.compile(
    r"\.(7z|avi|bin|bmp|bz2|css|dmg|docx?|eot|epub|exe|flv|gif|gz|ico|iso|jar|jpe?g|js|json|m4a|mkv|mov|mp[34]|mpe?g|msi|"
    r"og[gv]|pdf|png|pptx?|rar|rss|svg|tar|tgz|tiff?|ttf|wav|webm|webp|wmv|woff2?|xlsx?|xml|zip)$",
    re.IGNORECASE,
)
PORTS = {"http": 80, "https": 443}
SAFE = "!$&'()*+,;=:@/?-._~%"


@dataclass(frozen=True)
class Site:
    """The one site that is crawled: a host with its port, whatever the scheme."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Site:
        """Raises InputError if `url` is no web address."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise InputError(t("no address of a page: {url}", url=url[:200]), where="start", expected="https://…")
        return cls(parts.hostname.lower(), _port(parts.scheme, parts.port))

    def holds(self, url: str) -> bool:
        """Whether an address is on the site; both standard ports count as one."""
        parts = urlsplit(url)
        port = _port(parts.scheme, parts.port)
        standard = {80, 443}
        return parts.hostname == self.host and (port == self.port or {port, self.port} <= standard)


def _port(scheme: str, port: int | None) -> int:
    return port or PORTS.get(scheme, 0)


def canonical(base: str, link: str) -> str | None:
    """The address a link leads to, in one spelling; None if it is no page's address or too long.

    Scheme and host in small letters, no default port, no fragment, no user, dots resolved, escapes in one way, and
    without the parameters that only track the visitor or his session.
    """
    try:
        parts = urlsplit(urljoin(base, re.sub(r"[\t\r\n]", "", link.strip())))
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower().rstrip(".")
    if parts.scheme not in PORTS or not host:
        return None
    try:
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    where = f"[{host}]" if ":" in host else host
    where += f":{port}" if port and port != PORTS[parts.scheme] else ""
    path = escaped(_without_session(_resolved(parts.path or "/")))
    found = urlunsplit((parts.scheme, where, path, escaped(_kept(parts.query)), ""))
    return found if len(found) <= MOST_CHARACTERS else None


def _resolved(path: str) -> str:
    """Dot segments taken out (RFC 3986 5.2.4); urljoin leaves them in absolute links."""
    kept: list[str] = []
    parts = path.split("/")
    for part in parts[1:]:
        if part == ".." and kept:
            kept.pop()
        elif part not in (".", ".."):
            kept.append(part)
    if parts[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _without_session(path: str) -> str:
    return re.sub(r";jsessionid=[^/;?]*", "", path, flags=re.IGNORECASE)


def _kept(query: str) -> str:
    pairs = [pair for pair in query.split("&") if pair]
    names = [pair.partition("=")[0] for pair in pairs]
    return "&".join(
        pair
        for pair, name in zip(pairs, names, strict=True)
        if not TRACKING.fullmatch(name) and not SESSION.fullmatch(name)
    )


def escaped(text: str) -> str:
    """Percent escapes in one way: letters that need none bare, the rest as UTF-8 in capital hex."""

    def one(match: re.Match[str]) -> str:
        letter = chr(int(match.group(1), 16))
        return letter if re.fullmatch(r"[A-Za-z0-9._~-]", letter) else f"%{match.group(1).upper()}"

    text = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text)
    return quote(re.sub(r"%([0-9A-Fa-f]{2})", one, text), safe=SAFE, errors="replace")


def target_of(url: str) -> str:
    """Path and query: what robots.txt speaks about."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def is_binary(url: str) -> bool:
    """Whether the path ends like a file that is no page."""
    return bool(BINARY.search(urlsplit(url).path))


def looks_endless(url: str) -> bool:
    """Whether the path repeats itself, as broken relative links make it: `/a/b/a/b/a/b`."""
    parts = [part for part in urlsplit(url).path.split("/") if part]
    if len(parts) > 30:
        return True
    for size in (1, 2, 3):
        for start in range(len(parts) - 3 * size + 1):
            first = parts[start : start + size]
            if all(parts[start + size * n : start + size * (n + 1)] == first for n in (1, 2)):
                return True
    return False


def shape(url: str) -> str:
    """What addresses of one kind have in common: digits as `0`, and of the query only the names."""
    parts = urlsplit(url)
    names = sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True, max_num_fields=None)})
    return re.sub(r"\d+", "0", parts.path) + ("?" + "&".join(names) if names else "")
