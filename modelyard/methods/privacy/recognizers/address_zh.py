"""Addresses in Chinese text: a chain of units that grow smaller (省 市 区 路 号 栋 室), each ended by its sign.

Every sign is looked at once, from left to right; a unit joins the chain of the one before if it touches it. A chain
counts as an address by how deep it goes: with a house number it is one, two regions alone are not sure. Regions
(GB/T 2260) standing alone are places, which are looked for only when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.tables import regions
from modelyard.methods.privacy.view import View

TYPES = ("address", "place")
LEVELS = (
    ("特别行政区 自治区 省", 1),
    ("自治州 地区 市 盟", 2),
    ("自治县 自治旗 新区 开发区 区 县 旗", 3),
    ("街道办事处 街道 乡 镇 苏木", 4),
    ("社区 村委会 村 屯 小区 新村 花园 家园 公寓 大厦 大楼 广场 中心 苑 庄园 园区 工业园 产业园", 6),
    ("科技园 学院 大学 医院 别墅 新城 组", 6),
    ("大道 大街 胡同 东路 西路 南路 北路 中路 路 街 巷 弄 里 条 段 道", 5),
    ("号院 号楼 号 幢 栋 座 期 单元 楼 层 室 房 户", 7),
)  # fmt: skip
LEVEL = {sign: level for signs, level in LEVELS for sign in signs.split()}
SIGN = re.compile("|".join(sorted(LEVEL, key=len, reverse=True)))
UNIT = "\u4e00-\u9fffA-Za-z0-9"
LEAD = re.compile(
    r".*(?:住在|住址|地址|位于|寄到|寄往|送到|送至|搬到|家住|现住|住|来自|前往|到达|回到|在|到|从|至|去|于|是|为|的|往|经|过|和|与|及|向|对|离|由|把|将|了|给|让|请|叫|我|他|她|你|这|那|:)"
)
NUMBERED = re.compile(
    r"(?:第|之|附)?[0-9A-Za-z一二三四五六七八九十百千甲乙丙丁东西南北中\-#]{1,10}(?:号院|号楼|号|幢|栋|座|期|单元|楼|层|室|房|户|组|弄|巷|条|段)"
)
TAIL = re.compile(
    r"[ ,-]{0,2}[A-Za-z]?[0-9]{1,5}(?:-[0-9]{1,5}){0,3}(?:号楼|号|幢|栋|座|单元|楼|层|室|房|"
    r"户)?(?![0-9年月日元人个次点%])"
)
WORDS = re.compile(
    r"地址|住址|住在|家住|现住|户籍|籍贯|寄到|寄往|收货|送到|送至|住所|居住|门牌|所在地|搬到|邮寄|送货|位于|坐落"
)
SHORT = frozenset((*"号路街里道段条期座楼层室房户组村区市县镇乡省苑", "中心", "广场", "花园", "大楼"))
NEVER = re.compile(
    r"(?:[0-9一二三四五六七八九十]+(?:月|日|年)|[一二三四五六七八九十几多各每本该全两0-9]个?|同|网|博|日|年|月|城|都|超|上|股|楼|夜|菜|房|车|门|熊|牛)$"
)
LONGEST = 12


@cache
def _names() -> tuple[re.Pattern[str], frozenset[str]]:
    """Names of provinces and cities, with and without their sign, as a pattern; all names as a set."""
    names = regions()["names"]
    short = {re.sub("(?:省|市|自治区|特别行政区|壮族自治区|回族自治区|维吾尔自治区|地区|盟)$", "", name)
             for name in (names["province"] + " " + names["city"]).split()}  # fmt: skip
    known = sorted((name for name in short if 2 <= len(name) <= 5), key=len, reverse=True)
    everything = frozenset(" ".join(names.values()).split())
    return re.compile(f"(?:{'|'.join(known)})(?:省|市)?"), everything


def find(view: View) -> Iterator[Span]:
    """Addresses of a text, and with a low score places."""
    text = view.text
    if text.isascii():
        return
    chain: list[tuple[int, int, int]] = []
    last = 0
    for match in SIGN.finditer(text):
        unit = _unit(text, match, last, chain)
        if unit is None:
            continue
        if chain and (unit[0] != chain[-1][1] or unit[2] < chain[-1][2] - 1):
            yield from _judge(view, chain)
            chain = []
        chain.append(unit)
        last = match.end()
    yield from _judge(view, chain)


def places(view: View) -> Iterator[Span]:
    """Provinces and cities of China, wherever they stand."""
    if not view.text.isascii():
        for match in _names()[0].finditer(view.text):
            yield Span(match.start(), match.end(), "place", 0.8, "GB/T 2260")


def _unit(text: str, match: re.Match[str], last: int, chain: list[tuple[int, int, int]]) -> tuple[int, int, int] | None:
    """Start, end and level of the unit that ends with this sign; None if it is none."""
    sign, level = match.group(), LEVEL[match.group()]
    low = max(last, match.start() - LONGEST)
    start = match.start()
    while start > low and (
        "\u4e00" <= text[start - 1] <= "\u9fff"
        or (text[start - 1].isascii() and text[start - 1].isalnum())
        or text[start - 1] in "-#"
    ):
        start -= 1
    if level == 7 or (sign in ("组", "弄", "巷", "条", "段") and text[match.start() - 1 : match.start()].isdigit()):
        return _numbered(text, start, match.end())
    if not (chain and start == chain[-1][1]):
        start = _trim(text, start, match.start())
    body = text[start : match.start()]
    if (
        not body
        or (body[-1].isascii() and level < 4)
        or NEVER.search(body)
        or (len(body) == 1 and sign in SHORT and level > 3)
    ):
        return None
    return start, match.end(), level


def _numbered(text: str, start: int, end: int) -> tuple[int, int, int] | None:
    for place in range(start, end - 1):
        if NUMBERED.fullmatch(text, place, end) and any(
            char.isdigit() or char in "一二三四五六七八九十甲乙丙丁东西南北" for char in text[place:end]
        ):
            return place, end, 7
    return None


def _trim(text: str, start: int, end: int) -> int:
    """Where a unit begins that nothing stands before: a known name, or behind a word such as 在 and 住."""
    known = None
    for match in _names()[0].finditer(text, start, end):
        known = match.start()
        break
    if known is not None:
        return known
    body = text[start:end]
    for size in range(min(len(body), 8), 1, -1):
        if body[-size:] + text[end : end + 1] in _names()[1]:
            return end - size
    lead = LEAD.match(body)
    return start + lead.end() if lead and lead.end() < len(body) else start


def _judge(view: View, chain: list[tuple[int, int, int]]) -> Iterator[Span]:
    if not chain:
        return
    text, start, end = view.text, chain[0][0], chain[-1][1]
    levels = {level for _, _, level in chain}
    named = WORDS.search(view.before(start, 12)) is not None
    first = _names()[0].search(text, max(0, start - 8), start)
    if first and first.end() == start:
        start = first.start()
        levels.add(2)
    elif text[start:end].isascii():
        return
    tail = TAIL.match(text, end)
    if tail and (5 in levels or 6 in levels) and 7 not in levels:
        end = tail.end()
        levels.add(7)
    score = _score(levels, len(chain))
    if score:
        score = min(0.95, score + 0.3 * named)
        yield Span(start, end, "address", round(score, 2), f"{len(levels)} levels{', context' * named}")


def _score(levels: set[int], count: int) -> float:
    regions_found = len(levels & {1, 2, 3, 4})
    way, place, house = 5 in levels, 6 in levels, 7 in levels
    if house and (way or place):
        return 0.85 if regions_found or count > 2 else 0.7
    if house and not regions_found:
        return 0.0
    if (way or place) and regions_found:
        return 0.6
    if regions_found >= 3:
        return 0.55
    if regions_found == 2:
        return 0.4
    return 0.35 if way or 4 in levels or 3 in levels else 0.2
