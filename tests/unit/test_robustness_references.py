"""mCE beside a reference, spans that move with edits, shift of numbers by slice."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.fake_context import FakeContext
from support.small_model import reviews, write_dataset, write_linear_model

from modelyard.errors import InputError
from modelyard.methods.evaluation.measuring.examples import Examples, Fields, Reader
from modelyard.methods.evaluation.robustness import judging, marked, relative, slices, summary
from modelyard.methods.evaluation.robustness.judging import Judged
from modelyard.methods.tasks.tabular_regression import Quantity
from modelyard.methods.tasks.text_classification import Classification
from modelyard.methods.tasks.text_multi_label import Labels
from modelyard.methods.tasks.token_classification import FoundSpan, Spans
from modelyard.stages.evaluate import robustness


def judged(clean, **errors) -> Judged:
    found = Judged(tuple(str(n) for n in range(len(clean))), np.array(clean, float))
    found.errors = {(name.rstrip("12"), int(name[-1])): np.array(one, float) for name, one in errors.items()}
    return found


def test_the_mce_is_the_paper_s_formula_summed_by_hand() -> None:
    nan = float("nan")
    model = judged([0, 0, 1, 0], a1=[1, 0, 1, 0], a2=[1, 1, 1, nan], b1=[0, 0, 1, 1])
    other = judged([0, 1, 1, 0], a1=[1, 1, 1, 1], a2=[1, 1, 1, nan], b1=[1, 1, 1, 0])
    found = {(one.name, *one.slice.values()): one for one in relative.beside(model, other).estimates}
    # Errors summed over severities and rows; the row that a2 could not change has its error unchanged: 0.
    assert found["corruption_error", "a"].value == pytest.approx((2 + 3) / (4 + 3))
    assert found["corruption_error", "b"].value == pytest.approx(2 / 3)
    assert found["mce",].value == pytest.approx((5 / 7 + 2 / 3) / 2)
    assert found["mce",].interval is None, "so few errors carry no interval"
    assert ("relative_mce",) not in found


def test_a_model_beside_itself_is_the_reference_and_half_its_errors_are_a_half() -> None:
    draw = np.random.default_rng(0)
    one = judged(draw.random(400) < 0.1, a1=draw.random(400) < 0.3, b1=draw.random(400) < 0.4)
    same = {e.name: e for e in relative.beside(one, one).estimates if not e.slice}
    assert same["mce"].value == same["relative_mce"].value == 1
    assert same["mce"].interval == (1, 1)
    half = judged(one.clean, **{f"{k}{s}": e * (np.arange(400) % 2) for (k, s), e in one.errors.items()})
    found = {e.name: e for e in relative.beside(half, one).estimates if not e.slice}
    low, high = found["mce"].interval
    assert low < 0.5 < high
    assert high - low < 0.2


def test_no_ratio_is_made_of_a_reference_that_loses_nothing() -> None:
    draw = np.random.default_rng(1)
    clean = draw.random(300) < 0.2
    quiet = judged(clean, a1=clean, b1=np.zeros(300))
    found = relative.beside(judged(clean, a1=clean, b1=clean), quiet)
    assert found.undefined == {"mce": ("b",), "relative_mce": ("a", "b")}
    assert {one.name for one in found.estimates} == {"corruption_error"}


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_the_interval_of_the_mce_covers(share: float) -> None:
    draw, kinds, n, hits = np.random.default_rng(2), 5, 300, 0
    shares = np.linspace(0.5, 1.2, kinds)
    for _ in range(400):
        hard = draw.random((n, 1)) < 0.5
        # Of hard rows twice the share goes wrong: both models' errors go together.
        theirs = (draw.random((n, kinds)) < 2 * share) & hard
        own = (draw.random((n, kinds)) < 2 * share * shares) & hard
        pair = [judged(np.zeros(n), **{f"k{chr(97 + k)}1": e[:, k] for k in range(kinds)}) for e in (own, theirs)]
        (found,) = (one for one in relative.beside(*pair).estimates if one.name == "mce")
        hits += found.interval[0] <= shares.mean() <= found.interval[1]
    # Binomial(400, 0.95) lies above 367 in 99.8 of a hundred runs.
    assert hits > 367


def test_marks_come_back_where_they_were_put() -> None:
    text, places = "在北京的王芳", [1, 3, 4, 6]
    marked_text, marks = marked.mark(text, places)
    assert marked.unmark(marked_text, marks) == (text, places)
    assert marked.unmark(marked_text.replace(marks[1], ""), marks)[1] is None
    busy = chr(marked.FIRST) + text
    assert marks[0] not in marked.mark(busy, places)[1]
    assert marked.unmark(*marked.mark(busy, places))[0] == busy


SPANS = {
    "王芳在北京的华为工作，她 2021 年很满意。": ((0, 2, "name"), (3, 5, "place"), (6, 8, "company")),
    "Today John met Mary in London, and Sony was happy.": ((6, 10, "name"), (23, 29, "place"), (35, 39, "company")),
}


@pytest.mark.parametrize("text", SPANS)
def test_spans_move_with_the_edits_around_them(text: str) -> None:
    truth = SPANS[text]
    seen = set()
    for one in marked.perturbations():
        for row in range(20):
            pair = one.of_row({"text": text}, truth, 0, str(row))
            if pair is None:
                continue
            seen.add(one.kind)
            record, spans = pair
            assert record["text"] != text
            assert not set(record["text"]) & {chr(code) for code in range(marked.FIRST, marked.LAST + 1)}
            assert [label for *_, label in spans] == [label for *_, label in truth]
            words = [record["text"][start:end] for start, end, _ in spans]
            own = [text[start:end] for start, end, _ in truth]
            if one.kind in ("appended_noise", "punctuation_added", "punctuation_dropped"):
                assert words == own
            if one.kind in ("upper_case", "lower_case"):
                assert words == [getattr(word, one.kind.split("_")[0])() for word in own]
            if one.kind == "homophones":
                assert [len(word) for word in words] == [len(word) for word in own]
    assert {"typos", "appended_noise", "width", "entities"} <= seen
    assert "negation" not in {one.kind for one in marked.perturbations()}


class Finder:
    """Marks every `London` of a text: a model that knows names by their letters alone."""

    task, labels, runtime = "token-classification", ("place",), "finder"

    def predict(self, records):
        found = []
        for record in records:
            at = record["text"].find("London")
            spans = (FoundSpan(at, at + 6, "place", "London", 1.0),) if at >= 0 else ()
            found.append(Spans(spans))
        return found


def examples_of(texts) -> Examples:
    fields = Fields("text", ("text",), lambda row: {"text": row["text"]}, lambda row, read: b"")
    truths = tuple(((text.find("London"), text.find("London") + 6, "place"),) for text in texts)

    class Held(Examples):
        def rows(self):
            return ({"text": text} for text in texts)

    reader = Reader(fields, (), lambda row: None, "")
    return Held(None, "test", reader, tuple(map(str, range(len(texts)))), truths, ())


def test_spans_are_judged_where_they_moved_to() -> None:
    texts = [f"Well, the people of London like number words {chr(97 + n)}" for n in range(12)]
    found = judging.judge(Finder(), examples_of(texts), marked.perturbations(), 0, 100, 5)
    by = {(one.name, *one.slice.values()): one for one in summary.estimates(found)}
    assert by["accuracy", "clean"].value == by["span_f1", "clean"].value == 1
    # Noise behind and marks left out move the span or leave it: the model still finds it.
    assert by["accuracy", "appended_noise", "1"].value == by["span_f1", "punctuation_dropped", "1"].value == 1
    assert by["span_f1_drop", "punctuation_dropped", "1"].value == 0
    # A doubled comma in front moves the place by one.
    assert by["accuracy", "punctuation_added", "1"].value == by["span_f1", "punctuation_added", "1"].value == 1
    # Another case of the name, or another name, it does not know: its F1 is 0, and the drop is whole.
    for kind in ("upper_case", "entities"):
        assert by["span_f1", kind, "1"].value == 0
        assert by["span_f1_drop", kind, "1"].value == 1
    assert by["worst_accuracy",].value == 0


def test_the_drop_of_f1_is_that_of_the_counts_and_its_interval_covers_the_truth() -> None:
    draw, hits = np.random.default_rng(3), 0
    for _ in range(300):
        true = draw.integers(0, 4, 150)
        before, after = draw.binomial(true, 0.9), draw.binomial(true, 0.7)
        found = Judged(tuple(map(str, range(150))), np.zeros(150))
        found.spans = {
            judging.CLEAN: np.stack([true, true, before], 1).astype(float),
            ("x", 1): np.stack([true, true, after], 1).astype(float),
        }
        (one,) = (e for e in summary.estimates(found) if e.name == "span_f1_drop")
        assert one.value == pytest.approx((before.sum() - after.sum()) / true.sum())
        hits += one.interval[0] <= 0.2 <= one.interval[1]
    assert 272 <= hits <= 297


def test_numbers_have_their_error_by_slice_and_their_worst_slice() -> None:
    draw = np.random.default_rng(4)
    errors = np.concatenate([np.abs(draw.normal(0, 1, 80)), np.abs(draw.normal(0, 3, 80)), [50.0]])
    names = ["a"] * 80 + ["b"] * 80 + ["c"]
    found = {(one.name, *one.slice.values()): one for one in slices.estimates("site", names, errors, False, 20)}
    assert found["rmse", "b"].value == pytest.approx(math.sqrt((errors[80:160] ** 2).mean()))
    assert ("rmse", "c") not in found
    rise = found["mse_rise", "b"]
    others = np.delete(errors, np.s_[80:160]) ** 2
    assert rise.value == pytest.approx((errors[80:160] ** 2).mean() - others.mean())
    low, high = found["worst_slice_rmse", "site"].interval
    assert low < found["worst_slice_rmse", "site"].value == found["rmse", "b"].value < high


def test_dates_written_as_words_are_cut_in_their_order() -> None:
    names = slices.slice_names([f"2024-{month:02}-05" for month in range(12, 0, -1)], 3)
    assert names[0] == "2024-09-05 … 2024-12-05"
    assert sorted(names.count(name) for name in set(names)) == [4, 4, 4]
    assert slices.slice_names(["2024-01-01", "shop", "2024-01-02"], 2)[1] == "(rest)"


def test_the_stage_takes_a_reference_and_refuses_one_of_another_task(tmp_path) -> None:
    train = reviews(200, 1)
    data = write_dataset(tmp_path / "data", {"train": train, "test": reviews(120, 2)})
    inputs = {"model": write_linear_model(tmp_path / "model", train), "data": data}
    inputs["reference"] = write_linear_model(tmp_path / "other", reviews(40, 5, noise=0.45))
    context = FakeContext(tmp_path, inputs)
    robustness.STAGE.run(robustness.Config(kinds=("typos", "homophones", "similar_glyphs")), context)
    found = {one.claim: one for one in context.measurements if not one.slice}
    assert found["robustness.mce"].against == "reference"
    assert found["robustness.mce"].value < 1
    each = [one.value for one in context.measurements if one.claim == "robustness.corruption_error"]
    assert np.mean(each) == pytest.approx(found["robustness.mce"].value)
    with pytest.raises(InputError, match="cannot stand beside"):
        robustness._beside_reference(robustness.Config(), context, "text-regression", None, [], judged([0.0]))


def test_a_check_of_meaning_fits_the_answer_of_its_task() -> None:
    one, two = Classification("a", {"a": 0.9, "b": 0.1}), Classification("a", {"a": 0.8, "b": 0.2})
    assert (judging._fails("falls", one, two), judging._fails("falls", two, one)) == (0, 1)
    assert (judging._fails("same", one, two), judging._fails("same", one, None)) == (0, 1)
    both, none = Labels(("a", "b"), {"a": 0.9, "b": 0.8}), Labels((), {"a": 0.1, "b": 0.1})
    assert (judging._fails("falls", both, none), judging._fails("same", both, none)) == (0, 1)
    assert math.isnan(judging._fails("falls", none, both))
    # A number is never quite the same, and has no probability.
    assert math.isnan(judging._fails("same", Quantity(1.0), Quantity(1.1)))
    assert math.isnan(judging._fails("falls", Quantity(1.0), None))
