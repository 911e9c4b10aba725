"""The comparison table, one row per model: made from metrics, written and read as CSV, values formatted.

A table is a DataFrame indexed by the model's name, with the columns of `DTYPES` after "model": counts and
ranks Int64, scores and interval ends Float64, marks string; `pandas.NA` where a model has no value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from laureate.comparison import table_io
from laureate.core.errors import LaureateError
from laureate.evaluation.score_catalog import SCORES, ScoreColumn

if TYPE_CHECKING:
    import pandas as pd

Value = float | int | str | None

COUNTS = ("n_generated", "n_prompts", "n_reference")
ORIGINAL = ("seed_n", "seed_fid", "seed_lpips", "seed_clip", "seed_is")  # the protocol of the original study
NAMES = ("model", "rank")
WHOLE = ("rank", "seed_n", *COUNTS)  # columns of whole numbers
METRICS = (*COUNTS, *(s.key + end for s in SCORES for end in ("", "_low", "_high")), *ORIGINAL)
MARKS = tuple(f"{s.key}_mark" for s in SCORES)  # BEST or TIED, where tests were made
COLUMNS = (*NAMES, *METRICS, *MARKS)
DTYPES = {
    column: "string" if column in ("model", *MARKS) else "Int64" if column in WHOLE else "Float64"
    for column in COLUMNS
}
BEST, TIED = "best", "tied"
BASELINE, FLOOR, CEILING = "baseline", "noise-floor", "vae-ceiling"
REFERENCES = (FLOOR, CEILING)  # rows that are no model: what portraits get


def rank_of(model: str) -> int | None:
    """`rank-16` => 16, `baseline` => 0 (a base model is an adapter of rank 0), anything else => None."""
    if model == BASELINE:
        return 0
    rank = model.removeprefix("rank-")
    return int(rank) if rank != model and rank.isdigit() else None


def title(model: str) -> str:
    """The name of a model as a person reads it: `rank-16` => Rank 16; an external one's stays as it is."""
    if model == CEILING:
        return "VAE ceiling"
    own = model == FLOOR or rank_of(model) is not None
    return model.replace("-", " ").capitalize() if own else model


def from_metrics(metrics: Mapping[str, Mapping[str, Value]]) -> pd.DataFrame:
    """Model => its flat metrics, gives the table without marks.

    Raises LaureateError naming the file of a model where a column is missing or has no number.
    """
    for model, values in metrics.items():
        for key in METRICS:
            if key in values and _is_number(key, values[key]):
                continue
            wrong = "has no number in" if key in values else "lacks"
            raise LaureateError(
                f"metrics/models/{model}.json {wrong} {key}; run `laureate evaluate --model {model}` again"
            )
    rows = [dict(values) | {"model": model, "rank": rank_of(model)} for model, values in metrics.items()]
    return table_io.from_rows(rows, DTYPES).set_index("model")


def read_metrics(folder: str | Path, models: Sequence[str]) -> pd.DataFrame:
    """The table of these models, in this order, from `folder`/NAME.json; other files are not looked at."""
    metrics = {}
    for model in models:
        path = Path(folder) / f"{model}.json"
        try:
            metrics[model] = dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise LaureateError(
                f"{path} does not exist; run `laureate evaluate --model {model}` first"
            ) from None
        except (ValueError, TypeError) as error:
            raise LaureateError(f"{path} is not JSON ({error}); evaluate {model} again") from None
    return from_metrics(metrics)


