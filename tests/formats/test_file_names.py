"""Names of files in tables: what leaves the folder, what is equal, what is printed."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate.formats.file_names import is_outside, is_there, normalized, printable


@pytest.mark.parametrize(
    "file", ["/a", "\\a", "../a", "a/../../b", "..\\a", "a\\..\\b", "C:\\a", "c:/a", "Z:a", "a\0", ".."]
)
def test_what_leaves_the_folder(file: str) -> None:
    assert is_outside(file)


@pytest.mark.parametrize(
    "file", ["a", "a/b", "./a", "a..b", "...", "a\\b", "1:a", ":a", "C", "", "ab:c", "a/C:b"]
)
def test_what_stays(file: str) -> None:
    assert not is_outside(file)


@given(st.text(max_size=9))
def test_names_of_both_forms_are_equal(name: str) -> None:
    forms = {normalized(unicodedata.normalize(form, name)) for form in ("NFC", "NFD")}
    assert len(forms) == 1
    assert normalized(Path("a") / "e\u0301") == "a/\u00e9"


@given(st.text(max_size=20))
def test_whatever_is_printed_is_printable(text: str) -> None:
    assert printable(text).isprintable()
    assert printable("a b\u00e9") == "a b\u00e9"
    assert printable("a\x1b\n\udcff") == "a\\x1b\\n\\udcff"


def test_a_name_is_there_or_not_and_never_an_error(tmp_path: Path) -> None:
    """Fuzzing found that a name of more than 255 bytes ended in the system's error."""
    (tmp_path / "in").mkdir()
    for file in ("out.png", "in/one.png"):
        (tmp_path / file).touch()
    assert is_there(tmp_path / "in", "one.png")
    for name in ("two.png", "../out.png", str(tmp_path / "out.png"), "[" * 300, "x/" * 3000, "a\0b", "", "."):
        assert not is_there(tmp_path / "in", name), name[:20]
