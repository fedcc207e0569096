"""Names of companies, by their ending. No personal data by themselves: found only when asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.recognizers.address_zh import places
from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

TYPES = ("company", "place")
CHINESE = re.compile(
    r"[\u4e00-\u9fffA-Za-z0-9()]{2,20}?(?:有限责任公司|股份有限公司|有限公司|集团公司|集团|证券|银行|保险公司|基金公司|事务所|公司)"
)
LATIN = re.compile(
    r"(?<!\w)[A-Z][\w&'’\-]{0,24}(?: (?:and |& )?[A-Z][\w&'’\-]{0,24}){0,4},? (?:Inc|Ltd|LLC|Corp|Corporation|"
    r"GmbH|PLC|Group|Holdings|Limited|Company)\b\.?"
)
LEAD = re.compile(r".*(?:在|到|从|至|于|是|为|的|和|与|及|向|对|由|把|将|了|给|让|请|我|他|她|你|这|那|由|被|该|该|家)")


def find(view: View) -> Iterator[Span]:
    """Companies and places of a text."""
    yield from places(view)
    for match in LATIN.finditer(view.text):
        yield Span(match.start(), match.end(), "company", 0.8, "ending")
    if view.text.isascii():
        return
    for match in CHINESE.finditer(view.text):
        lead = LEAD.match(match.group()[:-2])
        start = match.start() + (lead.end() if lead else 0)
        if match.end() - start > 3:
            yield Span(start, match.end(), "company", 0.82, "ending")
