"""data.read on folders of images and on folders that `datasets` saved."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pytest
from support.pictures import picture
from support.reading_files import run_as

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.files.pictures import arrange
from modelyard.stages.data import read


def write(base: Path, **files: bytes | str) -> None:
    """Files by path; `__` stands for `/` and `_` before the extension for `.`."""
    for name, content in files.items():
        lay(base, name.replace("__", "/"), content)


def lay(base: Path, name: str, content: bytes | str) -> None:
    path = base / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def pets(base: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        lay(base, name, picture(seed=seed))


def facts(rows: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]


def test_class_folders_give_the_labels_and_the_bytes_come_as_they_are(tmp_path: Path) -> None:
    pets(tmp_path, "pics/cat/1.png", "pics/cat/2.PNG", "pics/dog/1.png")
    rows, bad, context = run_as(tmp_path, path="pics")
    assert facts(rows, "file_name", "label") == [("cat/1.png", "cat"), ("cat/2.PNG", "cat"), ("dog/1.png", "dog")]
    assert [row["image"] for row in rows] == [picture(seed=seed) for seed in range(3)]
    assert bad == []
    roles = {column.name: column.role for column in Dataset.open(context.output("data")).columns}
    assert roles == {"row_id": "other", "image": "image", "label": "label", "file_name": "other"}


def test_split_folders_above_the_classes_give_the_split(tmp_path: Path) -> None:
    pets(tmp_path, "pics/train/cat/1.png", "pics/val/cat/2.png", "pics/test/dog/3.png")
    rows, _, context = run_as(tmp_path, path="pics/")
    assert facts(rows, "split", "label") == [("test", "dog"), ("train", "cat"), ("validation", "cat")]
    assert Dataset.open(context.output("data")).role("split") == "split"


@pytest.mark.parametrize(
    ("names", "split", "labels"),
    [
        (["cat/1.png", "dog/2.png"], None, ["cat", "dog"]),
        (["data/cat/1.png", "data/dog/2.png"], None, ["cat", "dog"]),
        (["a/b/train/cat/1.png", "a/b/test/dog/2.png"], "train", ["cat", "dog"]),
        (["cat/1.png"], None, ["cat"]),
        (["train/1.png", "car/2.png"], None, ["train", "car"]),
        (["train/1.png", "test/2.png"], "train", [None, None]),
        (["1.png", "2.png"], None, [None, None]),
        (["cat/1.png", "2.png"], None, ["cat", None]),
        (["cat/deep/1.png", "dog/2.png"], None, ["cat", "dog"]),
        ([], None, []),
    ],
    ids=range(10),
)
def test_what_folders_mean(names: list[str], split: str | None, labels: list[str | None]) -> None:
    found = arrange(names, may_split=True)
    assert [found.label(name) for name in names] == labels
    assert (found.split(names[0]) if names else None) == split


def test_a_broken_image_costs_its_own_row_and_litter_is_said(tmp_path: Path) -> None:
    pets(tmp_path, "pics/cat/1.png", "pics/cat/2.png", "pics/dog/3.png")
    lay(tmp_path, "pics/cat/broken.jpg", picture("JPEG")[:100])
    lay(tmp_path, "pics/cat/text.png", "no picture")
    lay(tmp_path, "pics/loose.png", picture(seed=9))
    for name in ("Thumbs.db", ".DS_Store", ".hidden/a.png", "__MACOSX/cat/._1.png", "notes.txt"):
        lay(tmp_path, f"pics/{name}", "x")
    rows, bad, context = run_as(tmp_path, path="pics", max_bad_fraction=1.0)
    assert len(rows) == 3
    assert [(row["source"], row["reason"].split(":")[0]) for row in bad] == [
        ("pics/cat/broken.jpg", "image does not decode"),
        ("pics/cat/text.png", "not an image"),
        ("pics/loose.png", "no label"),
    ]
    said = "\n".join(context.said)
    assert "4 hidden files" in said
    assert "1 files of other kinds" in said


def test_ids_come_from_the_bytes_so_that_another_image_or_name_changes_none(tmp_path: Path) -> None:
    pets(tmp_path, "pics/cat/1.png", "pics/dog/2.png")
    before = {row["file_name"]: row["row_id"] for row in run_as(tmp_path, path="pics")[0]}
    lay(tmp_path, "pics/ant/0.png", picture(seed=7))
    (tmp_path / "pics" / "cat" / "1.png").rename(tmp_path / "pics" / "cat" / "renamed.png")
    after = {row["file_name"]: row["row_id"] for row in run_as(tmp_path, path="pics")[0]}
    assert after["cat/renamed.png"] == before["cat/1.png"]
    assert after["dog/2.png"] == before["dog/2.png"]
    lay(tmp_path, "pics/dog/copy.png", picture(seed=7))
    rows, _, context = run_as(tmp_path, path="pics")
    assert len({row["row_id"] for row in rows}) == 4
    assert any("1 files hold the same bytes" in line for line in context.said)


def test_metadata_beside_the_images_describes_them(tmp_path: Path) -> None:
    pets(tmp_path, "pics/1.png", "pics/sub/2.png", "pics/3.png")
    lay(tmp_path, "pics/metadata.csv", "file_name,breed,label\n1.png,坑,cat\n./sub/2.png,b,dog\nnone.png,c,cat\n")
    rows, bad, _ = run_as(tmp_path, path="pics", max_bad_fraction=1.0)
    assert facts(rows, "file_name", "breed", "label") == [("1.png", "坑", "cat"), ("sub/2.png", "b", "dog")]
    assert [(row["source"], row["line"], row["reason"]) for row in bad] == [
        ("pics/metadata.csv", 4, "no such image: none.png"),
        ("pics/3.png", 1, "image without a row in the metadata"),
    ]
    rows, _, context = run_as(tmp_path, path="pics", label="breed", max_bad_fraction=1.0)
    assert Dataset.open(context.output("data")).role("label") == "breed"


def test_metadata_in_split_folders(tmp_path: Path) -> None:
    pets(tmp_path, "pics/train/1.png", "pics/test/2.png")
    for split, name in (("train", "1.png"), ("test", "2.png")):
        lay(tmp_path, f"pics/{split}/metadata.jsonl", json.dumps({"file_name": name, "caption": f"of {split}"}))
    rows, _, _ = run_as(tmp_path, path="pics", text="caption")
    assert facts(rows, "split", "caption") == [("test", "of test"), ("train", "of train")]


@pytest.mark.parametrize("name", ["../outside.png", "/etc/hostname", "sub/../../outside.png", "..\\outside.png", ""])
def test_metadata_cannot_name_an_image_elsewhere(tmp_path: Path, name: str) -> None:
    pets(tmp_path, "pics/1.png", "outside.png")
    lines = [json.dumps({"file_name": item, "label": "x"}) for item in ("1.png", name)]
    lay(tmp_path, "pics/metadata.jsonl", "\n".join(lines))
    rows, bad, _ = run_as(tmp_path, path="pics", max_bad_fraction=1.0)
    assert len(rows) == 1
    assert bad[0]["reason"].startswith("no image name that may stand in metadata")


def test_metadata_without_file_names_is_refused(tmp_path: Path) -> None:
    pets(tmp_path, "pics/1.png")
    lay(tmp_path, "pics/metadata.csv", "name,label\n1.png,x\n")
    with pytest.raises(InputError, match="no column `file_name`"):
        run_as(tmp_path, path="pics")


def test_a_folder_for_each_split_and_none_of_its_images_twice(tmp_path: Path) -> None:
    pets(tmp_path, "pics/a/cat/1.png", "pics/a/dog/2.png", "pics/b/cat/3.png")
    rows, _, _ = run_as(tmp_path, path={"train": "pics/a", "test": "pics/b"})
    assert facts(rows, "split", "label") == [("train", "cat"), ("train", "dog"), ("test", "cat")]
    with pytest.raises(InputError, match="the same file stands in `train` and in `test`"):
        run_as(tmp_path, path={"train": "pics/a", "test": "pics"})


def test_a_folder_of_nothing_that_is_read_and_one_of_two_kinds_are_refused(tmp_path: Path) -> None:
    lay(tmp_path, "texts/a.csv", "text,label\na,x\n")
    with pytest.raises(InputError, match=r"texts/\*\.csv"):
        run_as(tmp_path, path="texts", text="text")
    pets(tmp_path, "texts/1.png")
    with pytest.raises(InputError, match="1 images and 1 tables"):
        run_as(tmp_path, path="texts", text="text")


def test_links_to_folders_are_not_followed_and_this_is_said(tmp_path: Path) -> None:
    pets(tmp_path, "pics/cat/1.png", "other/2.png")
    os.symlink(tmp_path / "other", tmp_path / "pics" / "dog")
    os.symlink(tmp_path / "pics", tmp_path / "pics" / "cat" / "loop")
    rows, _, context = run_as(tmp_path, path="pics")
    assert len(rows) == 1
    assert any("2 linked folders" in line for line in context.said)


def test_the_fingerprint_of_a_folder_follows_names_and_bytes(tmp_path: Path) -> None:
    pets(tmp_path, "pics/cat/1.png", "pics/dog/2.png")
    config = read.Config(path="pics")
    first = read.fingerprint(config, tmp_path)
    lay(tmp_path, "pics/.DS_Store", "x")
    assert read.fingerprint(config, tmp_path) == first
    (tmp_path / "pics" / "dog" / "2.png").rename(tmp_path / "pics" / "cat" / "2.png")
    moved = read.fingerprint(config, tmp_path)
    assert moved != first
    lay(tmp_path, "pics/cat/2.png", picture(seed=5))
    assert read.fingerprint(config, tmp_path) not in (first, moved)


FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["负面", "正面"], "_type": "ClassLabel"},
}


def save(folder: Path, table: pa.Table, features: dict[str, Any], num_files: int = 1) -> None:
    """As `Dataset.save_to_disk` lays it out."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    step = -(-table.num_rows // num_files)
    for number in range(num_files):
        name = f"data-{number:05d}-of-{num_files:05d}.arrow"
        with pa.ipc.new_stream(folder / name, table.schema) as writer:
            writer.write_table(table.slice(number * step, step))
        files.append({"filename": name})
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    (folder / "state.json").write_text(json.dumps({"_data_files": files, "_fingerprint": "0", "_split": None}))


