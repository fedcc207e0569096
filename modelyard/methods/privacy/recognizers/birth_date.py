"""Dates of birth: a date beside a word that says so. A date alone is no personal datum."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

TYPES = ("birth_date",)
BEFORE = re.compile(
    r"出生(?:日期|年月日?|时间|于|日)?|生日|生于|生於|诞生于|\bd\.?o\.?b\b\.?|date of birth|birth ?date|"
    r"birth ?day|birthdate|\bborn\b|née le"
)
GAP = re.compile(r"[ \t\r\n:：=,是为在于()（）\[\]\"'|#]{0,6}(?:on |is |was |the |date )?[ :]{0,2}")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]{0,6}\.?"
DATE = re.compile(
    rf"(?:1[89]|20)[0-9]{{2}} ?[-/.年] ?(?:0?[1-9]|1[0-2]) ?[-/.月] ?(?:0?[1-9]|[12][0-9]|3[01])(?![0-9])(?: ?[日号])?"
    rf"|(?:1[89]|20)[0-9]{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?![0-9])"
    rf"|(?:0?[1-9]|[12][0-9]|3[01])[-/. ](?:0?[1-9]|[12][0-9]|3[01])[-/. ](?:(?:1[89]|20)[0-9]{{2}}|"
    rf"[0-9]{{2}})(?![0-9])"
    rf"|(?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?[ -](?:of )?{_MONTH},?[ -]?(?:1[89]|20)[0-9]{{2}}(?![0-9])"
    rf"|{_MONTH} ?(?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?,? ?(?:1[89]|20)[0-9]{{2}}(?![0-9])"
    r"|[0-9]{2}年(?:0?[1-9]|1[0-2])月(?:0?[1-9]|[12][0-9]|3[01])[日号]?"
    r"|(?:1[89]|20)[0-9]{2} ?年 ?(?:0?[1-9]|1[0-2]) ?月(?: ?(?:0?[1-9]|[12][0-9]|3[01])[日号]?)?"
    r"|[一二][〇零○九八七六五四三二一]{3}年[一二三四五六七八九十]{1,2}月(?:[一二三四五六七八九十]{1,3}[日号]?)?"
)
AFTER = re.compile(r"[ ,，]{0,2}(?:出生|生人|生(?![产活效意成命长日])|诞生)")
WORDS = ("生", "birth", "born", "dob", "d.o.b", "d.o b", "do.b", "née", "诞")
YEAR_FIRST = re.compile(r"(?:(?:1[89]|20)[0-9]{2}|[一二][〇零○九八七六五四三二一]{3}) ?[-/.年]")


def find(view: View) -> Iterator[Span]:
    """Dates of birth of a text."""
    lower = view.lower
    if not any(word in lower for word in WORDS):
        return
    for word in BEFORE.finditer(lower):
        gap = GAP.match(lower, word.end())
        date = DATE.match(lower, gap.end() if gap else word.end())
        if date:
            yield Span(date.start(), date.end(), "birth_date", 0.9, "date, context")
    if "生" in lower:
        for year in YEAR_FIRST.finditer(lower):
            date = DATE.match(lower, year.start())
            if date and AFTER.match(lower, date.end()):
                yield Span(date.start(), date.end(), "birth_date", 0.85, "date, context")
