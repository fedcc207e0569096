"""Binding: nearest above, named, splits, many, and rules that somebody can measure."""

from __future__ import annotations

import pytest
from support.fake_stages import PROJECT, source, write_project, write_stages

from modelyard.engine.bind import load_project, load_project_dict


@pytest.fixture
def load(tmp_path):
    def _load(text=PROJECT, sets=(), **files):
        path = write_project(tmp_path, text)
        for name, content in files.items():
            (tmp_path / f"{name}.py").write_text(content, encoding="utf-8")
        return load_project(path, sets)

    return _load


def told(problems):
    return [(problem.where.rpartition("modelyard.yaml:")[2], problem.found, problem.remedy) for problem in problems]


def step(text, line):
    """The project with one more step, before the release."""
    assert "\n" not in line
    return text.replace("release:", f"  {line}\nrelease:", 1)


def test_inputs_bind_to_the_nearest_output_of_their_kind_above(load):
    bound, problems = load()
    assert problems == []
    bindings = {item.name: dict(item.bindings) for item in bound.steps}
    assert bindings == {
        "reviews": {},
        "clean": {"data": (("reviews", "data"),)},
        "split": {"data": (("clean", "data"),)},
        "classifier": {"data": (("split", "data"),)},
        "int8": {"model": (("classifier", "model"),), "data": (("split", "data"),)},
        "quality": {"model": (("int8", "model"),), "data": (("split", "data"),)},
        "card": {"model": (("int8", "model"),), "reports": (("quality", "report"),)},
    }
    assert bound.release == ("int8", "model")
    assert bound.step("classifier").config.epochs == 3
    assert bound.step("classifier").stage.outputs["model"].kind == "model"


def test_a_named_input_binds_to_what_it_names(load):
    text = PROJECT.replace(
        "{uses: ./evaluate/quality.py}", "{uses: ./evaluate/quality.py, in: {model: classifier.model}}"
    )
    text = text.replace("model: int8\n", "model: classifier\n").replace("    - {claim: size.bytes, max: 1000}\n", "")
    bound, problems = load(text)
    assert problems == []
    assert bound.step("quality").bindings["model"] == (("classifier", "model"),)


def test_outputs_beside_the_main_line_bind_only_by_name(load):
    bound, problems = load(PROJECT.replace("{uses: ./split.py}", "{uses: ./split.py, in: {data: clean.removed}}"))
    assert problems == []
    assert bound.step("split").bindings["data"] == (("clean", "removed"),)


def test_a_port_that_takes_many_takes_every_output_above_or_the_named_ones(load):
    more = "again: {uses: ./evaluate/quality.py, in: {model: classifier}}"
    text = PROJECT.replace("  card:", f"  {more}\n  card:")
    bound, _ = load(text)
    assert bound.step("card").bindings["reports"] == (("quality", "report"), ("again", "report"))
    bound, _ = load(text.replace("./card.py}", "./card.py, in: {reports: [again]}}"))
    assert bound.step("card").bindings["reports"] == (("again", "report"),)


def test_an_optional_port_stays_open_when_nothing_fits(load):
    bound, problems = load(PROJECT.replace("  quality: {uses: ./evaluate/quality.py}\n", "").replace(
        "    - {claim: quality.accuracy, min: 0.80}\n", ""))  # fmt: skip
    assert problems == []
    assert "reports" not in bound.step("card").bindings


@pytest.mark.parametrize(
    ("old", "new", "line", "found", "remedy"),
    [
        ("  split: {uses: ./split.py}\n", "", "6", "needs the split train, validation; `clean` above is not split",
         "add a `data.split` step between `clean` and `classifier`"),
        ("./clean.py}", "./clean.py, in: {data: clean}}", "5", "its own input", ""),
        ("./clean.py}", "./clean.py, in: {data: split}}", "5", "`split` stands below `clean`", "move `split` up"),
        ("./clean.py}", "./clean.py, in: {data: revews}}", "5", "no step `revews` above", "did you mean `reviews`?"),
        ("./clean.py}", "./clean.py, in: {dat: reviews}}", "5", "has no input `dat`", "did you mean `data`?"),
        ("./split.py}", "./split.py, in: {data: clean.remove}}", "6", "no output `remove`", "did you mean `removed`?"),
        ("./split.py}", "./split.py, in: {data: [clean, reviews]}}", "6", "takes one, not 2", ""),
        ("./quantize.py}", "./quantize.py, in: {model: split}}", "8", "no output of kind model", "data (dataset)"),
        ("./quantize.py}", "./quantize.py, in: {model: split.data}}", "8", "is of kind dataset", "data (dataset)"),
        ("./quantize.py}", "./quantize.py, in: {data: clean}}", "8", "needs the split train; `clean` above is not", ""),
        ("./card.py}", "./card.py, in: {record: clean}}", "10", "a record, which the engine writes", "remove it"),
        ("  classifier: {uses: ./train.py, with: {epochs: 3}}\n", "", "7",
         "nothing above gives `int8` its input `model`", "train."),
        ("model: int8\n", "model: int9\n", "12", "no step `int9`", "did you mean `int8`?"),
        ("model: int8\n", "model: clean\n", "12", "no output of kind model", ""),
        ("model: int8\n", "model: int8.modle\n", "12", "no output `modle`", "did you mean `model`?"),
        ("quality.accuracy", "quality.acuracy", "14", "no step of the project measures",
         "did you mean `quality.accuracy`?"),
        ("quality.accuracy", "data.leakage_rate", "14", "no step of the project measures", "`data.split`"),
        ("of: clean", "of: claen", "15", "no step `claen`", "did you mean `clean`?"),
        ("of: clean", "of: card", "15", "`card` has no part in `int8.model`", "clean"),
        ("of: clean", "of: split", "15", "measured by `clean` about `clean`, not about `split`", "of: clean"),
        ("min: 0.80}", "min: 0.80, on: train}", "14", "but not on train data", "test"),
        ("{uses: ./evaluate/quality.py}", "{uses: ./evaluate/quality.py, in: {model: classifier}}", "14",
         "is measured by `quality` about `classifier`, `split`, not about `int8`", "in: {model: int8}"),
    ],
)  # fmt: skip
def test_what_cannot_be_bound_is_told_at_its_line_with_a_remedy(load, old, new, line, found, remedy):
    assert old in PROJECT
    bound, problems = load(PROJECT.replace(old, new, 1))
    assert bound is None
    assert [item[0] for item in told(problems)] == [line] or len(problems) > 1
    assert any(where == line and found in text and remedy in cure for where, text, cure in told(problems))


