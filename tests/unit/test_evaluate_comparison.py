"""The stages evaluate.comparison and evaluate.endpoint on real model folders and a real local server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from support.fake_context import FakeContext
from support.hostile_http import Answer, Asked, Site, site
from support.small_model import GOOD, reviews, write_dataset, write_linear_model

from modelyard.core.project import SecretName
from modelyard.engine.bind import load_project_dict
from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.data.egress import client
from modelyard.methods.runtimes import recorded
from modelyard.methods.runtimes.asking.forms import Template, at, filled, number
from modelyard.stages.evaluate import comparison, endpoint, quality

PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data whose last column says from where the review is, a model, and one that has half of the labels wrong way
    round for reviews with `慢` in them."""
    root = tmp_path_factory.mktemp("comparison")
    train, test = reviews(300, 1, mark="a"), reviews(400, 2, mark="b")
    write_dataset(root / "data", {"train": train, "validation": reviews(60, 3, mark="c"), "test": test})
    write_linear_model(root / "good", train)
    turned = [(text, {"good": "bad", "bad": "good"}[label] if "快" in text else label) for text, label in train]
    write_linear_model(root / "worse", [*turned, *[row for row in turned if "快" in row[0]] * 3])
    return root


def compared(root: Path, target: Path, model: str, against: str, **settings: Any) -> FakeContext:
    inputs = {"model": root / model, "against": root / against, "data": root / "data"}
    context = FakeContext(target, inputs)
    comparison.STAGE.run(comparison.Config(threads=1, **settings), context)
    return context


def found(context: FakeContext, claim: str, **part: str) -> Any:
    return next(m for m in context.measurements if m.claim == claim and dict(m.slice) == part)


def test_a_worse_model_is_said_to_be_worse_and_where(shop: Path, tmp_path: Path) -> None:
    context = compared(shop, tmp_path, "worse", "good", least_rows=20)
    gain = found(context, "comparison.accuracy_gain")
    own, other = (m.value for m in context.measurements if m.claim == "comparison.accuracy")
    assert gain.value == pytest.approx(own - other)
    assert gain.interval[1] < 0
    assert gain.against == "against"
    lost, won = found(context, "comparison.lost").value, found(context, "comparison.won").value
    assert won - lost == pytest.approx(gain.value)
    assert found(context, "comparison.p_value", metric="accuracy", test="mcnemar").value < 0.01
    assert found(context, "comparison.regressions").value >= 1
    report = json.loads((context.output("report") / "comparison.json").read_text(encoding="utf-8"))
    worst = report["data"]["findings"][0]
    assert worst["gain"] < 0
    assert worst["adjusted"] <= 0.05
    assert set(report["data"]["flips"]) == {"lost", "won"}


def test_a_model_beside_itself_differs_nowhere(shop: Path, tmp_path: Path) -> None:
    context = compared(shop, tmp_path, "good", "good", timed_rows=40)
    assert found(context, "comparison.accuracy_gain").value == 0
    assert found(context, "comparison.regressions").value == 0
    ratio = found(context, "comparison.latency_ratio")
    assert ratio.value > 0
    assert ratio.against == "against"
    assert found(context, "comparison.bytes").value > 0


def test_every_claim_that_is_measured_is_declared_and_runs_are_equal(shop: Path, tmp_path: Path) -> None:
    one, two = (compared(shop, tmp_path / name, "worse", "good") for name in "ab")
    assert {m.claim for m in one.measurements} <= {claim.name for claim in comparison.STAGE.claims}
    assert one.measurements == two.measurements
    texts = [(c.output("report") / "comparison.json").read_bytes() for c in (one, two)]
    assert texts[0] == texts[1]


def test_an_unknown_column_is_refused(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="town"):
        compared(shop, tmp_path, "good", "good", columns=["town"])


