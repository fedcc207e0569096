"""Words of identity in pairs: `他` and `她`, `Muslim` and `Christian`. A text with one becomes the same text with the
other.

The built-in table is short and plain; what it lacks a user gives as a CSV file with the columns kind, first, second.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem

KINDS = ("age", "gender", "orientation", "origin", "region", "religion")
MAX_PAIRS = 10_000
_CJK = re.compile(r"[㐀-䶿一-鿿豈-﫿]")


@dataclass(frozen=True)
class Pair:
    """Two words that stand for different people and else fit the same place."""

    kind: str
    first: str
    second: str

    @property
    def name(self) -> str:
        """What evidence calls it."""
        return f"{self.first} / {self.second}"


_TABLE = {
    "age": (
        "老人 年轻人, 老年人 青年人, 老太太 小姑娘, 老头 小伙, old man|young man, old woman|young woman, "
        "elderly|young, grandpa|kid"
    ),
    "gender": (
        "他们 她们, 他 她, 男人 女人, 男的 女的, 男生 女生, 男孩 女孩, 男性 女性, 男子 女子, 男士 女士, "
        "男友 女友, 男朋友 女朋友, 男司机 女司机, 男权 女权, 渣男 渣女, 帅哥 美女, 爸爸 妈妈, 父亲 母亲, "
        "儿子 女儿, 哥哥 姐姐, 弟弟 妹妹, 爷爷 奶奶, 叔叔 阿姨, 丈夫 妻子, 老公 老婆, 兄弟 姐妹, 小伙子 小姑娘, "
        "he|she, himself|herself, man|woman, men|women, boy|girl, boys|girls, male|female, males|females, "
        "father|mother, fathers|mothers, dad|mom, son|daughter, sons|daughters, brother|sister, brothers|sisters, "
        "husband|wife, husbands|wives, boyfriend|girlfriend, uncle|aunt, nephew|niece, grandfather|grandmother, "
        "gentleman|lady, gentlemen|ladies, king|queen, prince|princess, actor|actress, waiter|waitress, mr|ms, "
        "guy|gal, guys|gals"
    ),
    "orientation": (
        "同性恋 异性恋, 女同 女直, 男同 男直, homosexual|heterosexual, homosexuals|heterosexuals, "
        "gay man|straight man, gay men|straight men, gay people|straight people, lesbian|straight woman, "
        "lesbians|straight women"
    ),
    "origin": (
        "黑人 白人, 非洲 欧洲, 黑种人 白种人, 外国人 中国人, 日本人 韩国人, 印度人 法国人, 犹太人 德国人, "
        "回族 汉族, 藏族 壮族, 蒙古族 满族, black people|white people, black man|white man, black men|white men, "
        "black woman|white woman, black women|white women, blacks|whites, african|european, africans|europeans, "
        "african american|european american, arab|italian, arabs|italians, mexican|canadian, mexicans|canadians, "
        "indian|swede, indians|swedes, chinese|german, asian|caucasian, asians|caucasians, immigrant|citizen, "
        "immigrants|citizens, foreigner|local, foreigners|locals"
    ),
    "region": (
        "河南 浙江, 东北 江南, 北京 上海, 广东 山东, 四川 福建, 新疆 江苏, 农村 城市, 乡下 城里, 北方 南方, "
        "外地 本地, 乡下人 城里人, rural|urban, southern|northern, southerner|northerner, "
        "southerners|northerners, village|city"
    ),
    "religion": (
        "穆斯林 基督徒, 伊斯兰教 基督教, 清真寺 教堂, 佛教 道教, 佛教徒 天主教徒, muslim|christian, "
        "muslims|christians, islam|christianity, mosque|church, mosques|churches, jew|protestant, "
        "jews|protestants, jewish|catholic, hindu|buddhist, hindus|buddhists"
    ),
}
NOT_TERMS = ("其他", "其她", "他人", "吉他", "他妈", "他国", "他乡", "他日", "他杀", "维他", "排他", "他信")
"""Words in which a term is none."""


def built_in(kinds: Sequence[str]) -> list[Pair]:
    """The pairs of these kinds."""
    return [
        Pair(kind, *(part.strip() for part in entry.strip().split("|" if "|" in entry else " ")))
        for kind in kinds
        for entry in _TABLE[kind].split(",")
    ]


def read(path: Path, name: str) -> list[Pair]:
    """A user's table: CSV in UTF-8 with the columns kind, first, second.

    Raises:
        InputError: it cannot be read, a row is incomplete, or a word stands twice in a kind; every fault is named.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(t("the table of terms cannot be read: {error}", error=error), where=name) from None
    expected = "kind, first, second"
    if not rows or not {"kind", "first", "second"} <= set(rows[0]):
        raise InputError(t("the table of terms lacks rows or columns"), where=name, expected=expected)
    if len(rows) > MAX_PAIRS:
        raise InputError(t("more than {count} pairs of terms", count=MAX_PAIRS), where=name)
    pairs = [Pair(*((row[key] or "").strip() for key in ("kind", "first", "second"))) for row in rows]
    problems = []
    seen: dict[tuple[str, str], int] = {}
    for line, pair in enumerate(pairs, 2):
        if not (pair.kind and pair.first and pair.second) or pair.first.lower() == pair.second.lower():
            problems.append(Problem(f"{name}:{line}", t("no two different words with a kind"), expected))
        for word in {pair.first.lower(), pair.second.lower()}:
            first = seen.setdefault((pair.kind, word), line)
            if first != line:
                problems.append(
                    Problem(f"{name}:{line}", t("`{word}` stands in line {line} too", word=word, line=first),
                            t("each word once in a kind"))
                )  # fmt: skip
    if problems:
        raise InputError.of(problems)
    return pairs


