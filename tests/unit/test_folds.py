"""Folds: what a project may list, how they are bound, and that no step takes one unless it is named."""

from __future__ import annotations

import json

import pytest
from support.fake_stages import PROJECT, source, write_project
from support.toy_search import FIT, JUDGE

import modelyard
from modelyard.engine.bind import load_project

pytest_plugins = ("support.quick_disk",)

FOLDS = "  cv: {folds: {steps: [classifier, int8], k: 3}}\n  quality:"


def load(folder, line=FOLDS, text=PROJECT):
    return load_project(write_project(folder, text.replace("  quality:", line)))


def test_every_fold_is_made_of_steps_of_its_own(tmp_path):
    bound, problems = load(tmp_path)
    assert problems == []
    assert bound.step("cv.2.data").bindings == {"data": (("split", "data"),)}
    assert bound.step("cv.2.classifier").bindings == {"data": (("cv.2.data", "data"),)}
    assert bound.step("cv.2.int8").bindings == {
        "model": (("cv.2.classifier", "model"),),
        "data": (("cv.2.data", "data"),),
    }
    assert bound.step("cv").bindings["models"] == tuple((f"cv.{n}.int8", "model") for n in (1, 2, 3))


def test_steps_below_take_no_fold_unless_they_name_it(tmp_path):
    bound, _ = load(tmp_path)
    assert bound.step("quality").bindings["model"] == (("int8", "model"),)
    last = PROJECT.replace("release:", "  other: {uses: ./quantize.py, in: {model: cv.model_3}}\nrelease:")
    bound, problems = load(tmp_path, text=last)
    assert problems == []
    assert bound.step("other").bindings["model"] == (("cv.3.int8", "model"),)


def test_a_rule_may_rest_on_the_folds_of_the_released_model(tmp_path):
    claims = '(Claim("train.validation_accuracy", "share", sizing="rate", any_split=True),)'
    rule = "    - {claim: folds.accuracy, of: cv, min: 0.5}\n    - {claim: size.bytes"
    text = PROJECT.replace("  quality:", FOLDS).replace("    - {claim: size.bytes", rule)
    project = write_project(tmp_path, text)
    (tmp_path / "train.py").write_text(
        source('{"data": Port("dataset", ("train", "validation"))}', '{"model": Port("model")}', claims,
               "    epochs: int = 2")
    )  # fmt: skip
    bound, problems = load_project(project)
    assert problems == []
    assert {claim.name for claim in bound.step("cv").stage.claims} == {"folds.accuracy", "folds.bytes"}


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("quality", "`quality` stands below `cv`"),
        ("clean", "the steps take train and validation from none"),
        ("nothing", "there is no step `nothing` above"),
        ("classifier, classifier", "`classifier` is listed twice"),
        ("card", "`card` stands below `cv`"),
        ("split", "the steps take train and validation from none"),
    ],
)
def test_what_cannot_be_folded_is_told(tmp_path, listed, found):
    _, problems = load(tmp_path, f"  cv: {{folds: {{steps: [{listed}]}}}}\n  quality:")
    assert [problem.found for problem in problems] == [found]


def test_rows_changed_since_the_split_would_leak_so_the_step_must_be_listed_too(tmp_path):
    ports = '{"data": Port("dataset", ("train", "validation"))}'
    text = PROJECT.replace("  classifier:", "  more: {uses: ./more.py}\n  classifier:")
    write_project(tmp_path)
    (tmp_path / "more.py").write_text(source(ports, ports))
    _, problems = load(tmp_path, FOLDS.replace(", int8", ""), text)
    assert "`more` has changed the rows since they were split" in problems[0].found
    assert problems[0].remedy == "list `more` too: it is then done in each fold"
    bound, problems = load(tmp_path, FOLDS.replace("[classifier, int8]", "[more, classifier]"), text)
    assert problems == []
    assert bound.step("cv.1.classifier").bindings["data"] == (("cv.1.more", "data"),)


ROWS = '''"""Rows with a text and a label."""
from pydantic import BaseModel, ConfigDict
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def run(config, context):
    import pyarrow as pa
    from modelyard.methods.data.dataset import Column, write_schema, write_split
    folder = context.output("data")
    names = ("row_id", "text", "label")
    write_schema(folder, [Column(name, {"row_id": "other"}.get(name, name), "string") for name in names])
    schema = pa.schema([(name, pa.string()) for name in names])
    for split, count in (("train", 20), ("validation", 10), ("test", 5)):
        rows = [{"row_id": f"{split}{n}", "text": f"{split} {n}", "label": "ab"[n % 2]} for n in range(count)]
        write_split(folder, split, [pa.Table.from_pylist(rows, schema=schema)], schema)


STAGE = Stage(config=Config, run=run, outputs={"data": Port("dataset", ("train", "validation", "test"))})
'''

