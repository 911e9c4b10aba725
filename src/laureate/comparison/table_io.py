"""Write and read CSV tables with typed columns, and format a table of text as Markdown.

Numbers are written as Python's `repr` writes them (the shortest text that reads back as the same float64), so
that a table that is read and written again keeps its bytes. Columns have one of the dtypes "string", "Int64"
and "Float64", which all have `pandas.NA` for a missing value.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError

if TYPE_CHECKING:
    import pandas as pd


def from_rows(rows: Sequence[Mapping[str, Any]], dtypes: Mapping[str, str]) -> pd.DataFrame:
    """Rows => a table with the columns of `dtypes` (column => dtype); None and NaN become missing values."""
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(dtypes), dtype=object).astype(dict(dtypes))


def to_csv(table: pd.DataFrame, missing: str = "") -> str:
    """The columns of a table as CSV text with a header; `missing` stands for a missing value."""
    return str(table.to_csv(index=False, lineterminator="\n", na_rep=missing))


def from_csv(
    text: str, name: str, dtypes: Mapping[str, str], command: str, missing: str = ""
) -> pd.DataFrame:
    """CSV text => a table with the columns of `dtypes` (column => dtype), in that order.

    Raises LaureateError naming the file `name` and the `command` that writes it, where the columns are
    others or a value is not of its column's dtype.
    """
    import warnings

    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a row is longer than the header
            table = pd.read_csv(
                io.StringIO(text),
                dtype=dict(dtypes),
                keep_default_na=False,  # a model may be called "NA"
                na_values={column: [missing] for column in dtypes},
                index_col=False,
            )
    except (ValueError, TypeError, OverflowError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise LaureateError(f"{name} cannot be read ({reason}); run `laureate {command}` again") from None
    if list(table.columns) != list(dtypes):
        raise LaureateError(
            f"{name} has other columns than this version writes; run `laureate {command}` again"
        )
    return table


def read_csv(path: str | Path, dtypes: Mapping[str, str], command: str, missing: str = "") -> pd.DataFrame:
    """A file written from `to_csv` => the table. Raises LaureateError; see `read_text` and `from_csv`."""
    return from_csv(read_text(path, command), str(path), dtypes, command, missing)


def read_text(path: str | Path, command: str) -> str:
    """The text of a file. Raises LaureateError naming it and the `command` that writes it."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LaureateError(f"{path} does not exist; run `laureate {command}` first") from None
    except (OSError, UnicodeDecodeError) as error:
        raise LaureateError(f"{path} cannot be read ({error}); run `laureate {command}` again") from None


def to_markdown(cells: pd.DataFrame) -> str:
    """A table of text as Markdown: the first column set to the left, the others to the right."""
    lines = [list(cells.columns), *cells.itertuples(index=False, name=None)]
    head, *body = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join([head, "|---|" + "--:|" * (cells.shape[1] - 1), *body]) + "\n"
