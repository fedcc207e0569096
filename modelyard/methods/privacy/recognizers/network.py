"""Addresses of machines: IPv4, IPv6 (RFC 4291) and hardware (MAC) addresses, also written with `[.]`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

TYPES = ("ip_address", "mac_address")
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_DOT = r"(?: ?(?:\.|。|\[\.\]|\(\.\)) ?)"
IPV4 = re.compile(rf"(?<![0-9A-Za-z.\-])(?<![0-9][.。]){_OCTET}(?:{_DOT}{_OCTET}){{3}}(?![0-9A-Za-z]|\.[0-9])")
IPV6 = re.compile(
    r"(?<![0-9A-Za-z.])(?<![0-9]:)(?<!::)[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:[.][0-9]{1,3}){3})?(?![0-9A-Za-z:])"
)
MAC = re.compile(
    r"(?<![0-9A-Za-z\-])(?<![^A-Za-z][0-9A-Fa-f]{2}:)(?:[0-9A-F]{2}(?P<gap>[:\-])[0-9A-F]{2}(?:(?P=gap)[0-9A-F]{2}){4}|[0-9A-F]{4}\.[0-9A-F]{4}\.[0-9A-F]{4})"
    r"(?![0-9A-Za-z:\-])",
    re.IGNORECASE,
)
BARE_MAC = re.compile(
    r"mac(?: ?addr(?:ess)?|地址)?[ :=是为]{1,3}([0-9a-f]{12}|[0-9a-f]{2}(?: [0-9a-f]{2}){5})(?![0-9a-z])"
)
VERSION = re.compile(r"(?:version|ver\.?|\bv|版本|固件|release|build|chapter|section|章节)[号:：= ]{0,3}$")


def find(view: View) -> Iterator[Span]:
    """Machine addresses of a text."""
    text = view.text
    if view.num_digits >= 4 and ("." in text or "。" in text):
        for match in IPV4.finditer(text):
            yield Span(match.start(), match.end(), "ip_address", *_judge(view, match))
    colons = text.count(":")
    if colons >= 2:
        for match in IPV6.finditer(text):
            if _is_ipv6(match.group()):
                yield Span(match.start(), match.end(), "ip_address", 0.9, "IPv6")
    if colons >= 5 or text.count("-") >= 5 or (text.count(".") >= 2 and view.num_digits) or "mac" in view.lower:
        yield from _hardware(view)


def _judge(view: View, match: re.Match[str]) -> tuple[float, str]:
    address = re.sub(r"[^0-9.]", "", match.group().replace("。", "."))
    if address.startswith(("0.", "127.", "255.")):
        return 0.2, "IPv4 of no machine in particular"
    if VERSION.search(view.before(match.start(), 10)):
        return 0.3, "version"
    return 0.9, "IPv4"


def _is_ipv6(text: str) -> bool:
    groups = [group for group in text.split(":") if group]
    if len(groups) < 3:
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _hardware(view: View) -> Iterator[Span]:
    for match in MAC.finditer(view.text):
        yield Span(match.start(), match.end(), "mac_address", 0.9, "layout")
    if "mac" in view.lower:
        for match in BARE_MAC.finditer(view.lower):
            yield Span(match.start(1), match.end(1), "mac_address", 0.85, "context")
