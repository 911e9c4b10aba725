"""Columns of a Parquet table, whose reader may end its process."""

from __future__ import annotations

import pytest
import spoilt_inputs
from hypothesis import given, settings
from hypothesis import strategies as st

from laureate.formats import parquet_columns


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
@settings(max_examples=10, deadline=None)
def test_texts_are_read_as_they_were_written(texts: list[str]) -> None:
    data = spoilt_inputs.parquet(**{"File Name": texts, "other": texts})
    assert parquet_columns.read(data, ["filename"]) == (len(texts), {"File Name": texts})


@pytest.mark.parametrize("kept", [0, 3, 11, 100, -1])
def test_a_table_that_is_cut_off_is_refused(kept: int) -> None:
    with pytest.raises(parquet_columns.ParquetError, match="cut off"):
        parquet_columns.read(spoilt_inputs.parquet()[:kept], ["filename"])


def test_a_table_that_ends_its_reader_is_refused_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    """arro3 panics while it unwinds from a header in which lists are nested a thousand times."""
    data = spoilt_inputs.parquet()
    with pytest.raises(parquet_columns.ParquetError, match="damaged"):
        parquet_columns.read(data[:98] + b"[" * 3996 + data[102:], ["filename"])
    assert capfd.readouterr() == ("", "")
