"""What is personal is found in every form people write, at its place in the text as it came; the rest is not."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.methods.privacy.recognizers import RECOGNIZERS
from modelyard.methods.privacy.scanning import Scanner
from modelyard.methods.privacy.spans import DEFAULT_TYPES, TYPES, Span, settle
from modelyard.methods.privacy.view import View

SCANNER = Scanner()


def found(text: str, scanner: Scanner = SCANNER) -> list[tuple[str, str]]:
    return [(span.type, text[span.start : span.end]) for span in scanner.scan(text)]


FOUND = [
    ("手机13800138000。", "phone", "13800138000"),
    ("手机138-0013-8000", "phone", "138-0013-8000"),
    ("+86 138 0013 8000打给我", "phone", "+86 138 0013 8000"),
    ("电话：１３８００１３８０００，谢谢", "phone", "１３８００１３８０００"),
    ("电话一三八零零一三八零零零", "phone", "一三八零零一三八零零零"),
    ("打①③⑧⓪⓪①③⑧⓪⓪⓪", "phone", "①③⑧⓪⓪①③⑧⓪⓪⓪"),
    ("1 3 8 0 0 1 3 8 0 0 0 是我的", "phone", "1 3 8 0 0 1 3 8 0 0 0"),
    ("138\u200b0013\u200b8000", "phone", "138\u200b0013\u200b8000"),
    ("电话1380013\n8000", "phone", "1380013\n8000"),
    ("座机(010)6552-8888转 12", "phone", "(010)6552-8888转 12"),
    ("客服400-810-8888", "phone", "400-810-8888"),
    ("(202) 555-0143 x12", "phone", "(202) 555-0143 x12"),
    ("Call +44 7700 900123 now", "phone", "+44 7700 900123"),
    ("Phone: 467 3395", "phone", "467 3395"),
    ("邮箱zhang.san＠qq．com吧", "email", "zhang.san＠qq．com"),
    ("a.b+c@mail.example.co.uk.", "email", "a.b+c@mail.example.co.uk"),
    ("write to joe [at] corp-a [dot] com", "email", "joe [at] corp-a [dot] com"),
    ("身份证11010519491231002x", "resident_id", "11010519491231002x"),
    ("110105 19491231 002X", "resident_id", "110105 19491231 002X"),
    ("编号11O1O51949l231OO2X在此", "resident_id", "11O1O51949l231OO2X"),
    ("身份证号 110105491231002", "resident_id", "110105491231002"),
    ("香港身份证L555555(0)", "hk_id", "L555555(0)"),
    ("澳门身份证5/123456/7", "macau_id", "5/123456/7"),
    ("身分證字號A123456789", "taiwan_id", "A123456789"),
    ("代码91350100M000100Y43。", "credit_code", "91350100M000100Y43"),
    ("9135 0100 M000 100Y 43", "credit_code", "9135 0100 M000 100Y 43"),
    ("卡号4111 1111 1111 1111", "bank_card", "4111 1111 1111 1111"),
    ("pay 378282246310005 please", "bank_card", "378282246310005"),
    ("IBAN gb82west12345698765432", "iban", "gb82west12345698765432"),
    ("SSN 536-22-1234", "ssn", "536-22-1234"),
    ("粤Ｂ·１２３４５停在楼下", "plate", "粤Ｂ·１２３４５"),
    ("沪AD12345充电", "plate", "沪AD12345"),
    ("护照号：E12345678", "passport", "E12345678"),
    ("from 8.8.4.4 to", "ip_address", "8.8.4.4"),
    ("IP：2001:db8:85a3::8a2e:370:7334", "ip_address", "2001:db8:85a3::8a2e:370:7334"),
    ("dev 00:1A:2b:3C:4d:5E up", "mac_address", "00:1A:2b:3C:4d:5E"),
    ("https://bob:hunter2@db.example.org/", "url_secret", "bob:hunter2"),
    ("https://x.example/?a=1&access_token=abcdef12&b", "url_secret", "abcdef12"),
    ("key AKIAIOSFODNN7EXAMPLE", "api_key", "AKIAIOSFODNN7EXAMPLE"),
    ("密码：abc12345，别忘了", "api_key", "abc12345"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "api_key",
     "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"),
    ("出生日期：1990年1月1日", "birth_date", "1990年1月1日"),
    ("她1990年5月1日生于", "birth_date", "1990年5月1日"),
    ("DOB: 02/08/1985", "birth_date", "02/08/1985"),
    ("微信号：lisi_2020", "wechat", "lisi_2020"),
    ("加QQ 12345678", "qq", "12345678"),
    ("联系人：王小明，", "person_name", "王小明"),
    ("欧阳修文女士说", "person_name", "欧阳修文"),
    ("My name is John Smith.", "person_name", "John Smith"),
    ("Dear Mrs. Labrie,", "person_name", "Labrie"),
    ("住北京市朝阳区建国路88号院3号楼2单元501室。", "address", "北京市朝阳区建国路88号院3号楼2单元501室"),
    ("at 1600 Pennsylvania Avenue", "address", "1600 Pennsylvania Avenue"),
    ("P.O. Box 1234", "address", "P.O. Box 1234"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind", "value"), FOUND, ids=[f"{kind}-{place}" for place, (_, kind, _) in enumerate(FOUND)]
)
def test_it_is_found_where_it_stands(text: str, kind: str, value: str) -> None:
    assert (kind, value) in found(text)


NOT_FOUND = [
    "订单号12345678901234567890已发货",
    "订单号13800138000",
    "误差0.13800138000",
    "2024-01-31 10:20:30",
    "sha 1f13800138000aa",
    "110105194912310021",
    "110199904310025X 11010519990231002X",
    "4111111111111112",
    "GB83WEST12345698765432",
    "000-12-3456",
    "版本 1.2.3.4",
    "127.0.0.1",
    "货号E12345678",
    "会议在1990年1月1日",
    "std::vector<int>",
    "高兴地走在马路上，方法很简单",
    "The weather in March is fine.",
    "@user and #tag",
    "[PHONE] [PERSON_NAME] *** **",
    "拨打10086或95588",
]


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_only_looks_like_it_is_not_found(text: str) -> None:
    assert found(text) == []


def test_every_type_has_a_recogniser_and_an_example() -> None:
    assert {kind for family in RECOGNIZERS for kind in family.types} == set(TYPES)
    assert {kind for _, kind, _ in FOUND} == set(DEFAULT_TYPES)


def test_company_and_place_are_found_only_when_asked_for() -> None:
    text = "深圳市腾讯计算机系统有限公司在广东"
    assert found(text) == []
    assert {kind for kind, _ in found(text, Scanner(("company", "place")))} == {"company", "place"}


def test_allowed_values_stay_whatever_their_form() -> None:
    scanner = Scanner(allow=("400-810-8888",))
    assert found("客服４００ 810 8888，手机13800138000", scanner) == [("phone", "13800138000")]


def test_the_surer_span_wins_and_the_rest_of_a_name_stays() -> None:
    name, mail = Span(0, 10, "person_name", 0.6, ""), Span(6, 20, "email", 0.99, "")
    assert settle([name, mail]) == [Span(0, 6, "person_name", 0.6, ""), mail]
    low, high = Span(0, 11, "phone", 0.6, ""), Span(0, 16, "bank_card", 0.9, "")
    assert settle([low, high]) == [high]


def test_a_model_is_one_more_recogniser() -> None:
    class Model:
        def entities(self, text: str) -> list[Span]:
            return [Span(0, 2, "person_name", 0.9, "model"), Span(3, 4, "person_name", 0.2, "model")]

    assert found("阿珍爱阿强", Scanner(model=Model())) == [("person_name", "阿珍")]


TEXT = st.text(st.sampled_from("01389一零①１ -.·\u200b\n@aA王路号℡㈱ﬁ½(+"), max_size=60)


@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_places_lie_in_the_text_in_order_without_overlaps(text: str) -> None:
    spans = Scanner(TYPES, 0.1).scan(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(one.end <= two.start for one, two in pairwise(spans))


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=60))
def test_the_plain_form_leads_back_to_the_original(text: str) -> None:
    view = View(text)
    for place in range(len(view.text)):
        start, end = view.origin(place, place + 1)
        assert 0 <= start < end <= len(text)
    assert len(view.lower) == len(view.text)


HOSTILE = (
    *("13800138000 ", "1 ", "1.", "a@", "a.", "0O", "John Smith ", "王小明说", "路", "1 Main Street ", "A, CA ", "Üa "),
    *("://a:", "?token=aaaa&", "password: ", "-----BEGIN PRIVATE KEY-----", "[PHONE", "eyJaaaaaaaaa.", "阿·", "00:"),
)


def seconds(text: str) -> float:
    best = 9e9
    for _ in range(2):
        start = time.process_time()
        SCANNER.scan(text)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_texts_take_time_in_proportion_to_their_length(unit: str) -> None:
    """Quadratic work takes 64 times as long for 8 times the text, linear work about 8. No absolute time counts."""
    small, large = (unit * (size // len(unit)) for size in (4_000, 32_000))
    assert seconds(large) < 28 * max(seconds(small), 0.002)


@pytest.mark.proof
@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_megabyte_ends(unit: str) -> None:
    SCANNER.scan(unit * (1_000_000 // len(unit)))