def chat(asked: Asked) -> Answer:
    """Knows good words; says nothing of use where the text holds a 7 at its end."""
    body = json.loads(asked.body)
    text = body["messages"][-1]["content"]
    content = '{"label": "B"}' if any(word in text for word in GOOD) else '{"label": "A"}'
    if "b7" in text:
        content = "what a question"
    value = {
        "model": "api-1",
        "choices": [{"message": {"content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
    }
    return Answer(json.dumps(value).encode(), 200, {"content-type": "application/json"})


def plain(asked: Asked) -> Answer:
    """A service of its own form."""
    text = json.loads(asked.body)["inputs"]["review"]
    good = any(word in text for word in GOOD)
    value = {"results": [{"tag": "POS" if good else "NEG", "p": {"POS": 0.9 if good else 0.2, "NEG": 0.1}}]}
    return Answer(json.dumps(value).encode(), 200, {"content-type": "application/json"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(client, "pause", lambda seconds: None)
    with site({PATH: chat, "/classify": plain}) as running:
        yield running


def ask(shop: Path, target: Path, server: Site, **more: Any) -> FakeContext:
    usual = {"endpoint": f"{server.url}/v1", "model": "api", "classes": ["bad", "good"], "instruction": "Mood.",
             "requests_per_second": 1000, "max_unanswered": 0.2}  # fmt: skip
    context = FakeContext(target, {"data": shop / "data"}, secrets={"KEY": "sk-secret-123"})
    endpoint.STAGE.run(endpoint.Config(**(usual | more)), context)
    return context


def test_an_api_stands_beside_the_model_with_its_price(shop: Path, tmp_path: Path, server: Site) -> None:
    context = ask(shop, tmp_path / "api", server, price_in=1.0, price_out=5.0, key=SecretName("KEY"))
    rate = found(context, "endpoint.unanswered_rate").value
    assert 0 < rate < 0.2
    model = context.output("model")
    assert b"sk-secret" not in b"".join(path.read_bytes() for path in model.iterdir())
    assert "很好吃".encode() not in (model / recorded.FILE).read_bytes()
    inputs = {"model": shop / "good", "against": model, "data": shop / "data"}
    beside = FakeContext(tmp_path / "beside", inputs)
    comparison.STAGE.run(comparison.Config(threads=1, timed_rows=5), beside)
    price = found(beside, "comparison.price_per_1000")
    tokens = 1000 * (100 * 1.0 + 10 * 5.0) / 1e6
    # Rows without a valid answer were asked about twice.
    assert price.value == pytest.approx(tokens * (1 + rate))
    assert price.unit == "USD"
    other = next(m for m in beside.measurements if m.claim == "comparison.accuracy" and m.about == "against")
    assert 0.5 < other.value <= 1 - rate
    measured = FakeContext(tmp_path / "q", {"model": model, "data": shop / "data"})
    quality.STAGE.run(quality.Config(baselines=False), measured)
    assert measured.value("quality.accuracy") == other.value


def test_a_killed_run_asks_nothing_twice(shop: Path, tmp_path: Path, server: Site) -> None:
    ask(shop, tmp_path, server)
    before = len(server.asked)
    again = ask(shop, tmp_path, server)
    assert len(server.asked) == before
    assert any("400 answers were there already" in line for line in again.said)


def test_a_service_of_any_form_is_asked_by_a_template(shop: Path, tmp_path: Path, server: Site) -> None:
    context = ask(
        shop, tmp_path, server, endpoint=f"{server.url}/classify", model=None, body={"inputs": {"review": "{text}"}},
        answer="results.0.tag", scores="results.0.p", names={"POS": "good", "NEG": "bad"}, price_record=0.002,
        classes=["bad", "good"],
    )  # fmt: skip
    assert found(context, "endpoint.unanswered_rate").value == 0
    predictor = runtimes.load(context.output("model"))
    assert predictor.labels == ("bad", "good")
    assert recorded.spent(context.output("model")).costs[0] == 0.002
    with pytest.raises(InputError, match="not asked about this record"):
        predictor.predict([{"text": "something else"}])


def test_too_many_rows_without_an_answer_and_a_spent_budget_are_errors(
    shop: Path, tmp_path: Path, server: Site
) -> None:
    with pytest.raises(InputError, match="no valid answer"):
        ask(shop, tmp_path / "a", server, max_unanswered=0.0)
    with pytest.raises(InputError, match="budget"):
        ask(shop, tmp_path / "b", server, max_requests=50)
    assert len([one for one in server.asked if one.path == PATH]) <= 400 * 2 + 50


def test_rows_leave_this_machine_only_when_it_is_said() -> None:
    far = {"endpoint": "https://api.example.org/v1", "model": "m", "classes": ["a", "b"]}
    with pytest.raises(ValidationError, match="sends_data"):
        endpoint.Config(**far)
    assert endpoint.Config(**far, sends_data=True).host == "api.example.org"
    with pytest.raises(ValidationError, match="body"):
        endpoint.Config(endpoint="http://localhost/x", classes=["a", "b"])


def test_recorded_answers_are_measured_and_never_learned_from_or_released(tmp_path: Path) -> None:
    (tmp_path / "mail.csv").write_text("text,label\na,b\n", encoding="utf-8")
    steps = {
        "mail": {"uses": "data.read", "with": {"path": "mail.csv", "text": "text", "label": "label"}},
        "split": {"uses": "data.split"},
        "api": {
            "uses": "evaluate.endpoint",
            "with": {"endpoint": "http://localhost/v1", "model": "m", "classes": ["a", "b"]},
        },
        "smaller": {"uses": "compress.quantize", "in": {"model": "api.model"}},
    }
    value = {"version": 1, "project": "p", "steps": steps, "release": {"model": "api.model"}}
    problems = [one.found for one in load_project_dict(value, tmp_path)[1]]
    assert sum("made of test rows" in one for one in problems) == 2


def test_numbers_are_compared_by_their_squared_errors(tmp_path: Path) -> None:
    from modelyard.methods.runtimes.model_folder import ModelCard

    draw = np.random.default_rng(0)
    n, truth = 120, draw.normal(size=120)
    table = pa.table({"row_id": [f"r{k}" for k in range(n)], "x": draw.normal(size=n), "y": truth,
                      "town": ["a", "b", "c"] * 40})  # fmt: skip
    columns = [Column("row_id", "other", "string"), Column("x", "feature", "double"), Column("y", "label", "double"),
               Column("town", "feature", "string")]  # fmt: skip
    (tmp_path / "data").mkdir()
    write_schema(tmp_path / "data", columns)
    write_split(tmp_path / "data", "test", [table], table.schema)
    rows = table.to_pylist()
    for name, spread in (("one", 0.1), ("two", 0.5)):
        folder = tmp_path / name
        folder.mkdir()
        kept = [
            recorded.Kept(recorded.key_of({"x": row["x"], "town": row["town"]}), {"value": row["y"] + noise}, 0.1)
            for row, noise in zip(rows, draw.normal(0, spread, n).tolist(), strict=True)
        ]
        recorded.write(folder, ModelCard("tabular-regression", "recorded", (), {"kind": "recorded"}), kept)
    context = FakeContext(tmp_path, {"model": tmp_path / "one", "against": tmp_path / "two", "data": tmp_path / "data"})
    comparison.STAGE.run(comparison.Config(least_rows=10), context)
    gain = found(context, "comparison.squared_error_gain")
    assert gain.interval[0] > 0
    assert found(context, "comparison.p_value", metric="squared_error", test="permutation").value == 1 / 10_000
    assert found(context, "comparison.squared_error_gain", town="b").n == 40


def test_parts_of_a_template() -> None:
    record = {"text": "hi", "n": 3, "d": None}
    assert filled({"a": "{text}!", "b": ["{n}", "{d}"], "c": "{record}", "e": 1}, record) == {
        "a": "hi!", "b": [3, None], "c": record, "e": 1,
    }  # fmt: skip
    assert at({"a": [{"b": 2}]}, "a.0.b") == 2
    assert at({"a": []}, "a.0.b") is None
    assert [number(text) for text in ('{"value": 2}', " 3.5 ", "2 or 3", "NaN", "true", "1e999")] == [
        2.0, 3.5, None, None, None, None,
    ]  # fmt: skip
    strange = Template("http://x", {}, "label", "text-classification", ("a", "b"))
    assert strange.read({"label": "c"}).answer is None
    assert strange.read(["no"]).answer is None
