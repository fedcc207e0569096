"""A server that asks to wait: said as it begins, bounded, and given up with a clear error."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.hostile_http import Answer, FakeTime, in_turn, site

from modelyard.errors import InputError
from modelyard.methods.data.egress import Egress, Limits, StillBusy
from modelyard.methods.data.endpoint.asking import Budget
from modelyard.methods.runtimes.asking.forms import Template
from modelyard.methods.runtimes.asking.predictor import EndpointPredictor, Service


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def busy(seconds: int) -> Answer:
    return Answer(b"slow down", status=429, headers={"retry-after": str(seconds)})


def test_each_wait_is_told_before_it_begins_and_their_sum_is_bounded() -> None:
    time, told = FakeTime(), []
    limits = Limits(max_wait_s=120, patience_s=240)
    with (
        site({"/": lambda asked: busy(100)}) as here,
        Egress(limits, sleep=time.sleep, tell=told.append) as client,
        pytest.raises(StillBusy) as caught,
    ):
        client.get_json(here.url + "/")
    assert [(round(one.seconds), one.attempt, one.asked) for one in told] == [(100, 1, True), (100, 2, True)]
    assert "waiting 100 s, as the server asks (try 1 of 6): the server answers 429" in told[0].told()
    assert "asks to wait 100 s more, after 200 s" in str(caught.value)


def test_a_wait_longer_than_all_patience_is_not_begun() -> None:
    time, told = FakeTime(), []
    limits = Limits(patience_s=240)
    with (
        site({"/": lambda asked: busy(3600)}) as here,
        Egress(limits, sleep=time.sleep, tell=told.append) as client,
        pytest.raises(StillBusy, match="3,600 s more"),
    ):
        client.get_json(here.url + "/")
    assert told == []


def test_without_patience_set_waits_are_as_before() -> None:
    time = FakeTime()
    turns = in_turn(busy(3600), Answer(b"{}"))
    with site({"/": turns}) as here, Egress(Limits(), sleep=time.sleep) as client:
        assert client.get_json(here.url + "/").json() == {}


def test_an_endpoint_that_stays_busy_ends_the_evaluation_and_says_once_what_it_waits_for(tmp_path: Path) -> None:
    said: list[str] = []
    with site({"/ask": lambda asked: busy(1)}) as here:
        form = Template(here.url + "/ask", {"q": "{text}"}, "label", "text-classification", ("a", "b"))
        service = Service("the service", requests_per_second=None, workers=3, timeout_s=1.0)
        budget, task = Budget(100, None, 0, 0), "text-classification"
        with (
            EndpointPredictor(form, service, task, ["a", "b"], budget, tmp_path, said.append) as endpoint,
            pytest.raises(InputError, match="asks to wait 1 s more"),
        ):
            list(endpoint.ask([{"text": str(place)} for place in range(9)], lambda done, total: None))
    assert len(said) == len(set(said)) <= 2
    assert said[0].startswith("the service: waiting 1 s, as the server asks (try 1 of 6)")
