"""`modelyard evaluate URL`: a release served by another process, and an API that makes trouble, through the CLI."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hostile_http import Answer, Asked, Site, site
from support.tiny_reviews import reviews

import modelyard
from modelyard.cli.main import run

PROJECT = """version: 1
project: shop
steps:
  rows: {uses: data.read, with: {path: old.csv, text: text, label: label}}
  split: {uses: data.split, with: {validation: 0.2, test: 0.3}}
  classifier:
    uses: train.text_classification
    with: {size: linear, compute: {threads: 1, device: cpu, precision: fp32}}
release: {model: classifier}
"""
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    for name, rows in (("old.csv", reviews(200, 1)), ("new.csv", reviews(60, 2))):
        with (folder / name).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("text", "label"), *rows])
    (folder / "modelyard.yaml").write_text(PROJECT)
    assert modelyard.run(folder).release is not None
    return folder


@pytest.fixture(scope="module")
def served(shop: Path) -> Iterator[str]:
    """The address of the release, served by a process of its own."""
    command = [sys.executable, "-m", "modelyard", "serve", "shop", "--port", "0", "--project", str(shop)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("serving"):
            break
    assert "http://" in said, said
    yield said.split()[-1]
    process.terminate()
    process.wait(20)


def evaluated(capsys: pytest.CaptureFixture[str], shop: Path, *options: str) -> dict[str, Any]:
    code = run(["evaluate", *options, "--data", str(shop / "new.csv"), "--project", str(shop), "--quiet", "--json"])
    out = capsys.readouterr().out
    assert code == 0, out
    return dict(json.loads(out))


def figure(found: dict[str, Any], claim: str, of: str = "model") -> dict[str, Any]:
    names = found["subjects"]
    return next(
        dict(one) for one in found["evidence"]
        if one["claim"] == claim and names.get(one["subject"]) == of and not one["slice"]
    )  # fmt: skip


def test_a_served_release_is_measured_and_stands_beside_the_release_itself(
    shop: Path, served: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluated(capsys, shop, f"{served}/v1/models/shop", "--with", "quality", "--with", "latency", "--against",
                      "shop", "--set", "steps.model.with.requests_per_second=1000",
                      "--set", "steps.comparison.with.timed_rows=20")  # fmt: skip
    assert figure(found, "quality.accuracy")["value"] == figure(found, "comparison.accuracy", "against")["value"]
    assert figure(found, "comparison.accuracy_gain")["value"] == 0
    # The endpoint's times were taken when it was asked; the release's are taken here: the first go over a socket.
    assert figure(found, "latency.p50_ms")["value"] == figure(found, "comparison.p50_ms")["value"]
    assert figure(found, "latency.p50_ms")["value"] > 0.2
    assert figure(found, "comparison.p50_ms", "against")["n"] == 20
    assert not [one for one in found["evidence"] if one["claim"].startswith(("size.", "latency.load"))]


class Api:
    """A chat that answers by the word `好`, with a fault every so often."""

    def __init__(self) -> None:
        self.faults: dict[int, Answer] = {}
        self.dead_after = 10**9
        self.content = ""
        self.calls = 0

    def __call__(self, asked: Asked) -> Answer:
        self.calls += 1
        if self.calls in self.faults:
            return self.faults[self.calls]
        if self.calls > self.dead_after:
            return Answer(b'{"error": "gone"}', 503)
        body = json.loads(asked.body)
        good = any(word in body["messages"][-1]["content"] for word in ("好", "棒", "香"))
        content = self.content or json.dumps({"label": "B" if good else "A"})
        value = {"choices": [{"message": {"content": content}, "finish_reason": "stop"}],
                 "usage": {"prompt_tokens": 50, "completion_tokens": 2}}  # fmt: skip
        return Answer(json.dumps(value).encode(), 200, {"content-type": "application/json"})


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Api, Site]]:
    from modelyard.methods.data.egress import client

    monkeypatch.setattr(client, "pause", lambda seconds: None)
    answers = Api()
    with site({CHAT: answers}) as running:
        yield answers, running


def options(site: Site, *more: str) -> list[str]:
    sets = ("model=tiny", "classes=[bad, good]", "requests_per_second=1000", "workers=2", *more)
    return [
        "shop",
        "--against",
        f"{site.url}/v1",
        *(part for one in sets for part in ("--set", f"steps.against.with.{one}")),
    ]


def refused(capsys: pytest.CaptureFixture[str], shop: Path, given: list[str]) -> str:
    code = run(["evaluate", *given, "--data", str(shop / "new.csv"), "--project", str(shop), "--quiet"])
    assert code != 0
    return capsys.readouterr().err


def test_an_api_that_is_slow_down_at_times_is_waited_for_and_priced(
    shop: Path, api: tuple[Api, Site], capsys: pytest.CaptureFixture[str]
) -> None:
    answers, running = api
    answers.faults = {
        2: Answer(b"{}", 429, {"retry-after": "1"}),
        5: Answer(b"<html>", 200, {"content-type": "application/json"}),
        9: Answer(b"{}", 503),
    }
    found = evaluated(capsys, shop, *options(running, "price_in=1.0", "price_out=2.0"))
    assert figure(found, "endpoint.unanswered_rate", "against")["value"] == 0
    price = figure(found, "comparison.price_per_1000", "against")
    assert price["value"] == pytest.approx(1000 * (50 * 1.0 + 2 * 2.0) / 1e6)
    assert figure(found, "comparison.accuracy_gain")["interval"][0] < 1
    # The page is about the model, not about what stands beside it.
    record = json.loads(Path(found["report"]).with_suffix(".json").read_text(encoding="utf-8"))
    assert record["model"]["digest"] == figure(found, "comparison.accuracy")["subject"]
    assert "Two models on the same rows" in Path(found["report"]).read_text(encoding="utf-8")


def test_what_an_api_answered_before_it_died_is_kept_and_not_asked_again(
    shop: Path, api: tuple[Api, Site], capsys: pytest.CaptureFixture[str]
) -> None:
    answers, running = api
    answers.dead_after = 20
    said = refused(capsys, shop, options(running))
    assert "503" in said
    assert "answers are kept" in said
    answers.dead_after, answers.calls = 10**9, 0
    found = evaluated(capsys, shop, *options(running))
    rows = figure(found, "comparison.accuracy")["n"]
    assert answers.calls <= rows - 18


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Answer(b'{"error": "who"}', 401), "401"),
        (Answer(b"<html>oops", 200, {"content-type": "application/json"}), "not JSON"),
        (Answer(b"{}", 200, {"content-type": "application/json"}), "no valid answer"),
    ],
)
def test_an_api_that_never_answers_is_an_error_that_says_why(
    shop: Path, api: tuple[Api, Site], capsys: pytest.CaptureFixture[str], fault: Answer, words: str
) -> None:
    answers, running = api
    answers.faults = dict.fromkeys(range(1, 10_000), fault)
    assert words in refused(capsys, shop, options(running))


def test_answers_that_are_no_class_are_named_also_when_they_were_there_already(
    shop: Path, api: tuple[Api, Site], capsys: pytest.CaptureFixture[str]
) -> None:
    answers, running = api
    answers.content = "It is mixed."
    first = refused(capsys, shop, options(running))
    calls = answers.calls
    assert refused(capsys, shop, options(running)) == first
    assert "no JSON" in first or "not a class" in first
    assert answers.calls == calls


def test_an_address_that_serves_no_model_is_said_before_anything_runs(
    shop: Path, served: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, shop, [f"{served}/v1/models/nope"])
    assert "404" in said
