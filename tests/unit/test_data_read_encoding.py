"""data.read finds the encoding and garbles nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.reading_files import pairs, read_bytes, run

from modelyard.errors import InputError


def repeated(template: str) -> str:
    return "text,label\n" + "".join(template.replace("#", str(n)) for n in range(40))


CHINESE = repeated("这个酒店的房间很好，我们都喜欢#。,好\n服务太差了，不会再来#！,差\n")


TRADITIONAL = repeated("這個酒店的房間很好，我們都喜歡#。,好\n服務太差了，不會再來#！,差\n")


FRENCH = repeated("L’hôtel était très agréable et le café délicieux #,oui\n")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "utf-8"),
        (CHINESE, "utf-8-sig"),
        (CHINESE, "gb18030"),
        (CHINESE, "utf-16"),
        (CHINESE, "utf-16-le"),
        (CHINESE, "utf-16-be"),
        (CHINESE, "utf-32"),
        (TRADITIONAL, "big5"),
        (TRADITIONAL, "utf-8"),
        (FRENCH, "cp1252"),
        (FRENCH.replace("’", "'"), "latin-1"),
    ],
)
def test_the_encoding_is_found_and_said(tmp_path: Path, text: str, encoding: str) -> None:
    rows, bad, context = read_bytes(tmp_path, text.encode(encoding))
    expected = [tuple(line.rsplit(",", 1)) for line in text.splitlines()[1:]]
    assert pairs(rows) == expected
    assert not bad
    said = "CP1252" if text is not CHINESE and "latin" in encoding else encoding.upper().removesuffix("-SIG")
    assert said in context.said[0]


def test_lines_in_another_encoding_are_kept_apart_and_the_rest_is_not_garbled(tmp_path: Path) -> None:
    body = "".join(f"很好的房间{n},x\n" for n in range(60)).encode()
    rows, bad, _ = read_bytes(tmp_path, b"text,label\n" + body + "服务太差,x\n".encode("gb18030"))
    assert [row["text"] for row in rows] == [f"很好的房间{n}" for n in range(60)]
    assert bad[0]["line"] == 62
    assert bad[0]["reason"] == "bytes that do not decode: as utf-8"
    assert bad[0]["raw"].startswith("\\xb7\\xfe")


def test_utf8_lines_in_a_gb18030_file_are_not_read_as_garbage(tmp_path: Path) -> None:
    lines = CHINESE.encode("gb18030") + "这个很好,好的\n".encode()
    rows, bad, _ = read_bytes(tmp_path, lines)
    assert len(rows) == 80
    assert [row["reason"] for row in bad] == ["another encoding: UTF-8 in a file in gb18030"]


def test_half_of_the_lines_in_another_encoding_stop_the_step(tmp_path: Path) -> None:
    body = CHINESE.encode() + b"".join(CHINESE.encode("gb18030").splitlines(keepends=True)[1:])
    with pytest.raises(InputError, match="bytes that do not decode: 80"):
        read_bytes(tmp_path, body)


def test_the_encoding_can_be_set_and_a_wrong_name_is_refused(tmp_path: Path) -> None:
    content = "text,label\nÄpfel,x\n".encode("cp1250")
    assert pairs(read_bytes(tmp_path, content, encoding="cp1250")[0]) == [("Äpfel", "x")]
    with pytest.raises(InputError, match="unknown encoding"):
        run(tmp_path, encoding="nonsense")
