"""What stands in place of a value: keyed, consistent, reversible where it says so, and nobody's."""

from __future__ import annotations

import pickle
import secrets

import pytest

from modelyard.errors import InputError
from modelyard.methods.privacy.actions import Actions, masked, reveal
from modelyard.methods.privacy.hiding import hide_all
from modelyard.methods.privacy.keys import Key
from modelyard.methods.privacy.scanning import Scanner
from modelyard.methods.privacy.spans import TYPES

TEXT = "联系人：王小明，电话13800138000，邮箱 wang@mail.example.org，身份证11010519491231002X。"
HEX = "8f3a" * 3 + "c19e7d5b2f0468ac13579bdf02468ace13579bdf2468ace0f1e2"
KEY, OTHER = Key.of(HEX), Key.of("00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef")


@pytest.mark.parametrize(
    "text", ["", "short", "a" * 64, "0123456789abcdef" * 4, "ab" * 32, "x" * 31, "Zx9!kQ2@mN5#pL8$rT1%vW4^yB7&cD"]
)
def test_weak_keys_are_refused_and_never_shown(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Key.of(text, where="CRM_KEY")
    assert text == "" or text not in str(caught.value)
    assert "CRM_KEY" in str(caught.value)


def test_a_key_is_not_printed_and_not_stored() -> None:
    assert HEX not in repr(KEY)
    assert HEX not in str(vars(Actions("hash", key=KEY)))
    with pytest.raises(TypeError):
        pickle.dumps(KEY)


@pytest.mark.parametrize("action", ["hash", "pseudonym", "token"])
def test_keyed_actions_need_a_key(action: str) -> None:
    with pytest.raises(InputError, match="key"):
        Actions(action)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="key"):
        Actions("label", {"phone": action})  # type: ignore[dict-item]


@pytest.mark.parametrize("action", ["hash", "pseudonym"])
def test_one_person_is_one_mark_whatever_the_form_and_another_under_another_key_or_type(action: str) -> None:
    ours = Actions(action, key=KEY)  # type: ignore[arg-type]
    forms = {ours.replace(value, "phone") for value in ("13800138000", "138-0013-8000", "１３８ ００１３ ８０００")}
    assert len(forms) == 1
    assert ours.replace("13800138001", "phone") not in forms
    assert Actions(action, key=OTHER).replace("13800138000", "phone") not in forms  # type: ignore[arg-type]
    other_type = ours.replace("13800138000", "wechat")
    assert forms.pop().removeprefix("[PHONE") != other_type.removeprefix("[WECHAT")


def test_a_hash_is_the_hmac_that_the_documentation_names() -> None:
    import base64
    import hmac

    derived = hmac.digest(bytes.fromhex(HEX), b"hash:phone\x01", "sha256")
    wanted = base64.b32encode(hmac.digest(derived, b"13800138000", "sha256")[:16]).decode().rstrip("=").lower()
    assert Actions("hash", key=KEY).replace("138 0013 8000", "phone") == f"[PHONE:{wanted}]"


def test_tokens_open_with_the_key_only_and_not_when_changed() -> None:
    hidden = hide_all(TEXT, Scanner(), Actions("token", key=KEY)).text
    assert "王小明" not in hidden
    assert reveal(hidden, KEY) == TEXT
    with pytest.raises(InputError):
        reveal(hidden, OTHER)
    place = hidden.index("~") + 5
    changed = hidden[:place] + ("a" if hidden[place] != "a" else "b") + hidden[place + 1 :]
    with pytest.raises(InputError) as caught:
        reveal(changed, KEY)
    assert "王小明" not in str(caught.value)
    with pytest.raises(InputError):
        reveal(hidden.replace("[PHONE~", "[QQ~"), KEY)


def test_a_mask_keeps_length_and_separators() -> None:
    assert masked("138-0013-8000 a@b.com") == "***-****-**** *@*.***"


def test_actions_differ_by_type_and_keep_keeps() -> None:
    actions = Actions("label", {"phone": "keep", "email": "remove"})
    hidden = hide_all(TEXT, Scanner(), actions)
    assert hidden.text == "联系人：[PERSON_NAME]，电话13800138000，邮箱 ，身份证[RESIDENT_ID]。"
    assert [span.type for span in hidden.spans] == ["person_name", "email", "resident_id"]


CONTEXTS = ("电话：{}。", "我叫{}，", "身份证 {}", "card {}", "My name is {}.", "QQ: {}", "微信号：{}", "https://a.b/?token={}",
            "出生 {}", "住在{}", "passport no {}", "SSN {}", "password: {}", "{}")  # fmt: skip


@pytest.mark.parametrize("action", ["pseudonym", "token", "hash", "label", "mask"])
@pytest.mark.parametrize("kind", TYPES)
def test_what_we_put_in_is_never_found_again(kind: str, action: str) -> None:
    actions = Actions(action, key=KEY)  # type: ignore[arg-type]
    scanner = Scanner(TYPES)
    for number in range(6):
        for value in (f"value {number}", f"值{number}"):
            replaced = actions.replace(value, kind)
            assert [text for text in CONTEXTS if scanner.scan(text.format(replaced))] == []


def test_what_a_removal_joins_is_hidden_too() -> None:
    text = "138a.b@mail.example.org00138000"
    hidden = hide_all("电话138 a@mail.example.org 00138000", Scanner(), Actions("remove"))
    assert Scanner().scan(hidden.text) == []
    assert hidden.num_left == 0
    assert Scanner().scan(hide_all(text, Scanner(), Actions("remove")).text) == []


def test_pseudonyms_are_spread() -> None:
    actions = Actions("pseudonym", key=Key(secrets.token_bytes(32)))
    assert len({actions.replace(str(number), "phone") for number in range(2_000)}) == 2_000
    assert len({actions.replace(f"{number}号", "person_name") for number in range(50)}) == 50