def with_marks(table: pd.DataFrame, marks: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    """A copy of a table with marks: (score, model) => BEST or TIED."""
    marked = table.copy()
    for (key, model), mark in marks.items():
        marked.loc[model, f"{key}_mark"] = mark
    return marked


def to_csv(table: pd.DataFrame) -> str:
    """The table as CSV text with a header; what a model has no value for is left empty."""
    return table_io.to_csv(table.reset_index())


def from_csv(text: str, name: str = "metrics/comparison.csv") -> pd.DataFrame:
    """CSV text => the table. Raises LaureateError naming the file where it is not what `to_csv` gives."""
    table = table_io.from_csv(text, name, DTYPES, "compare")
    if table["model"].isna().any() or table["model"].duplicated().any():
        raise LaureateError(f"{name} must name each model once; run `laureate compare` again")
    return table.set_index("model")


def read_csv(path: str | Path) -> pd.DataFrame:
    """The table that `laureate compare` has written. Raises LaureateError naming the file."""
    return from_csv(table_io.read_text(path, "compare"), str(path))


def read_row(path: str | Path, model: str) -> dict[str, Value]:
    """`metrics_of` one model, read from the file without pandas, whose import takes longer than that.

    Raises LaureateError naming the file where it has no such row or cannot be read.
    """
    import csv
    import io

    lines = csv.DictReader(io.StringIO(table_io.read_text(path, "compare")))
    row = next((line for line in lines if line.get("model") == model), None)
    if row is None:
        raise LaureateError(f"{path} has no row {model}; run `laureate compare` again")
    numbers = {"Int64": int, "Float64": float}
    try:
        return {"model": model} | {
            key: numbers[DTYPES[key]](row[key])
            for key in COLUMNS
            if key not in ("model", *MARKS) and row[key]
        }
    except (KeyError, ValueError):
        raise LaureateError(f"{path} is of another version; run `laureate compare` again") from None


def metrics_of(table: pd.DataFrame, model: str) -> dict[str, Value]:
    """One model's row as JSON values, without marks and missing values."""
    return {"model": model} | table.loc[model].drop(list(MARKS)).dropna().to_dict()


def best_or_tied(table: pd.DataFrame, score: ScoreColumn) -> list[str]:
    """The model with the best value and all that tests do not tell apart from it."""
    return list(table.index[table[f"{score.key}_mark"].notna()])


def scores_with_values(table: pd.DataFrame) -> list[ScoreColumn]:
    """The scores that have a value in any row; some worlds have no judge for a score."""
    return [s for s in SCORES if table[s.key].notna().any()]


def short_table_scores(table: pd.DataFrame) -> list[ScoreColumn]:
    """The scores of the short table."""
    return [s for s in scores_with_values(table) if s.leads]


def format_score(row: pd.Series, score: ScoreColumn) -> tuple[str, str]:
    """Value and interval of one score of a row as text; see `format_interval`."""
    keys = [score.key, f"{score.key}_low", f"{score.key}_high"]
    value, low, high = row[keys].to_numpy(float, na_value=float("nan"))
    return format_interval(value, low, high, score.percent)


def format_interval(value: float, low: float, high: float, percent: bool = False) -> tuple[str, str]:
    """Value and interval as text: ("0.123", "0.110–0.140"), ("93 %", "90–96"), or ("–", "") for NaN.

    Two digits of the interval's width are printed; `percent`: the numbers are shares from 0 to 1.
    """
    if value != value:
        return "–", ""
    if percent:
        return f"{100 * value:.0f} %", f"{100 * low:.0f}–{100 * high:.0f}"
    digits = decimals(value, low, high)
    text, *ends = (f"{v:.{digits}f}".replace("-", "−") for v in (value, low, high))
    return text, " – ".join(ends) if low < 0 else "–".join(ends)


def to_markdown(table: pd.DataFrame) -> str:
    """The short table as Markdown: value, 95 % interval, n; bold where best, ≈ where tied with the best."""
    import pandas as pd

    lines = []
    for model, row in table.iterrows():
        own = model == FLOOR or rank_of(model) is not None
        line = {"model": title(model).lower() if own else title(model), "n": str(row["n_generated"])}
        for score in short_table_scores(table):
            value, interval = format_score(row, score)
            mark = row[f"{score.key}_mark"]
            if not pd.isna(mark):
                value = f"**{value}**" if mark == BEST else f"≈ {value}"
            line[f"{score.label} {score.arrow}"] = f"{value} <sub>{interval}</sub>" if interval else value
        lines.append(line)
    return table_io.to_markdown(pd.DataFrame(lines, dtype="string"))


def decimals(value: float, low: float, high: float) -> int:
    """Decimals with which a score is printed: two digits of the width of its interval, at most five."""
    from math import floor, log10

    size = (high - low) or abs(value)
    return 2 if not size > 0 else min(5, max(0, 1 - floor(log10(size))))


def _is_number(key: str, value: Value) -> bool:
    """Whether a metric is a number of its column's kind; all but counts may be missing (None)."""
    if value is None:
        return key not in COUNTS
    return isinstance(value, int if key in WHOLE else (int, float)) and not isinstance(value, bool)
