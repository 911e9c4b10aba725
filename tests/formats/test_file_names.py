"""Names of files in tables: what leaves the folder, what is equal, what is printed."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate.formats.file_names import is_outside, normalized, printable


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
