"""The rounds of a race, and how many pictures it draws at most. Needs neither torch nor NumPy."""

from __future__ import annotations

import math

from laureate.config.params import Params
from laureate.formats import prompts
from laureate.sampling.choosing.candidates import candidates_of

VIEWS = (None, 0, 1)  # all prompts and portraits; one half of both; the other


def pictures(params: Params, last_step: int) -> tuple[int, int]:
    """Candidates of a rank, and the pictures of all ranks that choosing draws at most. (1, 0): none.

    Raises LaureateError for prompts that cannot be read.
    """
    choose = params.choose
    counts = [
        len(candidates_of(params.train, params.sample, choose, rank, last_step)) for rank in params.ranks
    ]
    if max(counts) == 1:
        return 1, 0
    asked = len(prompts.load(choose.prompts))
    return max(counts), sum(most_pictures(count, choose.first, asked, len(choose.seeds)) for count in counts)


def most_pictures(candidates: int, first: int, prompts: int, per_prompt: int) -> int:
    """An upper bound of the pictures that a race draws, the base's included; 0 for one candidate."""
    total, start, left = 0, 0, candidates
    for stop in stops(first, prompts) if candidates > 1 else []:
        total += (stop - start) * per_prompt * (1 + min(candidates, len(VIEWS) * left + 1))
        start, left = stop, max(2, math.ceil(left / 2))
    return total


def stops(first: int, prompts: int) -> list[int]:
    """How many prompts have been drawn after each round: doubled, the last all of them."""
    found, count = [], min(first, prompts)
    while 2 * count <= prompts:
        found.append(count)
        count *= 2
    return [*found, prompts] if not found or found[-1] < prompts else found
