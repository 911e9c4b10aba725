"""Write the results into README.md: `python -m laureate.reporting.readme_table`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from laureate.comparison import results_table
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.core.files import write_text
from laureate.core.paths import ADVICE, COMPARISON
from laureate.reporting.findings import findings

if TYPE_CHECKING:
    import pandas as pd

README = Path("README.md")
START, END = (
    "<!-- results: written by `python -m laureate.reporting.readme_table` from metrics/comparison.csv -->",
    "<!-- /results -->",
)


def main() -> int:
    """Bring README.md up to date; run in the project's folder."""
    try:
        text, table = README.read_text(encoding="utf-8"), results_table.read_csv(COMPARISON)
        write_text(README, with_results(text, results(table, params.load().selected, sentences(ADVICE))))
    except LaureateError as error:
        print(f"laureate: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def sentences(path: Path) -> list[str]:
    """The rank adviser's sentences. Raises LaureateError where compare has not run."""
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))["sentences"])
    except FileNotFoundError:
        raise LaureateError(f"{path} does not exist; run `laureate compare` first") from None


def results(table: pd.DataFrame, selected: str, advice: list[str]) -> str:
    """The adviser's sentences and the findings, the table, and how many pictures it is from, as Markdown."""
    count = table["n_reference"].iloc[0]
    note = (
        "Value and 95 % interval; n pictures per model, all set against "
        f"the same {count} held-out portraits. "
        "**Bold**: best, and different from every other model, compared prompt by prompt and seed by seed "
        "(Holm-corrected). ≈: the best value and all that this many pictures do not tell apart from it. "
        "The noise floor scores real portraits against real ones; the VAE ceiling the same after the base's "
        "VAE has encoded and decoded them, which no adapter can pass. KID, ImageNet is by a network that had "
        "no part in this project; the other columns are by the judges of `evaluate.roles`."
    )
    return "\n\n".join(
        [
            " ".join([*advice, *findings(table, selected)]),
            results_table.to_markdown(table).strip(),
            note,
        ]
    )


def with_results(text: str, results: str) -> str:
    """`text` with `results` between its two markers. Raises LaureateError where it lacks them."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise LaureateError(f"README.md lacks the line {START if not start else END}; put both back")
    return f"{before}{START}\n{results}\n{END}{after}"


if __name__ == "__main__":
    sys.exit(main())
