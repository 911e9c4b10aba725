"""The crawl's manifest: pictures are stored once, and a line that is no row is named."""

import json
from pathlib import Path

import pytest

from laureate.core.errors import LaureateError
from laureate.formats.portraits import COLUMNS, read_manifest, with_shared_files, write_manifest


def test_rows_with_the_same_bytes_name_one_file() -> None:
    rows = [
        {"sha256": s, "file": f} for s, f in (("a", "1.jpg"), ("b", "2.jpg"), ("a", "3.jpg"), (None, None))
    ]
    assert [row["file"] for row in with_shared_files(rows)] == ["1.jpg", "2.jpg", "1.jpg", None]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "line 2 is not a JSON object"),
        ("[]", "line 2"),
        ('{"id": "1"}', "line 2 lacks name, "),
        ("", "line 2"),
    ],
)
def test_a_broken_line_of_the_manifest_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    good = json.dumps(dict.fromkeys(COLUMNS, ""))
    (tmp_path / "portraits.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(LaureateError, match=sentence):
        read_manifest(tmp_path / "portraits.jsonl")


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [dict.fromkeys(COLUMNS, "Ø\u2028x"), dict.fromkeys(COLUMNS)]
    write_manifest(tmp_path / "portraits.jsonl", [dict(reversed(row.items())) for row in rows])
    read = read_manifest(tmp_path / "portraits.jsonl")
    assert read == rows
    assert all(tuple(row) == COLUMNS for row in read)
