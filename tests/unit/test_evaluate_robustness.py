"""evaluate.robustness: changes that are functions of seed, row and kind; accuracies, drops and the worst case."""

from __future__ import annotations

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image
from support.fake_context import FakeContext
from support.small_model import reviews, write_dataset, write_linear_model

from modelyard.errors import InputError
from modelyard.methods.data.row_random import generator
from modelyard.methods.evaluation.robustness import corruptions, meaning, slices, summary, tables, texts
from modelyard.methods.evaluation.robustness.judging import Judged
from modelyard.stages.evaluate import robustness

ZH, EN = (
    {"text": "北京的房间非常好，服务不错。我们很满意"},
    {"text": "The room in London was very good, and John is happy."},
)
TABLE = tables.Columns({"age": 10.0, "income": 1000.0}, ("job", "city"))
ROW = {"age": 40, "income": 3000.0, "job": "cook", "city": None}


def picture() -> np.ndarray:
    down, across = np.mgrid[0:24, 0:20]
    return np.stack([down * 10, across * 12, (down + across) * 5], axis=2).astype(np.uint8)


def digests(record, every) -> dict[str, str]:
    found = {}
    for one in every:
        after = one.of(record, 0, "row-1")
        text = json.dumps(after, ensure_ascii=False, sort_keys=True)
        found[f"{one.kind} {one.severity}"] = hashlib.sha256(text.encode()).hexdigest()[:8] if after else ""
    return found


@pytest.mark.parametrize("record", [ZH, EN])
def test_a_changed_text_depends_on_seed_row_and_kind_alone(record) -> None:
    every = texts.perturbations()
    assert digests(record, every) == digests(record, list(reversed(every)))
    assert any(one.of(record, 0, "a") != one.of(record, 0, "b") for one in every)
    assert any(one.of(record, 0, "a") != one.of(record, 1, "a") for one in every)


def test_every_kind_changes_chinese_or_english_and_nothing_else_of_the_record() -> None:
    kinds = {one.kind for one in texts.perturbations()}
    changed = {one.kind for record in (ZH, EN) for one in texts.perturbations() if one.of(record, 0, "row")}
    assert changed == kinds
    for one in texts.perturbations():
        after = one.of({**EN, "id": 7}, 0, "row")
        assert after is None or (after["id"] == 7 and after["text"] != EN["text"])


def test_checks_of_meaning_say_what_they_should() -> None:
    assert meaning.negated("The room is good") == "The room is not good"
    assert meaning.negated("It was not good") == "It was good"
    assert meaning.negated("我很喜欢") == "我很不喜欢"
    assert meaning.negated("早餐不好吃") == "早餐好吃"
    assert meaning.negated("Great") is None
    swapped = meaning.swapped_entities("London, London and a Londoner", generator(0, "x", "y"))
    first, second, rest = swapped.split(" ", 1)[0].rstrip(","), swapped.split(" ")[1], swapped.split(" ", 2)[2]
    assert first == second != "London"
    assert rest == "and a Londoner"


def test_full_width_turns_round() -> None:
    assert texts.other_width("Ab 1!") == "Ａｂ\u3000１！"
    assert texts.other_width("Ａｂ\u3000１！") == "Ab 1!"


@pytest.mark.parametrize("kind", list(corruptions.CORRUPTIONS))
def test_corruptions_keep_shape_and_type_and_are_the_same_again(kind: str) -> None:
    for pixels in (picture(), picture()[..., 0], np.zeros((9, 7), np.uint8), np.full((1, 1, 3), 255, np.uint8)):
        for severity in (1, 5):
            found = corruptions.corrupt(pixels, kind, severity, generator(0, kind, "r", severity))
            assert found.shape == pixels.shape
            assert found.dtype == np.uint8
            again = corruptions.corrupt(pixels, kind, severity, generator(0, kind, "r", severity))
            assert np.array_equal(found, again)
    assert not np.array_equal(corruptions.corrupt(picture(), kind, 5, generator(0, kind, "r", 5)), picture())


def test_corruptions_have_their_constants() -> None:
    grey = np.full((200, 200), 128, np.uint8)
    noise = corruptions.corrupt(grey, "gaussian_noise", 2, generator(0, "n", "r")) / 255
    assert noise.std() == pytest.approx(0.12, rel=0.03)
    salt = corruptions.corrupt(grey, "impulse_noise", 5, generator(0, "n", "r"))
    assert np.isin(salt, (0, 255)).mean() == pytest.approx(0.27, abs=0.01)
    assert corruptions.corrupt(grey, "brightness", 3, generator(0, "n", "r"))[0, 0] == round((128 / 255 + 0.3) * 255)
    ramp = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
    low = corruptions.corrupt(ramp, "contrast", 1, generator(0, "n", "r"))
    assert low.std() == pytest.approx(0.4 * ramp.std(), rel=0.02)


