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

    KID is the independent judge's where there is one, else that of the role `looks`.

    `table`: as in results_table. A sentence for which the table has no numbers is left out.
    """
    by_key = {score.key: score for score in score_catalog.SCORES}
    models = table[table["rank"].notna()]
    adapters = models[models["rank"] > 0]
    sentences = []
    key = next((k for k in ("kid_imagenet", "kid") if len(models) and models[k].notna().all()), None)
    if len(adapters) and key is not None:
        best, score = adapters[key].idxmin(), by_key[key]
        value, interval = results_table.format_score(adapters.loc[best], score)
        at = adapters["rank"][best]
        text = f"The lowest {score.label} of the adapters is {value} ({interval}), at rank {at}"
        if results_table.BASELINE in models.index:
            value, interval = results_table.format_score(models.loc[results_table.BASELINE], score)
            text += f"; the untuned base has {value} ({interval})"
        marked = results_table.best_or_tied(adapters, score)
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
