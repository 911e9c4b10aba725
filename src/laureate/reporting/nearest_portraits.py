"""The nearest training portraits of a generated picture, from distances that the study has measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laureate.core.errors import LaureateError
from laureate.evaluation.scores.base import Array

CHANCE = 0.01  # quantile of the chance distances, as in scores.Memorisation


@dataclass(frozen=True)
class Neighbour:
    """One training portrait near a picture."""

    portrait: int  # its place among the training portraits
    distance: float  # at least 0, in the unit of the distances given
    suspect: bool  # nearer than new portraits of the style are to the training portraits by chance


def nearest(distances: Array, chance: Array | None = None, count: int = 3) -> list[list[Neighbour]]:
    """Each picture's `count` nearest training portraits, the nearest first; of equal ones the first.

    `distances`: (n, t) from n pictures to t training portraits, such as LPIPS in the evidence's array
    "train"; `chance`: (m,) from held-out portraits to their nearest training portrait, the array "chance".
    A neighbour is suspect where it is below the 1 % quantile of `chance`; none is without `chance`.
    Raises LaureateError for arrays of other shapes and for NaN.
    """
    if distances.ndim != 2 or not np.isfinite(distances).all() or count < 1:
        raise LaureateError(
            "nearest training portraits need finite distances, pictures × portraits, and a count of 1 or "
            f"more, got an array of shape {distances.shape} and {count}"
        )
    # over square roots, as in scores.Memorisation: LPIPS is a squared distance
    limit = -1.0 if chance is None or not len(chance) else np.quantile(np.sqrt(chance), CHANCE)
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return [
        [Neighbour(int(at), float(row[at]), bool(np.sqrt(row[at]) < limit)) for at in places]
        for row, places in zip(distances, order, strict=True)
    ]


def by_picture(
    pictures: Sequence[str], distances: Array, portraits: int, chance: Array | None = None, count: int = 3
) -> dict[str, list[Neighbour]]:
    """`nearest` under the names of the pictures, (n,), as evidence has them: PROMPT_SEED.

    Raises LaureateError where the distances are not of these pictures and of that many training portraits.
    """
    if distances.shape != (len(pictures), portraits):
        raise LaureateError(
            f"distances are of {distances.shape[0]} pictures to {distances.shape[-1]} training portraits, "
            f"but there are {len(pictures)} and {portraits}; evaluate the model again"
        )
    return dict(zip(pictures, nearest(distances, chance, count), strict=True))
