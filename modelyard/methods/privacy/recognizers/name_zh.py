"""Names of people in Chinese text, without a model: surnames, characters of given names, and what stands around.

Scores add up: how surely the first characters are a surname, whether the rest are common in given names, a title or a
verb of speech beside it, punctuation or a word boundary. A word that begins like a surname (高兴, 黄金) is none.
Foreign names are found by their middle dot, or by characters used to write sounds with a title or verb beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.tables import table, words
from modelyard.methods.privacy.view import View

TYPES = ("person_name",)
HAN = re.compile("[\u4e00-\u9fff]")
_SOUNDS = (
    "阿艾安奥巴贝比彼毕伯勃博布查达戴丹道德邓迪蒂丁顿杜多朵厄恩尔法范菲费芬弗夫福甘冈高戈格根贡古哈海汉赫亨洪霍怀惠基吉济加贾简杰金"
    "津喀卡凯坎康考柯科克肯库夸拉莱兰朗劳勒雷黎里丽利莉廉列林琳龙卢鲁伦罗洛马玛迈麦曼毛梅门蒙米密敏明莫姆穆纳娜南内尼妮宁纽诺欧帕潘"
    "庞佩彭皮平珀普齐奇契钱乔切琼丘热仁日荣茹瑞萨塞赛桑森沙山绍舍申什圣施史舒斯司松苏孙索塔泰坦汤唐特滕提汀廷图托瓦万旺威韦维魏温文沃乌"
    "吾武西希锡夏香肖谢辛欣休许雅亚延扬耶叶伊因英尤约泽扎詹珍朱兹佐"
)
DOTTED = re.compile(r"[\u4e00-\u9fff]{1,6}(?:[·•.・][\u4e00-\u9fff]{1,6}){1,3}")
SOUNDED = re.compile(f"[{_SOUNDS}]{{3,7}}")
SPEECH = ("说", "表示", "认为", "指出", "告诉", "透露", "坦言", "强调", "先生", "女士", "教练", "接受", "饰演", "率领")
BOUND = frozenset(" \t\r\n,.;:!?()[]{}<>\"'/|-，。；：！？（）【】《》“”‘’、…—~@#*=")
LINK = frozenset("和与跟及向对给为被把让由请找是叫到的在将")
FOLLOW = frozenset("的在是和与也就将曾等则被为向对从又还已已却")


@cache
def _surname() -> re.Pattern[str]:
    names = table("names_zh")
    return re.compile(f"{'|'.join(names['compound'].split())}|[{names['common']}{names['rare']}]")


@cache
def _characters(key: str) -> frozenset[str]:
    return frozenset(table("names_zh")[key])


@cache
def _words(key: str) -> frozenset[str]:
    return words("names_zh", key)


def find(view: View) -> Iterator[Span]:
    """Names of a text; those that are found surely are found wherever they stand in it."""
    text = view.text
    if text.isascii() or HAN.search(text) is None:
        return
    starts = [match.span() for match in _surname().finditer(text)]
    found: list[Span] = []
    end = 0
    for start, middle in starts:
        if start >= end:
            best = _best(text, start, middle)
            if best is not None:
                found.append(best)
                end = best.end
    yield from found
    yield from _foreign(text)
    yield from _again(text, [start for start, _ in starts], found)


def _best(text: str, start: int, middle: int) -> Span | None:
    """The likeliest name that begins here, of one or two characters after the surname, or None below 0.3."""
    if text[start : start + 2] in _words("words"):
        return None
    spans = [
        Span(start, end, "person_name", min(0.95, round(score, 2)), evidence)
        for end in (middle + 2, middle + 1)
        if end <= len(text)
        for score, evidence in [_score(text, start, middle, end)]
        if score >= 0.3
    ]
    return max(spans, key=lambda span: (span.score, span.end), default=None)


def _score(text: str, start: int, middle: int, end: int) -> tuple[float, str]:
    given = text[middle:end]
    if any(not "\u4e00" <= char <= "\u9fff" for char in given) or given in _words("after") or given in _words("before"):
        return 0.0, ""
    surname = text[start:middle]
    score = 0.45 if len(surname) > 1 else 0.32 if surname in _characters("common") else 0.16
    known = [char in _characters("given") for char in given]
    score += 0.12 * sum(known) / len(known) + (0.06 if len(known) == 2 and all(known) else 0)
    score -= 0.12 * (len(known) - sum(known))
    before, after = _left(text, start), _right(text, end)
    named = before > 0.2 or after > 0.2
    return score + before + after, "surname, context" if named else "surname"


def _left(text: str, start: int) -> float:
    if start == 0 or text[start - 1] in BOUND:
        label = text[max(0, start - 6) : start].rstrip(":： \t\"“'")
        return 0.35 if label and any(label[-size:] in _words("before") for size in (2, 3, 4)) else 0.1
    words = _words("before")
    if text[start - 2 : start] in words or text[start - 3 : start] in words or text[start - 4 : start] in words:
        return 0.3
    return 0.08 if text[start - 1] in LINK else -0.08


def _right(text: str, end: int) -> float:
    if end == len(text) or text[end] in BOUND:
        return 0.1
    words = _words("after")
    if text[end : end + 2] in words or text[end] in words or text[end : end + 3] in words:
        return 0.3
    return 0.05 if text[end] in FOLLOW else -0.08


def _foreign(text: str) -> Iterator[Span]:
    sounds = frozenset(_SOUNDS)
    if "·" in text or "•" in text or "." in text or "・" in text:
        for match in DOTTED.finditer(text):
            start, end = match.span()
            first = re.split("[·•.・]", match.group())[0]
            extra = next((place for place in range(len(first), 0, -1) if first[place - 1] not in sounds), 0)
            last = re.split("[·•.・]", match.group())[-1]
            kept = next((place for place, char in enumerate(last) if char not in sounds), len(last))
            if extra < len(first) and kept:
                yield Span(start + extra, end - len(last) + kept, "person_name", 0.75, "foreign, middle dot")
    for match in SOUNDED.finditer(text):
        if text.startswith(SPEECH, match.end()):
            yield Span(match.start(), match.end(), "person_name", 0.6, "foreign, context")


def _again(text: str, starts: list[int], found: list[Span]) -> Iterator[Span]:
    known = {text[span.start : span.end] for span in found if span.score >= 0.6}
    for start in starts if known else ():
        for size in (4, 3, 2):
            if text[start : start + size] in known:
                end = min(start + size, len(text))
                yield Span(start, end, "person_name", 0.6, "named elsewhere in the text")
                break
