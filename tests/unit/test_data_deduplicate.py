"""data.deduplicate: one row of each cluster stays, every other is kept aside with the row it made way for."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.fake_context import FakeContext

from modelyard.methods.data.changes import row_values
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.duplicates import clusters, texts
from modelyard.methods.data.duplicates.banding import Banding
from modelyard.methods.data.duplicates.graph import Edges
from modelyard.stages.data import deduplicate

ROLES = {"text": "text", "label": "label", "split": "split", "image": "image"}
WORDS = [
    f"{a}{b}" for a in ("ba", "ce", "di", "fo", "gu", "ka", "le", "mi") for b in ("lor", "ment", "sta", "ver", "nik")
]


def dataset(folder: Path, **columns: list[Any]) -> Path:
    """A data set with these columns, each in the role of its name; row ids are r0, r1, …"""
    num = len(next(iter(columns.values())))
    table = pa.table({"row_id": [f"r{row}" for row in range(num)], **columns})
    folder.mkdir(parents=True)
    write_schema(
        folder, [Column(field.name, ROLES.get(field.name, "other"), str(field.type)) for field in table.schema]
    )
    write_split(folder, "all", [table], table.schema)
    return folder


def run(
    tmp_path: Path, config: dict[str, Any] | None = None, **columns: list[Any]
) -> tuple[list[str], dict[str, Any], Any]:
    """Row ids kept, the record of each row removed, and the context."""
    source = dataset(tmp_path / "in", **columns)
    context = FakeContext(tmp_path / "out", {"data": source})
    deduplicate.run(deduplicate.Config(**(config or {})), context)
    kept = Dataset.open(context.output("data")).column("all", "row_id")
    removed = Dataset.open(context.output("removed")).table("all").to_pylist()
    assert len(kept) + len(removed) == len(next(iter(columns.values())))
    return kept, {row["row_id"]: row for row in removed}, context


def text(seed: int, num: int = 60) -> list[str]:
    chance = random.Random(seed)
    return [chance.choice(WORDS) for _ in range(num)]


def edited(words: list[str], *places: int) -> str:
    return " ".join("changed" if place in places else word for place, word in enumerate(words))


def jaccard(one: str, other: str, n: int = 5) -> float:
    sets = [
        {tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))} for words in (one.split(), other.split())
    ]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


CHINESE = "酒店的位置很好离地铁站不远房间干净整洁服务员态度也非常热情早餐种类丰富下次来还会住在这里推荐给大家"


def test_a_cluster_keeps_one_row_and_says_how_alike_the_others_are(tmp_path: Path) -> None:
    base = text(1)
    rows = [edited(base, 0), " ".join(text(2)), " ".join([*base, "longer"]), edited(base, 59)]
    kept, removed, context = run(tmp_path, text=rows)
    assert kept == ["r1", "r2"]
    assert {row["reason"] for row in removed.values()} == {"near duplicate"}
    assert removed["r0"]["detail"] == f"{jaccard(rows[0], rows[2]):.3f} alike: kept r2"
    assert context.value("data.near_duplicates_found_rate") == 0.5
    assert context.value("data.near_duplicate_rate") == 0.0
    columns = Dataset.open(tmp_path / "in").columns
    assert row_values(removed["r3"]["row"], columns)["text"] == rows[3]


def test_chinese_is_compared_by_characters_whatever_width_case_and_spaces(tmp_path: Path) -> None:
    rows = [CHINESE, CHINESE.replace("热情", "热心"), CHINESE[::-1], f" {CHINESE}！Ａ", f"{CHINESE}!a"]
    kept, removed, context = run(tmp_path, {"keep": "first"}, text=rows)
    assert kept == ["r0", "r2"]
    assert removed["r4"]["detail"].endswith("kept r0")
    assert any("characters" in line for line in context.said)


def test_below_the_threshold_nothing_goes(tmp_path: Path) -> None:
    base = text(3)
    rows = [" ".join(base), edited(base, 10, 30)]
    assert 0.6 < jaccard(*rows) < 0.8
    assert run(tmp_path / "a", text=rows)[0] == ["r0", "r1"]
    assert run(tmp_path / "b", {"threshold": 0.6, "keep": "first"}, text=rows)[0] == ["r0"]


def test_short_texts_are_compared_by_what_they_have(tmp_path: Path) -> None:
    kept, removed, _ = run(
        tmp_path, {"shingles": "words"}, text=["Good Room", "good room!", "bad room", "good room x y z"]
    )
    assert kept == ["r0", "r2", "r3"] or kept == ["r1", "r2", "r3"]
    assert next(iter(removed.values()))["detail"].startswith("1.000 alike")


@pytest.mark.parametrize(("keep", "expected"), [("best", "r2"), ("longest", "r1"), ("first", "r0")])
def test_which_row_of_a_cluster_stays(tmp_path: Path, keep: str, expected: str) -> None:
    base = text(4)
    rows = [edited(base, 59), edited(base, 0), edited(base, 0)]
    rows[0] = rows[0][:-3]
    kept, _, _ = run(tmp_path, {"keep": keep}, text=rows, label=["a", None, "a"])
    assert kept == [expected]


def test_a_row_of_train_makes_way_for_test_and_never_the_other(tmp_path: Path) -> None:
    base, other = text(5), text(6)
    rows = [" ".join([*base, "longer still"]), " ".join(base), edited(other, 1), " ".join(other), " ".join(text(7))]
    kept, removed, context = run(
        tmp_path, text=rows, split=["train", "test", "validation", "test", "train"], label=["a", "b", "a", "a", "a"]
    )
    assert kept == ["r1", "r3", "r4"]
    assert {row["reason"] for row in removed.values()} == {"near a row of another split"}
    assert removed["r0"]["detail"].endswith("r1 of test")
    assert context.value("data.near_leaks_found_rate") == 0.4
    assert any("1 train rows" in line for line in context.said)


def test_a_test_row_does_not_go_because_it_is_near_another_through_train(tmp_path: Path) -> None:
    base = text(8)
    rows = [edited(base, 0, 20), edited(base), edited(base, 40, 59)]
    assert jaccard(rows[0], rows[2]) < 0.7 < min(jaccard(rows[0], rows[1]), jaccard(rows[1], rows[2]))
    kept, _, _ = run(tmp_path, {"threshold": 0.7}, text=rows, split=["test", "train", "test"])
    assert kept == ["r0", "r2"]


@pytest.mark.parametrize(
    ("conflicts", "labels", "expected"),
    [
        ("drop", ["a", "b", "a"], []),
        ("majority", ["a", "b", "a"], ["r0"]),
        ("majority", ["b", "a", None], []),
        ("keep", ["b", "a", "a"], ["r0"]),
        ("drop", ["a", None, "a"], ["r0"]),
    ],
)
@pytest.mark.parametrize("linkage", ["chained", "direct"])
def test_near_duplicates_under_several_labels(
    tmp_path: Path, conflicts: str, labels: list[str | None], expected: list[str], linkage: str
) -> None:
    base = text(9)
    rows = [" ".join(base), edited(base, 0), edited(base, 59), " ".join(text(10))]
    config = {"conflicts": conflicts, "keep": "first", "linkage": linkage}
    kept, _, context = run(tmp_path, config, text=rows, label=[*labels, "a"])
    torn = {label for label in labels if label} == {"a", "b"}
    if not (conflicts == "majority" and expected == []):
        assert kept == [*expected, "r3"]
    else:  # a row without a label stands for nothing: it may stay
        assert kept in (["r3"], ["r2", "r3"])
    assert (context.value("data.near_conflict_rate") > 0) == torn
    assert any("several labels" in line for line in context.said) == torn


def chain() -> list[str]:
    """Each text near the next; the ends have little in common."""
    base = text(11, 100)
    rows = [list(base)]
    for place in range(5, 90, 12):
        rows.append([*rows[-1][:place], "new", "words", *rows[-1][place + 2 :]])
    return [" ".join(row) for row in rows]


def test_a_chain_is_one_cluster_or_none_of_it_goes_without_being_near_what_stays(tmp_path: Path) -> None:
    rows = chain()
    kept, removed, context = run(tmp_path / "a", {"keep": "first"}, text=rows)
    assert kept == ["r0"]
    assert any("only through others" in line for line in context.said)
    assert float(removed["r8"]["detail"].split()[0]) == pytest.approx(jaccard(rows[0], rows[8]), abs=5e-4)
    kept, removed, context = run(tmp_path / "b", {"keep": "first", "linkage": "direct"}, text=rows)
    assert len(kept) > 2
    assert not any("only through others" in line for line in context.said)
    for row in removed.values():
        near = int(row["detail"].rpartition("r")[2])
        assert f"r{near}" in kept
        assert jaccard(rows[near], rows[int(row["row_id"][1:])]) >= 0.8


def crowd(seed: int, num: int) -> list[str]:
    """Texts in families of edits, some exact repeats, in random order."""
    chance = random.Random(seed)
    rows = []
    while len(rows) < num:
        base = text(chance.randrange(1 << 30), chance.choice([3, 8, 25, 60]))
        for _ in range(chance.choice([1, 1, 1, 2, 5, 40])):
            rows.append(edited(base, *chance.sample(range(len(base)), chance.choice([0, 0, 1, 1, 2]))))
    chance.shuffle(rows)
    return rows


@pytest.mark.parametrize("linkage", ["chained", "direct"])
def test_no_two_rows_kept_are_near_each_other_and_a_second_run_finds_nothing(tmp_path: Path, linkage: str) -> None:
    rows = crowd(1, 500)
    kept, _, context = run(tmp_path, {"linkage": linkage, "bands": 64}, text=rows)
    assert context.value("data.near_duplicate_rate") == 0.0
    left = [rows[int(name[1:])] for name in kept]
    near = sum(jaccard(one, other) >= 0.8 for place, one in enumerate(left) for other in left[:place])
    assert near == 0
    again = FakeContext(tmp_path / "again", {"data": context.output("data")})
    deduplicate.run(deduplicate.Config(linkage=linkage, bands=64), again)  # type: ignore[arg-type]
    assert again.value("data.near_duplicates_found_rate") == 0.0


def test_the_outcome_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    rows = list(dict.fromkeys(crowd(2, 300)))
    order = random.Random(0).sample(range(len(rows)), len(rows))
    groups = []
    for name, mixed in (("a", list(range(len(rows)))), ("b", order)):
        _, removed, _ = run(tmp_path / name, text=[rows[place] for place in mixed])
        groups.append({rows[mixed[int(row_id[1:])]] for row_id in removed})
    same = len(groups[0] & groups[1]) / len(groups[0] | groups[1])
    assert len(groups[0]) == len(groups[1])  # which of equally long rows stays depends on which comes first
    assert same > 0.7


def test_threads_and_pieces_do_not_change_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = crowd(3, 300)
    folders = []
    for threads, piece, held in (("1", 1 << 18, 1 << 26), ("2", 700, 1 << 26), ("2", 900, 5_000)):
        monkeypatch.setenv("MODELYARD_THREADS", threads)
        monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
        monkeypatch.setattr(texts, "PIECE_BYTES", piece)
        monkeypatch.setattr(texts, "HELD", held)
        folder = tmp_path / str(piece)
        run(folder, text=rows)
        folders.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert folders[0] == folders[1] == folders[2]


def test_a_bucket_with_more_rows_than_are_compared_at_once_still_leaves_no_pair(tmp_path: Path) -> None:
    base = text(12, 80)
    rows = [edited(base, place) for place in range(80)] + [edited(base, place, 79 - place) for place in range(20)]
    kept, _, context = run(tmp_path, {"linkage": "direct", "keep": "first"}, text=rows)
    left = [rows[int(name[1:])] for name in kept]
    assert not any(jaccard(one, other) >= 0.8 for place, one in enumerate(left) for other in left[:place])
    assert context.value("data.near_duplicate_rate") == 0.0


def test_one_bucket_with_everything_is_worked_through_in_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts.Sketcher, "keys", lambda self, made: np.zeros((16, len(made.starts) - 1), np.uint32))
    monkeypatch.setattr(texts, "FIRST_LIMIT", 4)
    rows = [" ".join(text(seed)) for seed in range(30)] + [edited(text(seed), 0) for seed in range(30)]
    kept, removed, context = run(tmp_path / "a", {"keep": "first"}, text=rows)
    assert len(removed) == 30
    assert not any("too many" in line for line in context.said)
    monkeypatch.setattr(texts, "ROUNDS", 1)
    kept, _, context = run(tmp_path / "b", {"keep": "first"}, text=rows)
    assert len(kept) > 30
    assert any("too many to compare" in line for line in context.said)


def test_hostile_texts_stay_and_are_told(tmp_path: Path) -> None:
    long = " ".join(text(13, 150_000))
    rows = ["", " \u3000", None, "。。。", "a", "🙂", "🙂", "\u0301", long, long + " end", "x" * 100_000, "y" * 100_000]
    kept, removed, context = run(tmp_path, {"shingles": "words"}, text=rows)
    assert sorted(removed) == ["r6", "r8"]
    assert len(kept) == 10
    assert any(line.startswith("4 rows have nothing to compare") for line in context.said)


def test_an_empty_data_set_stays_empty(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    columns = [Column("row_id", "other", "string"), Column("text", "text", "string")]
    write_schema(source, columns)
    write_split(source, "all", [], pa.schema([("row_id", pa.string()), ("text", pa.string())]))
    context = FakeContext(tmp_path / "out", {"data": source})
    deduplicate.run(deduplicate.Config(), context)
    assert Dataset.open(context.output("data")).num_rows("all") == 0


def test_without_verification_it_is_said_and_no_similarity_is_claimed(tmp_path: Path) -> None:
    base = text(14)
    _, removed, context = run(tmp_path, {"verify": False}, text=[" ".join(base), edited(base, 0), " ".join(text(15))])
    assert [row["detail"] for row in removed.values()] == ["kept r0"] or [
        row["detail"] for row in removed.values()
    ] == ["kept r1"]
    assert any("not verified" in line for line in context.said)
    assert not (context.scratch() / "shingles").exists()


def picture(seed: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["perceptual", "difference"])
def test_images_that_were_scaled_and_packed_again_are_near(tmp_path: Path, kind: str) -> None:
    images = [
        encoded(picture(0)), encoded(picture(0), "JPEG", quality=60), encoded(picture(0).resize((48, 32))),
        encoded(picture(1)), encoded(picture(2)), encoded(Image.new("RGB", (32, 32), "red")),
        encoded(Image.new("RGB", (32, 32), "blue")), b"no image", None, encoded(picture(1)),
    ]  # fmt: skip
    kept, removed, context = run(tmp_path, {"image_hash": kind, "keep": "first"}, image=images)
    assert sorted(removed) == ["r1", "r2", "r9"]
    assert len(kept) == 7
    assert any(line.startswith("2 rows have nothing to compare") for line in context.said)
    assert json.loads(removed["r9"]["row"])["image"]["base64"]


@st.composite
def graphs(draw: st.DrawFn) -> clusters.Graph:
    num = draw(st.integers(1, 9))
    rows = draw(
        st.lists(st.tuples(st.integers(0, num - 1), st.integers(0, 2), st.integers(-1, 1)), min_size=1, max_size=14)
    )
    there = sorted({row[0] for row in rows})
    pairs = draw(st.sets(st.tuples(st.sampled_from(there), st.sampled_from(there)), max_size=15))
    clean = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
    firsts, seconds = (np.array([pair[end] for pair in clean], np.int64) for end in (0, 1))
    names, sides, labels = (np.array(column) for column in zip(*rows, strict=True))
    ranks = np.array(draw(st.permutations(range(len(rows)))))
    edges = Edges(firsts, seconds, np.full(len(clean), 0.9))
    return clusters.Graph(names.astype(np.int64), sides.astype(np.int8), ranks, labels.astype(np.int64), edges)


@settings(max_examples=400, deadline=None)
@given(graphs(), st.sampled_from(["chained", "direct"]), st.sampled_from(["drop", "keep", "majority"]))
def test_whatever_the_graph_nothing_near_is_left_and_test_never_makes_way(
    rows: clusters.Graph, linkage: Any, conflicts: Any
) -> None:
    found = clusters.settle(rows, linkage, conflicts)
    near = {(int(i), int(j)) for i, j in zip(rows.edges.firsts, rows.edges.seconds, strict=True)}

    def alike(one: int, other: int) -> bool:
        first, second = sorted((int(rows.texts[one]), int(rows.texts[other])))
        return first == second or (first, second) in near

    num = len(rows.texts)
    kept = np.flatnonzero(found.fates == clusters.KEPT).tolist()
    assert not any(alike(one, other) for one in kept for other in kept if one < other)
    for row in range(num):
        fate, by = found.fates[row], int(found.near[row])
        if fate == clusters.LEAKING:
            assert rows.sides[by] > rows.sides[row]
            assert alike(row, by)
        if fate == clusters.REPEATED:
            assert rows.sides[by] == rows.sides[row]
            assert found.fates[by] == clusters.KEPT
            assert linkage == "chained" or alike(row, by)
        if not any(alike(row, other) for other in range(num) if other != row):
            assert fate == clusters.KEPT
    assert rows.sides[found.fates == clusters.LEAKING].max(initial=0) < 2
    if conflicts == "keep":
        assert not (found.fates == clusters.CONFLICTING).any()
        assert {int(rows.texts[row]) for row in kept} or not num


def test_the_banding_is_told(tmp_path: Path) -> None:
    _, _, context = run(tmp_path, text=["one two three four five six"])
    assert f"{Banding(16, 7).probability(0.8):.3f}" in context.said[0]
