"""choosing: how often `laureate choose` is right where the truth is planted, and how far choosing flatters.

Simulated features, no model: see `benchmarks.planted_choices`. Written into docs/choosing.md.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import harness, planted_choices
from benchmarks.planted_outcomes import PLANS, RANK_OF_OTHER_RATE, Outcome, best_rank, outcome
from laureate.core.errors import LaureateError
from laureate.core.files import write_text

PAGE = Path("docs/choosing.md")
MARKS = re.compile(r"(<!-- planted: .*? -->\n).*?(<!-- /planted -->)", re.DOTALL)
FLATTERED = ("best step before the last", "another rate", "tie")  # one training seed, the naive one is drawn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--studies, --page."""
    parser.add_argument("--studies", type=int, default=200, metavar="N", help="of every kind (default: 200)")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")


def run(options: argparse.Namespace) -> None:
    """Simulate, print both tables and write them between the marks of the page."""
    page = options.page.read_text(encoding="utf-8")
    if not MARKS.search(page):
        raise LaureateError(f"{options.page} has no part between <!-- planted: … --> and <!-- /planted -->")
    found = {name: [outcome(plan(), seed) for seed in range(options.studies)] for name, plan in PLANS.items()}
    ranks = [best_rank(seed) == RANK_OF_OTHER_RATE for seed in range(options.studies)]
    naive = [best_rank(seed, chosen=False) == RANK_OF_OTHER_RATE for seed in range(options.studies)]
    said = (
        f"{options.studies} studies of each kind, of {planted_choices.PROMPTS} prompts and "
        f"{planted_choices.PORTRAITS} portraits and {len(planted_choices.candidates())} candidates. A rank "
        f"that is the best of three only at another rate is the best of the table in {percent(ranks)} of the "
        f"studies, and in {percent(naive)} without choosing."
    )
    text = "\n\n".join([said, rates(found), FLATTERY, flattery(found)])
    print(text)
    write_text(options.page, MARKS.sub(lambda match: f"{match[1]}{text}\n{match[2]}", page))


def rates(found: dict[str, list[Outcome]]) -> str:
    """How often the choice is right, by what was planted, as Markdown."""
    rows = []
    for name, outcomes in found.items():
        first = PLANS[name]().candidates[0]
        whole = planted_choices.PROMPTS * (1 + len(PLANS[name]().candidates))
        rows.append({
            "planted": name,
            "right": percent([one.right for one in outcomes]),
            "naive": percent([one.chosen == first for one in outcomes]),
            "pictures": percent([one.pictures / whole for one in outcomes]),
        })  # fmt: skip
    columns = {
        "planted": "planted", "right": "right", "naive": "the naive choice", "pictures": "pictures, of all"
    }  # fmt: skip
    return harness.table(rows, columns, markdown=True)


FLATTERY = (
    "The same studies, of which no training fails, in percent of the way from the base to the portraits, "
    "mean and standard error. *Row*: the score of the best candidate on new prompts less its true score, "
    "by the portraits that it was chosen on and by new ones; below 0, the row flatters. *Apparent*: its gain "
    "over the naive choice where it was chosen, less its true gain. *Cross-fitted*: that of `gain`, less "
    "what the halves' choices truly gain, and how often its 95 % interval holds that."
)


def flattery(found: dict[str, list[Outcome]]) -> str:
    """How far choosing flatters a row of the table and a gain, as Markdown."""
    rows = []
    for name in FLATTERED:
        some = found[name]
        rows.append({
            "planted": name,
            "same": points([one.same for one in some]),
            "other": points([one.other for one in some]),
            "less": points([one.same - one.other for one in some]),
            "apparent": points([one.best_apparent - one.best_gained for one in some]),
            "fitted": points([one.cross_fitted - one.fitted_gained for one in some]),
            "covered": percent([one.covered for one in some]),
        })  # fmt: skip
    columns = {
        "planted": "planted", "same": "row, same portraits", "other": "row, new portraits",
        "less": "difference", "apparent": "apparent gain", "fitted": "cross-fitted gain",
        "covered": "covered",
    }  # fmt: skip
    return harness.table(rows, columns, markdown=True)


def percent(values: Sequence[float]) -> str:
    """The mean as `95 %`."""
    return f"{100 * float(np.mean(values)):.0f} %"


def points(values: Sequence[float]) -> str:
    """Mean and standard error in percent: `+1.2 ± 0.3`."""
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return f"{100 * float(np.mean(values)):+.2f} ± {100 * error:.2f}".replace("-", "−")
