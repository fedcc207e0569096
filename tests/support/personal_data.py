"""Made-up personal data in 20 structured types, in the forms people write it, and numbers that only look like it.

Knows nothing of the recognisers: check digits are made here from the standards' formulas, in another way than there,
and sentences, regions and separators are chosen here. Every text comes with the places of what is personal in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

DIGITS = "0123456789"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
REGIONS = ("110105", "310115", "440106", "330106", "510107", "420106", "610113", "320506", "370202", "210102", "230103")


@dataclass(frozen=True)
class Text:
    """Attributes:
    text: what is scanned.
    spans: (start, end, type) of what is personal; none in a negative.
    form: how the value was written.
    """

    text: str
    spans: tuple[tuple[int, int, str], ...]
    form: str


def luhn_number(prefix: str, length: int, pick: random.Random) -> str:
    """A number that passes Luhn: the last digit is tried."""
    body = prefix + "".join(pick.choices(DIGITS, k=length - len(prefix) - 1))
    return next(body + last for last in DIGITS if _luhn_sum(body + last) % 10 == 0)


def _luhn_sum(number: str) -> int:
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) << (place & 1)
        total += value - 9 if value > 9 else value
    return total


def resident(pick: random.Random, broken: bool = False) -> str:
    """GB 11643: sum of 2^(18 - i) a_i must be 1 modulo 11."""
    date = f"{pick.randint(1940, 2012)}{pick.randint(1, 12):02d}{pick.randint(1, 28):02d}"
    body = pick.choice(REGIONS) + date + "".join(pick.choices(DIGITS, k=3))
    partial = sum(pow(2, 17 - place) * int(digit) for place, digit in enumerate(body))
    check = "0123456789X"[(1 - partial) % 11]
    return body + (pick.choice([c for c in "0123456789X" if c != check]) if broken else check)


def credit(pick: random.Random, broken: bool = False) -> str:
    """GB 32100: the sum of 3^i c_i over 17 characters and the check itself must be 0 modulo 31."""
    signs = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    body = pick.choice(("91", "92", "51", "12")) + pick.choice(REGIONS) + "".join(pick.choices(signs, k=9))
    partial = sum(pow(3, place, 31) * signs.index(sign) for place, sign in enumerate(body))
    check = next(sign for sign in signs if (partial + signs.index(sign)) % 31 == 0)
    return body + (pick.choice([sign for sign in signs if sign != check]) if broken else check)


def iban_number(pick: random.Random, broken: bool = False) -> str:
    """ISO 13616: check digits are 98 less the remainder of the number with 00."""
    country, length = pick.choice((("GB", 22), ("DE", 22), ("FR", 27), ("NL", 18), ("ES", 24), ("CH", 21)))
    letters = {"GB": 4, "NL": 4}.get(country, 0)
    body = "".join(pick.choices(UPPER, k=letters)) + "".join(pick.choices(DIGITS, k=length - 4 - letters))
    value = int("".join(str(ord(sign) - 55) if sign.isalpha() else sign for sign in f"{body}{country}00"))
    check = 98 - value % 97
    return f"{country}{(check + 11) % 97 if broken else check:02d}{body}"


def hong_kong_id(pick: random.Random) -> str:
    letter, body = pick.choice(UPPER), "".join(pick.choices(DIGITS, k=6))
    total = 324 + 8 * (ord(letter) - 55) + sum((7 - place) * int(digit) for place, digit in enumerate(body))
    return f"{letter}{body}({'0123456789A'[-total % 11]})"


def taiwan_id(pick: random.Random) -> str:
    letter = pick.choice("ABCDEFGHJKLMNPQRSTUVXYWZIO")
    number = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(letter) + 10
    body = pick.choice("12") + "".join(pick.choices(DIGITS, k=7))
    total = number // 10 + 9 * (number % 10) + sum((8 - place) * int(digit) for place, digit in enumerate(body))
    return f"{letter}{body}{-total % 10}"


def mobile(pick: random.Random) -> str:
    return pick.choice(("13", "15", "17", "18", "19")) + "".join(pick.choices(DIGITS, k=9))


def landline(pick: random.Random) -> str:
    area, size = pick.choice((("010", 8), ("021", 8), ("0755", 8), ("0571", 8), ("0512", 8), ("0431", 8), ("0871", 8)))
    return f"{area}-{pick.choice('2345678')}{''.join(pick.choices(DIGITS, k=size - 1))}"


def international(pick: random.Random) -> str:
    def digits(size: int) -> str:
        return "".join(pick.choices(DIGITS, k=size))

    return pick.choice(
        (
            f"+1 {pick.randint(201, 989)}-{pick.randint(201, 989)}-{digits(4)}",
            f"({pick.randint(201, 989)}) {pick.randint(201, 989)}-{digits(4)}",
            f"{pick.randint(201, 989)}-{pick.randint(201, 989)}-{digits(4)}",
            f"+44 7{digits(3)} {digits(6)}",
            f"+49 30 {digits(8)}",
            f"+81 90-{digits(4)}-{digits(4)}",
            f"+852 {pick.choice('569')}{digits(3)} {digits(4)}",
            f"+33 6 {digits(2)} {digits(2)} {digits(2)} {digits(2)}",
        )
    )


def email_address(pick: random.Random) -> str:
    name = "".join(pick.choices("abcdefghijklmnopqrstuvwxyz", k=pick.randint(3, 9)))
    return f"{name}{pick.choice(('.', '_', ''))}{pick.randint(1, 999)}@{pick.choice(MAIL)}"


MAIL = ("qq.com", "163.com", "gmail.com", "mail.example.org", "corp-a.co.uk", "sina.com.cn")


def card(pick: random.Random) -> str:
    prefix, length = pick.choice(
        (("62", 19), ("62", 16), ("4", 16), ("52", 16), ("37", 15), ("3566", 16), ("6011", 16))
    )
    return luhn_number(prefix, length, pick)


def social(pick: random.Random) -> str:
    area = pick.choice([number for number in range(1, 900) if number != 666])
    return f"{area:03d}-{pick.randint(1, 99):02d}-{pick.randint(1, 9999):04d}"


def plate_number(pick: random.Random) -> str:
    signs = "ABCDEFGHJKLMNPQRSTUVWXYZ" + DIGITS
    head = pick.choice("京沪粤苏浙鲁川豫冀鄂") + pick.choice("ABCDEFG")
    if pick.random() < 0.3:
        return head + pick.choice("DF") + pick.choice(signs) + "".join(pick.choices(DIGITS, k=4))
    return head + "".join(pick.choices(signs, k=2)) + "".join(pick.choices(DIGITS, k=3))


def address_ip(pick: random.Random) -> str:
    if pick.random() < 0.25:
        return ":".join(f"{pick.randint(1, 65535):x}" for _ in range(8))
    return f"{pick.choice((8, 36, 61, 113, 192, 202, 223))}." + ".".join(str(pick.randint(0, 255)) for _ in range(3))


def address_mac(pick: random.Random) -> str:
    return pick.choice(":-").join(f"{pick.randint(0, 255):02X}" for _ in range(6))


def token_of(pick: random.Random, size: int) -> str:
    return "".join(pick.choices(UPPER + UPPER.lower() + DIGITS, k=size))


def service_key(pick: random.Random) -> str:
    return pick.choice(
        (
            "AKIA" + "".join(pick.choices(UPPER + DIGITS, k=16)),
            "ghp_" + token_of(pick, 36),
            "sk-" + token_of(pick, 48),
            "LTAI" + token_of(pick, 20),
            "AIza" + token_of(pick, 35),
        )
    )


def birth(pick: random.Random) -> str:
    year, month, day = pick.randint(1940, 2015), pick.randint(1, 12), pick.randint(1, 28)
    return pick.choice(
        (
            f"{year}-{month:02d}-{day:02d}",
            f"{year}年{month}月{day}日",
            f"{year}/{month}/{day}",
            f"{year}.{month:02d}.{day:02d}",
        )
    )


def messenger(pick: random.Random) -> str:
    if pick.random() < 0.5:
        return pick.choice("123456789") + "".join(pick.choices(DIGITS, k=pick.randint(6, 9)))
    return "wx_" + "".join(pick.choices("abcdefghijklmnopqrstuvwxyz", k=4)) + str(pick.randint(10, 9999))


@dataclass(frozen=True)
class Kind:
    """One of the 20 types: how values are made, which type of ours they are, sentences around, forms of writing."""

    name: str
    type: str
    make: Callable[[random.Random], str]
    sentences: tuple[str, ...]
    forms: tuple[str, ...]


NUMERIC = ("plain", "wide", "spaced", "hyphens", "zero width", "circled", "han", "every digit apart", "line break")
SIGNS = ("plain", "wide", "zero width")
KINDS = (
    Kind(
        "cn mobile",
        "phone",
        mobile,
        ("请拨打{}联系我", "手机:{}，谢谢", "客户留的是{}。", "tel {} please", "{}"),
        NUMERIC,
    ),
    Kind("cn landline", "phone", landline, ("公司电话{}，找前台", "座机：{}", "Tel: {}."), SIGNS),
    Kind(
        "foreign phone", "phone", international, ("Call me at {}.", "电话 {}，下午打", "My number is {}, thanks"), SIGNS
    ),
    Kind("email", "email", email_address, ("邮箱{}，请查收", "Write to {} today.", "发到{}吧"), (*SIGNS, "(at)")),
    Kind(
        "resident id",
        "resident_id",
        resident,
        ("身份证号{}已核验", "证件：{}。", "ID {} checked", "录入{}成功"),
        (
            "plain",
            "wide",
            "id groups",
            "hyphens",
            "zero width",
            "every digit apart",
            "letters for digits",
            "lower x",
            "han",
        ),
    ),
    Kind("hk id", "hk_id", hong_kong_id, ("香港身份证{}", "HKID: {}", "证件号码 {}，香港居民"), SIGNS),
    Kind(
        "macau id",
        "macau_id",
        lambda pick: f"{pick.choice('157')}/{pick.randint(0, 999999):06d}/{pick.randint(0, 9)}",
        ("澳门居民身份证{}", "Macau ID {}", "澳門身份證號碼：{}"),
        SIGNS,
    ),
    Kind("taiwan id", "taiwan_id", taiwan_id, ("台湾身份证{}", "身分證字號：{}", "Taiwan ID {}"), SIGNS),
    Kind(
        "credit code",
        "credit_code",
        credit,
        ("统一社会信用代码：{}", "税号{}，开票用", "企业 {} 已注册"),
        (*SIGNS, "groups of four"),
    ),
    Kind(
        "bank card",
        "bank_card",
        card,
        ("卡号{}，户名见上", "Charge card {} please", "转到{}即可", "银行卡：{}"),
        ("plain", "wide", "groups of four", "hyphens of four", "zero width", "every digit apart", "circled", "han"),
    ),
    Kind(
        "iban",
        "iban",
        iban_number,
        ("IBAN {}", "Please pay to {}.", "账号{}，谢谢"),
        (*SIGNS, "groups of four", "lower"),
    ),
    Kind("ssn", "ssn", social, ("SSN: {}", "Her social security number is {}.", "social security {} on file"), SIGNS),
    Kind("plate", "plate", plate_number, ("车牌{}违停", "车主的{}停在楼下", "请{}挪车"), (*SIGNS, "dot", "lower")),
    Kind(
        "passport",
        "passport",
        lambda pick: pick.choice("EG") + "".join(pick.choices(DIGITS, k=8)),
        ("护照号{}", "Passport No. {}", "护照：{}，有效"),
        (*SIGNS, "lower"),
    ),
    Kind("ip", "ip_address", address_ip, ("来自{}的请求", "login from {} failed", "IP：{}"), SIGNS),
    Kind("mac", "mac_address", address_mac, ("MAC {}", "设备{}上线", "interface {} is down"), (*SIGNS, "lower")),
    Kind(
        "url secret",
        "url_secret",
        lambda pick: token_of(pick, pick.randint(12, 40)),
        (
            "https://api.example.org/v1?user=3&token={}",
            "打开 http://a.example/x?access_token={}&t=1 即可",
            "db at postgres://admin:{}@db.internal:5432/x",
        ),
        ("plain",),
    ),
    Kind(
        "api key",
        "api_key",
        service_key,
        ("export KEY={}", "密钥 {} 泄露了", "use {} for now"),
        ("plain", "zero width"),
    ),
    Kind(
        "birth date",
        "birth_date",
        birth,
        ("出生日期：{}", "生日是{}，属龙", "DOB: {}", "born on {} in Leeds"),
        ("plain", "wide"),
    ),
    Kind("messenger", "wechat", messenger, ("微信号：{}", "加微信{}聊", "WeChat: {}"), ("plain", "wide")),
)


def _apart(value: str, gap: str, pick: random.Random) -> str:
    """Split as people do: 3-4-4 for eleven digits, else in fours."""
    if len(value) == 11:
        return f"{value[:3]}{gap}{value[3:7]}{gap}{value[7:]}"
    return gap.join(value[place : place + 4] for place in range(0, len(value), 4))


def written(value: str, form: str, pick: random.Random) -> str:
    """A value in one of the forms."""
    if form == "wide":
        return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in value)
    if form == "spaced":
        return _apart(value, " ", pick)
    if form == "hyphens":
        return _apart(value, "-", pick) if len(value) != 18 else f"{value[:6]}-{value[6:14]}-{value[14:]}"
    if form in ("groups of four", "hyphens of four"):
        gap = " " if form == "groups of four" else "-"
        return gap.join(value[place : place + 4] for place in range(0, len(value), 4))
    if form == "id groups":
        return f"{value[:6]} {value[6:14]} {value[14:]}"
    if form == "zero width":
        place = pick.randint(1, len(value) - 1)
        return value[:place] + pick.choice("\u200b\u200d\ufeff\u2060") + value[place:]
    if form == "circled":
        return "".join("⓪①②③④⑤⑥⑦⑧⑨"[int(sign)] if sign.isdigit() else sign for sign in value)
    if form == "han":
        return "".join(
            pick.choice(("〇一二三四五六七八九", "零壹贰叁肆伍陆柒捌玖"))[int(sign)] if sign.isdigit() else sign
            for sign in value
        )
    if form == "every digit apart":
        return " ".join(value)
    if form == "line break":
        return f"{value[:7]}\n{value[7:]}"
    if form == "letters for digits":
        return value.replace("0", "O").replace("1", "l", 1)
    if form in ("lower", "lower x"):
        return value.lower()
    if form == "(at)":
        return value.replace("@", pick.choice(("(at)", " [at] ", " @ ")))
    return f"{value[:2]}·{value[2:]}" if form == "dot" else value


def positives(count: int, seed: int) -> Iterator[Text]:
    """`count` texts with one value each, the types in turn."""
    for number in range(count):
        pick = random.Random(f"{seed}/positive/{number}")
        kind = KINDS[number % len(KINDS)]
        form = pick.choice(kind.forms)
        value = written(kind.make(pick), form, pick)
        before, _, after = pick.choice(kind.sentences).partition("{}")
        type_ = "qq" if kind.name == "messenger" and value[0].isdecimal() else kind.type
        if type_ == "qq":
            before = before.replace("加微信", "加QQ").replace("微信号", "QQ号").replace("WeChat", "QQ")
        yield Text(before + value + after, ((len(before), len(before) + len(value), type_),), f"{kind.name}: {form}")


def _number(pick: random.Random, size: int) -> str:
    return pick.choice("123456789") + "".join(pick.choices(DIGITS, k=size - 1))


def _dotted(pick: random.Random, most: int) -> str:
    return ".".join(str(pick.randint(1, most)) for _ in range(3))


NEGATIVES: tuple[tuple[str, Callable[[random.Random], str]], ...] = (
    ("20 digits", lambda pick: f"订单号{_number(pick, 20)}已发货"),
    ("24 digits", lambda pick: f"流水{_number(pick, 24)}"),
    ("order with a mobile inside", lambda pick: f"订单 88{mobile(pick)}2024 完成"),
    ("tracking", lambda pick: f"快递单号 SF{_number(pick, 13)} 派送中"),
    ("resident id, wrong check", lambda pick: f"编码{resident(pick, broken=True)}"),
    ("18 digits", lambda pick: f"序列 {pick.choice('56789')}{_number(pick, 17)} 结束"),
    ("credit code, wrong check", lambda pick: f"批次 {credit(pick, broken=True)} 合格"),
    ("iban, wrong check", lambda pick: f"Item {iban_number(pick, broken=True)} in stock"),
    ("card, wrong check", lambda pick: f"Order {_broken_card(pick)} shipped"),
    ("price", lambda pick: f"总价{pick.randint(1, 10**7)}.{pick.randint(0, 99):02d}元，数量{pick.randint(1, 9999)}"),
    (
        "thousands",
        lambda pick: f"Revenue was ${pick.randint(1, 999)},{pick.randint(100, 999)},{pick.randint(100, 999)} in all",
    ),
    ("date", lambda pick: f"会议定在{pick.randint(1990, 2030)}年{pick.randint(1, 12)}月{pick.randint(1, 28)}日"),
    (
        "time",
        lambda pick: (
            f"2024-0{pick.randint(1, 9)}-1{pick.randint(0, 9)} {pick.randint(10, 23)}:{pick.randint(10, 59)} INFO ok"
        ),
    ),
    ("epoch", lambda pick: f"ts={pick.randint(1_500_000_000, 1_800_000_000)} level=info"),
    ("epoch ms", lambda pick: f"created {pick.randint(1_500_000_000_000, 1_800_000_000_000)}"),
    ("version", lambda pick: f"升级到版本 {_dotted(pick, 20)}.{pick.randint(0, 999)}"),
    ("octet too large", lambda pick: f"code {pick.randint(256, 999)}.{_dotted(pick, 255)} failed"),
    ("decimal", lambda pick: f"误差 0.{_number(pick, 11)}"),
    ("uuid", lambda pick: "id " + "-".join(f"{pick.getrandbits(4 * size):0{size}x}" for size in (8, 4, 4, 4, 12))),
    ("digest", lambda pick: f"sha256 {pick.getrandbits(256):064x}"),
    ("commit", lambda pick: f"fix in {pick.getrandbits(160):040x}"),
    ("colour", lambda pick: f"background: #{pick.getrandbits(24):06x}; width: {pick.randint(1, 2000)}px"),
    ("sku", lambda pick: f"货号 {pick.choice(UPPER)}{pick.choice(UPPER)}{_number(pick, 8)}"),
    ("article", lambda pick: f"Part {pick.choice('EGKD')}{_number(pick, 8)} is sold out"),
    (
        "isbn",
        lambda pick: f"ISBN 978-{pick.randint(0, 9)}-{pick.randint(100, 999)}-{_number(pick, 5)}-{pick.randint(0, 9)}",
    ),
    ("score", lambda pick: f"比分{pick.randint(0, 9)}:{pick.randint(0, 9)}，观众{pick.randint(1000, 99999)}人"),
    ("handle", lambda pick: f"thanks @user{pick.randint(1, 9999)} for the tip"),
    ("url", lambda pick: f"see https://www.example.org/p/{pick.randint(1, 10**6)}?page={pick.randint(1, 99)}"),
    ("code", lambda pick: f"std::vector<int> v({pick.randint(1, 99999)}); x = v[{pick.randint(0, 99)}] % 97;"),
    ("phone too short", lambda pick: f"拨打{pick.choice(('110', '119', '120', '12345', '95588', '10086'))}咨询"),
    ("not a mobile", lambda pick: f"编号 1{pick.choice('012')}{_number(pick, 9)} 通过"),
    (
        "percentages",
        lambda pick: f"rose {pick.randint(1, 99)}.{pick.randint(0, 99)}% to {pick.randint(1000, 99999)} points",
    ),
    ("ratio", lambda pick: f"{pick.randint(100, 999)}-{pick.randint(10, 99)} 型号停产"),
    (
        "plain zh",
        lambda pick: pick.choice(
            ("今天天气很好，我们去公园散步。", "这家店的菜很好吃，下次还来。", "物流太慢了，等了一个星期。")
        ),
    ),
    (
        "plain en",
        lambda pick: pick.choice(
            ("The weather is fine today.", "It arrived late but works well.", "Nothing to report.")
        ),
    ),
    (
        "zh count",
        lambda pick: (
            f"一共有{pick.choice('二三四五六七')}千{pick.choice('二三四五六七')}百个，占{pick.choice('三四五')}成"
        ),
    ),
    (
        "coordinates",
        lambda pick: f"位置 {pick.randint(20, 50)}.{_number(pick, 6)}, {pick.randint(80, 130)}.{_number(pick, 6)}",
    ),
    ("formula", lambda pick: f"y = {pick.randint(1, 9)}x^2 + {pick.randint(1, 999)}x - {pick.randint(1, 99999)}"),
    ("room", lambda pick: f"会议室{pick.randint(101, 999)}已预订，编号A{pick.randint(10, 99)}"),
    (
        "years",
        lambda pick: f"from {pick.randint(1900, 1960)}-{pick.randint(1961, 2000)} to {pick.randint(2001, 2020)}-2025",
    ),
)


def _broken_card(pick: random.Random) -> str:
    number = card(pick)
    return number[:-1] + str((int(number[-1]) + pick.randint(1, 9)) % 10)


def negatives(count: int, seed: int) -> Iterator[Text]:
    """`count` texts without personal data, the kinds in turn."""
    for number in range(count):
        pick = random.Random(f"{seed}/negative/{number}")
        name, make = NEGATIVES[number % len(NEGATIVES)]
        yield Text(make(pick), (), name)
