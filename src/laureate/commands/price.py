"""`laureate price`: what every rank costs, beside what it gives.

File, training seconds, peak memory and seconds a picture; distance, drift and leak of the table beside them.
Training is read from metrics/machines, seconds a picture are measured now, on this machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from laureate.comparison import results_table
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import write_json
from laureate.core.paths import ADAPTER_WEIGHTS, COMPARISON, MACHINES, adapter_folder
from laureate.core.progress import progress
from laureate.evaluation.score_catalog import SCORES

SHOWN = ("kid_imagenet", "kid", "drift", "leak")  # scores, where the table has them
NONE = "–"


@dataclass(frozen=True)
class Price:
    """The costs of one adapter; None where they are not known."""

    rank: int
    file_bytes: int
    training_seconds: float | None  # of all ranks that were trained together
    trained_together: int | None  # ranks
    peak_memory: int | None  # bytes, of that training
    seconds_a_picture: float | None


def run(params: Params, pictures: int | None = None, json_file: str | None = None) -> None:
    """Print a line per rank of `params`; write it to `json_file` too.

    `pictures`: drawn per rank to take the time, after one batch that is not timed; None: one batch; 0: no
    time is taken. Raises LaureateError for an adapter or a table that is missing.
    """
    count = params.sample.batch if pictures is None else pictures
    if count < 0:
        raise LaureateError(f"--pictures {count} is below 0; 0 draws none")
    rows = results_table.read_csv(COMPARISON)
    missing = [f"rank-{rank}" for rank in params.ranks if f"rank-{rank}" not in rows.index]
    if missing:
        raise LaureateError(f"{COMPARISON} has no row {missing[0]}; run `laureate compare` again")
    prices = [price(params, rank, count) for rank in progress(params.ranks, len(params.ranks), "price")]
    scores = [score for score in SCORES if score.key in SHOWN and rows[score.key].notna().any()]
    cells = {
        one.rank: [results_table.format_score(rows.loc[f"rank-{one.rank}"], score) for score in scores]
        for one in prices
    }
    print(table(prices, [f"{score.label} {score.arrow}" for score in scores], cells))
    if json_file:
        values = {
            one.rank: {score.key: _number(rows.loc[f"rank-{one.rank}", score.key]) for score in scores}
            for one in prices
        }
        write_json(json_file, [asdict(one) | {"scores": values[one.rank]} for one in prices])


def price(params: Params, rank: int, pictures: int) -> Price:
    """The costs of one rank; `pictures`: see `run`."""
    weights = adapter_folder(rank) / ADAPTER_WEIGHTS
    if not weights.is_file():
        raise LaureateError(f"{weights} does not exist; run `laureate train --rank {rank}` first")
    training = _training(MACHINES / f"rank-{rank}.json")
    return Price(
        rank=rank,
        file_bytes=weights.stat().st_size,
        training_seconds=training.get("seconds"),
        trained_together=len(training["ranks"]) if "ranks" in training else None,
        peak_memory=training.get("peak_memory") or None,
        seconds_a_picture=seconds_a_picture(params, rank, pictures) if pictures else None,
    )


def seconds_a_picture(params: Params, rank: int, pictures: int) -> float:
    """Draw one batch, then `pictures` more, and give the seconds of one of these.

    The adapter is merged into the base, as `sample` does it, so its rank makes no difference but chance.
    """
    from laureate.formats import prompts
    from laureate.networks.diffusion import base_model
    from laureate.sampling.pipeline import check_adapter, draw

    found, adapter = base_model.expected(params.base), adapter_folder(rank)
    check_adapter(adapter, found)
    asked = prompts.load(params.sample.prompts)
    first = params.sample.batch
    pairs = [(asked[number % len(asked)], number) for number in range(first + pictures)]
    drawn = draw(found, adapter, pairs, params)
    for _ in islice(drawn, first):
        pass
    start = time.perf_counter()
    for _ in drawn:
        pass
    return round((time.perf_counter() - start) / pictures, 3)


def table(prices: Sequence[Price], heads: Sequence[str], cells: dict[int, list[tuple[str, str]]]) -> str:
    """Prices as aligned text; `heads` and `cells`: of the scores, value and interval by rank."""
    lines = [["rank", "file", "training", "peak memory", "a picture", *heads]]
    for one in prices:
        seconds = NONE if one.training_seconds is None else f"{one.training_seconds:.0f} s"
        if one.trained_together and one.trained_together > 1:
            seconds += f" ({one.trained_together} ranks together)"
        lines.append([
            str(one.rank),
            megabytes(one.file_bytes),
            seconds,
            NONE if one.peak_memory is None else megabytes(one.peak_memory),
            NONE if one.seconds_a_picture is None else f"{one.seconds_a_picture:.2f} s",
            *(f"{value} ({interval})" if interval else value for value, interval in cells[one.rank]),
        ])  # fmt: skip
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )


def megabytes(size: int) -> str:
    """1234567 => "1.2 MB"."""
    return f"{size / 1e6:.1f} MB"


def _training(path: Path) -> dict[str, Any]:
    """What metrics/machines/rank-N.json says of the training; empty where an older version wrote it."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")).get("training", {}))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError):
        raise LaureateError(f"{path} is damaged; run the stage train of that rank again") from None


def _number(value: Any) -> float | None:
    return None if value != value or value is None or str(value) == "<NA>" else float(value)
