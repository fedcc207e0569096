"""`init`: columns guessed from real shapes of files, a project file that passes its own check, nothing overwritten."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.fake_stages import write_stages

from modelyard.base.yaml import parse_yaml
from modelyard.engine import template_parts, together
from modelyard.engine.bind import load_project
from modelyard.engine.guess import guess
from modelyard.engine.guessed import Guessed
from modelyard.engine.template_parts import scalar
from modelyard.engine.templates import project_name, render_template, write_new
from modelyard.errors import InputError, UsageError

ROWS = [
    (f"评论 number {i}, with some words that differ {i * i}", "good" if i % 3 else "bad", str(i)) for i in range(60)
]


def csv_text(delimiter=",", header="review,label,id"):
    lines = [header.replace(",", delimiter)] if header else []
    quote = '"' if delimiter == "," else ""
    lines += [delimiter.join((f"{quote}{text}{quote}", label, number)) for text, label, number in ROWS]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_text_and_label_are_found_in_any_delimiter_and_encoding(tmp_path, encoding, delimiter):
    path = tmp_path / "data.csv"
    path.write_bytes(csv_text(delimiter).encode(encoding))
    found = guess(path)
    assert (found.text, found.label, found.num_rows) == ("review", "label", 60)
    assert found.majority == pytest.approx(40 / 60)
    assert all(item.why for item in found.guesses)


def test_jsonl_and_parquet_are_read_too(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = [{"id": number, "body": text, "kind": label} for text, label, number in ROWS]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        found = guess(tmp_path / name)
        assert (found.text, found.label) == ("body", "kind")


def test_a_file_sorted_by_class_shows_both(tmp_path):
    path = tmp_path / "sorted.csv"
    lines = [f"{label},text {i} of {label}" for label in (0, 1) for i in range(900)]
    path.write_text("label,review\n" + "\n".join(lines), encoding="utf-8")
    assert guess(path).majority == 0.5


def test_a_file_without_a_header_gets_names(tmp_path):
    path = tmp_path / "sms.tsv"
    path.write_text("".join(f"{'spam' if i % 4 == 0 else 'ham'}\tmessage number {i}\n" for i in range(80)))
    found = guess(path)
    assert found.columns == ("label", "text")
    assert (found.text, found.label) == ("text", "label")
    assert found.num_rows == 80
    steps = parse_yaml(render_template(tmp_path, "text-classification", path).text, "t").value["steps"]
    assert steps["sms"]["with"] == {
        "path": "sms.tsv", "text": "text", "label": "label", "header": False, "columns": ["label", "text"],
    }  # fmt: skip


def test_what_cannot_be_guessed_is_said_and_left_as_a_placeholder(tmp_path):
    path = tmp_path / "only.csv"
    path.write_text("review\n" + "\n".join(f"a text {i}" for i in range(50)))
    rendered = render_template(tmp_path, "text-classification", path)
    assert any(item.startswith("label column: ? (no column has few values") for item in rendered.guesses)
    assert parse_yaml(rendered.text, "t").value["steps"]["only"]["with"]["label"] == "label"


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02\x03" * 100, b"\n\n"])
def test_a_file_that_is_no_data_is_a_clear_error(tmp_path, content):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(InputError):
        render_template(tmp_path, "text-classification", path)


def test_a_file_that_is_not_there_and_an_unknown_template_are_clear_errors(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        render_template(tmp_path, "text-classification", tmp_path / "none.csv")
    with pytest.raises(UsageError, match="did you mean `text-classification`"):
        render_template(tmp_path, "text-clasification")


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("with_data", [True, False])
def test_the_rendered_file_passes_its_own_check_with_the_installed_stages(tmp_path, lang, with_data):
    path = tmp_path / "my data 评论.csv"
    path.write_text(csv_text(header='"the text: all of it",yes,id'), encoding="utf-8")
    rendered = render_template(
        tmp_path, "text-classification", path if with_data else None, name="My Project", lang=lang
    )
    write_new(tmp_path / "modelyard.yaml", rendered.text)
    bound, problems = load_project(tmp_path)
    assert problems == []
    assert bound.project.name == "my-project"
    assert bound.release == ("int8", "model")
    first = bound.steps[0]
    assert first.config.text == ("the text: all of it" if with_data else "text")
    assert first.config.path == ("my data 评论.csv" if with_data else "data.csv")


def test_comments_are_in_the_language_asked_for(tmp_path):
    comments = [
        line for line in render_template(tmp_path, "text-classification", lang="zh").text.splitlines() if "#" in line
    ]
    assert len(comments) > 8
    assert all(any("\u4e00" <= character <= "\u9fff" for character in line) for line in comments)
    english = render_template(tmp_path, "text-classification", lang="en").text
    assert english.isascii()


def test_the_bound_lies_above_always_answering_the_most_frequent_label(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(csv_text(), encoding="utf-8")
    text = render_template(tmp_path, "text-classification", path, lang="en").text
    (rule,) = [rule for rule in parse_yaml(text, "t").value["release"]["rules"] if rule["claim"] == "quality.accuracy"]
    assert rule["min"] == 0.7
    assert "would score 0.67. A start, not advice" in text
    assert "With about 12 test rows, at least " in text


def test_the_first_bound_is_an_eighth_of_the_way_to_always_right() -> None:
    """german_credit: 0.7 of the rows are good, and the best known models reach about 0.77."""
    guessed = Guessed(None, "label", None, 1000, True, 0.7, ())
    assert template_parts.accuracy(guessed, "en")[0] == 0.73
    assert template_parts.accuracy(replace(guessed, majority=0.2), "en")[0] == 0.3


def test_classes_of_pairs_are_said_not_to_be_learned(tmp_path):
    path = tmp_path / "pairs.txt"
    lines = [f"怎么办{i}号证\t如何办{i}号证\t{'是' if i % 2 else '否'}" for i in range(80)]
    path.write_text("\n".join(["text_a\ttext_b\tlabel", *lines]), encoding="utf-8")
    assert guess(path).task != "sentence-embedding"
    (said,) = [str(one) for one in guess(path).guesses if "pairs" in str(one)]
    assert "text_a, text_b" in said
    assert "train.sentence_embedding" in said


def test_pairs_name_their_columns_wherever_they_are_read(tmp_path):
    """The other text is named to the training and, where it is not called `text_b`, to the measuring."""
    path = tmp_path / "pairs.csv"
    rows = [f"how do I do {i},what is done about {i},{i % 5}.5" for i in range(80)]
    path.write_text("\n".join(["sentence1,sentence2,score", *rows]), encoding="utf-8")
    steps = parse_yaml(render_template(tmp_path, "auto", path).text, "t").value["steps"]
    assert (steps["pairs"]["with"]["text"], steps["pairs"]["with"]["target"]) == ("sentence1", "score")
    assert steps["encoder"]["with"]["other"] == steps["quality"]["with"]["answer"] == "sentence2"


def test_a_task_asked_for_that_the_columns_do_not_show_gets_placeholders(tmp_path):
    path = tmp_path / "mail.csv"
    path.write_text(csv_text(), encoding="utf-8")
    steps = parse_yaml(render_template(tmp_path, "recommendation", path).text, "t").value["steps"]
    assert (steps["model"]["with"]["user"], steps["model"]["with"]["item"]) == ("user", "item")


@pytest.mark.parametrize(
    ("columns", "both"),
    [
        ([("sentence1", 90, 90), ("sentence2", 90, 80)], ("sentence1", "sentence2")),
        ([("Premise", 90, 60), ("hypothesis", 90, 90)], ("Premise", "hypothesis")),
        ([("grade_a", 90, 3), ("grade_b", 90, 3)], None),
        ([("text_a", 90, 90), ("city", 90, 90)], None),
        ([("a", 90, 90), ("b", 90, 90)], None),
    ],
)
def test_pairs_are_told_by_their_names_and_by_values_that_differ(columns, both):
    assert together.texts([together.Seen(*column, numeric=False) for column in columns]) == both


def test_a_label_that_is_an_object_leads_to_spans_and_says_how_they_look(tmp_path):
    path = tmp_path / "names.jsonl"
    rows = [
        {"text": f"彭小军{i}认为银行走的是台湾的模式", "label": {"name": {"彭小军": [[0, 2]]}, "n": {str(i): []}}}
        for i in range(60)
    ]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    found = guess(path)
    assert found.task == "token-classification"
    (said,) = [str(one) for one in found.guesses if "`spans`" in str(one)]
    assert said.startswith("not read yet: label")
    assert '"start": 0, "end": 2' in said


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "modelyard.yaml"
    path.write_text("mine")
    with pytest.raises(UsageError, match="already there"):
        write_new(path, "theirs")
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My Reviews", "my-reviews"),
        ("评论", "project"),
        ("a" * 99, "a" * 64),
        ("--x--", "x"),
        ("3D", "3d"),
        ("", "project"),
    ],
)
def test_any_text_makes_a_valid_project_name(text, name):
    assert project_name(text) == name


@pytest.mark.parametrize(
    "text", ["review", "评论", "true", "1e4", "a b", "a: b", "#x", "", "- a", "no", "a,b", "{x}", '"', "\\", "x#y"]
)
def test_a_column_name_reads_back_as_itself(text):
    assert parse_yaml(f"{{a: {scalar(text)}, b: 1}}", "t").value == {"a": text, "b": 1}


def test_the_first_step_is_called_after_the_file_unless_the_name_is_taken(tmp_path):
    write_stages(tmp_path)
    for name, step in (("spam.csv", "spam"), ("clean.csv", "reviews"), ("数据.csv", "reviews"), ("a.b.csv", "a")):
        path = tmp_path / name
        path.write_text(csv_text(), encoding="utf-8")
        assert (
            next(iter(parse_yaml(render_template(tmp_path, "text-classification", path).text, "t").value["steps"]))
            == step
        )


def table(path, goal, count=120):
    rows = [f"{i},{i * 7 % 13},{'Ulm' if i % 3 else 'Bonn'},{goal(i)}" for i in range(count)]
    path.write_text("\n".join(["age,size,city,outcome", *rows]), encoding="utf-8")
    return path


KINDS = {
    "tabular-classification": lambda folder: table(folder / "people.csv", lambda i: i % 2),
    "tabular-regression": lambda folder: table(folder / "houses.csv", lambda i: i * 1.5 + 3),
    "image-classification": lambda folder: pictures(folder / "pets"),
    "token-classification": lambda folder: lines(
        folder / "names.jsonl", lambda i: {"text": f"Ada {i} went home to her town", "spans": "[]"}
    ),
    "text-generation": lambda folder: lines(
        folder / "poems.jsonl", lambda i: {"text": f"a line of a poem, number {i}"}
    ),
    "sentence-embedding": lambda folder: lines(
        folder / "pairs.jsonl", lambda i: {"text_a": f"how to get {i}", "text_b": f"ways to {i}", "label": i % 2}
    ),
    "text-to-text": lambda folder: lines(
        folder / "asked.jsonl", lambda i: {"question": f"how much is {i}", "answer": f"it is worth {i} and more"}
    ),
    "recommendation": lambda folder: lines(
        folder / "seen.jsonl", lambda i: {"user_id": i % 7, "movie_id": i % 11, "rating": i % 5, "timestamp": i}
    ),
    "text-classification": lambda folder: lines(
        folder / "mail.jsonl", lambda i: {"body": f"the words of a message, number {i}", "kind": "ab"[i % 2]}
    ),
}


def pictures(folder):
    from support.pictures import picture

    for number in range(12):
        path = folder / ["cats", "dogs"][number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(seed=number))
    return folder


def lines(path, record):
    path.write_text("\n".join(json.dumps(record(i)) for i in range(60)), encoding="utf-8")
    return path


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_of_data_is_guessed_and_its_project_passes_the_check(tmp_path, kind, lang):
    data = KINDS[kind](tmp_path)
    assert guess(data).task == kind
    rendered = render_template(tmp_path, "auto", data, name="p", lang=lang)
    write_new(tmp_path / "modelyard.yaml", rendered.text)
    bound, problems = load_project(tmp_path)
    assert problems == []
    first = bound.steps[0].config
    assert first.path == data.name
    assert (first.label, first.target) == {
        "tabular-classification": ("outcome", None), "tabular-regression": (None, "outcome"),
        "text-classification": ("kind", None), "sentence-embedding": ("label", None),
        "recommendation": (None, "rating"),
    }.get(kind, (None, None))  # fmt: skip
    assert rendered.guesses


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_template_without_data_passes_the_check(tmp_path, kind):
    write_new(tmp_path / "modelyard.yaml", render_template(tmp_path, kind, name="p").text)
    assert load_project(tmp_path)[1] == []


def test_a_folder_without_images_is_a_clear_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images in folders"):
        render_template(tmp_path, "auto", tmp_path / "empty")


def test_a_column_named_target_counts_before_the_last(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,price,z\n" + "\n".join(f"{i},{i * 1.25},{i % 4}" for i in range(100)))
    assert (guess(path).task, guess(path).target) == ("tabular-regression", "price")
