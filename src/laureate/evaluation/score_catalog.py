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
    role: str = ""  # whose judge it is by; "": that of the kind that its key ends with
    leads: bool = False  # shown in the short table; the others are in comparison.csv and on the page

    @property
    def arrow(self) -> str:
        """↓ where lower is better, ↑ where higher is."""
        return "↓" if self.direction == "lower" else "↑"


SCORES: tuple[ScoreColumn, ...] = (
    ScoreColumn(
        "kid_imagenet",
        "KID, ImageNet",
        "lower",
        "how far the pictures are from the held-out portraits, to a judge with no part in this project",
        leads=True,
    ),
    ScoreColumn(
        "kid",
        "KID",
        "lower",
        "how far the pictures are from the held-out portraits; unbiased at small n",
        leads=True,
        role="looks",
    ),
    ScoreColumn("kid_clip", "KID, CLIP", "lower", "the same question and formula, asked of CLIP's features"),
    ScoreColumn(
        "cmmd", "CMMD", "lower", "the same question, asked of CLIP's features", leads=True, role="cmmd"
    ),
    ScoreColumn(
        "dino", "DINO", "lower", "the same question, asked of DINOv2's features", leads=True, role="dino"
    ),
    ScoreColumn(
        "fid",
        "FID",
        "lower",
        "the same question, taking both sets for Gaussians; too high at small n",
        leads=True,
        role="looks",
    ),
    ScoreColumn("fid_imagenet", "FID, ImageNet", "lower", "the same, to the independent judge"),
    ScoreColumn("fid_clip", "FID, CLIP", "lower", "the same, asked of CLIP's features"),
    ScoreColumn("fid_dino", "FID, DINO", "lower", "the same, asked of DINOv2's features"),
    ScoreColumn(
        "lpips",
        "LPIPS",
        "lower",
        "how different a picture looks from the held-out portraits, over all pairs",
        leads=True,
        role="lpips",
    ),
    ScoreColumn(
        "style",
        "Style distance",
        "lower",
        "how far line, colour and texture are from the held-out portraits', wherever they are in the picture",
        role="style",
    ),
    ScoreColumn(
        "style_imagenet",
        "Style distance, ImageNet",
        "lower",
        "the same, by the early layers of the independent judge",
    ),
    ScoreColumn(
        "style_read",
        "Style",
        "higher",
        "in how many pictures the judge reads the style to learn",
        percent=True,
        leads=True,
        role="attributes",
    ),
    ScoreColumn(
        "content",
        "Content",
        "higher",
        "how many of the asked attributes the judge reads back",
        percent=True,
        leads=True,
        role="attributes",
    ),
    ScoreColumn(
        "clip", "CLIP", "higher", "how well a picture fits its whole prompt", leads=True, role="text"
    ),
    ScoreColumn(
        "clip_content",
        "CLIP content",
        "higher",
        "how well it fits the prompt without its style phrase",
        leads=True,
        role="text",
    ),
    ScoreColumn(
        "copies",
        "Copies",
        "lower",
        "how many pictures copy a training portrait, also cropped, mirrored, recoloured or posed anew",
        percent=True,
        leads=True,
        role="attributes",
    ),
    ScoreColumn(
        "memorisation",
        "Memorised",
        "lower",
        "how many pictures are nearer to a training portrait than a new portrait would be by chance",
        percent=True,
        role="lpips",
    ),
    ScoreColumn(
        "drift",
        "Drift",
        "lower",
        "how different pictures of prompts without the style phrase look from the base's (LPIPS)",
        leads=True,
        role="lpips",
    ),
    ScoreColumn(
        "leak",
        "Leak",
        "lower",
        "in how many pictures of prompts without the style phrase the style is read",
        percent=True,
        leads=True,
        role="attributes",
    ),
    ScoreColumn(
        "plain_content",
        "Content, plain",
        "higher",
        "how many of the asked attributes are read back where the prompt has no style phrase",
        percent=True,
        role="attributes",
    ),
    ScoreColumn(
        "plain_clip",
        "CLIP, plain",
        "higher",
        "how well a picture fits its prompt where that has no style phrase",
        role="text",
    ),
    ScoreColumn(
        "precision",
        "Precision",
        "higher",
        "how many pictures lie among the held-out portraits",
        percent=True,
        role="looks",
    ),
    ScoreColumn(
        "recall",
        "Recall",
        "higher",
        "how many held-out portraits lie among the pictures",
        percent=True,
        role="looks",
    ),
    ScoreColumn(
        "lpips_diversity", "Diversity", "higher", "how different the pictures of one prompt are", role="lpips"
    ),
    ScoreColumn("is", "IS", "higher", "how clear and how varied the pictures' classes are", role="looks"),
)
