"""How much of the way from the untuned base to the VAE ceiling a model has gone, with an interval.

The ceiling are training portraits encoded and decoded by the base's VAE. An adapter of the UNet draws through
the same VAE, so what that loses it cannot bring back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from laureate.evaluation.scores.base import Doubles

LEVEL = 0.95


@dataclass(frozen=True)
class Share:
    """1: as far as the ceiling; 0: no nearer than the base. All three may lie outside these."""

    value: float
    low: float
    high: float


def share_of_way(
    model: tuple[float, Doubles], base: tuple[float, Doubles], ceiling: tuple[float, Doubles]
) -> Share | None:
    """(base − model) / (base − ceiling) of a score, each given as its value and its bootstrap draws (b,).

    None where the base is not farther off than the ceiling in 97.5 % of the draws: then there is no way to
    speak of. Draws of the model and the base are over the same prompts and references; the ceiling has
    pictures of its own, and its draws of the references are others, so the interval is a little too wide.
    Draws are moved to have the value as their mean, as repeats in a resample bias distances upwards.
    """
    at = [np.asarray(draws) - np.mean(draws) + value for value, draws in (model, base, ceiling)]
    way = at[1] - at[2]
    tail = (1 - LEVEL) / 2
    if not np.quantile(way, tail) > 0 or not base[0] > ceiling[0]:
        return None
    low, high = np.quantile((at[1] - at[0]) / way, [tail, 1 - tail])
    value = (base[0] - model[0]) / (base[0] - ceiling[0])
    return Share(float(value), float(min(low, value)), float(max(high, value)))
