"""The figures that the study this one follows has printed: data, shown beside ours, never mixed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laureate.comparison import results_table
from laureate.core.errors import LaureateError
from laureate.evaluation import score_catalog

DIGITS = {"fid": 4, "lpips": 4, "clip": 4, "is": 2, "is_deviation": 2}  # as they were printed
PER = {"clip": 100}  # our CLIP score is a hundred times the cosine


@dataclass(frozen=True)
class Published:
    """A table that somebody has published."""

    source: str  # address of the repository or paper
    file: str  # the file there, with its commit
    n_generated: int  # pictures per model
    n_reference: int  # pictures they were compared with
    scores: dict[str, str]  # key => how it was computed there
    rows: list[dict[str, Any]]  # model (its name there), like (ours), and a number per score


def load(path: str | Path) -> Published:
    """Read a file in the form of data/published.yaml. Raises LaureateError naming file and key."""
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        found = Published(
            source=str(values["source"]),
            file=f"{values['file']} at {str(values['commit'])[:7]}",
            n_generated=int(values["n_generated"]),
            n_reference=int(values["n_reference"]),
            scores={str(key): str(text) for key, text in values["scores"].items()},
            rows=[dict(row) for row in values["rows"]],
        )
    except FileNotFoundError:
        raise LaureateError(f"there is no file {path}; see compare.published in params.yaml") from None
    except KeyError as error:
        raise LaureateError(f"{path} lacks the key {error.args[0]}") from None
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise LaureateError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    known = {"model", "like", *found.scores, *(f"{key}_deviation" for key in found.scores)}
    for number, row in enumerate(found.rows, start=1):
        if not {"model", "like", *found.scores} <= set(row) <= known:
            raise LaureateError(f"{path}, row {number}: a row has model, like, {', '.join(found.scores)}")
        for key in found.scores:
            if key not in DIGITS or isinstance(row[key], bool) or not isinstance(row[key], (int, float)):
                raise LaureateError(f"{path}, row {number}: {key} must be a number of a known score")
    return found


def note(published: Published) -> str:
    """What the figures are worth, in two sentences."""
    return (
        f"Reported, n = {published.n_generated} pictures per model against the {published.n_reference} that "
        "the adapters were trained on, without intervals; not reproducible from what was published. "
        "Ours is the same protocol with the pictures and judges of this study: one picture per prompt, set "
        "against the training portraits, no more to be believed than theirs."
    )


def cells(published: Published, rows: Sequence[results_table.Row]) -> list[list[str]]:
    """Lines of the table, the heading first: name, and per score what was reported and what we measured.

    Ours are the columns `seed_KEY` of the table, which follow the protocol of the original study.
    """
    by_key = {score.key: score for score in score_catalog.SCORES}
    ours = {str(row["model"]): row for row in rows}
    lines = [["model"]]
    for key in published.scores:
        head = f"{by_key[key].label} {by_key[key].arrow}" if key in by_key else key
        lines[0] += [f"{head} reported", "ours"]
    for row in published.rows:
        line = [str(row["model"])]
        for key in published.scores:
            line += [_reported(row, key), _ours(ours.get(str(row["like"]), {}), key)]
        lines.append(line)
    return lines


def to_markdown(published: Published, rows: Sequence[results_table.Row]) -> str:
    """What was reported beside what we measured, with source, n and a warning, as Markdown."""
    head, *lines = cells(published, rows)
    text = [
        f"Reported in {published.source} ({published.file})",
        "",
        "| " + " | ".join(head) + " |",
        "|---|" + "--:|" * (len(head) - 1),
        *("| " + " | ".join(line) + " |" for line in lines),
        "",
        note(published),
    ]
    return "\n".join(text) + "\n"


def _reported(row: dict[str, Any], key: str) -> str:
    """0.3194, or 1.90 ± 0.36 where a deviation was printed."""
    text = f"{row[key]:.{DIGITS[key]}f}"
    deviation = row.get(f"{key}_deviation")
    return text if deviation is None else f"{text} ± {deviation:.{DIGITS[key]}f}"


def _ours(row: results_table.Row, key: str) -> str:
    value = row.get(f"seed_{key}")
    if not isinstance(value, (int, float)):
        return "–"
    return f"{value / PER.get(key, 1):.{DIGITS[key]}f}".replace("-", "−")
