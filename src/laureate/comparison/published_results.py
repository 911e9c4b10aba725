"""Results that the original study published, read from a file and tabulated beside this study's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.comparison import table_io
from laureate.core.errors import LaureateError
from laureate.core.text_files import decode_text
from laureate.evaluation import score_catalog

if TYPE_CHECKING:
    import pandas as pd

DIGITS = {"fid": 4, "lpips": 4, "clip": 4, "is": 2}  # decimals, as they were printed
MISSING = "–"
PER = {"clip": 100}  # this study's CLIP score is 100 × the cosine


@dataclass(frozen=True)
class Published:
    """A table of scores from a paper or repository."""

    source: str  # address of the repository or paper
    file: str  # the file there, with its commit
    n_generated: int  # pictures per model
    n_reference: int  # pictures they were compared with
    scores: dict[str, str]  # key => how it was computed there
    table: pd.DataFrame  # model (its name there), like (its name here), per score a number and deviation


def load(path: str | Path) -> Published:
    """Read a file in the form of data/published.yaml. Raises LaureateError naming file and key."""
    import yaml

    try:
        values = yaml.safe_load(decode_text(Path(path).read_bytes()))
        scores = {str(key): str(text) for key, text in values["scores"].items()}
        rows = [dict(row) for row in values["rows"]]
        about: dict[str, Any] = {
            "source": str(values["source"]),
            "file": f"{values['file']} at {str(values['commit'])[:7]}",
            "n_generated": int(values["n_generated"]),
            "n_reference": int(values["n_reference"]),
        }
    except FileNotFoundError:
        raise LaureateError(f"there is no file {path}; see compare.published in params.yaml") from None
    except KeyError as error:
        raise LaureateError(f"{path} lacks the key {error.args[0]}") from None
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise LaureateError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    numbers = [key + end for key in scores for end in ("", "_deviation")]
    for number, row in enumerate(rows, start=1):
        if not {"model", "like", *scores} <= set(row) <= {"model", "like", *numbers}:
            raise LaureateError(f"{path}, row {number}: a row has model, like, {', '.join(scores)}")
        for key in row.keys() - {"model", "like"}:
            if (
                key.removesuffix("_deviation") not in DIGITS
                or isinstance(row[key], bool)
                or not isinstance(row[key], (int, float))
            ):
                raise LaureateError(f"{path}, row {number}: {key} must be a number of a known score")
    dtypes = dict.fromkeys(("model", "like"), "string") | dict.fromkeys(numbers, "Float64")
    return Published(**about, scores=scores, table=table_io.from_rows(rows, dtypes))


def note(published: Published) -> str:
    """How far the published numbers can be trusted, in two sentences."""
    return (
        f"Reported, n = {published.n_generated} pictures per model against the {published.n_reference} that "
        "the adapters were trained on, without intervals; not reproducible from what was published. "
        "Ours is the same protocol with the pictures and judges of this study: one picture per prompt, set "
        "against the training portraits, no more to be believed than theirs."
    )


def side_by_side(published: Published, table: pd.DataFrame) -> pd.DataFrame:
    """Text of the table: the model, and for every score what was reported and what this study measured.

    `table`: as in results_table; its columns `seed_KEY` follow the protocol of the original study.
    => text, one row per published model; the columns of this study are all called "ours"
    """
    import pandas as pd

    columns = [published.table["model"]]
    ours = table.reindex(published.table["like"])
    for key in published.scores:
        label = next((f"{s.label} {s.arrow}" for s in score_catalog.SCORES if s.key == key), key)
        value, deviation = (_text(published.table[key + end], key) for end in ("", "_deviation"))
        reported = value.where(deviation == MISSING, value + " ± " + deviation)
        measured = _text(ours[f"seed_{key}"] / PER.get(key, 1), key)
        columns += [reported.rename(f"{label} reported"), measured.rename("ours")]
    return pd.concat(columns, axis="columns")


def to_markdown(published: Published, table: pd.DataFrame) -> str:
    """Published scores beside this study's, with source, n and a warning, as Markdown."""
    cells = table_io.to_markdown(side_by_side(published, table))
    return f"Reported in {published.source} ({published.file})\n\n{cells}\n{note(published)}\n"


def _text(values: pd.Series, key: str) -> pd.Series:
    """Numbers of a score with as many decimals as were printed; MISSING where there is none."""
    import pandas as pd

    texts = [MISSING if pd.isna(v) else f"{v:.{DIGITS[key]}f}".replace("-", "−") for v in values]
    return pd.Series(texts, dtype="string")
