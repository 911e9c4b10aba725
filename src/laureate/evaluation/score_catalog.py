"""Names, labels, directions and meanings of all scores, in the order of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ScoreColumn:
    """A score as a column of the table: its name, direction and meaning."""

    key: str
    label: str
    direction: Literal["lower", "higher"]  # which way is better
    asks: str  # the question it answers, one clause
    percent: bool = False  # a share between 0 and 1, shown in per cent
    leads: bool = False  # shown in the short table; the others are in comparison.csv and on the page

    @property
    def arrow(self) -> str:
        """↓ where lower is better, ↑ where higher is."""
        return "↓" if self.direction == "lower" else "↑"


SCORES: tuple[ScoreColumn, ...] = (
    ScoreColumn(
        "kid",
        "KID",
        "lower",
        "how far the pictures are from the held-out portraits; unbiased at small n",
        leads=True,
    ),
    ScoreColumn("cmmd", "CMMD", "lower", "the same question, asked of CLIP's features", leads=True),
    ScoreColumn("dino", "DINO", "lower", "the same question, asked of DINOv2's features", leads=True),
    ScoreColumn(
        "fid",
        "FID",
        "lower",
        "the same question, taking both sets for Gaussians; too high at small n",
        leads=True,
    ),
    ScoreColumn(
        "lpips",
        "LPIPS",
        "lower",
        "how different a picture looks from the held-out portraits, over all pairs",
        leads=True,
    ),
    ScoreColumn(
        "style",
        "Style distance",
        "lower",
        "how far line, colour and texture are from the held-out portraits', wherever they are in the picture",
    ),
    ScoreColumn(
        "style_read",
        "Style",
        "higher",
        "in how many pictures the judge reads the style to learn",
        percent=True,
        leads=True,
    ),
    ScoreColumn(
        "content",
        "Content",
        "higher",
        "how many of the asked attributes the judge reads back",
        percent=True,
        leads=True,
    ),
    ScoreColumn("clip", "CLIP", "higher", "how well a picture fits its whole prompt", leads=True),
    ScoreColumn(
        "clip_content",
        "CLIP content",
        "higher",
        "how well it fits the prompt without its style phrase",
        leads=True,
    ),
    ScoreColumn(
        "memorisation",
        "Memorised",
        "lower",
        "how many pictures are nearer to a training portrait than a new portrait would be by chance",
        percent=True,
        leads=True,
    ),
    ScoreColumn(
        "precision",
        "Precision",
        "higher",
        "how many pictures lie among the held-out portraits",
        percent=True,
    ),
    ScoreColumn(
        "recall",
        "Recall",
        "higher",
        "how many held-out portraits lie among the pictures",
        percent=True,
    ),
    ScoreColumn("lpips_diversity", "Diversity", "higher", "how different the pictures of one prompt are"),
    ScoreColumn("is", "IS", "higher", "how clear and how varied the pictures' classes are"),
)
