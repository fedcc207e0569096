"""Image columns: bytes that decode come in, everything else is a rejected row with its reason."""

from __future__ import annotations

import base64
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.pictures import bomb, picture
from support.reading_files import run_as

from modelyard.methods.data.dataset import GROUP_BYTES, Dataset, SplitWriter, write_schema
from modelyard.methods.data.images import FORMATS, ImageLimits, check_image
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.rows import Fault


def read_images(base: Path, images: list[Any], kind: pa.DataType | None = None, **config: Any) -> Any:
    table = pa.table({"picture": pa.array(images, kind), "label": ["x"] * len(images)})
    pq.write_table(table, base / "images.parquet")
    return run_as(base, path="images.parquet", image="picture", label="label", max_bad_fraction=1.0, **config)


@pytest.mark.parametrize("form", FORMATS)
def test_an_image_comes_in_byte_for_byte(tmp_path: Path, form: str) -> None:
    rows, bad, context = read_images(tmp_path, [picture(form)])
    assert [row["picture"] for row in rows] == [picture(form)]
    assert bad == []
    column = next(column for column in Dataset.open(context.output("data")).columns if column.name == "picture")
    assert (column.role, column.type) == ("image", "binary")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_an_image_that_is_cut_short_is_a_rejected_row(form: str, share: float) -> None:
    whole = picture(form)
    with pytest.raises(Fault):
        check_image(whole[: int(len(whole) * share)], ImageLimits())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no image"),
        (None, "no image"),
        (b"not a picture at all", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not an image"),
        (bomb(20_000, 20_000), "image has too many pixels"),
        (bomb(4_000_000, 4_000_000), "image has too many pixels"),
        (bomb(30, 30), "image does not decode"),
        (picture("PNG")[:-30] + bytes(30), "image does not decode"),
    ],
)
def test_what_is_no_image_is_a_rejected_row_with_its_reason(tmp_path: Path, content: Any, reason: str) -> None:
    rows, bad, _ = read_images(tmp_path, [picture(), content, picture(seed=1)], pa.binary())
    assert len(rows) == 2
    assert [(row["line"], row["reason"].split(":")[0]) for row in bad] == [(2, reason)]
    assert "0x" not in bad[0]["reason"]


def test_the_limits_of_bytes_and_pixels_can_be_set(tmp_path: Path) -> None:
    images = [picture(size=(10, 10)), picture(size=(11, 10))]
    rows, bad, _ = read_images(tmp_path, images, max_image_pixels=100)
    assert (len(rows), bad[0]["reason"]) == (1, "image has too many pixels: picture: 11 x 10, over 100")
    rows, bad, _ = read_images(tmp_path, images, max_image_bytes=len(images[0]))
    assert (len(rows), bad[0]["reason"].split(":")[0]) == (1, "image too large")


def test_images_of_the_hub_and_in_base64_are_bytes_too_and_paths_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "there.png").write_bytes(picture())
    hub = [{"bytes": picture(), "path": "a.png"}, {"bytes": None, "path": str(tmp_path / "there.png")}]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows, bad, _ = read_images(tmp_path, hub, kind)
    assert ([row["picture"] for row in rows], bad[0]["reason"]) == ([picture()], "no image: picture")
    text = base64.b64encode(picture()).decode()
    rows, bad, _ = read_images(tmp_path, [text, "data:image/png;base64," + text, str(tmp_path / "there.png")])
    assert [row["picture"] for row in rows] == [picture(), picture()]
    assert bad[0]["reason"].startswith("image is not bytes")


def test_no_bytes_make_the_check_fail_in_another_way() -> None:
    chance = random.Random(7)
    for form in FORMATS:
        whole = picture(form)
        for _ in range(60):
            broken = bytearray(whole)
            for _ in range(chance.randint(1, 6)):
                broken[chance.randrange(min(len(broken), 120))] = chance.randrange(256)
            with suppress(Fault):
                check_image(bytes(broken), ImageLimits(max_pixels=1_000_000))


def test_groups_of_pictures_are_bounded_by_bytes_and_do_not_depend_on_the_batches(tmp_path: Path) -> None:
    from modelyard.methods.data.dataset import Column

    columns = (Column("row_id", "other", "string"), Column("image", "image", "binary"))
    blob = bytes(GROUP_BYTES // 4)
    table = pa.table({"row_id": [str(n) for n in range(9)], "image": [blob] * 9}, schema_of(columns))
    written = []
    for size in (1, 4, 9):
        folder = tmp_path / str(size)
        folder.mkdir()
        write_schema(folder, columns)
        with SplitWriter(folder, "all", schema_of(columns)) as writer:
            for start in range(0, 9, size):
                writer.write(table.slice(start, size))
        file = folder / "all" / "00000.parquet"
        meta = pq.ParquetFile(file).metadata
        assert [meta.row_group(n).num_rows for n in range(meta.num_row_groups)] == [4, 4, 1]
        written.append(file.read_bytes())
    assert written[0] == written[1] == written[2]
