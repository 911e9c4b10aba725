"""Votes of simulated raters whose accuracy is known, on models whose true order is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from laureate.formats.vote_file import COLUMNS, Vote


def votes(
    strengths: Sequence[float],
    raters: int,
    rounds: int,
    rng: np.random.Generator,
    taste: float = 0.0,
    ties: float = -1.0,
) -> list[Vote]:
    """Every rater compares every pair of models once a round, of one prompt a pair.

    `strengths`: of the models m0, m1, ...; a rater's own differ by normal noise of standard deviation
    `taste`; `ties`: the tie parameter ν of preferences.fit. Every second round has the prompts that all
    raters see, as the page's vote has it.
    """
    pairs = list(combinations(range(len(strengths)), 2))
    found = []
    for rater in range(raters):
        own = np.asarray(strengths) + taste * rng.normal(size=len(strengths))
        for turn in range(rounds):
            for number, pair in enumerate(pairs):
                left, right = rng.permutation(pair)
                logits = np.array([own[left], own[right], ties + (own[left] + own[right]) / 2])
                chances = np.exp(logits - logits.max())
                choice = ("left", "right", "tie")[rng.choice(3, p=chances / chances.sum())]
                prompt = f"p{number}" if turn % 2 == 0 else f"p{rng.integers(1000, 10**9)}"
                one = Vote("abc", f"r{rater}", prompt, turn, f"m{left}", f"m{right}", choice, 1.0 + turn)
                found.append(one)
    return found


def as_csv(rows: Sequence[Vote]) -> str:
    """Votes as the page saves them."""
    lines = [",".join(str(getattr(vote, name)) for name in COLUMNS) for vote in rows]
    return "\n".join([",".join(COLUMNS), *lines]) + "\n"
