"""votes: how well `laureate votes` recovers what simulated raters think, written into docs/votes.md.

A rater's accuracy is how often the better of two models whose strengths differ by 1 wins a vote that is no
tie: 1 / (1 + exp(-1 / noise)). The same numbers on every machine but for rounding: seeds are fixed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from laureate.comparison import preferences
from laureate.core.errors import LaureateError
from laureate.core.files import write_text
from laureate.core.progress import progress
from laureate.evaluation.scores.base import Doubles
from laureate.formats.vote_file import CHOICES, Vote

MARKS = re.compile(r"(<!-- votes: [^\n]* -->\n).*?(<!-- /votes -->)", re.DOTALL)
MODELS = 7  # baseline and six ranks: 21 pairs
ACCURACIES = (0.60, 0.70, 0.80, 0.90)
ROUNDS = (3, 6, 12, 24, 48)  # of every pair, over all raters
RATERS = ((1, 3, 0.0), (3, 3, 0.0), (3, 3, 0.5), (5, 3, 0.5), (10, 3, 0.5))  # raters, rounds each, taste


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--page, --runs."""
    parser.add_argument("--page", type=Path, default=Path("docs/votes.md"), metavar="FILE")
    parser.add_argument("--runs", type=int, default=200, metavar="N", help="simulations per cell")


def run(options: argparse.Namespace) -> None:
    """Write both tables between the page's marks. Raises LaureateError if there are none."""
    page = options.page.read_text(encoding="utf-8")
    if not MARKS.search(page):
        raise LaureateError("the page has no part between <!-- votes: … --> and <!-- /votes -->")
    text = f"{recovery_table(options.runs)}\n{coverage_table(options.runs)}"
    print(text)
    write_text(options.page, MARKS.sub(lambda match: match[1] + text + match[2], page))


def simulated(
    strengths: Sequence[float],
    raters: int,
    rounds: int,
    rng: np.random.Generator,
    taste: float = 0.0,
    ties: float = -1.0,
) -> list[Vote]:
    """Votes on the models m0, m1, ... whose strengths are known; every rater sees every pair once a round.

    A rater's own strengths differ from those given by normal noise of standard deviation `taste`; `ties`: the
    tie parameter ν of `preferences.fit`. Every second round has prompts that all raters see, as the page's
    vote has it.
    """
    pairs = np.array(list(combinations(range(len(strengths)), 2)))
    found = []
    for rater in range(raters):
        own = np.asarray(strengths) + taste * rng.normal(size=len(strengths))
        for turn in range(rounds):
            shown = rng.permuted(pairs, axis=1)
            left, right = own[shown].T
            logits = np.stack([left, right, ties + (left + right) / 2])
            most = (logits + rng.gumbel(size=logits.shape)).argmax(axis=0)  # a draw from their softmax
            prompts = range(len(pairs)) if turn % 2 == 0 else rng.integers(1000, 10**9, len(pairs))
            found += [
                Vote("abc", f"r{rater}", f"p{p}", turn, f"m{a}", f"m{b}", CHOICES[choice], 1.0 + turn)
                for p, (a, b), choice in zip(prompts, shown, most, strict=True)
            ]
    return found


def steps_of(accuracy: float) -> list[float]:
    """Strengths of `MODELS` models in equal steps, such that the better of two neighbours wins that share of
    the votes that are no ties."""
    step = float(np.log(accuracy / (1 - accuracy)))
    return [step * (number - (MODELS - 1) / 2) for number in range(MODELS)]


def recovered(accuracy: float, rounds: int, runs: int) -> float:
    """The share of runs in which the strengths have the true order of all models."""
    right = 0
    for seed in range(runs):
        votes = simulated(steps_of(accuracy), 1, rounds, np.random.default_rng(seed))
        of = preferences.comparisons(votes)
        point = preferences.fit(of.counts(np.ones((1, len(votes)))), of.pairs, MODELS)[0, :MODELS]
        right += list(np.argsort(point)) == list(range(MODELS))
    return right / runs


def recovery_table(runs: int) -> str:
    """In how many runs the order of seven models is right, by accuracy and number of votes => Markdown."""
    pairs = MODELS * (MODELS - 1) // 2
    lines = [
        f"How often the order of all {MODELS} models is recovered, of {runs} runs:",
        "",
        "| accuracy on neighbours | " + " | ".join(f"{rounds * pairs} votes" for rounds in ROUNDS) + " |",
        "|--:|" + "--:|" * len(ROUNDS),
    ]
    for accuracy in progress(ACCURACIES, len(ACCURACIES), "orders"):
        shares = [recovered(accuracy, rounds, runs) for rounds in ROUNDS]
        lines.append(f"| {accuracy:.0%} | " + " | ".join(f"{share:.0%}" for share in shares) + " |")
    return "\n".join(lines).replace("%", " %") + "\n"


def raters_alone(of: preferences.Comparisons, draws: int, seed: int) -> Doubles:
    """Resamples of raters, each with all of their votes => how often each vote occurs (draws, n)."""
    raters = int(of.rater.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(raters, np.full(raters, 1 / raters), size=draws)
    return drawn[:, of.rater].astype(np.float64)


def covered(raters: int, rounds: int, taste: float, runs: int, how: Callable[..., Doubles]) -> float:
    """The share of 95 % intervals that hold the true strength."""
    true = np.array(steps_of(0.6))
    inside = []
    for seed in range(runs):
        votes = simulated(list(true), raters, rounds, np.random.default_rng(seed), taste)
        of = preferences.comparisons(votes)
        drawn = preferences.fit(of.counts(how(of, 200, seed)), of.pairs, MODELS)[:, :MODELS]
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
        inside.append((low <= true) & (true <= high))
    return float(np.mean(inside))


def coverage_table(runs: int) -> str:
    """How many intervals hold the true strength, for both ways to resample => Markdown."""
    lines = [
        f"How many 95 % intervals hold the true strength, of {runs} runs with {MODELS} models:",
        "",
        "| raters | votes each | taste | raters and votes resampled (ours) | raters alone |",
        "|--:|--:|--:|--:|--:|",
    ]
    for raters, rounds, taste in progress(RATERS, len(RATERS), "intervals"):
        ours = covered(raters, rounds, taste, runs, preferences.resampled)
        alone = covered(raters, rounds, taste, runs, raters_alone) if raters > 1 else None
        other = "–" if alone is None else f"{alone:.0%}"
        votes = rounds * MODELS * (MODELS - 1) // 2
        lines.append(f"| {raters} | {votes} | {taste} | {ours:.0%} | {other} |")
    return "\n".join(lines).replace("%", " %").replace("95  %", "95 %") + "\n"
