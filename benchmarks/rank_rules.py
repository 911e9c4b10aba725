"""Rules of thumb for a rank, chosen on all styles but one and tried on that one.

`excess`: (style, portraits, rank) => how much farther the rank is than the best of that style and number of
portraits, as a share of the base's distance. A rule hits where that is within `MARGIN`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from laureate.evaluation.scores import wilson_interval

MARGIN = 0.05
Excess = Mapping[tuple[str, int, int], float]
Rule = Callable[[int], int]  # portraits => rank


def one_rank(excess: Excess, styles: Sequence[str], sizes: Sequence[int], ranks: Sequence[int]) -> Rule:
    """The same rank for everything: that with the most hits, of these the one that loses least."""
    best = _best(excess, styles, sizes, ranks)
    return lambda portraits: best


def rank_by_size(excess: Excess, styles: Sequence[str], sizes: Sequence[int], ranks: Sequence[int]) -> Rule:
    """A rank for every number of portraits, each chosen as `one_rank` chooses."""
    best = {size: _best(excess, styles, [size], ranks) for size in sizes}
    return best.__getitem__


def hits(excess: Excess, rule: Rule, styles: Sequence[str], sizes: Sequence[int]) -> int:
    """In how many styles and numbers of portraits the rule's rank is within the margin."""
    return sum(excess[style, size, rule(size)] <= MARGIN for style in styles for size in sizes)


def left_out(
    choose: Callable[[Excess, Sequence[str], Sequence[int], Sequence[int]], Rule],
    excess: Excess,
    styles: Sequence[str],
    sizes: Sequence[int],
    ranks: Sequence[int],
) -> int:
    """Hits of a rule on each style in turn, chosen on the others."""
    found = 0
    for style in styles:
        others = [other for other in styles if other != style]
        found += hits(excess, choose(excess, others, sizes, ranks), [style], sizes)
    return found


def said(excess: Excess, styles: Sequence[str], sizes: Sequence[int], ranks: Sequence[int]) -> str:
    """The rules and their hit rates on styles that they were not chosen on, as lines of Markdown."""
    cells = len(styles) * len(sizes)

    def rate(count: int) -> str:
        low, high = wilson_interval(count / cells, cells)
        return f"{count} of {cells} ({100 * low:.0f} to {100 * high:.0f} %)"

    one, by_size = (choose(excess, styles, sizes, ranks) for choose in (one_rank, rank_by_size))
    listed = ", ".join(f"{by_size(size)} for {size} portraits" for size in sizes)
    lines = [
        f"- **One rank for all**: rank {one(sizes[0])}. Chosen on the others it hits the style left out in "
        f"{rate(left_out(one_rank, excess, styles, sizes, ranks))}.",
        f"- **By the number of portraits**: rank {listed}. Chosen on the other styles it hits in "
        f"{rate(left_out(rank_by_size, excess, styles, sizes, ranks))}.",
    ]
    lines += [
        f"- **Always rank {rank}** hits in {rate(hits(excess, lambda _, of=rank: of, styles, sizes))}."  # type: ignore[misc]
        for rank in ranks
    ]
    return "\n".join(lines) + (
        "\n\nIn brackets: Wilson's 95 % interval. One training of each rank: its luck is in every cell."
    )


def _best(excess: Excess, styles: Sequence[str], sizes: Sequence[int], ranks: Sequence[int]) -> int:
    def key(rank: int) -> tuple[int, float, int]:
        of = [excess[style, size, rank] for style in styles for size in sizes]
        return -sum(value <= MARGIN for value in of), sum(of), rank

    return min(ranks, key=key)
