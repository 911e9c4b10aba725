"""Tables of the data set: what is written is read again, and what is bad is named with file and row."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate.core.errors import LaureateError
from laureate.formats import imagefolder, jsonl

texts = st.text(st.characters(codec="utf-8"), max_size=20)
rows = st.lists(st.dictionaries(texts, texts | st.integers() | st.none(), max_size=4), max_size=5)


@given(rows)
def test_rows_of_any_text_are_read_as_they_were_written(given_rows: list[jsonl.Row]) -> None:
    """Also with the characters at which `str.splitlines` would cut a line in two."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        jsonl.write(path, given_rows)
        read = list(jsonl.parse(path.read_text(encoding="utf-8")))
    assert read == list(enumerate(given_rows, start=1))


def part(folder: Path, captions: dict[str, str]) -> Path:
    """A part of a data set with empty pictures."""
    imagefolder.write_metadata(folder, [{"file_name": name, "text": text} for name, text in captions.items()])
    for name in captions:
        (folder / name).touch()
    return folder


def test_captions_with_line_separators_stay_one_row(tmp_path: Path) -> None:
    captions = {"10.png": "A man\u2028with a hat.", "9.png": "A\x85woman."}
    read = imagefolder.read_metadata(part(tmp_path, captions))
    assert [(row["file_name"], row["text"]) for row in read] == list(captions.items())


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("nonsense", "row 2 must be JSON with file_name and text"),
        ("[1]", "row 2 must be JSON with file_name and text"),
        ("", "row 2 must be JSON with file_name and text"),
        ('{"file_name": "1.png", "text": null}', "row 2 must be JSON with file_name and text"),
        ('{"file_name": 1, "text": "A man."}', "row 2 must be JSON with file_name and text"),
        ('{"file_name": "lost.png", "text": "A man."}', r"row 2: there is no picture lost\.png"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    path = part(tmp_path / "train", {"0.png": "A woman."}) / imagefolder.METADATA
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(LaureateError, match=rf"train/metadata\.jsonl, {sentence}.*laureate prepare"):
        imagefolder.read_metadata(tmp_path / "train")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (None, "does not exist; run `laureate prepare` first"),
        (b"", "names no picture"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, data: bytes | None, sentence: str) -> None:
    if data is not None:
        (tmp_path / imagefolder.METADATA).write_bytes(data)
    with pytest.raises(LaureateError, match=rf"metadata\.jsonl .*{sentence}"):
        imagefolder.read_metadata(tmp_path)


def test_what_is_left_out_is_read_again_and_checked(tmp_path: Path) -> None:
    assert imagefolder.read_left_out(tmp_path) == []
    left_out = [{"file": "1.png", "reason": "nearly 2.png"}]
    imagefolder.write_left_out(tmp_path, left_out)
    assert imagefolder.read_left_out(tmp_path) == left_out
    imagefolder.write_left_out(tmp_path, [*left_out, {"file": "3.png"}])
    with pytest.raises(LaureateError, match=r"left_out\.jsonl, row 2 must be JSON with file and reason"):
        imagefolder.read_left_out(tmp_path)
