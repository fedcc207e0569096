"""evaluate.checklist: templates become cases, each kind fails where it should, rates carry Wilson's interval."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.fake_context import FakeContext
from support.small_model import reviews, write_linear_model

from modelyard.errors import InputError
from modelyard.methods.evaluation.checklist import cases, running, suite
from modelyard.methods.statistics.wilson import wilson
from modelyard.methods.tasks.tabular_regression import Quantity
from modelyard.methods.tasks.tags import tag_names
from modelyard.methods.tasks.text_classification import Classification
from modelyard.methods.tasks.text_multi_label import Labels
from modelyard.methods.tasks.token_classification import FoundSpan, Spans
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
    texts = [case.texts[0] for case in cases.cases(one.tests[0], one, 500, 0)]
    assert texts == ["x1x", "x2x", "y1y", "y2y", "{x}", "{y}"]
    some = cases.cases(one.tests[0], one, 3, 0)
    assert len(some) == 3
    assert some == cases.cases(one.tests[0], one, 3, 0)


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
    fill = {"a": ["refuse", "a", "b"]}
    (found,) = running.run(Words(), test_of(kind="MFT", templates=["{a} good"], label="good", fill=fill), 500, 2, 0)
    assert (len(found.failures), found.num_cases) == (1, 3)
    assert (found.num_refused, found.reason) == (1, "no")


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("tests:\n- {name: a, kind: MFT, templates: [x]}\n", "c.yaml:2: MFT needs one right answer, 0", "`label` of a"),
        ("tests:\n- {name: a, kind: INV, templates: [x]}\n", "c.yaml:2: INV needs something", "`vary`"),
        ("tests:\n- {name: a, kind: DIR, pairs: [[x, y]]}\n", "c.yaml:2: DIR needs a `direction`", "falls"),
        ("tests:\n- {name: a, kind: ABC}\n", "c.yaml:2: `tests.0.kind` is 'ABC'", "'MFT', 'INV' or 'DIR'"),
        ("tests:\n- name: a\n  kind: MFT\n  lable: l\n", "c.yaml:4: unknown field `tests.0.lable`", "`label`?"),
        ("tests:\n- name: a\n  templates: [x]\n", "the field `tests.0.kind` is missing", "add `kind`"),
        ("tests:\n" + 2 * "- {name: a, kind: MFT, templates: [x], label: l}\n", "c.yaml:3: the name", "own"),
        ("tests: [\n", "c.yaml", ""),
        ("tests: []\n", "c.yaml:1: `tests` is []", "at least 1"),
        ("tests:\n- {name: a, kind: INV, templates: ['{x}'], vary: y, fill: {x: [a], y: [b]}}\n", "has `y`", "{x}"),
        ("fill: {food: [a]}\ntests:\n- {name: a, kind: MFT, templates: ['{fod}'], label: l}\n", "for fod", "`food`?"),
        ("tests:\n- {name: a, kind: DIR, pairs: [[x, y]], set: {b: 1}, direction: falls}\n", "`set` is for", "do:"),
        ("tests:\n- {name: a, kind: MFT, rows: [{b: 1}], value: [2, 1]}\n", "above the upper", "the smaller first"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_its_field_and_a_remedy(
    tmp_path: Path, text: str, found: str, expected: str
) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        suite.read(tmp_path / "c.yaml")
    assert "c.yaml:" in error.value.problems[0].where
    assert found in str(error.value)
    assert expected in str(error.value)


def test_all_mistakes_are_told_at_once_in_a_file_of_lines_too(tmp_path: Path) -> None:
    lines = ['{"name": "a", "kind": "MFT"}', "", '{"name": "b", "kind": "INV", "templates": ["x"]}']
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    with pytest.raises(InputError) as error:
        suite.read(tmp_path / "c.jsonl")
    assert [one.where for one in error.value.problems] == ["c.jsonl:1", "c.jsonl:3"]
    (tmp_path / "c.jsonl").write_text(lines[0] + "\n{broken\n")
    with pytest.raises(InputError, match=r"c\.jsonl:2"):
        suite.read(tmp_path / "c.jsonl")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.yaml", ""),
        ("list.yaml", "- 1"),
        ("deep.jsonl", "[" * 100_000),
        ("digits.jsonl", '{"a": ' + "1" * 5000 + "}"),
        ("half.jsonl", '{"name": "\\ud800", "kind": "MFT", "templates": ["x"], "label": "good"}'),
    ],
)
def test_a_file_that_is_no_checklist_is_told(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=name):
        suite.read(tmp_path / name)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "INV", "templates": ["{a}{b}{c}{d}"], "vary": "d"},
        {"kind": "MFT", "templates": [f"{{a}}{{b}}{{c}}{n}" for n in range(30)], "label": "good"},
    ],
)
def test_all_texts_of_a_test_are_counted_before_they_are_made(values) -> None:
    one = test_of(fill={name: [f"{name}{n}" for n in range(99)] for name in "abcd"}, **values)
    with pytest.raises(InputError, match="fillings"):
        cases.cases(one.tests[0], one, 500, 0)


@pytest.mark.parametrize("template", ["{b} x", "{a.__class__}", "{a!r}", "{", "{0}"])
def test_a_template_reaches_nothing_but_its_values(template: str) -> None:
    with pytest.raises(ValueError, match=r"template|values"):
        test_of(kind="MFT", templates=[template], label="good", fill={"a": ["x"]})


# -- other tasks -------------------------------------------------------------------------------------------------------


class Model:
    """Answers of a function of the record, under a task's name."""

    digest, runtime = "0", "function"

    def __init__(self, task: str, labels: tuple[str, ...], answer) -> None:
        self.task, self.labels, self.answer = task, labels, answer

    def predict(self, records):
        return [self.answer(record) for record in records]