def reviews(*labels: int | None) -> pa.Table:
    texts = [f"text {number}" for number in range(len(labels))]
    return pa.table({"text": texts, "label": pa.array(labels, pa.int64())})


def test_a_saved_set_gives_names_for_numbers_and_its_splits(tmp_path: Path) -> None:
    save(tmp_path / "ds" / "train", reviews(0, 1, 1, -1, 7), FEATURES, num_files=2)
    save(tmp_path / "ds" / "test", reviews(1), FEATURES)
    (tmp_path / "ds" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    rows, bad, context = run_as(tmp_path, path="ds", text="text", max_bad_fraction=1.0)
    assert facts(rows, "text", "label", "split") == [
        ("text 0", "负面", "train"),
        ("text 1", "正面", "train"),
        ("text 2", "正面", "train"),
        ("text 0", "正面", "test"),
    ]
    assert [row["reason"].split(":")[0] for row in bad] == ["no label", "class number without a name"]
    assert len({row["row_id"] for row in [*rows, *bad]}) == 6
    assert any("classes by name" in line for line in context.said)
    one, _, _ = run_as(tmp_path, path={"train": "ds/train", "test": "ds/test"}, text="text", max_bad_fraction=1.0)
    assert facts(one, "text", "label", "split") == facts(rows, "text", "label", "split")


def test_saved_images_are_bytes(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": picture(), "path": "1.png"}, {"bytes": picture(seed=1), "path": None}], kind)
    features = {"img": {"_type": "Image"}, "fine": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    save(tmp_path / "ds", pa.table({"img": images, "fine": [1, 0]}), features)
    rows, _, context = run_as(tmp_path, path="ds")
    assert facts(rows, "img", "fine") == [(picture(), "dog"), (picture(seed=1), "cat")]
    data = Dataset.open(context.output("data"))
    assert (data.role("image"), data.role("label")) == ("img", "fine")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("state.json", '{"_data_files": [{"filename": "../secret.arrow"}]}', "which is not there"),
        ("state.json", '{"_data_files": [{"filename": "/etc/passwd"}]}', "which is not there"),
        ("state.json", '{"_data_files": []}', "names no file"),
        ("state.json", '{"_data_files": [7]}', "names no file"),
        ("state.json", "[]", "not a JSON object"),
        ("state.json", "{broken", "not a JSON object"),
        ("state.json", '{"_data_files": [{"filename": "a"}], "_indices_data_files": [1]}', "index of their own"),
        ("data-00000-of-00001.arrow", b"\xff\xff\xff\xffjunk" * 9, "not a whole arrow-stream"),
        ("data-00000-of-00001.arrow", b"", "empty"),
    ],
    ids=range(9),
)
def test_a_saved_set_that_is_damaged_or_names_files_elsewhere_is_refused(
    tmp_path: Path, name: str, content: Any, message: str
) -> None:
    save(tmp_path / "ds", reviews(0, 1), FEATURES)
    lay(tmp_path, "secret.arrow", "x")
    lay(tmp_path, f"ds/{name}", content)
    with pytest.raises(InputError, match=message):
        run_as(tmp_path, path="ds", text="text")


def test_splits_of_other_names_are_refused_with_the_way_to_name_them(tmp_path: Path) -> None:
    save(tmp_path / "ds" / "unsupervised", reviews(0), FEATURES)
    (tmp_path / "ds" / "dataset_dict.json").write_text('{"splits": ["unsupervised"]}')
    with pytest.raises(InputError, match="ds/unsupervised"):
        run_as(tmp_path, path="ds", text="text")
