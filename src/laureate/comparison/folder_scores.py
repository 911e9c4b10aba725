"""Scores of folders of pictures against a folder of references: values, intervals, noise floor. No I/O.

One table per judge. The same functions as in `evaluate` take every score; kernels are summed over blocks
(`evaluation.scores.blocks`), so that ten thousand pictures fit.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from laureate.evaluation import score_catalog, scores, scoring
from laureate.evaluation.feature_stream import Pictures
from laureate.evaluation.scores import blocks
from laureate.evaluation.scores.base import Array
from laureate.evaluation.scores.blocks import Apart, BlockKernel, OfPictures

KEYS = ("kid", "fid", "cmmd", "style", "precision", "recall", "clip")  # of a row, where the judge has them
CATALOG = {score.key: score for score in score_catalog.SCORES if score.key in KEYS}
KERNELS = {
    "kid": ("looks", blocks.polynomial),
    "style": ("style", blocks.polynomial),
    "cmmd": ("looks", blocks.gaussian_of_unit),
}
LARGE = 2000  # pictures of a set from which on no n x n matrix is made
LONG = (
    3e6  # min² · max pictures of the two sets from which on FID has no interval: each draw is a decomposition
)
SPLITS = 200  # of the references, for the noise floor
FLOOR = "noise floor"


@dataclass(frozen=True)
class Settings:
    """How the uncertainty is drawn: see params.evaluate."""

    draws: int
    seed: int
    neighbours: int


class Scored:
    """One set of pictures as one judge sees it, with every score ready to be resampled by blocks."""

    def __init__(
        self, pictures: Pictures, references: Pictures, judge: str, has_text: bool, settings: Settings,
        clusters: Sequence[Hashable] | None = None,
    ) -> None:  # fmt: skip
        self.pictures, self.judge = pictures, judge
        self.features, other = pictures.seen[judge], references.seen[judge]
        self.of_x = blocks.blocks_of(pictures.clusters if clusters is None else clusters)
        self.of_y = blocks.blocks_of(range(len(references.keys)))
        self.scores: dict[str, scores.Score] = {}
        for key, (role, kernel) in KERNELS.items():
            if role in self.features and (has_text or key != "cmmd"):
                self.scores[key] = BlockKernel.of(
                    kernel, self.features[role], other[role], self.of_x, self.of_y
                )
        if "looks" in self.features:
            self._add_set_scores(self.features["looks"], other["looks"], settings.neighbours)
        if judge in pictures.text_scores:
            self._add("clip", scores.mean_over_pictures(pictures.text_scores[judge]))
        self.resamples = blocks.resample_blocks(
            int(self.of_x.max()) + 1, int(self.of_y.max()) + 1, settings.draws, settings.seed
        )

    def _add(self, key: str, score: scores.Score) -> None:
        self.scores[key] = OfPictures(score, self.of_x, self.of_y)

    def _add_set_scores(self, x: Array, y: Array, neighbours: int) -> None:
        if max(len(x), len(y)) > LARGE:
            return
        if interval_fits(len(x), len(y)):
            self._add("fid", scores.Frechet(x, y))
        if min(len(x), len(y)) > neighbours:
            self._add("precision", scores.Manifold(x, y, "precision", neighbours))
            self._add("recall", scores.Manifold(x, y, "recall", neighbours))


def interval_fits(n: int, m: int) -> bool:
    """Whether FID over so many pictures can be drawn a thousand times."""
    return min(n, m) ** 2 * max(n, m) <= LONG


def row(scored: Scored, references: Pictures) -> dict[str, Any]:
    """A line of the table: model, judge, counts, and KEY, KEY_low, KEY_high for every score; None: none."""
    x = scored.features.get("looks")
    found: dict[str, Any] = {
        "model": scored.pictures.name,
        "judge": scored.judge,
        "n": len(scored.pictures.keys),
        "n_clusters": len(set(scored.pictures.clusters)),
        "n_reference": len(references.keys),
    }
    for key in KEYS:
        score = scored.scores.get(key)
        estimate = None if score is None else scoring.estimate(key, score, scored.resamples)[0]
        found |= {name: _number(value) for name, value in scoring.columns(key, estimate).items()}
    if found["fid"] is None and x is not None:
        found["fid"] = scoring.rounded(scores.frechet_distance(x, references.seen[scored.judge]["looks"]))
    return found


def noise_floor(scored: Scored, references: Pictures, seed: int = 0) -> dict[str, Any]:
    """The line of the references against themselves: one random half against the other, `SPLITS` times.

    The value is the mean over the splits, low and high their 2.5 and 97.5 % quantiles: what perfect pictures
    would score with half as many of them. Nothing where there are fewer than four references.
    """
    blocks_there, m = int(scored.of_y.max()) + 1, len(references.keys)
    found: dict[str, Any] = {
        "model": FLOOR, "judge": scored.judge, "n": m // 2, "n_clusters": m // 2,
        "n_reference": m - m // 2,
    }  # fmt: skip
    found |= {f"{key}{end}": None for key in KEYS for end in ("", "_low", "_high")}
    if blocks_there < 4:
        return found
    rng = np.random.default_rng(seed)
    half = np.zeros((SPLITS, blocks_there))
    half[:, : blocks_there // 2] = 1
    half = rng.permuted(half, axis=1)
    for key, score in scored.scores.items():
        if isinstance(score, BlockKernel):
            values = score.of_references().resampled(half, 1 - half)
        elif key == "fid" and interval_fits(m, m):
            y = references.seen[scored.judge]["looks"]
            values = OfPictures(scores.Frechet(y, y), scored.of_y, scored.of_y).resampled(half, 1 - half)
        else:
            continue
        numbers = (values.mean(), *np.quantile(values, [0.025, 0.975]))
        found |= {f"{key}{end}": _number(v) for end, v in zip(("", "_low", "_high"), numbers, strict=True)}
    return found


def difference(
    one: Scored, other: Scored, key: str, paired: bool, settings: Settings
) -> tuple[scores.Estimate, float]:
    """One set's score less another's => (estimate, p-value).

    `paired`: both have the same clusters in the same order. A paired kernel distance is tested by swapping
    the two sets within clusters (`scores.swap_test`), anything else by Student's t.
    """
    a, b = one.scores[key], other.scores[key]
    if not paired:
        drawn = blocks.resample_apart(
            a.pictures or 0, b.pictures or 0, one.resamples.references, settings.draws, settings.seed
        )
        apart = scores.estimate(Apart(a, b), drawn)
        return apart, apart.p
    found = scores.estimate(scores.PairedDifference(a, b), one.resamples)
    if not (isinstance(a, BlockKernel) and isinstance(b, BlockKernel)):
        return found, found.p
    role, kernel = KERNELS[key]
    between = blocks.summed(kernel, one.features[role], other.features[role], one.of_x, other.of_x)
    both, places = a.beside(b, between), np.zeros((a.pictures or 0, 1))
    p = scores.swap_test(
        lambda _x, _y: both, places, places, np.zeros((a.references or 0, 1)), range(len(places)),
        settings.draws, settings.seed,
    )  # fmt: skip
    return found, p


def _number(value: float | None) -> float | None:
    """Six digits; None for NaN, which JSON does not have."""
    return None if value is None or not np.isfinite(value) else scoring.rounded(float(value))
