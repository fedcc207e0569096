"""Harness tasks from local files: the same figures as the harness' own model and as our own, and nothing else runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from support.fake_context import FakeContext
from support.tiny_language import tiny_model, write_columns

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation.harness import tasks
from modelyard.methods.evaluation.harness.lm import Chats, PredictorLM, pair, writing
from modelyard.methods.training.language import chats, saving
from modelyard.methods.training.language.settings import Generation
from modelyard.stages.evaluate.harness import STAGE, Config, run

QUESTIONS = [
    {"question": "Ada likes", "choices": ["tea.", "rice.", "soup."], "right": 0},
    {"question": "小明 likes", "choices": ["苹果.", "米饭."], "right": 1},
    {"question": "Ben likes tea. Ben likes", "choices": ["soup.", "rice.", "tea."], "right": 2},
    {"question": "小红 likes", "choices": ["tea.", "米饭.", "rice."], "right": 0},
    {"question": "Ada likes soup. Ben likes", "choices": ["rice.", "苹果."], "right": 1},
    {"question": "Who likes rice? 小明 likes", "choices": ["rice.", "soup."], "right": 0},
]
CHOICE = """
task: tiny_choice
dataset_path: json
dataset_kwargs: {data_files: {test: questions.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: choices
doc_to_target: right
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""
ROLLING = """
task: tiny_texts
dataset_path: json
dataset_kwargs: {data_files: {test: texts.jsonl}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: byte_perplexity}, {metric: bits_per_byte}]
"""
WRITING = """
task: tiny_writing
dataset_path: json
dataset_kwargs: {data_files: {test: texts.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{text[:9]}}"
doc_to_target: "{{text}}"
generation_kwargs: {until: ["."], max_gen_toks: 6, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}, {metric: chrf}]
"""
TEXTS = [
    "Ada likes tea.",
    "Ben likes rice. " * 9 + "小明 likes soup.",
    "小红 likes 苹果.",
    "x",
    "soup tea.",
    "Ben likes tea.",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    made, tokenizer = tiny_model("gpt2", context=64, seed=3)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter *= 4
    folder = tmp_path_factory.mktemp("harness-model")
    saving.write_model(made, tokenizer, folder, 64, Generation(max_new_tokens=6), {}, "MIT", saving.prompts(["A"]))
    return folder


@pytest.fixture(scope="module")
def chatting(tmp_path_factory) -> Path:
    """A model that knows chats."""
    made, tokenizer = tiny_model("gpt2", context=128, seed=3)
    chats.learn_to_chat(made, tokenizer)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter *= 4
    folder = tmp_path_factory.mktemp("chatting-model")
    saving.write_model(made, tokenizer, folder, 128, Generation(max_new_tokens=6), {}, "MIT", saving.prompts(["A"]))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "questions.jsonl").write_text(_lines(QUESTIONS), encoding="utf-8")
    (tmp_path / "texts.jsonl").write_text(_lines([{"text": text} for text in TEXTS]), encoding="utf-8")
    return tmp_path


def _lines(rows: list) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _task(folder: Path, text: str, name: str = "task.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def _run(folder: Path, model: Path, **settings) -> FakeContext:
    context = FakeContext(folder / "run", {"model": model}, base=folder)
    run(Config(tasks=settings.pop("tasks", "task.yaml"), threads=1, **settings), context)
    return context


def _by_harness(
    folder: Path, model: Path, name: str = "task.yaml", shots: int | None = None, asked: dict | None = None, **settings
) -> dict:
    """The harness alone: its loader, its Hugging Face model."""
    import datasets
    from lm_eval import evaluator
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    datasets.disable_progress_bars()
    [task] = tasks.read([name], folder).tasks
    config = {**task.config, "dataset_kwargs": {**task.config["dataset_kwargs"], "cache_dir": str(folder / "cache")}}
    peer = HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=2, softmax_dtype="float64", **settings)
    found = evaluator.simple_evaluate(
        peer, tasks=[config], task_manager=TaskManager(include_defaults=False), num_fewshot=shots, bootstrap_iters=0,
        fewshot_random_seed=0, **(asked or {}),
    )  # fmt: skip
    return found


def test_choices_are_those_of_the_harness_own_model_and_of_our_own_measurement(folder, model, tmp_path):
    _task(folder, CHOICE)
    context = _run(folder, model)
    theirs = _by_harness(folder, model)
    told = {one.claim: one for one in context.measurements}
    for metric in ("acc", "acc_norm"):
        assert told[f"harness.{metric}"].value == theirs["results"]["tiny_choice"][f"{metric},none"]
        assert told[f"harness.{metric}"].n == len(QUESTIONS)
        assert told[f"harness.{metric}"].slice == {"task": "tiny_choice"}
        low, high = told[f"harness.{metric}"].interval
        assert low < told[f"harness.{metric}"].value < high or told[f"harness.{metric}"].value in (0, 1)
    rows = Dataset.open(context.output("samples")).table("all").to_pylist()
    assert [row["row_id"] for row in rows] == [f"tiny_choice/{place}" for place in range(len(QUESTIONS))]
    for row, sample in zip(rows, theirs["samples"]["tiny_choice"], strict=True):
        for ours, likelihood in zip(json.loads(row["said"]), sample["filtered_resps"], strict=True):
            assert ours[0] == pytest.approx(float(likelihood[0]), abs=1e-6, rel=1e-6)
            assert ours[1] == bool(likelihood[1])
    assert told["harness.acc"].value == _own_accuracy(tmp_path / "own", model)


def _quiet(*told) -> None:
    pass


def _own_accuracy(folder: Path, model: Path) -> float:
    """The same questions as a data set of ours, measured by evaluate.quality's family."""
    from modelyard.methods.evaluation.measuring import running
    from modelyard.methods.evaluation.settings import Measuring

    columns = {
        "prompt": [one["question"] for one in QUESTIONS],
        "choices": [json.dumps([f" {each}" for each in one["choices"]], ensure_ascii=False) for one in QUESTIONS],
        "right": [str(one["right"]) for one in QUESTIONS],
    }
    empty = {name: values[:0] for name, values in columns.items()}
    write_columns(folder, {"train": empty, "validation": empty, "test": columns}, text="prompt")
    value = json.loads((folder / "dataset.json").read_text())
    for column in value["columns"]:
        if column["name"] == "right":
            column["role"] = "label"
    (folder / "dataset.json").write_text(json.dumps(value))
    found = running.run(model, Dataset.open(folder), "test", Measuring(choices="choices", threads=1), 0, _quiet, _quiet)
    return next(one.value for one in found.parts[0].measured.estimates if one.name == "choice_accuracy")


def test_examples_before_a_question_are_drawn_as_the_harness_draws_them(folder, model):
    text = CHOICE.replace("{test: questions.jsonl}", "{test: questions.jsonl, shown: questions.jsonl}")
    _task(folder, text + "fewshot_split: shown\n")
    context = _run(folder, model, shots=2)
    theirs = _by_harness(folder, model, shots=2)["samples"]["tiny_choice"]
    rows = Dataset.open(context.output("samples")).table("all").to_pylist()
    assert [row["question"] for row in rows] == [one["arguments"][0][0] for one in theirs]
    assert rows[0]["question"].count("likes") > 2
    for row, sample in zip(rows, theirs, strict=True):
        for ours, likelihood in zip(json.loads(row["said"]), sample["filtered_resps"], strict=True):
            assert ours[0] == pytest.approx(float(likelihood[0]), abs=1e-6, rel=1e-6)


CHATS = {
    "plain": ({}, {}, CHOICE),
    "system": ({"system": "Say what one likes."}, {"system_instruction": "Say what one likes."}, CHOICE),
    "examples in turns": ({"shots": 2}, {"fewshot_as_multiturn": True}, CHOICE),
    "examples in one message": ({"shots": 2, "multiturn": False}, {"fewshot_as_multiturn": False}, CHOICE),
    "the answer begun": ({}, {}, CHOICE + "gen_prefix: Surely\n"),
    "described": ({"system": "Short."}, {"system_instruction": "Short."}, CHOICE + "description: On food.\n"),
}


@pytest.mark.parametrize("case", CHATS)
def test_chats_are_written_out_as_the_harness_writes_them(folder, chatting, case):
    ours, theirs, text = CHATS[case]
    shown = text.replace("{test: questions.jsonl}", "{test: questions.jsonl, shown: questions.jsonl}")
    _task(folder, shown + "fewshot_split: shown\n")
    context = _run(folder, chatting, chat_template=True, **ours)
    asked = {"apply_chat_template": True, **theirs}
    samples = _by_harness(folder, chatting, shots=ours.get("shots"), asked=asked)["samples"]["tiny_choice"]
    rows = Dataset.open(context.output("samples")).table("all").to_pylist()
    assert [row["question"] for row in rows] == [one["arguments"][0][0] for one in samples]
    assert all("<|im_start|>user" in row["question"] for row in rows)
    for row, sample in zip(rows, samples, strict=True):
        for mine, likelihood in zip(json.loads(row["said"]), sample["filtered_resps"], strict=True):
            assert mine[0] == pytest.approx(float(likelihood[0]), abs=1e-6, rel=1e-6)
    plain = _run(folder, chatting, **{name: value for name, value in ours.items() if name == "shots"})
    assert "<|im_start|>" not in Dataset.open(plain.output("samples")).table("all").to_pylist()[0]["question"]


def test_what_is_written_in_a_chat_is_what_the_harness_writes(folder, chatting):
    _task(folder, WRITING)
    context = _run(folder, chatting, chat_template=True)
    theirs = _by_harness(folder, chatting, asked={"apply_chat_template": True})["samples"]["tiny_writing"]
    rows = Dataset.open(context.output("samples")).table("all").to_pylist()
    assert [json.loads(row["said"]) for row in rows] == [one["filtered_resps"] for one in theirs]


def test_a_model_without_a_template_is_not_asked_in_chats(folder, model):
    _task(folder, CHOICE)
    with pytest.raises(InputError, match="no chat template"):
        _run(folder, model, chat_template=True)


def test_a_mark_that_the_tokenizer_writes_itself_is_not_written_twice(chatting, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(chatting)
    tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template
    tokenizer.save_pretrained(tmp_path)
    text = Chats(tmp_path).written([{"role": "user", "content": "Ada likes"}], True)
    ids = tokenizer.backend_tokenizer.encode(text, add_special_tokens=True).ids
    assert ids.count(tokenizer.bos_token_id) == 1
    assert text.startswith("<|im_start|>user")


GROUPS = """
group: everything
task:
  - short
  - group: inner
    task: [third]
    aggregate_metric_list: {metric: acc_norm, weight_by_size: false}
aggregate_metric_list:
  - {metric: acc, aggregation: mean, weight_by_size: true}
  - {metric: acc_norm, aggregation: mean, weight_by_size: false, filter_list: none}
"""


def _grouped(folder: Path) -> dict[str, str]:
    """Three tasks of other sizes, two of them a tag, and groups of them; places of data written whole."""
    parts = {"first": QUESTIONS[:2], "second": QUESTIONS[1:], "third": QUESTIONS[2:5]}
    for name, rows in parts.items():
        (folder / f"{name}.jsonl").write_text(_lines(rows), encoding="utf-8")
        text = CHOICE.replace("tiny_choice", name).replace("questions.jsonl", str(folder / f"{name}.jsonl"))
        _task(folder, text + ("" if name == "third" else "tag: short\n"), f"{name}.yaml")
    _task(folder, GROUPS, "groups.yaml")
    _task(folder, "group: pair\ntask: [third, everything]\naggregate_metric_list: [{metric: acc}]\n", "pair.yaml")
    return {name: f"{name}.yaml" for name in (*parts, "groups", "pair")}


def test_groups_have_the_figures_that_the_harness_gives_them(folder, model):
    import datasets
    from lm_eval import evaluator
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    files = _grouped(folder)
    context = _run(folder, model, tasks=list(files.values()))
    datasets.disable_progress_bars()
    datasets.config.HF_DATASETS_CACHE, before = str(folder / "cache"), datasets.config.HF_DATASETS_CACHE
    try:
        peer = HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=2, softmax_dtype="float64")
        theirs = evaluator.simple_evaluate(
            peer, tasks=["pair"], task_manager=TaskManager(include_path=str(folder), include_defaults=False),
            bootstrap_iters=0,
        )  # fmt: skip
    finally:
        datasets.config.HF_DATASETS_CACHE = before
    told = {(one.slice["group"], one.claim): one for one in context.measurements if "group" in one.slice}
    expected = {
        (group, f"harness.{key.removesuffix(',none')}"): value
        for group, values in theirs["groups"].items()
        for key, value in values.items()
        if key in ("acc,none", "acc_norm,none")
    }
    assert len(expected) == 4
    assert told.keys() == expected.keys()
    for key, value in expected.items():
        assert told[key].value == pytest.approx(value, abs=1e-12), key
        low, high = told[key].interval
        assert low <= told[key].value <= high
    assert told["everything", "harness.acc"].n == 10
    assert told["pair", "harness.acc"].n == 13
    rates = [one.value for one in context.measurements if one.claim == "harness.acc" and "task" in one.slice]
    assert told["everything", "harness.acc"].value == pytest.approx((2 * rates[0] + 5 * rates[1] + 3 * rates[2]) / 10)
    assert any(line.startswith("group pair: acc") for line in context.said)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("group: g\ntask: [first]\n", "names no metrics"),
        ("group: g\ntask: [first, gone]\naggregate_metric_list: [{metric: acc}]\n", "`gone`"),
        ("group: g\ntask: [{task: first, num_fewshot: 2}]\naggregate_metric_list: [{metric: acc}]\n", "settings"),
        ("group: g\nnum_fewshot: 2\ntask: [first]\naggregate_metric_list: [{metric: acc}]\n", "`num_fewshot`"),
        ("group: g\ntask: [first]\naggregate_metric_list: [{metric: acc, aggregation: median}]\n", "mean"),
        ("group: g\ntask: [first]\naggregate_metric_list: [3]\n", "not a list of metrics"),
        ("group: g\ntask: [g]\naggregate_metric_list: [{metric: acc}]\n", "without end"),
    ],
)
def test_a_group_that_cannot_be_combined_is_told_and_its_tasks_are_measured(folder, model, text, reason):
    _grouped(folder)
    _task(folder, text, "group.yaml")
    context = _run(folder, model, tasks=["first.yaml", "group.yaml"])
    assert any("`g` has no figure" in line and reason in line for line in context.said)
    assert [one.slice for one in context.measurements] == [{"task": "first"}] * 2


