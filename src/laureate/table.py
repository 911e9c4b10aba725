"""The table: which scores there are, which way is better, and how a row is read, written and shown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from laureate.errors import LaureateError

Value = float | int | str | None
Row = dict[str, Value]


@dataclass(frozen=True)
class Score:
    """One column of the table."""

    key: str
    label: str
    direction: Literal["lower", "higher"]  # which way is better
    asks: str  # the question it answers, one clause
    percent: bool = False  # a share, shown in per cent

    @property
    def arrow(self) -> str:
        """↓ where lower is better, ↑ where higher is."""
        return "↓" if self.direction == "lower" else "↑"


SCORES: tuple[Score, ...] = (
    Score(
        "fid",
        "FID",
        "lower",
        "how far the pictures are from the held-out portraits, as two Gaussians; too high at small n",
    ),
    Score("kid", "KID", "lower", "the same question without assuming Gaussians; unbiased at small n"),
    Score(
        "lpips", "LPIPS", "lower", "how different a picture looks from the held-out portraits, over all pairs"
    ),
    Score(
        "style_read",
        "Style",
        "higher",
        "in how many pictures the judge reads the style to learn",
        percent=True,
    ),
    Score(
        "content", "Content", "higher", "how many of the asked attributes the judge reads back", percent=True
    ),
    Score("clip", "CLIP", "higher", "how well a picture fits its whole prompt"),
    Score("clip_content", "CLIP content", "higher", "how well it fits the prompt without its style phrase"),
    Score("is", "IS", "higher", "how clear and how varied the pictures' attributes are"),
)
COUNTS = ("n_generated", "n_reference")
NAMES = ("model", "rank")
COLUMNS = (*NAMES, *COUNTS, *(s.key + end for s in SCORES for end in ("", "_low", "_high")))


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
    missing = [key for key in COLUMNS if key not in NAMES and key not in metrics]
    if missing:
        raise LaureateError(
            f"metrics/models/{model}.json lacks {missing[0]}; run `laureate evaluate --model {model}` again"
        )
    return {"model": model, "rank": rank_of(model)} | {
        key: metrics[key] for key in COLUMNS if key not in NAMES
    }


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
    """Names of the model with the best value and of those whose interval overlaps with its interval.

    The noise floor does not compete: it is not a model. Overlap is a careful reading: two models whose
    intervals overlap may still differ when compared prompt by prompt.
    """
    valued = [r for r in rows if r["model"] != "noise-floor" and isinstance(r[score.key], (int, float))]
    if not valued:
        return set()
    sign = 1 if score.direction == "lower" else -1
    winner = min(valued, key=lambda r: sign * number(r, score.key))
    low, high = number(winner, score.key + "_low"), number(winner, score.key + "_high")
    tied = (
        r for r in valued if number(r, score.key + "_low") <= high and low <= number(r, score.key + "_high")
    )
    return {str(r["model"]) for r in tied}


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
    digits = _digits(high - low, value)
    shown, *ends = (f"{v:.{digits}f}".replace("-", "−") for v in (value, low, high))
    return shown, " – ".join(ends) if low < 0 else "–".join(ends)


def to_markdown(rows: Sequence[Row]) -> str:
    """The table as Markdown: value, 95 % interval, n; bold where best or tied with the best."""
    winners = {score.key: best(rows, score) for score in SCORES}
    lines = [
        "| model | n | " + " | ".join(f"{s.label} {s.arrow}" for s in SCORES) + " |",
        "|---|--:|" + "--:|" * len(SCORES),
    ]
    for line in rows:
        cells = []
        for score in SCORES:
            value, interval = show(line, score)
            value = f"**{value}**" if str(line["model"]) in winners[score.key] else value
            cells.append(f"{value} <sub>{interval}</sub>" if interval else value)
        lines.append(
            f"| {title(str(line['model'])).lower()} | {line['n_generated']} | " + " | ".join(cells) + " |"
        )
    return "\n".join(lines) + "\n"


def _digits(width: float, value: float) -> int:
    """Decimals that show two digits of an interval's width, at most five."""
    from math import floor, log10

    size = width or abs(value)
    return 2 if not size > 0 else min(5, max(0, 1 - floor(log10(size))))


def _typed(key: str, text: str) -> Value:
    if key == "model" or text == "":
        return text or None
    return int(text) if key in ("rank", *COUNTS) else float(text)