TOY = """version: 1
project: fold
steps:
  data: {uses: ./rows.py}
  model: {uses: ./fit.py, with: {power: 3}}
  judge: {uses: ./judge.py}
  cv: {folds: {steps: [model, judge], k: 3, predictions: false}}
"""


def write_toy(folder, jobs=1, text=TOY):
    folder.mkdir(exist_ok=True)
    judge = JUDGE.replace('value = 1 -', 'from modelyard.methods.data.dataset import Dataset\n'
                          '    rows = Dataset.open(context.input("data")).column("validation", "row_id")\n'
                          '    value = len([row for row in rows if row.startswith("train")]) / 10 -')  # fmt: skip
    for name, content in {"rows": ROWS, "fit": FIT, "judge": judge}.items():
        (folder / f"{name}.py").write_text(content)
    if jobs > 1:
        (folder / "modelyard.profiles.yaml").write_text(f"profiles: {{local: {{jobs: {jobs}, threads: 1}}}}\n")
    (folder / "modelyard.yaml").write_text(text)
    return folder / "modelyard.yaml"


def outputs(result):
    return {f"{step.step}.{port}": digest for step in result.steps for port, digest in step.outputs.items()}


def test_folds_are_cached_alike_side_by_side_and_measured(quick_disk):
    one = modelyard.run(write_toy(quick_disk / "one"))
    again = modelyard.run(quick_disk / "one")
    two = modelyard.run(write_toy(quick_disk / "two", jobs=2))
    assert all(step.cached for step in again.steps)
    assert outputs(again) == outputs(one) == outputs(two)
    assert {step.step: step.state for step in modelyard.plan(quick_disk / "two").steps}["cv"] == "cached"
    found = modelyard.evidence("cv.report", project=quick_disk / "one")
    assert [item["claim"] for item in found] == ["folds.score"]
    assert found[0]["n"] == 30
    digest = outputs(one)["cv.report"].removeprefix("sha256:")
    report = json.loads(
        (quick_disk / "one" / ".modelyard" / "artifacts" / digest[:2] / digest[2:] / "folds.json").read_text()
    )
    assert report["data"]["rows"] == [10, 10, 10]
    held = [(value + 0.04) * 10 + 0.05 * 10 for value in report["data"]["scores"][0]["folds"]]
    assert sum(held) == pytest.approx(20, abs=0.5), "rows of train are held out once, over all folds"


TASKS = TOY.replace("project: fold", "project: tasks")


def test_of_several_tasks_each_has_its_mean_over_the_folds(quick_disk):
    project = write_toy(quick_disk, text=TASKS)
    judge = (quick_disk / "judge.py").read_text()
    one = 'context.measure("judge.score", value, about="model", on="data/validation", n=100, interval=ends)'
    each = """for task, n in {"mood": 7, "length": 10}.items():
        context.measure("judge.score", value * n, about="model", on="data/validation", n=n, interval=ends,
                        slice={"task": task})
        context.measure("judge.score", 0.0, about="model", on="data/validation", n=n, interval=ends,
                        slice={"task": task, "class": "a"})"""
    assert one in judge
    (quick_disk / "judge.py").write_text(judge.replace(one, each))
    result = modelyard.run(project)
    found = {item["slice"]["task"]: item for item in modelyard.evidence("cv.report", project=quick_disk)}
    assert {task: item["n"] for task, item in found.items()} == {"mood": 21, "length": 30}
    assert found["length"]["value"] / found["mood"]["value"] == pytest.approx(10 / 7)
    digest = outputs(result)["cv.report"].removeprefix("sha256:")
    report = json.loads((quick_disk / ".modelyard" / "artifacts" / digest[:2] / digest[2:] / "folds.json").read_text())
    assert [one["from"] for one in report["data"]["scores"]] == ["judge.score of length", "judge.score of mood"]


def test_a_changed_setting_makes_every_fold_again_and_a_changed_k_too(quick_disk):
    project = write_toy(quick_disk / "one")
    modelyard.run(project)
    changed = modelyard.run(project, sets=["steps.model.with.power=4"])
    cached = {step.step: step.cached for step in changed.steps}
    assert cached["cv.1.data"]
    assert not cached["cv.1.model"]
    assert not cached["cv"]
    project.write_text(TOY.replace("k: 3", "k: 2"))
    assert not {step.step: step.cached for step in modelyard.run(project).steps}["cv.1.data"]
