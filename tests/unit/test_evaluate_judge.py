"""evaluate.judge beside a local fake of a language model: places are swapped, people agree or not, trouble is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.fake_context import FakeContext
from support.hostile_http import Answer, Asked, Site, site

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.data.egress import client
from modelyard.methods.evaluation.comparing import judging
from modelyard.methods.evaluation.comparing.judging import FIRST, SECOND, TIE, Verdict
from modelyard.methods.runtimes import recorded
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.recorded import Kept
from modelyard.stages.evaluate import judge

ROWS = 40


def short(place: int) -> str:
    return f"yes {place}"


def long(place: int) -> str:
    return f"yes {place}, and this is why"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions, two models that answered them (the longer answer is each second time the model's), people's verdicts
    (for the first 30 rows: the longer one is better)."""
    root = tmp_path_factory.mktemp("judge")
    columns = [Column("row_id", "other", "string"), Column("prompt", "text", "string"),
               Column("answer", "feature", "string"), Column("human", "feature", "string")]  # fmt: skip
    prompts = [f"Is {place} a number?" for place in range(ROWS)]
    human = [("model" if place % 2 else "against") if place < 30 else None for place in range(ROWS)]
    (root / "data").mkdir()
    table = pa.table({"row_id": [f"r{place}" for place in range(ROWS)], "prompt": prompts,
                      "answer": [short(place) for place in range(ROWS)], "human": human})  # fmt: skip
    write_split(root / "data", "test", [table], table.schema)
    write_schema(root / "data", columns)
    for name, answer in (
        ("model", lambda place: (short, long)[place % 2](place)),
        ("against", lambda place: (long, short)[place % 2](place)),
    ):
        kept = [Kept(recorded.key_of({"text": ask}), {"text": answer(place)}, 0.1) for place, ask in enumerate(prompts)]
        (root / name).mkdir()
        recorded.write(root / name, ModelCard("text-generation", recorded.FORMAT, (), {"kind": recorded.FORMAT},
                                              network={"kind": recorded.FORMAT, "name": name}), kept)  # fmt: skip
    return root


def chat(choose: Callable[[str, str], str]) -> Callable[[Asked], Answer]:
    """A judge that looks at both answers and names a letter."""

    def answer(asked: Asked) -> Answer:
        text = json.loads(asked.body)["messages"][-1]["content"]
        first, _, second = text.partition("First answer:\n")[2].partition("\n\nSecond answer:\n")
        content = choose(first, second.rpartition("\n===")[0])
        value = {"choices": [{"message": {"content": content}, "finish_reason": "stop"}],
                 "usage": {"prompt_tokens": 9, "completion_tokens": 1}}  # fmt: skip
        return Answer(json.dumps(value).encode(), 200, {"content-type": "application/json"})

    return answer


def letter(name: str) -> str:
    return json.dumps({"label": name})


def longer(first: str, second: str) -> str:
    return letter("A" if len(first) > len(second) else "B" if len(second) > len(first) else "C")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(client, "pause", lambda seconds: None)
    with site({"/v1/chat/completions": chat(longer)}) as running:
        yield running


def judged(shop: Path, target: Path, server: Site, both: bool = True, **more: Any) -> FakeContext:
    ports = ("model", "against", "data") if both else ("model", "data")
    context = FakeContext(target, {port: shop / port for port in ports})
    settings = {"endpoint": f"{server.url}/v1", "model": "judge", "requests_per_second": 1000} | more
    judge.STAGE.run(judge.Config(**settings), context)
    return context


def test_a_judge_that_looks_at_the_answers_is_steady_and_agrees_with_people(
    shop: Path, tmp_path: Path, server: Site
) -> None:
    context = judged(shop, tmp_path, server, people="human")
    assert context.value("judge.consistency") == 1
    assert context.value("judge.win_rate") == 0.5
    agreement = next(one for one in context.measurements if one.claim == "judge.agreement")
    assert (agreement.value, agreement.n) == (1, 30)
    assert context.value("judge.kappa") == pytest.approx(1)
    report = json.loads((context.output("report") / "judge.json").read_text())
    assert [one["winner"] for one in report["data"]["verdicts"][:2]] == ["against", "model"]
    assert {one.claim for one in context.measurements} <= {one.name for one in judge.STAGE.claims}


def test_a_judge_that_likes_the_first_place_decides_nothing(shop: Path, tmp_path: Path, server: Site) -> None:
    server.routes["/v1/chat/completions"] = chat(lambda first, second: letter("A"))
    context = judged(shop, tmp_path, server, people="human")
    assert context.value("judge.consistency") == 0
    assert context.value("judge.win_rate") == 0.5
    assert context.value("judge.agreement") == 0


def test_without_another_model_the_wanted_answers_stand_beside(shop: Path, tmp_path: Path, server: Site) -> None:
    context = judged(shop, tmp_path, server, both=False)
    # Each second answer is longer than the wanted one, the others are equal to it.
    assert context.value("judge.win_rate") == 0.75
    assert all(one.against is None for one in context.measurements)
    assert any("people" in line for line in context.said)


def test_verdicts_are_kept_and_a_judge_that_never_answers_is_an_error(shop: Path, tmp_path: Path, server: Site) -> None:
    judged(shop, tmp_path, server)
    before = len(server.asked)
    judged(shop, tmp_path, server)
    assert len(server.asked) == before == 2 * ROWS
    server.routes["/v1/chat/completions"] = chat(lambda first, second: "both are fine")
    with pytest.raises(InputError, match="40 of 40 rows have no two valid verdicts"):
        judged(shop, tmp_path / "none", server)


def test_numbers_of_verdicts_by_hand() -> None:
    every = [Verdict(one, two) for one, two in product((FIRST, SECOND, TIE, None), repeat=2)]
    steady = [one for one in every if one.consistent]
    assert {(one.straight, one.swapped, one.winner) for one in steady} == {
        (FIRST, SECOND, "model"), (SECOND, FIRST, "against"), (TIE, TIE, "tie"),
    }  # fmt: skip
    assert judging.consistency(every).n == 9
    assert judging.win_rate([steady[0]] * 3 + [steady[2]]).value == judging.win_rate(steady[:1] * 3 + steady[2:]).value
    three = judging.win_rate([Verdict(FIRST, SECOND)] * 3 + [Verdict(FIRST, FIRST)])
    assert three.value == 0.875
    assert three.interval is not None
    assert 0 <= three.interval[0] < 0.875 < three.interval[1] <= 1