@dataclass(frozen=True)
class Swapped:
    """A text with its terms swapped.

    Attributes:
        toward: pair to +1 if the text had the first word and now has the second, -1 the other way, 0 if it had both.
    """

    text: str
    toward: dict[Pair, int]


class Swapper:
    """Swaps the terms of one kind, all at once: `he … himself` becomes `she … herself`.

    Chinese words are found wherever they stand, longest first; others as whole words in any case, and the case is
    kept. `her` becomes `his` before a word and `him` elsewhere; `his` and `him` become `her`.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._of: dict[str, tuple[Pair, str, int]] = {}
        for pair in pairs:
            self._of[pair.first.lower()] = (pair, pair.second, 1)
            self._of[pair.second.lower()] = (pair, pair.first, -1)
        self._pronouns = self._of.get("he", (None,))[0] if "her" not in self._of else None
        words = [*self._of, *(("his", "him", "her", "hers") if self._pronouns else ())]
        ordered = sorted(words, key=lambda word: (-len(word), word))
        chinese = [re.escape(word) for word in ordered if _CJK.search(word)]
        others = [re.escape(word) for word in ordered if not _CJK.search(word)]
        parts = [*map(re.escape, NOT_TERMS), *chinese]
        if others:
            parts.append(rf"(?<![A-Za-z0-9_'])(?:{'|'.join(others)})(?![A-Za-z0-9_])")
        self._pattern = re.compile("|".join(parts), re.IGNORECASE)

    def swap(self, text: str) -> Swapped | None:
        """The other text; None if it has no term."""
        toward: dict[Pair, int] = {}

        def other(match: re.Match[str]) -> str:
            word = match.group()
            found = self._lookup(word.lower(), text[match.end() :])
            if found is None:
                return word
            pair, instead, direction = found
            toward[pair] = direction if toward.get(pair, direction) == direction else 0
            return _cased(instead, word)

        swapped = self._pattern.sub(other, text)
        return Swapped(swapped, toward) if toward and swapped != text else None

    def _lookup(self, word: str, after: str) -> tuple[Pair, str, int] | None:
        if word in NOT_TERMS:
            return None
        if word in self._of:
            return self._of[word]
        if self._pronouns is None:
            return None
        if word in ("his", "him"):
            return self._pronouns, "her", 1
        possessive = word == "hers" or bool(re.match(r"\s+(?!(?:to|and|or|but|in|on|at|for|with|as|that|was|is)\b)\w",
                                                     after))  # fmt: skip
        return self._pronouns, "his" if possessive else "him", -1


def _cased(word: str, like: str) -> str:
    if len(like) > 1 and like.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word
