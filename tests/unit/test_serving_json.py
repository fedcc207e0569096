"""Bodies from strangers become records or a refusal that says why; nothing that Python's parser forgives passes."""

from __future__ import annotations

import json
import random

import pytest

from modelyard.methods.tasks.text_classification import Classification
from modelyard.serving import ServingSettings
from modelyard.serving.errors import STATUS, Refusal
from modelyard.serving.rest import Encoder, records_of
from modelyard.serving.strict_json import BadJson, is_text, parse

SETTINGS = ServingSettings(max_instances=4, max_text_chars=10)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a":1',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"a":"\xc0\xaf"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":-1e400}',
        b'{"a":' + b"1" * 5000 + b"}",
        b'{"a":01}',
        b'{"a":+1}',
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":1}x',
        b'{"a":"\n"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
    ],
    ids=lambda body: repr(body[:18]),
)
def test_what_is_not_json_is_bad_json(body: bytes) -> None:
    with pytest.raises(BadJson):
        parse(body)


def test_what_json_allows_is_parsed_as_the_standard_library_does() -> None:
    rng = random.Random(3)
    for _ in range(300):
        value = _some_value(rng, 3)
        assert parse(json.dumps(value, ensure_ascii=rng.random() < 0.5).encode()) == value
    assert parse(b" -0 ") == 0


def _some_value(rng: random.Random, depth: int) -> object:
    kind = rng.randrange(7 if depth else 5)
    if kind < 5:
        return [None, True, rng.randint(-(10**18), 10**18), rng.gauss(0, 1e6), '好\u0000"\\/😀a' * rng.randrange(3)][
            kind
        ]
    children = [_some_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return children if kind == 5 else {str(index): child for index, child in enumerate(children)}


def test_a_lone_surrogate_is_not_text_and_a_pair_is() -> None:
    assert not is_text(parse(rb'"\ud800"'))
    assert not is_text(parse(rb'"abc\udc00"'))
    assert is_text(parse(rb'"\ud83d\ude00"'))


@pytest.mark.parametrize(
    ("body", "texts", "columnar"),
    [
        ('{"instances":["a","好"]}', ["a", "好"], False),
        ('{"instances":[{"text":"a"},"b"]}', ["a", "b"], False),
        ('{"signature_name":"serving_default","instances":[""]}', [""], False),
        ('{"inputs":{"text":["a","b"]}}', ["a", "b"], True),
        ('{"inputs":["a"]}', ["a"], True),
    ],
)
def test_row_and_columnar_forms_give_the_same_records(body: str, texts: list[str], columnar: bool) -> None:
    records, found = records_of(body.encode(), SETTINGS)
    assert [record["text"] for record in records] == texts
    assert found is columnar


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("[]", "bad_instances"),
        ("null", "bad_instances"),
        ("{}", "bad_instances"),
        ('{"instances":[]}', "bad_instances"),
        ('{"instances":{}}', "bad_instances"),
        ('{"instances":"a"}', "bad_instances"),
        ('{"instances":[1]}', "bad_instances"),
        ('{"instances":[null]}', "bad_instances"),
        ('{"instances":[["a"]]}', "bad_instances"),
        ('{"instances":[{"text":1}]}', "bad_instances"),
        ('{"instances":[{"review":"a"}]}', "bad_instances"),
        ('{"instances":[{"text":"a","more":1}]}', "bad_instances"),
        ('{"instances":["a"],"inputs":["a"]}', "bad_instances"),
        ('{"instances":["a"],"n":1000000000}', "bad_instances"),
        ('{"instances":["a"],"signature_name":"other"}', "bad_instances"),
        ('{"instances":["a"],"signature_name":["serving_default"]}', "bad_instances"),
        ('{"inputs":{"text":"a"}}', "bad_instances"),
        ('{"inputs":{"text":["a"],"b":["c"]}}', "bad_instances"),
        ('{"instances":["\\ud800"]}', "bad_instances"),
        ('{"instances":["a","a","a","a","a"]}', "too_large"),
        ('{"instances":["aaaaaaaaaaa"]}', "too_large"),
        ('{"instances":["a"],"instances":["b"]}', "bad_json"),
        ('{"instances":["a"', "bad_json"),
    ],
)
def test_each_wrong_body_is_refused_with_its_code(body: str, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        records_of(body.encode(), SETTINGS)
    assert caught.value.code == code
    assert 400 <= STATUS[code] < 500
    answer = json.loads(caught.value.body())
    assert set(answer) == {"error", "message", "trace"}


def test_limits_let_the_last_allowed_value_pass() -> None:
    records, _ = records_of(json.dumps({"instances": ["a" * 10] * 4}).encode(), SETTINGS)
    assert len(records) == 4


def test_replies_carry_scores_that_parse_back_to_the_same_numbers() -> None:
    encode = Encoder(['quo"te', "好"])
    predictions = [
        Classification("好", {'quo"te': 1 / 3, "好": 2 / 3}),
        Classification('quo"te', {'quo"te': 1.0, "好": 5e-324}),
    ]
    rows = json.loads(encode(predictions, columnar=False))["predictions"]
    assert rows == [prediction.to_json() for prediction in predictions]
    columns = json.loads(encode(predictions, columnar=True))["outputs"]
    assert columns == {"label": [row["label"] for row in rows], "scores": [row["scores"] for row in rows]}


def test_a_score_that_is_not_a_number_is_never_sent() -> None:
    with pytest.raises(Refusal) as caught:
        Encoder(["a"])([Classification("a", {"a": float("nan")})], columnar=False)
    assert caught.value.code == "model_output"
