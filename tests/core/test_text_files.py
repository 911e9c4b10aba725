"""Text of every encoding with a byte order mark is read, and what is no text is named with the reason."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate.core.errors import LaureateError
from laureate.core.text_files import TextError, decode_text, read_text

MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"))


@given(TEXTS, st.sampled_from(sorted(MARKS)))
def test_a_text_with_its_mark_is_read_in_every_encoding(text: str, encoding: str) -> None:
    assert decode_text(MARKS[encoding] + text.encode(encoding)) == text
    assert decode_text(text.encode()) == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xe9t\xe9", r"not UTF-8 text \(.* at byte 0\)"),
        (codecs.BOM_UTF16_LE + b"a\0b", r"not UTF-16-LE text \(.* at byte 2\)"),
        (
            "ab".encode("utf-16-le"),
            "it holds NUL characters, as UTF-16 without its byte order",
        ),
        (codecs.BOM_UTF16_BE + "a\0".encode("utf-16-be"), "not UTF-8 text: it holds NUL characters$"),
    ],
)
def test_what_is_no_text_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(TextError, match=reason):
        decode_text(data)


def test_a_file_that_cannot_be_read_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(codecs.BOM_UTF8 + b"a\r\nb")
    (tmp_path / "bad").write_bytes(b"\xff")
    assert read_text(tmp_path / "good") == "a\r\nb"
    for name, sentence in (
        ("none", r"none does not exist; run the stage$"),
        ("bad", r"bad is not UTF-8 text \(.*\); save it as UTF-8$"),
        (".", r" cannot be read: Is a directory$"),
    ):
        with pytest.raises(LaureateError, match=sentence):
            read_text(tmp_path / name, "run the stage")
    with pytest.raises(LaureateError, match=r"none does not exist; it must be there$"):
        read_text(tmp_path / "none")
