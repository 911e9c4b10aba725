"""How many prompts, held-out portraits or trainings would decide an open question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from laureate.evaluation.scores import Estimate, Resamples

LEVEL = 0.05  # of all tests of one kind together
POWER = 0.8  # of the tests, with the wanted number
FAR = 20  # times as many as now: not worth naming first


@dataclass(frozen=True)
class Wanted:
    """How many of each would be enough if there were more of these alone; None: no number of them is."""

    prompts: int | None
    portraits: int | None
    trainings: int | None


NOTHING = Wanted(None, None, None)


def wanted(estimates: Sequence[Estimate], resamples: Resamples, tests: int) -> Wanted:
    """What would decide the easier of these tests with a power of 80 %, if the values are true.

    Each kind of luck shrinks with its own numbers only: the variance of prompts with their number, and so on.
    The level is Bonferroni's over `tests`, which is never above Holm's; quantiles are the normal
    distribution's, so with two or three trainings it is rather one more.
    """
    return Wanted(
        _enough(estimates, "from_prompts", len(resamples.groups), tests),
        _enough(estimates, "from_references", resamples.references, tests),
        _enough(estimates, "from_trainings", len(resamples.trainings), tests),
    )


def most(each: Sequence[Wanted]) -> Wanted:
    """What decides all of several questions."""

    def largest(values: Sequence[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return max(known) if known and len(known) == len(values) else None

    return Wanted(
        largest([one.prompts for one in each]),
        largest([one.portraits for one in each]),
        largest([one.trainings for one in each]),
    )


def sentence(enough: Wanted, prompts: int, pictures: int, portraits: int, trainings: int) -> str:
    """One sentence on the cheapest remedy: prompts cost seconds, trainings minutes, and portraits may not
    exist. A dearer one is named where the cheaper ones would take more than `FAR` times as many as now.

    `prompts`, `pictures`, `portraits`, `trainings`: how many of each there are now.
    """
    kinds = {
        "prompts": (enough.prompts, prompts),
        "trainings": (enough.trainings, trainings),
        "portraits": (enough.portraits, portraits),
    }
    multiples = {kind: more / now for kind, (more, now) in kinds.items() if more is not None and now}
    if not multiples:
        return "No larger number of prompts, trainings or portraits alone would tell."
    near = [kind for kind, multiple in multiples.items() if multiple <= FAR]
    kind = near[0] if near else min(multiples, key=multiples.__getitem__)
    more = kinds[kind][0] or 0
    if kind == "prompts":
        return f"About {ceil(more * pictures / prompts)} pictures ({more} prompts) would tell."
    what = "trainings of each rank" if kind == "trainings" else "held-out portraits"
    return f"More prompts alone would hardly tell, but about {more} {what} would."


def _enough(estimates: Sequence[Estimate], source: str, now: int, tests: int) -> int | None:
    from scipy.special import ndtri

    z = ndtri(POWER) - ndtri(LEVEL / 2 / tests)
    numbers = []
    for one in estimates:
        own = getattr(one, source)
        allowed = (one.value / z) ** 2 - (one.error**2 - own)  # the variance that may be left of this source
        if allowed > 0 and own > 0:
            numbers.append(ceil(now * own / allowed))
    return max(min(numbers), now + 1) if numbers else None
