"""Accounts of messengers: WeChat and QQ, by the word before them (微信号: …, QQ 12345678, vx …)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

TYPES = ("wechat", "qq")
_LINK = r"[ :：=是为号码.,，#/()（）]{0,4}"
WECHAT = re.compile(
    rf"(?:微信(?:账号|帐号|id|号)?|wechat(?: ?id)?|weixin(?: ?id)?|薇信|威信|徽信|v信|加v|加微|"
    rf"(?<![a-z0-9])(?:vx|wx|v)(?=[ :：=]))"
    rf"{_LINK}(?P<id>[a-z][a-z0-9_\-]{{5,19}}|1[3-9][0-9]{{9}})(?![a-z0-9_@.])"
)
QQ = re.compile(
    rf"(?:(?<![a-z0-9])qq(?:群|号)?|扣扣|企鹅号?|秋秋|球球){_LINK}(?P<id>[1-9](?:[ \-]?[0-9]){{4,10}})(?![0-9a-z@.])"
)
WECHAT_WORDS = (
    "微信",
    "wechat",
    "weixin",
    "薇信",
    "威信",
    "徽信",
    "v信",
    "加v",
    "加微",
    "vx",
    "wx",
    "v:",
    "v：",
    "v=",
    "v ",
)
WORDS = frozenset(
    {"wechat", "weixin", "account", "number", "please", "official", "payment", "contact", "friend", "moments", "follow",
     "public", "before", "should", "message", "messages", "username", "program"}
)  # fmt: skip


def find(view: View) -> Iterator[Span]:
    """Messenger accounts of a text."""
    lower = view.lower
    if "qq" in lower or "扣" in lower or "企鹅" in lower or "秋秋" in lower or "球球" in lower:
        for match in QQ.finditer(lower):
            yield Span(match.start("id"), match.end("id"), "qq", 0.85, "context")
    if any(word in lower for word in WECHAT_WORDS):
        for match in WECHAT.finditer(lower):
            if match["id"] not in WORDS:
                yield Span(match.start("id"), match.end("id"), "wechat", 0.85, "context")