def failed(model: Model, **values) -> tuple[int, int]:
    (found,) = running.run(model, test_of(**values), 500, 3, 0)
    return len(found.failures), found.num_cases


def test_numbers_lie_between_stay_or_move() -> None:
    words = Model("text-regression", (), lambda r: Quantity(float(len(r["text"]))))
    assert failed(words, kind="MFT", templates=["ab", "abcd"], value=[1, 3]) == (1, 2)
    assert failed(words, kind="INV", templates=["{a}"], vary="a", fill={"a": ["ab", "abc"]}, tolerance=1) == (0, 1)
    assert failed(words, kind="INV", templates=["{a}"], vary="a", fill={"a": ["ab", "abc"]}) == (1, 1)
    assert failed(words, kind="DIR", pairs=[["a", "ab"], ["ab", "a"]], direction="rises") == (1, 2)
    rooms = Model("tabular-regression", (), lambda r: Quantity(100.0 * r["rooms"] - r["age"]))
    rows = [{"rooms": 3, "age": 10}, {"rooms": 9, "age": 10}]
    assert failed(rooms, kind="DIR", rows=rows, set={"rooms": 5}, direction="rises", least=150) == (1, 2)
    assert failed(rooms, kind="INV", rows=rows, vary="street", fill={"street": ["a", "b"]}) == (0, 2)
    assert failed(rooms, kind="MFT", rows=rows, value=[200, 300]) == (1, 2)


def test_rows_of_a_table_have_their_class() -> None:
    def answer(record):
        p = 0.9 if record["income"] > 10 and record["sex"] == "m" else 0.2
        return Classification("yes" if p > 0.5 else "no", {"yes": p, "no": 1 - p})

    model = Model("tabular-classification", ("no", "yes"), answer)
    row = {"income": 20, "sex": "m"}
    assert failed(model, kind="INV", rows=[row, {**row, "income": 5}], vary="sex", fill={"sex": ["m", "f"]}) == (1, 2)
    assert failed(model, kind="DIR", rows=[row], set={"income": 1}, label="yes", direction="falls", least=0.5) == (0, 1)
    assert failed(model, kind="MFT", rows=[row, {**row, "sex": "f"}], label="yes") == (1, 2)
    test = {"name": "one", "kind": "MFT", "rows": [{}, {"sex": "f"}], "label": "yes"}
    whole = suite.Suite.model_validate_json(json.dumps({"base": row, "tests": [test]}))
    assert [len(one.failures) for one in running.run(model, whole, 5, 5, 0)] == [1]


def test_several_labels_are_all_those_written() -> None:
    def answer(record):
        there = tuple(label for label in ("price", "taste") if label in record["text"])
        return Labels(there, {label: float(label in there) for label in ("price", "taste")})

    model = Model("text-multi-label", ("price", "taste"), answer)
    texts = ["good taste", "good taste and price", "price"]
    assert failed(model, kind="MFT", templates=texts, labels=["price", "taste"]) == (2, 3)
    assert failed(model, kind="INV", templates=["{a} taste"], vary="a", fill={"a": ["nice", "price"]}) == (1, 1)
    assert failed(model, kind="DIR", pairs=[["x", "x price"]], label="price", direction="rises") == (0, 1)


def test_spans_are_the_words_written_wherever_they_stand() -> None:
    def answer(record):
        at = record["text"].find("Ann")
        return Spans((FoundSpan(at, at + 3, "name", "Ann", 1.0),) if at >= 0 else ())

    model, fill = Model("token-classification", tag_names(["name"]), answer), {"who": ["Ann", "Wei"]}
    spans = [{"text": "{who}", "label": "name"}]
    assert failed(model, kind="MFT", templates=["{who} came", "I saw {who}"], fill=fill, spans=spans) == (2, 4)
    assert failed(model, kind="MFT", templates=["Nobody came"], spans=[]) == (0, 1)
    assert failed(model, kind="INV", templates=["{who} came"], fill=fill, vary="who") == (1, 1)
    assert failed(model, kind="INV", templates=["Ann came"], change=["Ann", "Then Ann"]) == (0, 1)


@pytest.mark.parametrize(
    ("task", "values", "match"),
    [
        ("text-regression", {"kind": "MFT", "templates": ["x"], "label": "a"}, "does not name an answer"),
        ("tabular-regression", {"kind": "MFT", "templates": ["x"], "value": [0, 1]}, "does not ask what a model"),
        ("text-classification", {"kind": "MFT", "rows": [{"a": 1}], "label": "a"}, "does not ask what a model"),
        ("token-classification", {"kind": "DIR", "pairs": [["x", "y"]], "direction": "falls"}, "DIR does not fit"),
        ("text-classification", {"kind": "DIR", "pairs": [["x", "y"]], "direction": "falls"}, "what moves"),
        ("sentence-embedding", {"kind": "MFT", "templates": ["x"], "label": "a"}, "does not ask models of the task"),
    ],
)  # fmt: skip
def test_a_test_that_does_not_fit_the_task_is_refused(task: str, values, match: str) -> None:
    with pytest.raises(InputError, match=match):
        running.run(Model(task, ("a",), None), test_of(**values), 5, 5, 0)


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
