"""Metadata of images: what tells about people goes, pixels and orientation stay, and the bytes between are the same."""

from __future__ import annotations

import io

import pytest
from PIL import Image, PngImagePlugin

from modelyard.methods.privacy.image_metadata import BrokenImage, strip

SECRET = b"Jane Roe, 51.5N"


def picture() -> Image.Image:
    image = Image.new("RGB", (40, 24))
    image.putdata([(x * 6 % 256, x * 11 % 256, x % 256) for x in range(40 * 24)])
    return image


def exif(orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[0x010F] = "Camera of Jane Roe, 51.5N"
    made[0x0112] = orientation
    made.get_ifd(0x8825)[1] = "N"
    return made


def encoded(form: str, orientation: int = 1, **options: object) -> bytes:
    stream = io.BytesIO()
    picture().save(stream, form, exif=exif(orientation), **options)
    return stream.getvalue()


def with_text() -> bytes:
    stream = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", SECRET.decode())
    info.add_itxt("XML:com.adobe.xmp", f"<x>{SECRET.decode()}</x>")
    picture().save(stream, "PNG", pnginfo=info, exif=exif())
    return stream.getvalue()


def with_comment() -> bytes:
    stream = io.BytesIO()
    picture().quantize(16).save(stream, "GIF", comment=SECRET)
    return stream.getvalue()


CASES = {
    "jpeg": lambda: encoded("JPEG", comment=SECRET, xmp=b"<x>Jane Roe, 51.5N</x>"),
    "progressive": lambda: encoded("JPEG", progressive=True),
    "png": with_text,
    "webp": lambda: encoded("WEBP", lossless=True, xmp=b"<x>Jane Roe, 51.5N</x>"),
    "gif": with_comment,
}


@pytest.mark.parametrize("name", CASES)
def test_what_names_a_person_goes_and_the_pixels_stay(name: str) -> None:
    data = CASES[name]()
    assert b"Jane Roe" in data
    stripped = strip(data)
    assert stripped.removed
    assert b"Jane Roe" not in stripped.data
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(stripped.data))
    assert after.format == before.format
    assert after.convert("RGBA").tobytes() == before.convert("RGBA").tobytes()
    assert not after.getexif()
    again = strip(stripped.data)
    assert (again.data, again.removed) == (stripped.data, ())


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_turned_picture_stays_turned(form: str) -> None:
    stripped = strip(encoded(form, orientation=6))
    made = Image.open(io.BytesIO(stripped.data)).getexif()
    assert dict(made) == {0x0112: 6}
    assert strip(stripped.data).removed == ()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_colour_profiles_go_only_when_told(form: str) -> None:
    data = encoded(form, icc_profile=b"profile of Jane Roe")
    assert "icc_profile" in Image.open(io.BytesIO(strip(data).data)).info
    bare = strip(data, keep_profile=False)
    assert "icc" in bare.removed
    assert "icc_profile" not in Image.open(io.BytesIO(bare.data)).info


@pytest.mark.parametrize("name", CASES)
def test_what_hangs_behind_the_end_goes(name: str) -> None:
    stripped = strip(CASES[name]() + SECRET)
    assert "trailer" in stripped.removed
    assert SECRET not in stripped.data


@pytest.mark.parametrize("name", CASES)
def test_a_cut_image_is_broken_and_never_loops(name: str) -> None:
    data = CASES[name]()
    for size in range(16, len(data) - 1, max(1, len(data) // 60)):
        with pytest.raises(BrokenImage):
            strip(data[:size])


def test_an_image_without_metadata_is_the_same_object() -> None:
    stream = io.BytesIO()
    picture().save(stream, "PNG")
    data = stream.getvalue()
    assert strip(data).data is data
    assert strip(b"no image at all").removed == ()