def test_missing_splits_are_told_once_per_step_that_needs_them(load):
    _, problems = load(PROJECT.replace("  split: {uses: ./split.py}\n", ""))
    assert [where for where, *_ in told(problems)] == ["6", "7", "8"]


def test_data_that_is_split_cannot_be_split_again(load):
    _, problems = load(step(PROJECT, "again: {uses: ./split.py}"))
    assert "needs data that is not split; `split` above is split" in problems[0].found


def test_a_step_with_two_outputs_of_a_kind_must_be_named_by_port(load):
    two = source(outputs='{"a": Port("model"), "b": Port("model")}')
    text = PROJECT.replace("  int8:", "  pair: {uses: ./pair.py}\n  int8:")
    _, problems = load(text, pair=two)
    assert any("could be any of: pair.a, pair.b" in problem.found for problem in problems)
    assert any("in: {model: pair.a}" in problem.remedy for problem in problems)
    _, problems = load(text.replace("./quantize.py}", "./quantize.py, in: {model: pair}}"), pair=two)
    assert any("`pair` has several outputs of kind model: pair.a, pair.b" in problem.found for problem in problems)
    bound, problems = load(text.replace("./quantize.py}", "./quantize.py, in: {model: pair.b}}"), pair=two)
    assert problems == []
    assert bound.step("int8").bindings["model"] == (("pair", "b"),)


def test_a_broken_step_makes_no_further_problems_for_those_that_build_on_it(load):
    for broken in ("{uses: ./splt.py}", "{with: {}}", "{search: {}}", "3"):
        _, problems = load(PROJECT.replace("{uses: ./split.py}", broken))
        assert {where for where, *_ in told(problems)} == {"6"}, broken


def test_problems_of_settings_bindings_and_rules_come_in_one_pass_in_file_order(load):
    text = PROJECT.replace("epochs: 3", "epochs: 0, shufle: on").replace("./clean.py}", "./clean.py, in: {data: x}}")
    text = text.replace("quality.accuracy", "quality.nothing").replace("version: 1", "version: 3")
    _, problems = load(text)
    assert [where for where, *_ in told(problems)] == ["1", "5", "7", "7", "14"]


def test_a_lineage_claim_without_of_may_be_about_an_ancestor(load):
    bound, problems = load(PROJECT.replace(", of: clean", ""))
    assert problems == []
    assert bound is not None


def test_a_claim_that_needs_no_data_passes_but_one_on_a_split_needs_it(load):
    _, problems = load(PROJECT.replace("size.bytes, max: 1000", "size.bytes, max: 1000, on: validation"))
    assert "not on validation data" in problems[0].found


def test_problems_of_a_stage_file_name_that_file(load):
    _, problems = load(step(PROJECT, "mine: {uses: ./mine.py}"), mine="import nothing_there\n")
    assert [problem.where for problem in problems] == ["./mine.py:1"]


def test_set_reaches_the_settings_and_its_mistakes_name_the_option(load):
    bound, problems = load(sets=["steps.classifier.with.epochs=9"])
    assert problems == []
    assert bound.step("classifier").config.epochs == 9
    _, problems = load(sets=["steps.classifier.with.epochs=900"])
    assert problems[0].where == "--set steps.classifier.with.epochs=900"


def test_a_python_dict_binds_the_same(tmp_path):
    write_stages(tmp_path)
    value = {
        "version": 1,
        "project": "p",
        "steps": {"reviews": {"uses": "./read.py", "with": {"path": "x"}}, "clean": {"uses": "./clean.py"}},
    }
    bound, problems = load_project_dict(value, tmp_path)
    assert problems == []
    assert bound.step("clean").bindings == {"data": (("reviews", "data"),)}
    value["steps"]["clean"]["with"] = {"x": 1}
    _, (problem,) = load_project_dict(value, tmp_path)
    assert problem.where == "steps.clean.with.x"


def test_evaluation_passes_over_data_made_of_train_only_to_where_the_test_rows_were_cut(load):
    port = 'Port("dataset", ("train", "validation"))'
    balance = source(inputs=f'{{"data": {port}}}', outputs=f'{{"data": {port}}}', claims="()")
    text = PROJECT.replace("  classifier:", "  balance:    {uses: ./balance.py}\n  classifier:", 1)
    bound, problems = load(text, balance=balance)
    assert problems == []
    assert bound.step("classifier").bindings["data"] == (("balance", "data"),)
    assert bound.step("quality").bindings["data"] == (("split", "data"),)
