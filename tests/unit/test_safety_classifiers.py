"""A classifier of the user's as judge of a bank's answers: which of its labels count, what it changes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.fake_context import FakeContext
from support.small_model import reviews, write_dataset, write_linear_model
from support.tiny_language import tiny_model

from modelyard.errors import InputError
from modelyard.methods.evaluation.safety import classifying, judging
from modelyard.methods.evaluation.safety.bank import Question
from modelyard.methods.tasks.text_classification import Classification
from modelyard.methods.training.language import saving
from modelyard.methods.training.language.settings import Generation
from modelyard.stages.evaluate import membership, safety


class Judge:
    """Says `refused` where `no` stands; would not read `odd`."""

    task, labels = "text-classification", ("answered", "refused")

    def predict(self, records):
        if any("odd" in one["text"] for one in records):
            raise InputError("no")
        return [Classification(self.labels["no" in one["text"]], {}) for one in records]


def test_labels_are_those_named_or_those_with_a_usual_name() -> None:
    assert classifying.meant(Judge(), (), classifying.REFUSING, "refused_labels") == {"refused"}
    assert classifying.meant(Judge(), ("answered",), classifying.REFUSING, "refused_labels") == {"answered"}
    chinese = SimpleNamespace(task="text-classification", labels=("回答", "拒答"))
    assert classifying.meant(chinese, (), classifying.REFUSING, "refused_labels") == {"拒答"}
    for named, labels in (((), ("0", "1")), (("refusal",), ("0", "1")), (("0", "1"), ("0", "1"))):
        with pytest.raises(InputError, match="which labels of the judge") as caught:
            classifying.meant(SimpleNamespace(task="text-classification", labels=labels), named, (), "refused_labels")
        assert caught.value.problems[0].where == "refused_labels"
    with pytest.raises(InputError, match="classifier of texts"):
        classifying.meant(SimpleNamespace(task="text-generation", labels=()), (), (), "x")


def test_every_answer_gets_the_judge_s_word_or_none() -> None:
    answers = ["no", "yes", "", "odd", "no way"]
    told = classifying.verdicts(Judge(), answers, frozenset({"refused"}), 2, lambda done, total: None)
    assert told == [True, False, None, None, True]


def test_toxic_answers_are_counted_over_those_the_classifier_read() -> None:
    judged = judging.judge([Question(str(n), "q", "", "answer") for n in range(4)], ["a", "b", "c", ""], (), ())
    rates = {one.name: one for one in judging.rates(judging.toxic(judged, [True, False, False, None]), False)}
    assert (rates["toxic_by_model_rate"].hits, rates["toxic_by_model_rate"].n) == (1, 3)
    assert "toxic_by_model" in judging.toxic(judged, [True] * 4)[0].to_json()
    assert "toxic_by_model" not in judged[0].to_json()


@pytest.fixture
def writer(tmp_path: Path) -> Path:
    model, tokenizer = tiny_model()
    saving.write_model(model, tokenizer, tmp_path / "writer", 64, Generation(), {}, "MIT", saving.prompts(["Ada"]))
    lines = "prompt,expected\n" + "".join(f"Ada {n} went,{'refuse' if n % 2 else 'answer'}\n" for n in range(12))
    (tmp_path / "bank.csv").write_text(lines, encoding="utf-8")
    return tmp_path / "writer"


def test_a_classifier_decides_instead_of_the_phrases(tmp_path: Path, writer: Path) -> None:
    judge = write_linear_model(tmp_path / "judge", reviews(200, 1))
    context = FakeContext(tmp_path, {"model": writer, "judge": judge, "toxicity": judge}, base=tmp_path)
    how = {"bank": "bank.csv", "max_new_tokens": 4, "threads": 1}
    safety.run(safety.Config(**how, refused_labels=("bad",), toxic_labels=("good",)), context)
    found = {one.claim: one for one in context.measurements if not one.slice}
    answers = (context.output("report") / "answers.jsonl").read_text(encoding="utf-8")
    assert '"judge":"refused"' in answers or '"judge":"answered"' in answers
    assert found["safety.judge_agreement"].n == found["safety.toxic_by_model_rate"].n > 0
    # One classifier with two labels: what is not `bad` is `good`.
    refused = answers.count('"judge":"refused"')
    assert found["safety.toxic_by_model_rate"].value == pytest.approx(1 - refused / found["safety.judge_agreement"].n)
    with pytest.raises(InputError, match="which labels"):
        safety.run(safety.Config(**how), context)
    endpoint = {"endpoint": "http://127.0.0.1:1/v1", "model": "m"}
    with pytest.raises(InputError, match="two judges"):
        safety.run(safety.Config(**how, judge=endpoint), context)


def test_members_of_another_kind_are_said_and_measured(tmp_path: Path) -> None:
    rows = reviews(120, 1)
    model = write_linear_model(tmp_path / "model", rows)
    fair = {"train": rows, "test": reviews(120, 2)}
    marked = {"train": rows, "test": [(f"{text}【五月】", label) for text, label in reviews(120, 2)]}
    said, values = [], []
    for name, splits in (("fair", fair), ("marked", marked)):
        data = write_dataset(tmp_path / name, splits)
        context = FakeContext(tmp_path / f"{name}-run", {"model": model, "data": data})
        membership.run(membership.Config(threads=1), context)
        said.append(any("without the model" in line for line in context.said))
        values.append(next(one.value for one in context.measurements if one.claim == "membership.blind_auc"))
    assert said == [False, True]
    assert np.abs(values[0] - 0.5) < 0.15
    assert values[1] > 0.95


def test_a_shadow_of_another_task_is_refused(tmp_path: Path, writer: Path) -> None:
    rows = reviews(60, 1)
    data = write_dataset(tmp_path / "data", {"train": rows, "test": reviews(60, 2)})
    model = write_linear_model(tmp_path / "model", rows)
    context = FakeContext(tmp_path / "run", {"model": model, "data": data, "shadows": [writer]})
    with pytest.raises(InputError, match="a shadow of the task"):
        membership.run(membership.Config(threads=1), context)


def test_a_side_without_rows_is_refused(tmp_path: Path) -> None:
    model = write_linear_model(tmp_path / "model", reviews(60, 1))
    for empty in ("train", "test"):
        splits = {"train": reviews(60, 1), "test": reviews(60, 2)} | {empty: []}
        data = write_dataset(tmp_path / empty, splits)
        context = FakeContext(tmp_path / f"{empty}-run", {"model": model, "data": data})
        with pytest.raises(InputError, match=f"{empty} has none"):
            membership.run(membership.Config(threads=1), context)
        assert not context.measurements
