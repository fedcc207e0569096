"""data.label_errors: what is judged, what is queued, and what becomes of the data, for texts, tables and images."""

from __future__ import annotations

import io
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.fake_context import FakeContext
from support.tiny_reviews import BAD, FILL, GOOD, write_dataset

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.labelling import queue
from modelyard.methods.evaluation.label_quality import pictures
from modelyard.stages.data import label_errors


def reviews(count, seed, wrong=()):
    """Reviews that say plainly what they are; the labels at `wrong` are the other one."""
    draw = random.Random(seed)
    rows = []
    for place in range(count):
        label = "good" if place % 2 else "bad"
        words = draw.choices(FILL, k=6) + draw.sample(GOOD if label == "good" else BAD, 2) + [f"no{place}x{seed}"]
        draw.shuffle(words)
        rows.append((" ".join(words), {"good": "bad", "bad": "good"}[label] if place in wrong else label))
    return rows


WRONG = (3, 10, 41, 77, 100)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    data = write_dataset(folder / "data", {"train": reviews(150, 0, WRONG), "validation": reviews(30, 1)})
    return folder, data


def run(folder, data, **settings):
    context = FakeContext(folder, {"data": data})
    label_errors.run(label_errors.Config(**settings), context)
    return context


def items(context):
    return queue.read(context.root / "outputs" / "queue").items


def test_wrong_labels_stand_first_in_the_queue_with_the_likely_one(texts, tmp_path):
    context = run(tmp_path, texts[1], folds=3)
    found = items(context)
    assert {one.row_id for one in found[:5]} == {f"train-{place}" for place in WRONG}
    assert all(one.suggested != one.given and one.why == "issue" for one in found[:5])
    assert [one.score for one in found[:5]] == sorted(one.score for one in found[:5])
    assert queue.read(context.root / "outputs" / "queue").labels == ("bad", "good")
    (rate,) = [one for one in context.measurements if one.claim == "data.label_error_rate"]
    assert rate.interval[0] <= 5 / 150 <= rate.interval[1]


def test_the_data_goes_on_unchanged_unless_it_is_told_otherwise(texts, tmp_path):
    run(tmp_path, texts[1], folds=3)
    before, after = Dataset.open(texts[1]), Dataset.open(tmp_path / "outputs" / "data")
    assert after.columns == before.columns
    assert all(after.table(split).equals(before.table(split)) for split in ("train", "validation"))


def test_removed_rows_are_kept_whole_with_the_reason_and_validation_is_untouched(texts, tmp_path):
    context = run(tmp_path, texts[1], folds=3, action="remove")
    after = Dataset.open(tmp_path / "outputs" / "data")
    gone = Dataset.open(tmp_path / "outputs" / "removed").table("all").to_pylist()
    ids = {row["row_id"] for row in gone}
    assert {f"train-{place}" for place in WRONG} <= ids
    assert ids.isdisjoint(after.column("train", "row_id"))
    assert len(after.column("train", "row_id")) + len(gone) == 150
    assert all(row["reason"] == "likely label error" and '"text"' in row["row"] for row in gone)
    assert after.num_rows("validation") == 30
    assert context.value("data.removed_rate") == pytest.approx(len(gone) / 180)


def test_weighted_rows_count_as_much_as_their_label_is_probable(texts, tmp_path):
    run(tmp_path, texts[1], folds=3, action="weight")
    after = Dataset.open(tmp_path / "outputs" / "data")
    assert after.role("weight") == "weight"
    weights = dict(zip(after.column("train", "row_id"), after.column("train", "weight"), strict=True))
    assert all(weights[f"train-{place}"] < 0.5 for place in WRONG)
    assert sum(weight == 1 for weight in weights.values()) > 130
    assert set(after.column("validation", "weight")) == {1.0}


def test_audited_rows_come_first_at_random_and_none_twice(texts, tmp_path):
    found = items(run(tmp_path, texts[1], folds=3, audit=20, most=4))
    assert [one.why for one in found].count("audit") == 20
    assert {one.why for one in found[:20]} == {"audit"}
    assert len({one.row_id for one in found}) == len(found) <= 24


def test_equal_inputs_give_equal_bytes(texts, tmp_path):
    def files(root):
        run(root, texts[1], folds=3, action="weight", audit=5)
        return {path.relative_to(root): path.read_bytes() for path in sorted((root / "outputs").rglob("*.*"))}

    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_classes_of_one_text_are_not_judged_and_that_is_said(tmp_path):
    rows = [*reviews(60, 0), ("odd one out", "rare"), ("Odd one OUT!", "rare"), ("", "good"), ("text", None)]
    context = run(tmp_path, write_dataset(tmp_path / "data", {"train": rows, "validation": reviews(10, 1)}), folds=3)
    assert "2 rows were not judged: class too small" in context.said
    assert "1 rows were not judged: no text" in context.said
    assert "1 rows were not judged: no label" in context.said
    assert Dataset.open(tmp_path / "outputs/data").num_rows("train") == 64