def test_another_group_makes_another_fingerprint(folder):
    from modelyard.stages.evaluate.harness import fingerprint

    files = _grouped(folder)
    config = Config(tasks=list(files.values()))
    before = fingerprint(config, folder)
    (folder / "groups.yaml").write_text(GROUPS.replace("metric: acc,", "metric: acc_norm,"))
    assert fingerprint(config, folder) != before


def test_texts_longer_than_the_model_and_writing_are_those_of_the_harness(folder, model):
    _task(folder, ROLLING, "a.yaml")
    _task(folder, WRITING, "b.yaml")
    context = _run(folder, model, tasks=["a.yaml", "b.yaml"])
    # Their model puts a mark before texts whose tokenizer has put one already, and scores it: told not to here.
    rolling = _by_harness(folder, model, "a.yaml", add_bos_token=False)["results"]["tiny_texts"]
    for metric in ("byte_perplexity", "bits_per_byte"):
        assert context.value(f"harness.{metric}") == pytest.approx(rolling[f"{metric},none"], rel=1e-6)
    told = next(one for one in context.measurements if one.claim == "harness.bits_per_byte")
    assert told.interval[0] < told.value < told.interval[1]
    theirs = _by_harness(folder, model, "b.yaml")
    rows = [
        row for row in Dataset.open(context.output("samples")).table("all").to_pylist() if row["task"] != "tiny_texts"
    ]
    assert [json.loads(row["said"]) for row in rows] == [
        one["filtered_resps"] for one in theirs["samples"]["tiny_writing"]
    ]
    assert context.value("harness.chrf") == pytest.approx(theirs["results"]["tiny_writing"]["chrf,none"])


