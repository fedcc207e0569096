"""Check digits against published numbers, independent formulas, and every error of one digit."""

from __future__ import annotations

import random

import pytest
from support import personal_data as made

from modelyard.methods.privacy import checksums


@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014", "34052419800101001X"])
def test_resident_numbers_of_the_standard(number: str) -> None:
    assert checksums.resident_check(number[:17]) == number[17]


@pytest.mark.parametrize("code", ["91350100M000100Y43", "91110000600037341L", "914403001922038216"])
def test_published_credit_codes(code: str) -> None:
    assert checksums.credit_check(code[:17]) == code[17]


@pytest.mark.parametrize(
    "number", ["4111111111111111", "378282246310005", "5555555555554444", "6011111111111117", "79927398713"]
)
def test_published_cards(number: str) -> None:
    assert checksums.luhn(number)


@pytest.mark.parametrize(
    "code", ["GB82WEST12345698765432", "DE89370400440532013000", "FR1420041010050500013M02606", "CH9300762011623852957"]
)
def test_ibans_of_the_registry(code: str) -> None:
    assert checksums.iban(code)
    assert not checksums.iban(code[:-1])


@pytest.mark.parametrize(
    ("good", "bad"), [("G123456A", "G1234563"), ("L5555550", "L5555551"), ("AB9876543", "AB9876542")]
)
def test_hong_kong(good: str, bad: str) -> None:
    assert checksums.hong_kong(good)
    assert not checksums.hong_kong(bad)


@pytest.mark.parametrize("code", ["A123456789", "F131104093", "A800000014"])
def test_taiwan(code: str) -> None:
    assert checksums.taiwan(code)
    assert not checksums.taiwan(code[:-1] + str((int(code[-1]) + 1) % 10))


def test_the_formulas_agree_with_independent_ones() -> None:
    pick = random.Random(7)
    for _ in range(2_000):
        resident, credit, card = made.resident(pick), made.credit(pick), made.card(pick)
        assert checksums.resident_check(resident[:17]) == resident[17]
        assert checksums.credit_check(credit[:17]) == credit[17]
        assert checksums.luhn(card)
        assert checksums.iban(made.iban_number(pick))
        assert not checksums.iban(made.iban_number(pick, broken=True))
        assert checksums.hong_kong(made.hong_kong_id(pick).replace("(", "").replace(")", ""))
        assert checksums.taiwan(made.taiwan_id(pick))


def test_no_wrong_digit_and_no_swap_of_neighbours_passes_as_a_resident_number() -> None:
    pick = random.Random(11)
    for _ in range(100):
        number = made.resident(pick)
        for place in range(17):
            for digit in "0123456789":
                if digit != number[place]:
                    wrong = number[:place] + digit + number[place + 1 : 17]
                    assert checksums.resident_check(wrong) != number[17]
            swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
            if swapped != number and swapped[:17].isdigit():
                assert checksums.resident_check(swapped[:17]) != swapped[17]


@pytest.mark.parametrize(
    ("digits", "good"),
    [
        ("19000229", False),
        ("20000229", True),
        ("19991301", False),
        ("18891231", False),
        ("20500101", False),
        ("19990431", False),
    ],
)
def test_dates_that_never_were_are_not_plausible(digits: str, good: bool) -> None:
    assert checksums.plausible_date(digits) is good


def test_regions_hold_old_and_new_codes() -> None:
    known = checksums.known_regions()
    assert {"110105", "110103", "310101", "440305", "513221"} <= known
    assert "990101" not in known
    assert 6_000 < len(known) < 9_000
