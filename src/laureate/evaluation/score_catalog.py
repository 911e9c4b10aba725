"""The scores of the table: names, labels, directions, and the question each answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Score:
    """One column of the table."""

    key: str
    label: str
    direction: Literal["lower", "higher"]  # which way is better
    asks: str  # the question it answers, one clause
    percent: bool = False  # a share, shown in per cent
    leads: bool = False  # shown in the short table; the others are in comparison.csv and on the page

    @property
    def arrow(self) -> str:
        """↓ where lower is better, ↑ where higher is."""
        return "↓" if self.direction == "lower" else "↑"


SCORES: tuple[Score, ...] = (
    Score(
        "kid",
        "KID",
        "lower",
        "how far the pictures are from the held-out portraits; unbiased at small n",
        leads=True,
    ),
    Score("cmmd", "CMMD", "lower", "the same question, asked of CLIP's features", leads=True),
    Score("dino", "DINO", "lower", "the same question, asked of DINOv2's features", leads=True),
    Score(
        "fid",
        "FID",
        "lower",
        "the same question, taking both sets for Gaussians; too high at small n",
        leads=True,
    ),
    Score(
        "lpips",
        "LPIPS",
        "lower",
        "how different a picture looks from the held-out portraits, over all pairs",
        leads=True,
    ),
    Score(
        "style",
        "Style distance",
        "lower",
        "how far line, colour and texture are from the held-out portraits', wherever they are in the picture",
    ),
    Score(
        "style_read",
        "Style",
        "higher",
        "in how many pictures the judge reads the style to learn",
        percent=True,
        leads=True,
    ),
    Score(
        "content",
        "Content",
        "higher",
        "how many of the asked attributes the judge reads back",
        percent=True,
        leads=True,
    ),
    Score("clip", "CLIP", "higher", "how well a picture fits its whole prompt", leads=True),
    Score(
        "clip_content",
        "CLIP content",
        "higher",
        "how well it fits the prompt without its style phrase",
        leads=True,
    ),
    Score(
        "memorisation",
        "Memorised",
        "lower",
        "how many pictures are nearer to a training portrait than a new portrait would be by chance",
        percent=True,
        leads=True,
    ),
    Score(
        "precision",
        "Precision",
        "higher",
        "how many pictures lie among the held-out portraits",
        percent=True,
    ),
    Score(
        "recall",
        "Recall",
        "higher",
        "how many held-out portraits lie among the pictures",
        percent=True,
    ),
    Score("lpips_diversity", "Diversity", "higher", "how different the pictures of one prompt are"),
    Score("is", "IS", "higher", "how clear and how varied the pictures' classes are"),
)
