"""Scores per picture (CLIP, means of values) and the Inception Score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from laureate.core.errors import LaureateError
from laureate.evaluation.scores.base import Array, Doubles, Score, finite

TINY = np.finfo(np.float64).tiny


def inception_score(p: Array, splits: int = 1) -> float:
    """exp of the mean KL(p(class | picture) || p(class)) (Salimans et al. 2016, arXiv:1606.03498).

    `p` (n, k): rows are probabilities. Between 1 and k; higher is better. With more splits, the mean over
    that many equal parts.
    Raises LaureateError where there are fewer pictures than splits.
    """
    p = finite(p, "class probabilities")
    if splits < 1 or len(p) < splits:
        raise LaureateError(
            f"the Inception Score needs at least as many pictures as splits, got {len(p)} for {splits}"
        )
    return float(np.mean([InceptionScore([p[part]])() for part in np.array_split(np.arange(len(p)), splits)]))


class InceptionScore(Score):
    """The Inception Score of one head of classes, or the geometric mean over several.

    `heads`: per head (n, k), rows are probabilities.
    """

    def __init__(self, heads: Sequence[Array]) -> None:
        self.heads = [finite(p, "class probabilities") for p in heads]
        self.agreement = [np.sum(p * np.log(np.maximum(p, TINY)), axis=1) for p in self.heads]
        self.pictures = len(self.heads[0])

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`; references are not used."""
        share = u / u.sum(axis=1, keepdims=True)
        logs = np.zeros(len(u))
        for p, agreement in zip(self.heads, self.agreement, strict=True):
            mean = share @ p
            logs += share @ agreement - np.sum(mean * np.log(np.maximum(mean, TINY)), axis=1)
        return np.exp(logs / len(self.heads))


def clip_score(pictures: Array, texts: Array) -> Doubles:
    """100 · cos(picture, its text), at least 0, per pair (Hessel et al. 2021, arXiv:2104.08718).

    `pictures` (n, d), `texts` (n, d), of any length => (n,), 0 to 100; higher is better.
    """
    a, b = finite(pictures, "picture features"), finite(texts, "text features")
    if a.shape != b.shape:
        raise LaureateError(f"CLIP needs one text per picture, got features of shape {a.shape} and {b.shape}")
    cosine = np.sum(a * b, axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return np.maximum(100 * cosine, 0.0)


def clip_content(pictures: Array, contents: Array) -> Doubles:
    """`clip_score` against the prompt without its style suffix: is its content in the picture?"""
    return clip_score(pictures, contents)


class PictureMean(Score):
    """The mean of values per picture, (n,) or (n, k), NaN where a picture has none.

    With k columns every value that is not NaN weighs the same. Raises LaureateError where all are NaN.
    """

    def __init__(self, values: Array) -> None:
        table = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
        known = np.isfinite(table)
        self.sums, self.known = np.where(known, table, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64)
        self.pictures = len(table)
        if not self.known.sum():
            raise LaureateError("none of the pictures has a value to average")

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`; references are not used. NaN where no picture has a value."""
        known = u @ self.known
        return np.where(known > 0, u @ self.sums / np.maximum(known, TINY), np.nan)


def mean_over_pictures(values: Array) -> PictureMean:
    """`values` (n,) or (n, k), NaN where a picture has none => the `Score` that is their mean."""
    return PictureMean(values)