def test_a_limit_asks_the_first_questions_and_the_report_names_the_claims(folder, model):
    _task(folder, CHOICE)
    context = _run(folder, model, limit=2, texts=False)
    assert {one.n for one in context.measurements} == {2}
    report = (context.output("report") / "harness.json").read_text()
    assert "harness.acc" in report
    assert "Ada likes" not in report


PAIRS = list(zip("bcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxy", strict=True))
BAD = {
    "no yaml": ("task: [", "not YAML"),
    "no mapping": ("- task", "no mapping"),
    "hub": (CHOICE.replace("dataset_path: json", "dataset_path: some/hub"), "hub"),
    "address": (CHOICE.replace("questions.jsonl", "https://host/questions.jsonl"), "not a local file"),
    "no file": (CHOICE.replace("questions.jsonl", "absent.jsonl"), "absent.jsonl"),
    "no split": (CHOICE.replace("test_split: test", "test_split: other"), "other"),
    "metric": (CHOICE.replace("metric: acc,", "metric: accuracyy,"), "unknown metric: `accuracyy`"),
    "fetched metric": (CHOICE.replace("metric: acc,", "metric: acc, hf_evaluate: true,"), "hf_evaluate"),
    "function": (CHOICE.replace("doc_to_target: right", "doc_to_target: !function evil.target"), "brings code"),
    "class": ("task: x\nclass: !function evil.Task\n", "brings code"),
    "unsafe": (CHOICE + "unsafe_code: true\n", "brings code"),
    "other tag": (CHOICE.replace("doc_to_target: right", "doc_to_target: !!python/name:os.system"), "not YAML"),
    "prompts": (CHOICE + "use_prompt: promptsource:x\n", "library"),
    "kind": (CHOICE.replace("multiple_choice", "essay"), "essay"),
    "aliases": (CHOICE + "a: &a [1, 1]\n" + "".join(f"{x}: &{x} [*{y}, *{y}]\n" for x, y in PAIRS), "without end"),
    "a list that holds itself": (CHOICE + "a: &a [*a]\n", "without end"),
    "a file without end": ("include: /dev/zero\n" + CHOICE, "not a regular file"),
    "a split that is a list": (CHOICE.replace("test_split: test", "test_split: [test]"), "no data files for the split"),
    "nobody's home": (CHOICE.replace("questions.jsonl", "~nobody-of-this-name/a.jsonl"), "nobody-of-this-name"),
    "no date": (CHOICE + "a: 2020-99-99\n", "not YAML"),
    "itself": ("include: task.yaml\n" + CHOICE, "includes itself"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_task_that_cannot_or_may_not_be_run_is_refused_before_anything_runs(folder, name):
    text, told = BAD[name]
    _task(folder, text)
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w').close()\n")
    with pytest.raises(InputError, match=told):
        tasks.read(["task.yaml"], folder)
    with pytest.raises(InputError, match=told):  # the model is not even looked for
        _run(folder, folder / "no-such-model")
    assert not (folder / "ran").exists()


def test_files_that_include_each_other_without_end_are_refused(folder):
    for place in range(30):
        _task(folder, f"include: [f{place + 1}.yaml, f{place + 1}.yaml]\n", f"f{place}.yaml")
    _task(folder, CHOICE, "f30.yaml")
    with pytest.raises(InputError, match="without end"):
        tasks.read(["f0.yaml"], folder)


def test_code_runs_only_where_it_is_allowed_and_it_is_said(folder, model):
    _task(folder, CHOICE.replace("doc_to_target: right", "doc_to_target: !function ours_of_test.target"))
    (folder / "ours_of_test.py").write_text("def target(doc):\n    return doc['right']\n")
    try:
        context = _run(folder, model, allow_code=True)
    finally:
        for name in [name for name in sys.modules if name.endswith("ours_of_test")]:
            del sys.modules[name]
    assert any("code" in line for line in context.said)
    assert context.value("harness.acc") == _run(_plain(folder), model).value("harness.acc")


def _plain(folder: Path) -> Path:
    _task(folder, CHOICE)
    return folder


def test_a_template_cannot_reach_python(folder, model):
    reach = "{{ question.__class__.__mro__[1].__subclasses__() }}"
    _task(folder, CHOICE.replace('"{{question}}"', json.dumps(reach)))
    with pytest.raises(InputError, match="SecurityError"):
        _run(folder, model)


def test_a_column_that_is_not_there_and_a_filter_nobody_knows_are_told(folder, model):
    _task(folder, CHOICE.replace('"{{question}}"', '"{{queston}}"'))
    with pytest.raises(InputError, match="queston"):
        _run(folder, model)
    _task(folder, WRITING + "filter_list: [{name: first, filter: [{function: guess}]}]\n")
    with pytest.raises(InputError, match="unknown filter: `guess`"):
        _run(folder, model)


def test_includes_and_folders_are_read_and_groups_are_told(folder, model):
    _task(folder, CHOICE.replace("task: tiny_choice\n", ""), "_shared.yaml")
    _task(folder, "include: _shared.yaml\ntask: one\n", "one.yaml")
    _task(folder, "include: _shared.yaml\ntask: two\nnum_fewshot: 0\n", "two.yaml")
    _task(folder, "group: both\ntask: [one, two]\n", "both.yaml")
    context = _run(folder, model, tasks=".", shots=1)
    assert [one.slice["task"] for one in context.measurements if one.claim == "harness.acc"] == ["one", "two"]
    assert any("group `both` has no figure" in line for line in context.said)
    assert any("two" in line and "0" in line and "holds" in line for line in context.said)


def test_a_changed_question_changes_the_fingerprint(folder):
    _task(folder, CHOICE)
    config = Config(tasks="task.yaml")
    before = STAGE.fingerprint(config, folder)
    assert before == STAGE.fingerprint(config, folder)
    (folder / "questions.jsonl").write_text(_lines(QUESTIONS[:-1]), encoding="utf-8")
    assert STAGE.fingerprint(config, folder) != before


def test_requests_become_records():
    assert pair("a b  ", "c") == {"prompt": "a b", "answer": "  c"}
    assert pair("", " c") == {"prompt": " c"}
    assert writing("q", {"until": ["\n", ""], "max_gen_toks": 5, "do_sample": False, "temperature": 0.7}, 3) == {
        "prompt": "q", "max_new_tokens": 5, "stop": ["\n"], "temperature": 0.0
    }  # fmt: skip
    assert writing("q", {"do_sample": True, "temperature": 0.7}, 3)["seed"] == 3
    with pytest.raises(InputError, match="length_penalty"):
        writing("q", {"length_penalty": 2}, 0)


def test_a_runtime_without_likelihoods_is_told():
    class Silent:
        def predict(self, records):
            return []

    with pytest.raises(InputError, match="likelihoods"):
        PredictorLM(Silent(), 2, 0, lambda done, total: None).loglikelihood([type("R", (), {"args": ("a", "b")})()])


def test_nothing_of_the_process_is_changed_afterwards(folder, model):
    import os

    import huggingface_hub.constants as hub
    import lm_eval.utils

    _task(folder, CHOICE)
    before = (hub.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE"), lm_eval.utils.env)
    _run(folder, model, limit=1)
    assert (hub.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE"), lm_eval.utils.env) == before