def test_an_image_file_comes_back_as_a_png_and_a_broken_one_is_left_alone() -> None:
    target = io.BytesIO()
    Image.fromarray(picture()).save(target, "PNG")
    one = corruptions.perturbations()[0]
    after = one.of({"image": target.getvalue()}, 0, "r")
    assert Image.open(io.BytesIO(after["image"])).size == (20, 24)
    assert one.of({"image": b"no picture"}, 0, "r") is None


def test_tables_are_broken_in_every_way_and_only_in_their_features() -> None:
    every = {(one.kind, one.severity): one for one in tables.perturbations(TABLE)}
    assert {kind for kind, _ in every} == {"missing", "shifted", "unit_change", "swapped", "unseen"}
    shifted = every["shifted", 3].of(ROW, 0, "r")
    assert abs(shifted["age"] - 40) == 10
    assert abs(shifted["income"] - 3000) == 1000
    swapped = every["swapped", 1].of(ROW, 0, "r")
    assert (swapped["age"], swapped["income"]) == (3000.0, 40)
    assert every["unseen", 2].of(ROW, 0, "r")["job"] == tables.UNSEEN
    gone = every["missing", 3].of(ROW, 0, "r")
    assert sum(value is None for value in gone.values()) == 3
    factor = every["unit_change", 1].of(ROW, 0, "r")
    assert sorted((factor["age"] / 40, factor["income"] / 3000)) == [1, 10]


def test_rates_drops_and_the_worst_case_are_counted_row_by_row() -> None:
    nan = np.nan
    judged = Judged(("a", "b", "c", "d"), np.array([0.0, 0, 0, 1]))
    judged.errors = {("x", 1): np.array([0.0, 1, nan, 0]), ("y", 1): np.array([0.0, 0, 1, nan])}
    judged.checks = {("z", 1): np.array([nan, 1, 0, nan])}
    found = {(one.name, *one.slice.values()): one for one in summary.estimates(judged)}
    assert found["accuracy", "clean"].value == 0.75
    assert (found["accuracy", "x", "1"].value, found["accuracy", "x", "1"].n) == (2 / 3, 3)
    assert found["accuracy_drop", "x", "1"].value == pytest.approx(0.0)
    assert found["accuracy_drop", "y", "1"].value == pytest.approx(1 / 3)
    assert found["worst_accuracy",].value == 0.25
    assert found["worst_accuracy", "x"].value == 0.5
    assert found["mean_corruption_error",].value == pytest.approx((0 + 0.5 + 0.5 + 0.5) / 4)
    assert (found["check_failures", "z", "1"].value, found["check_failures", "z", "1"].n) == (0.5, 2)


def test_slices_are_named_by_value_or_cut_into_parts() -> None:
    assert slices.slice_names(["a", "b", "a", "c", None], 3) == ["a", "(rest)", "a", "(rest)", "(none)"]
    names = slices.slice_names(list(range(100)), 4)
    assert sorted(names.count(name) for name in set(names)) == [25, 25, 25, 25]
    clean = np.array([0.0] * 30 + [1.0] * 30)
    found = slices.estimates("site", ["a"] * 30 + ["b"] * 30, clean, True, 20)
    worst = next(one for one in found if one.name == "worst_slice_accuracy")
    assert worst.value == 0
    gap = next(one for one in found if one.name == "accuracy_drop" and one.slice == {"site": "b"})
    assert gap.value == 1


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("robustness")
    train = reviews(200, 1)
    data = write_dataset(root / "data", {"train": train, "validation": reviews(20, 3), "test": reviews(60, 2)})
    return root, {"model": write_linear_model(root / "model", train), "data": data}


def test_the_stage_measures_each_change_and_writes_what_it_shows(made) -> None:
    root, inputs = made
    context = FakeContext(root, inputs)
    robustness.STAGE.run(robustness.Config(rows=40, by="y", least=5), context)
    names = {one.name for one in robustness.CLAIMS}
    assert {one.claim for one in context.measurements} <= names
    worst = next(one for one in context.measurements if one.claim == "robustness.worst_accuracy" and not one.slice)
    clean = next(one for one in context.measurements if one.slice.get("kind") == "clean")
    assert worst.n == clean.n == 40
    assert worst.value <= clean.value
    drops = [one for one in context.measurements if one.claim == "robustness.accuracy_drop"]
    assert len({one.slice.get("kind") for one in drops}) > 5
    report = (root / "outputs/report/robustness.json").read_bytes()
    again = FakeContext(root, inputs)
    robustness.STAGE.run(robustness.Config(rows=40, by="y", least=5, batch_rows=7), again)
    assert (root / "outputs/report/robustness.json").read_bytes() == report
    assert again.measurements == context.measurements


def test_a_kind_that_does_not_exist_is_refused(made) -> None:
    root, inputs = made
    with pytest.raises(InputError, match="no such change"):
        robustness.STAGE.run(robustness.Config(kinds=("fog",)), FakeContext(root, inputs))
