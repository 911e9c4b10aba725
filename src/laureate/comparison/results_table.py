"""The table: which scores there are, which way is better, and how a row is read, written and shown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.evaluation.score_catalog import SCORES, Score

Value = float | int | str | None
Row = dict[str, Value]


COUNTS = ("n_generated", "n_prompts", "n_reference")
ORIGINAL = ("seed_n", "seed_fid", "seed_lpips", "seed_clip", "seed_is")  # the protocol of the original study
NAMES = ("model", "rank")
WHOLE = ("rank", "seed_n", *COUNTS)  # columns of whole numbers
METRICS = (*COUNTS, *(s.key + end for s in SCORES for end in ("", "_low", "_high")), *ORIGINAL)
MARKS = tuple(f"{s.key}_mark" for s in SCORES)  # BEST or TIED, where tests were made
COLUMNS = (*NAMES, *METRICS, *MARKS)
BEST, TIED = "best", "tied"
FLOOR = "noise-floor"


def rank_of(model: str) -> int | None:
    """`rank-16` => 16, `baseline` => 0 (a base model is an adapter of rank 0), anything else => None."""
    if model == "baseline":
        return 0
    rank = model.removeprefix("rank-")
    return int(rank) if rank != model and rank.isdigit() else None


def title(model: str) -> str:
    """The name of a model as a person reads it: `rank-16` => Rank 16; an external one's stays as it is."""
    own = model == "noise-floor" or rank_of(model) is not None
    return model.replace("-", " ").capitalize() if own else model


def row(model: str, metrics: dict[str, Value]) -> Row:
    """A model's flat metrics => its row. Raises LaureateError naming a column that is missing."""
    missing = [key for key in METRICS if key not in metrics]
    if missing:
        raise LaureateError(
            f"metrics/models/{model}.json lacks {missing[0]}; run `laureate evaluate --model {model}` again"
        )
    found: Row = {"model": model, "rank": rank_of(model)}
    return found | {key: metrics[key] for key in METRICS} | dict.fromkeys(MARKS)


def marked(rows: Sequence[Row], marks: Mapping[tuple[str, str], str]) -> list[Row]:
    """Rows with marks: (score, model) => BEST or TIED."""
    return [row | {f"{s.key}_mark": marks.get((s.key, str(row["model"]))) for s in SCORES} for row in rows]


def read_metrics(folder: str | Path, models: Sequence[str]) -> list[Row]:
    """The rows of these models, in this order, from `folder`/NAME.json; other files are not looked at."""
    rows = []
    for model in models:
        path = Path(folder) / f"{model}.json"
        try:
            metrics = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise LaureateError(
                f"{path} does not exist; run `laureate evaluate --model {model}` first"
            ) from None
        except ValueError as error:
            raise LaureateError(f"{path} is not JSON ({error}); evaluate {model} again") from None
        rows.append(row(model, metrics))
    return rows


def to_csv(rows: Sequence[Row]) -> str:
    """Rows => CSV text with a header; what a model has no value for is left empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def from_csv(text: str, name: str = "metrics/comparison.csv") -> list[Row]:
    """CSV text => rows. Raises LaureateError naming the file where the columns differ."""
    reader = csv.DictReader(io.StringIO(text))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise LaureateError(f"{name} has other columns than this version writes; run `laureate compare`")
    return [{key: _typed(key, value) for key, value in line.items()} for line in reader]


def read_csv(path: str | Path) -> list[Row]:
    """Rows of a table written by `laureate compare`."""
    try:
        return from_csv(Path(path).read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise LaureateError(f"{path} does not exist; run `laureate compare` first") from None


def best(rows: Sequence[Row], score: Score) -> set[str]:
    """Names of the model with the best value and of all that tests do not tell apart from it."""
    return {str(row["model"]) for row in rows if row[f"{score.key}_mark"]}


def valued(rows: Sequence[Row]) -> list[Score]:
    """The scores that have a value in any row: a world has no judge for some."""
    return [s for s in SCORES if any(row[s.key] is not None for row in rows)]


def shown(rows: Sequence[Row]) -> list[Score]:
    """The scores of the short table."""
    return [s for s in valued(rows) if s.leads]


def number(row: Row, key: str) -> float:
    """A number of a row; NaN where it has none."""
    value = row[key]
    return float(value) if isinstance(value, (int, float)) else float("nan")


def show(row: Row, score: Score) -> tuple[str, str]:
    """Value and interval as they are printed: ("0.123", "0.110–0.140"), ("93 %", "90–96"), or ("–", "")."""
    if not isinstance(row[score.key], (int, float)):
        return "–", ""
    value, low, high = (number(row, score.key + end) for end in ("", "_low", "_high"))
    if score.percent:
        return f"{100 * value:.0f} %", f"{100 * low:.0f}–{100 * high:.0f}"
    digits = decimals(row, score.key)
    shown, *ends = (f"{v:.{digits}f}".replace("-", "−") for v in (value, low, high))
    return shown, " – ".join(ends) if low < 0 else "–".join(ends)


def decimals(row: Row, key: str) -> int:
    """Decimals with which a score of a row is shown: two digits of the width of its interval."""
    return _digits(number(row, f"{key}_high") - number(row, f"{key}_low"), number(row, key))


def to_markdown(rows: Sequence[Row]) -> str:
    """The short table as Markdown: value, 95 % interval, n; bold where best, ≈ where tied with the best."""
    columns = shown(rows)
    lines = [
        "| model | n | " + " | ".join(f"{s.label} {s.arrow}" for s in columns) + " |",
        "|---|--:|" + "--:|" * len(columns),
    ]
    for line in rows:
        cells = []
        for score in columns:
            value, interval = show(line, score)
            mark = line[f"{score.key}_mark"]
            value = f"**{value}**" if mark == BEST else f"≈ {value}" if mark == TIED else value
            cells.append(f"{value} <sub>{interval}</sub>" if interval else value)
        name = title(str(line["model"]))
        name = name.lower() if line["rank"] is not None or line["model"] == FLOOR else name
        lines.append(f"| {name} | {line['n_generated']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _digits(width: float, value: float) -> int:
    """Decimals that show two digits of an interval's width, at most five."""
    from math import floor, log10

    size = width or abs(value)
    return 2 if not size > 0 else min(5, max(0, 1 - floor(log10(size))))


def _typed(key: str, text: str) -> Value:
    if key == "model" or key in MARKS or text == "":
        return text or None
    return int(text) if key in WHOLE else float(text)
