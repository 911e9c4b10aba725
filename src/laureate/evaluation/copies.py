"""Which pictures are copies of training portraits: cropped, moved, mirrored, recoloured, or posed anew.

Two measures, each with a threshold of its own. *Likeness* lays a portrait over the picture and compares them
place by place (`imaging.alignment`); it finds a copy however it was cropped or recoloured. *Agreement* asks
what a judge reads in both, without pose and light: the same person drawn again agrees in everything.

Each threshold lies midway between what different people come to (99 in 100 held-out portraits, and training
portraits among themselves, are less like any training portrait) and what a picture comes to with itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from laureate.evaluation.feature_extraction import heads_of
from laureate.evaluation.scores.base import Array, Doubles

if TYPE_CHECKING:
    from laureate.evaluation.judges.panel import Panel, PictureSet

OTHERS = 0.99  # quantile over portraits of other people
POSED = frozenset({"style", "pose", "light"})  # heads that say nothing about who is in the picture
TINY = 1e-4  # of an agreement: two opposite readings are no proof beyond that
LEAST_AGREEMENT = np.log(0.01)  # a lower threshold would let one attribute differ
METHOD = "likeness of aligned pictures, 1"  # in the cache: a change of `imaging.alignment` needs a new name


def copied(panel: Panel, pictures: PictureSet, train: PictureSet, holdout: PictureSet) -> NDArray[np.float64]:
    """1 where a picture is a copy of a training portrait by one of both measures, else 0 => (n,)."""
    of_others = np.concatenate([likeness(panel, train, train), likeness(panel, holdout, train)])
    found = likeness(panel, pictures, train) > threshold(of_others, 1.0)
    sets = [readings(panel, part) for part in (pictures, train, holdout)]
    if all(one is not None for one in sets):
        x, t, y = (one for one in sets if one is not None)
        among = agreement(t, t)
        np.fill_diagonal(among, -np.inf)
        others = np.concatenate([among.max(axis=1), agreement(y, t).max(axis=1)])
        found |= agreement(x, t).max(axis=1) > max(threshold(others, 0.0), LEAST_AGREEMENT)
    return np.asarray(found, dtype=np.float64)


def threshold(others: Array, itself: float) -> float:
    """Midway between the `OTHERS` quantile of a measure over other people and a picture's with itself."""
    return float((np.quantile(others, OTHERS) + itself) / 2)


def likeness(panel: Panel, pictures: PictureSet, train: PictureSet) -> Doubles:
    """Of each picture to the training portrait that it is most like, at most 1 => (n,).

    Where `pictures` are the training portraits themselves, each is held against the others.
    """
    from laureate.imaging.alignment import KnownPictures

    same = pictures.digest == train.digest
    without = list(range(len(train))) if same else None

    def measure() -> dict[str, NDArray[np.float32]]:
        found = KnownPictures(train.pictures).matches(pictures.pictures, without)
        return {"likeness": np.array([match.likeness for match in found], dtype=np.float32)}

    subject = f"pictures {pictures.digest} to {train.digest}"
    return panel.remembered({"method": METHOD}, subject, measure)["likeness"].astype(np.float64)


def readings(panel: Panel, pictures: PictureSet) -> Mapping[str, Array] | None:
    """Head => class probabilities (n, k) of what pose and light do not change; None without such a judge."""
    output = panel.extract("attributes", pictures)
    if output is None:
        return None
    return {name: p for name, p in heads_of(output).items() if name not in POSED}


def agreement(x: Mapping[str, Array], y: Mapping[str, Array]) -> Doubles:
    """How far a judge reads the same in two pictures: per head (n, k) and (m, k) => (n, m), at most 0.

    Sum over the heads of the logarithm of Bhattacharyya's coefficient (1943), Σ √(p q).
    """
    total = 0.0
    for name, p in x.items():
        overlap = np.sqrt(np.asarray(p, np.float64)) @ np.sqrt(np.asarray(y[name], np.float64)).T
        total = total + np.log(np.clip(overlap, TINY, 1.0))
    return np.asarray(total, dtype=np.float64)
