"""Sentences about the comparison table that are true whatever its numbers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from laureate.comparison import results_table
from laureate.evaluation import score_catalog

if TYPE_CHECKING:
    import pandas as pd

STYLE = "The vision judge recognises the style in {} of the base's pictures and in {} of {}'s."
CONTENT = (
    "Of the attributes that the prompts ask for, it recognises {} in the base's pictures and {} in {}'s."
)


def findings(table: pd.DataFrame, selected: str) -> list[str]:
    """Up to three sentences: the lowest KID of the adapters, and what `selected` changes against the base.

    `table`: as in results_table. A sentence for which the table has no numbers is left out.
    """
    by_key = {score.key: score for score in score_catalog.SCORES}
    models = table[table["rank"].notna()]
    adapters = models[models["rank"] > 0]
    sentences = []
    if len(adapters) and models["kid"].notna().all():
        best = adapters["kid"].idxmin()
        value, interval = results_table.format_score(adapters.loc[best], by_key["kid"])
        text = f"The lowest KID of the adapters is {value} ({interval}), at rank {adapters['rank'][best]}"
        if results_table.BASELINE in models.index:
            value, interval = results_table.format_score(models.loc[results_table.BASELINE], by_key["kid"])
            text += f"; the untuned base has {value} ({interval})"
        marked = results_table.best_or_tied(adapters, by_key["kid"])
        tied = [str(adapters["rank"][name]) for name in marked if name != best]
        if tied:
            text += f". With this many pictures {join_ranks(tied).lower()} cannot be told apart from it"
        sentences.append(text + ".")
    pair = [name for name in (results_table.BASELINE, selected) if name in models.index]
    if len(set(pair)) == 2:
        for key, text in (("style_read", STYLE), ("content", CONTENT)):
            if models.loc[pair, key].notna().all():
                before, after = (results_table.format_score(models.loc[m], by_key[key])[0] for m in pair)
                sentences.append(text.format(before, after, results_table.title(selected).lower()))
    return sentences


def join_ranks(ranks: Sequence[str]) -> str:
    """["8", "16", "32"] => Ranks 8, 16 and 32."""
    return f"Rank {ranks[0]}" if len(ranks) == 1 else f"Ranks {', '.join(ranks[:-1])} and {ranks[-1]}"
