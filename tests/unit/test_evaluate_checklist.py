"""evaluate.checklist: templates become cases, each kind fails where it should, rates carry Wilson's interval."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.fake_context import FakeContext
from support.small_model import reviews, write_linear_model

from modelyard.errors import InputError
from modelyard.methods.evaluation.checklist import running, suite
from modelyard.methods.statistics.wilson import wilson
from modelyard.methods.tasks.text_classification import Classification
from modelyard.stages.evaluate import checklist


class Words:
    """Good if `good` is in the text; not that every word less; refuses `refuse`."""

    digest, task, labels, runtime = "0", "text-classification", ("bad", "good"), "words"

    def predict(self, records):
        if any("refuse" in record["text"] for record in records):
            raise InputError("no")
        scores = [min(1.0, 0.2 + 0.5 * ("good" in one["text"]) + 0.2 * one["text"].count("very")) for one in records]
        return [Classification("good" if p > 0.5 else "bad", {"bad": 1 - p, "good": p}) for p in scores]

    def close(self) -> None: ...


def test_of(**values) -> suite.Suite:
    return suite.Suite.model_validate_json(json.dumps({"tests": [{"name": "one", **values}]}))


test_of.__test__ = False


def rate_of(**values) -> tuple[int, int]:
    (found,) = running.run(Words(), test_of(**values), 500, 2, 0)
    return len(found.failures), found.num_cases


def test_templates_are_filled_with_every_combination_once() -> None:
    fill = {"a": ["x", "y"], "b": ["1", "2", "1"]}
    one = test_of(kind="MFT", templates=["{a}{b}{a}", "{{{a}}}"], label="good", fill=fill)
    texts = [case.texts[0] for case in suite.cases(one.tests[0], {}, 500, 0)]
    assert texts == ["x1x", "x2x", "y1y", "y2y", "{x}", "{y}"]
    some = suite.cases(one.tests[0], {}, 3, 0)
    assert len(some) == 3
    assert some == suite.cases(one.tests[0], {}, 3, 0)


def test_each_kind_fails_where_the_answer_is_not_as_written() -> None:
    fill = {"a": ["good", "fine"]}
    assert rate_of(kind="MFT", templates=["{a} food"], label="good", fill=fill) == (1, 2)
    assert rate_of(kind="INV", templates=["{a} food", "good {a}"], vary="a", fill=fill) == (1, 2)
    assert rate_of(kind="INV", templates=["good {a}", "food {a}"], change=["food", "dish"], fill=fill) == (0, 2)
    rises = {"kind": "DIR", "label": "good", "direction": "rises"}
    assert rate_of(**rises, templates=["{a} food"], change=["food", "very food"], fill=fill) == (0, 2)
    assert rate_of(**rises, templates=["{a} food"], change=["food", "dish"], fill=fill) == (2, 2)
    assert rate_of(**rises, pairs=[["x", "very x"]], least=0.3) == (1, 1)
    assert rate_of(kind="DIR", label="good", direction="falls", pairs=[["good", "x"], ["x", "good"]]) == (1, 2)


def test_a_text_that_the_model_refuses_fails_and_stops_nothing() -> None:
    assert rate_of(kind="MFT", templates=["{a} good"], label="good", fill={"a": ["refuse", "a", "b"]}) == (1, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tests:\n- {name: a, kind: MFT, templates: [x]}\n", "MFT needs"),
        ("tests:\n- {name: a, kind: INV, templates: [x]}\n", "INV needs"),
        ("tests:\n- {name: a, kind: DIR, pairs: [[x, y]]}\n", "DIR needs"),
        ("tests:\n- {name: a, kind: ABC}\n", "MFT"),
        ("tests:\n" + 2 * "- {name: a, kind: MFT, templates: [x], label: l}\n", "twice"),
        ("tests: [\n", "c.yaml"),
        ("tests: []\n", "at least 1"),
    ],
)  # fmt: skip
def test_a_file_with_a_mistake_is_refused_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=expected) as error:
        suite.read(tmp_path / "c.yaml")
    assert "c.yaml:" in error.value.problems[0].where


@pytest.mark.parametrize("template", ["{b} x", "{a.__class__}", "{a!r}", "{", "{0}"])
def test_a_template_reaches_nothing_but_its_values(template: str) -> None:
    one = test_of(kind="MFT", templates=[template], label="good", fill={"a": ["x"]})
    with pytest.raises(InputError):
        suite.cases(one.tests[0], {}, 5, 0)


def test_a_label_that_the_model_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match="does not know: great"):
        running.run(Words(), test_of(kind="MFT", templates=["x"], label="great"), 5, 5, 0)


def test_the_stage_measures_every_test_and_all_together(tmp_path: Path) -> None:
    model = write_linear_model(tmp_path / "model", reviews(300, 1))
    tests = [
        {"name": "好评", "kind": "MFT", "templates": ["{a}，味道不错"], "fill": {"a": ["很好吃"]}, "label": "good"},
        {"name": "wrong", "kind": "MFT", "templates": ["很好吃，味道不错"], "label": "bad"},
    ]  # fmt: skip
    (tmp_path / "c.jsonl").write_text("\n".join(json.dumps(one) for one in tests), encoding="utf-8")
    context = FakeContext(tmp_path, {"model": model})
    checklist.STAGE.run(checklist.Config(tests="c.jsonl"), context)
    found = {one.slice.get("test"): one for one in context.measurements}
    assert (found["好评"].value, found["wrong"].value) == (0.0, 1.0)
    assert (found[None].value, found[None].n, found[None].interval) == (1 / 2, 2, wilson(1, 2))
    report = json.loads((tmp_path / "outputs/report/checklist.json").read_text(encoding="utf-8"))
    assert report["blocks"][-1]["rows"] == [["wrong", "很好吃，味道不错", "good"]]
