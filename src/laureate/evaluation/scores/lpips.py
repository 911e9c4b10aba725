"""LPIPS over all pairs from features per picture: n + m forward passes for n · m pairs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from laureate.core.errors import LaureateError
from laureate.evaluation.scores.base import Array, Doubles, Score, finite, squared_distances


def lpips_embedding(layers: Sequence[Array], weights: Sequence[Array] | None = None) -> list[Array]:
    """Features in which LPIPS (Zhang et al. 2018, arXiv:1801.03924, eq. 1) is a squared distance.

    `layers`: per layer (n, c, h, w), any float dtype; `weights`: per layer (c,), at least 0, the learned
    channel weights, or None for weights of 1. Every position is scaled to unit length over channels
    => per layer (n, c·h·w) float32.
    """
    embedded = []
    for index, layer in enumerate(layers):
        f = np.asarray(layer, dtype=np.float32)
        # the lpips package's normalize_tensor
        f = f / (np.sqrt(np.sum(f * f, axis=1, keepdims=True)) + 1e-10)
        if weights is not None:
            f = f * np.sqrt(np.asarray(weights[index], dtype=np.float32))[None, :, None, None]
        embedded.append(f.reshape(len(f), -1) / np.float32(np.sqrt(f.shape[2] * f.shape[3])))
    return embedded


def lpips(x: Sequence[Array], y: Sequence[Array]) -> Doubles:
    """LPIPS of all pairs, from `lpips_embedding`s: per layer (n, D) and (m, D) => (n, m), 0 is best."""
    total = np.zeros((len(x[0]), len(y[0])))
    for a, b in zip(x, y, strict=True):
        total += squared_distances(finite(a, "layer features"), finite(b, "layer features"))
    return total


class PairMean(Score):
    """The mean of a matrix of distances (n, m) over all pairs of a picture and a reference."""

    def __init__(self, distances: Array) -> None:
        self.distances = finite(distances, "distances")
        self.pictures, self.references = self.distances.shape

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`."""
        means: Doubles = np.sum((u @ self.distances) * v, axis=1) / (u.sum(axis=1) * v.sum(axis=1))
        return means


def mean_over_pairs(distances: Array) -> PairMean:
    """`distances` (n, m) => the `Score` that is their mean over all pairs."""
    return PairMean(distances)


def lpips_diversity(x: Sequence[Array], prompts: Sequence[Hashable]) -> Doubles:
    """Diversity within a prompt: each picture's mean LPIPS to the other pictures of its prompt.

    `x`: an `lpips_embedding`, per layer (n, D); `prompts`: n of them => (n,), NaN where a prompt has one
    picture. Higher is more varied; take the mean with `mean_over_pictures`. Only pairs within a prompt are
    computed.
    """
    if len(prompts) != len(x[0]):
        raise LaureateError(f"diversity needs one prompt per picture, got {len(prompts)} for {len(x[0])}")
    members: dict[Hashable, list[int]] = {}
    for row, prompt in enumerate(prompts):
        members.setdefault(prompt, []).append(row)
    means = np.full(len(prompts), np.nan)
    for rows in members.values():
        if len(rows) > 1:
            part = [layer[rows] for layer in x]
            distances = lpips(part, part)
            np.fill_diagonal(distances, 0.0)
            means[rows] = distances.sum(axis=1) / (len(rows) - 1)
    return means
