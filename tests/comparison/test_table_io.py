"""CSV tables: their bytes, and that a table reads back as it was written."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from laureate.comparison import table_io
from laureate.core.errors import LaureateError

DTYPES = {"model": "string", "n": "Int64", "value": "Float64", "mark": "string"}

# every kind of value: missing, tiny, huge, whole, negative and signed zero; text that CSV must quote
EVERY_KIND = b"""model,n,value,mark
baseline,0,0.0,
rank-4,98,-0.0,best
NA,-3,1.0,tied
nan,,5e-324,
"a, ""b""
c",9223372036854775807,1.7976931348623157e+308,
016,1,0.1,
\xc3\x96land,2,1e+16,
x,3,1e-05,
y,4,0.0001,
z,5,-123456.7,
w,6,0.30000000000000004,
v,7,,
"""
rows = st.tuples(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False),
    st.sampled_from([None, "best", "tied"]),
)


def frame(values: list[tuple[object, ...]]) -> pd.DataFrame:
    return table_io.from_rows([dict(zip(DTYPES, row, strict=True)) for row in values], DTYPES)


def test_a_table_with_every_kind_of_value_has_these_bytes() -> None:
    table = table_io.from_csv(EVERY_KIND.decode(), "table.csv", DTYPES, "compare")
    assert table["model"].tolist()[:5] == ["baseline", "rank-4", "NA", "nan", 'a, "b"\nc']
    assert table["value"].tolist()[3:5] == [5e-324, 1.7976931348623157e308]
    assert np.signbit(table["value"][1])
    assert table["value"].isna().sum() == table["n"].isna().sum() == 1
    assert dict(table.dtypes.astype(str)) == DTYPES
    assert table_io.to_csv(table).encode() == EVERY_KIND


@settings(deadline=None, max_examples=60)
@given(st.lists(rows, max_size=6), st.sampled_from(["", "nan"]))
@example([("nan", 2**63 - 1, None, None), ("NA", None, float("inf"), "best")], "")
def test_written_read_and_written_again_a_table_is_the_same(
    values: list[tuple[object, ...]], missing: str
) -> None:
    if missing:  # as in differences.csv: numbers only may be missing, and no text is "nan"
        values = [(name if name != missing else "x", n, v, mark or "best") for name, n, v, mark in values]
    table = frame(values)
    text = table_io.to_csv(table, missing)
    read = table_io.from_csv(text, "table.csv", DTYPES, "compare", missing)
    pd.testing.assert_frame_equal(read, table, check_exact=True)
    assert table_io.to_csv(read, missing) == text


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=50))
def test_numbers_are_written_as_python_writes_them(values: list[float]) -> None:
    table = pd.DataFrame({"value": pd.array(values, dtype="Float64")})
    assert table_io.to_csv(table) == "value\n" + "".join(f"{value!r}\n" for value in values)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cannot be read"),
        ("model,n\nbaseline,1\n", "has other columns"),
        ("n,model,value,mark\n1,a,2,best\n", "has other columns"),
        ("model,n,value,mark\na,1,z,\n", "cannot be read"),
        ("model,n,value,mark\na,1.5,2,\n", "cannot be read"),
        ("model,n,value,mark\na,1,2,,7\n", "cannot be read"),
        ("model,n,value,mark\na,1,2,\nb,1,2,,7\n", "cannot be read"),
        ('model,n,value,mark\n"a,1,2,\n', "cannot be read"),
        (f"model,n,value,mark\na,{10**30},2,\n", "cannot be read"),
    ],
)
def test_a_file_that_is_no_such_table_is_named_in_one_sentence(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(
        LaureateError, match=rf"table\.csv {reason}.*; run `laureate compare` again$"
    ) as caught:
        table_io.read_csv(path, DTYPES, "compare")
    assert "\n" not in str(caught.value)


def test_no_file_and_a_file_that_is_not_text(tmp_path: Path) -> None:
    with pytest.raises(LaureateError, match=r"none\.csv does not exist; run `laureate train` first"):
        table_io.read_csv(tmp_path / "none.csv", DTYPES, "train")
    (tmp_path / "some.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LaureateError, match=r"some\.csv cannot be read"):
        table_io.read_csv(tmp_path / "some.csv", DTYPES, "train")


def test_markdown_has_its_first_column_on_the_left() -> None:
    cells = pd.DataFrame([["a", "1", "2"], ["b", "3", "–"]], columns=["model", "ours", "ours"])
    assert table_io.to_markdown(cells) == (
        "| model | ours | ours |\n|---|--:|--:|\n| a | 1 | 2 |\n| b | 3 | – |\n"
    )
