"""data.correct: answers become a new version of the data, and what does not fit is kept with its reason."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.labelling import queue
from modelyard.methods.data.labelling.auditing import digest_of
from modelyard.methods.data.text import text_key
from modelyard.stages.data import correct
from modelyard.store import ArtifactStore

TEXTS = [("r1", "win money", "ham"), ("r2", "see you", "ham"), ("r3", "call now", "spam"), ("r4", "free", "spam")]


def write(folder, rows, label=True):
    folder.mkdir(parents=True)
    columns = [Column("row_id", "other", "string"), Column("text", "text", "string")]
    columns += [Column("class", "label", "string")] if label else []
    write_schema(folder, columns)
    schema = pa.schema([(column.name, pa.string()) for column in columns])
    values = [list(column) for column in zip(*rows, strict=True)][: len(columns)]
    write_split(folder, "all", [pa.table([pa.array(value, pa.string()) for value in values], schema)], schema)
    return folder


def answer(row_id, before, after, author="li", time="2026-03-01T09:00:00Z", **more):
    return {"row_id": row_id, "before": before, "after": after, "author": author, "time": time, **more}


def run(tmp_path, answers, label=True, rows=TEXTS, queue=None, **settings):
    data = write(tmp_path / "data", rows, label)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in answers))
    context = FakeContext(tmp_path, {"data": data, **({"queue": queue} if queue else {})})
    correct.run(correct.Config(path="a.jsonl", **settings), context)
    return context


def labels(context, name="class"):
    table = Dataset.open(context.root / "outputs" / "data").table("all")
    return dict(zip(table.column("row_id").to_pylist(), table.column(name).to_pylist(), strict=True))


def rejected(context):
    return [
        (row["row_id"], row["reason"])
        for row in Dataset.open(context.root / "outputs/rejected").table("all").to_pylist()
    ]


def test_a_label_is_corrected_with_author_time_and_note(tmp_path):
    context = run(tmp_path, [answer("r1", "ham", "spam", note="an advert")])
    assert labels(context) == {"r1": "spam", "r2": "ham", "r3": "spam", "r4": "spam"}
    (change,) = Dataset.open(tmp_path / "outputs/removed").table("all").to_pylist()
    assert (change["row_id"], change["before"], change["after"]) == ("r1", "ham", "spam")
    assert change["detail"] == "li 2026-03-01T09:00:00Z: an advert"
    assert context.value("data.corrected_rate") == 0.25


def test_a_confirmed_label_and_one_already_corrected_change_nothing(tmp_path):
    context = run(tmp_path, [answer("r1", "ham", "ham"), answer("r3", "ham", "spam")])
    assert labels(context) == {row: label for row, _, label in TEXTS}
    assert context.value("data.corrected_rate") == 0
    assert rejected(context) == []


def test_what_does_not_fit_is_kept_with_its_reason_and_the_rest_is_applied(tmp_path):
    answers = [
        answer("r1", "ham", "spam"),
        answer("r2", "eggs", "spam"),
        answer("r9", "ham", "spam"),
        answer("r3", "spam", "hem"),
    ]
    context = run(tmp_path, answers, max_bad_fraction=0.8)
    assert labels(context)["r1"] == "spam"
    assert sorted(rejected(context)) == [("r2", "stale"), ("r3", "unknown label"), ("r9", "unknown row")]
    assert context.value("data.rejected_answers_rate") == 0.75


def test_too_many_that_do_not_fit_are_an_error_with_place_and_did_you_mean(tmp_path):
    with pytest.raises(InputError) as error:
        run(tmp_path, [answer("r1", "ham", "spamm")])
    assert "a.jsonl:1" in str(error.value)
    assert "did you mean `spam`?" in str(error.value)


def test_a_new_label_is_taken_if_allowed(tmp_path):
    assert labels(run(tmp_path, [answer("r1", "ham", "advert")], new_labels=True))["r1"] == "advert"


DISPUTE = (
    answer("r1", "ham", "spam", time="2026-03-01T00:00:00Z"),
    answer("r1", "ham", "ham", author="wu", time="2026-03-02T00:00:00Z"),
)


def test_where_authors_differ_the_last_one_holds(tmp_path):
    assert labels(run(tmp_path, DISPUTE))["r1"] == "ham"
    assert labels(run(tmp_path / "again", DISPUTE[::-1]))["r1"] == "spam"  # a file is appended to: its order counts


def test_where_authors_differ_the_row_is_left_if_so_set(tmp_path):
    later_wins = [DISPUTE[0], {**DISPUTE[1], "time": "2020-01-01T00:00:00Z"}]
    context = run(tmp_path, later_wins, adjudicate="leave")
    assert labels(context)["r1"] == "ham"
    assert rejected(context) == [("r1", "disputed")]


def test_where_authors_differ_the_step_fails_if_so_set(tmp_path):
    with pytest.raises(InputError, match="wu: ham"):
        run(tmp_path, DISPUTE, adjudicate="refuse")


def test_no_file_is_an_error_unless_it_is_optional(tmp_path):
    context = FakeContext(tmp_path, {"data": write(tmp_path / "data", TEXTS)})
    with pytest.raises(InputError):
        correct.run(correct.Config(path="none.jsonl"), context)
    config = correct.Config(path="none.jsonl", optional=True)
    correct.run(config, context)
    assert labels(context) == {row: label for row, _, label in TEXTS}
    assert correct.fingerprint(config, tmp_path) == []


def test_the_fingerprint_follows_the_bytes_of_the_file(tmp_path):
    config = correct.Config(path="a.jsonl")
    (tmp_path / "a.jsonl").write_text("")
    empty = correct.fingerprint(config, tmp_path)
    (tmp_path / "a.jsonl").write_text(json.dumps(answer("r1", "ham", "spam")))
    assert correct.fingerprint(config, tmp_path) != empty


def test_rows_of_a_rewritten_file_are_found_by_text(tmp_path):
    renamed = [("new-" + row, text, label) for row, text, label in TEXTS]
    answers = [answer("r1", "ham", "spam", key=text_key("Win  MONEY").hex())]
    context = run(tmp_path, answers, rows=renamed)
    assert labels(context)["new-r1"] == "spam"
    with pytest.raises(InputError, match="unknown row"):
        run(tmp_path / "again", answers, rows=renamed, rematch=False)


def test_a_pool_without_labels_gets_a_column_of_them(tmp_path):
    context = run(tmp_path, [answer("r2", None, "ham")], label=False)
    assert labels(context, "label") == {"r1": None, "r2": "ham", "r3": None, "r4": None}
    assert Dataset.open(tmp_path / "outputs/data").role("label") == "label"


def audit_queue(tmp_path):
    """A queue as data.label_errors writes it: three rows drawn at random, then a likely error; and its digest."""
    drawn = [("r1", "ham", "audit"), ("r2", "ham", "audit"), ("r4", "spam", "audit"), ("r3", "spam", "issue")]
    items = [queue.Item(row, None, None, given, "ham", 0.5, 0.5, why) for row, given, why in drawn]
    folder = tmp_path / "queue"
    folder.mkdir(parents=True)
    queue.write(folder, items, ["ham", "spam"])
    return folder, digest_of(folder)


def rate(context):
    return [(one.value, one.n) for one in context.measurements if one.claim == "data.audited_error_rate"]


def test_audited_rows_give_a_rate_with_wilsons_interval(tmp_path):
    folder, digest = audit_queue(tmp_path)
    answers = [answer("r1", "ham", "spam", **{"from": digest}), answer("r2", "ham", "ham", **{"from": digest}),
               answer("r3", "spam", "ham", why="audit", **{"from": digest})]  # fmt: skip
    context = run(tmp_path, answers, queue=folder)
    assert rate(context) == [(0.5, 2)]
    (found,) = [one for one in context.measurements if one.claim == "data.audited_error_rate"]
    assert found.interval == pytest.approx((0.0945, 0.9055), abs=1e-4)  # Wilson for 1 of 2


def test_the_audit_ends_at_the_first_gap_and_other_queues_do_not_count(tmp_path):
    folder, digest = audit_queue(tmp_path)
    real, other = {"from": digest, "why": "audit"}, {"from": "sha256:" + 64 * "0", "why": "audit"}
    gap = run(tmp_path / "gap", [answer("r1", "ham", "ham", **real), answer("r4", "spam", "ham", **real)], queue=folder)
    assert rate(gap) == [(0, 1)]
    assert any("1 answers about rows drawn at random do not count" in line for line in gap.said)
    forged = run(tmp_path / "forged", [answer("r1", "ham", "spam", **other)], queue=folder)
    assert rate(forged) == []
    judged = run(tmp_path / "judged", [answer("r1", "spam", "ham", **real)], queue=folder)
    assert rate(judged) == []


def test_without_the_queue_an_audit_is_not_verified_and_not_measured(tmp_path):
    _, digest = audit_queue(tmp_path)
    context = run(tmp_path, [answer("r1", "ham", "spam", why="audit", **{"from": digest})])
    assert rate(context) == []
    assert any("not verified" in line for line in context.said)


def test_the_digest_of_a_queue_is_the_one_of_the_store(tmp_path):
    folder, digest = audit_queue(tmp_path)
    assert ArtifactStore(tmp_path / "store").commit(folder, "dataset").digest == digest


RENAMED = [("n1", "win money", "ham"), ("n2", "see you", "ham"), ("n3", "call now", "spam")]
KEY = text_key("win money").hex()
SAME_TEXT = (
    answer("gone-1", "ham", "spam", key=KEY, time="2026-03-01T00:00:00Z"),
    answer("gone-2", "ham", "ham", key=KEY, author="wu", time="2026-03-02T00:00:00Z"),
)


@pytest.mark.parametrize("order", [1, -1])
def test_answers_about_one_text_whose_rows_are_gone_are_adjudicated(tmp_path, order):
    with pytest.raises(InputError, match="differ"):
        run(tmp_path / "refuse", SAME_TEXT[::order], rows=RENAMED, adjudicate="refuse")
    left = run(tmp_path / "leave", SAME_TEXT[::order], rows=RENAMED, adjudicate="leave")
    assert labels(left)["n1"] == "ham"
    assert sorted(rejected(left)) == [("gone-1", "disputed"), ("gone-2", "disputed")]
    last = run(tmp_path / "last", SAME_TEXT[::order], rows=RENAMED)
    assert labels(last)["n1"] == ("ham" if order == 1 else "spam")
    assert rejected(last) == [("gone-1" if order == 1 else "gone-2", "disputed")]
    assert any("differ about 1 rows" in line for line in last.said)


def test_answers_about_one_text_that_agree_serve_rows_of_every_label(tmp_path):
    both = [answer("gone-1", "ham", "eggs", key=KEY), answer("gone-2", "spam", "eggs", key=KEY, author="wu")]
    rows = [("n1", "win money", "ham"), ("n2", "win money", "spam"), ("n3", "x", "eggs")]
    context = run(tmp_path, both, rows=rows, adjudicate="refuse")
    assert labels(context) == {"n1": "eggs", "n2": "eggs", "n3": "eggs"}
    assert rejected(context) == []


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_before_or_after_all_time_is_a_rejected_answer(tmp_path, time):
    context = run(tmp_path, [answer("r1", "ham", "spam", time=time), DISPUTE[1]], max_bad_fraction=0.5)
    assert labels(context)["r1"] == "ham"
    assert rejected(context) == [("", "no answer")]


def test_a_time_in_the_future_overrules_no_answer_that_stands_below_it(tmp_path):
    future = answer("r1", "ham", "spam", time="2999-01-01T00:00:00Z")
    assert labels(run(tmp_path / "one", [future, DISPUTE[1]]))["r1"] == "ham"
    # Nor in another file, once its own file goes on.
    (tmp_path / "b.jsonl").write_text(json.dumps(DISPUTE[1]) + "\n")
    data = write(tmp_path / "data", TEXTS)
    (tmp_path / "a.jsonl").write_text(json.dumps(future) + "\n" + json.dumps(answer("r2", "ham", "ham")) + "\n")
    context = FakeContext(tmp_path, {"data": data})
    correct.run(correct.Config(path=["b.jsonl", "a.jsonl"]), context)
    assert labels(context)["r1"] == "ham"


def test_equal_inputs_give_equal_bytes(tmp_path):
    def digests(root):
        run(root, [answer("r1", "ham", "spam"), answer("r4", "spam", "ham")])
        return {path.relative_to(root): path.read_bytes() for path in sorted((root / "outputs").rglob("*.*"))}

    assert digests(tmp_path / "one") == digests(tmp_path / "two")