def test_one_class_is_an_error(tmp_path):
    rows = [(text, "good") for text, _ in reviews(20, 0)]
    data = write_dataset(tmp_path / "data", {"train": rows, "validation": rows[:2]})
    with pytest.raises(InputError, match="fewer than two classes"):
        run(tmp_path, data)


def probabilities_of(path, rows, confident=0.9, skip=()):
    table = {
        "row_id": [f"train-{place}" for place in range(len(rows)) if place not in skip],
        "good": [confident if place % 2 else 1 - confident for place in range(len(rows)) if place not in skip],
        "bad": [1 - confident if place % 2 else confident for place in range(len(rows)) if place not in skip],
    }
    pq.write_table(pa.table(table), path)


def test_given_probabilities_replace_the_models(texts, tmp_path):
    probabilities_of(tmp_path / "p.parquet", range(150), skip=(5, 6))
    context = run(tmp_path, texts[1], probabilities="p.parquet")
    assert {one.row_id for one in items(context)} == {f"train-{place}" for place in WRONG}
    assert "2 rows were not judged: no probabilities" in context.said
    config = label_errors.Config(probabilities="p.parquet")
    before = label_errors.fingerprint(config, tmp_path)
    probabilities_of(tmp_path / "p.parquet", range(150))
    assert label_errors.fingerprint(config, tmp_path) != before


def test_a_file_without_a_class_or_that_is_no_parquet_is_an_error(texts, tmp_path):
    pq.write_table(pa.table({"row_id": ["train-1"], "good": [1.0]}), tmp_path / "p.parquet")
    with pytest.raises(InputError, match="no column `bad`"):
        run(tmp_path, texts[1], probabilities="p.parquet")
    (tmp_path / "p.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="cannot read the file"):
        run(tmp_path, texts[1], probabilities="p.parquet")


def write_table(folder, columns, splits):
    folder.mkdir(parents=True)
    write_schema(folder, columns)
    schema = pa.schema([(column.name, pa.type_for_alias(column.type)) for column in columns])
    for split, rows in splits.items():
        write_split(folder, split, [pa.Table.from_pylist(rows, schema)], schema)
    return folder


def test_labels_of_a_table_are_judged_by_its_numbers(tmp_path):
    generator = np.random.default_rng(0)

    def rows(count, wrong=()):
        truth = generator.integers(0, 2, count)
        flip = np.isin(np.arange(count), wrong)
        x = truth * 8 + generator.normal(size=count)
        return [
            {
                "row_id": f"r{i}",
                "x": float(x[i]) if i % 9 else None,
                "name": "a",
                "y": "yes" if truth[i] ^ flip[i] else "no",
            }
            for i in range(count)
        ]

    columns = [Column("row_id", "other", "string"), Column("x", "feature", "double"),
               Column("name", "feature", "string"), Column("y", "label", "string")]  # fmt: skip
    data = write_table(tmp_path / "data", columns, {"train": rows(200, (1, 50, 120)), "validation": rows(40)})
    found = items(run(tmp_path, data, folds=3))
    assert {"r1", "r50", "r120"} <= {one.row_id for one in found[:8]}
    assert '"x":' in found[0].text


def picture(kind, generator):
    """A bright bar across or down, on noise, as PNG bytes."""
    pixels = generator.integers(0, 80, (28, 28), dtype=np.uint8)
    place = int(generator.integers(6, 20))
    pixels[(slice(place, place + 4), slice(None)) if kind == "across" else (slice(None), slice(place, place + 4))] = 230
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_labels_of_images_are_judged_by_their_gradients(tmp_path):
    generator = np.random.default_rng(0)

    def rows(count, wrong=()):
        kinds = ["across", "down"]
        return [
            {"row_id": f"r{i}", "image": picture(kinds[i % 2], generator), "y": kinds[(i % 2) ^ (i in wrong)]}
            for i in range(count)
        ]

    columns = [Column("row_id", "other", "string"), Column("image", "image", "binary"), Column("y", "label", "string")]
    broken = [{"row_id": "b1", "image": b"\x89PNG broken", "y": "down"}, {"row_id": "b2", "image": None, "y": "down"}]
    splits = {"train": [*rows(80, (4, 33)), *broken], "validation": rows(20)}
    context = run(tmp_path, write_table(tmp_path / "data", columns, splits), folds=3)
    found = items(context)
    assert {one.row_id for one in found} == {"r4", "r33"}
    assert found[0].text is None
    assert found[0].image.startswith(b"\x89PNG")
    assert "2 rows were not judged: no image" in context.said


def test_gradients_do_not_change_with_brightness_and_turn_with_the_picture():
    generator = np.random.default_rng(1)
    across = pictures.decode(picture("across", generator))
    dim = pictures._gradients((across.mean(2) * 0.5)[None])
    assert np.allclose(dim, pictures._gradients(across.mean(2)[None]), atol=2e-2)
    turned = pictures._gradients(across.mean(2).T[None])
    assert np.abs(turned - pictures._gradients(across.mean(2)[None])).max() > 0.2
