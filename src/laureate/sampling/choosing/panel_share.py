"""One score of a candidate by the whole panel, and paired differences of it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from laureate.core.errors import LaureateError
from laureate.evaluation import scores
from laureate.evaluation.scores.base import Array, Doubles, Score

LEVEL = 0.05  # of every test
Features = Mapping[str, Array]  # judge => (n, d)


class PanelShare(Score):
    """The mean over judges of the kernel distance to the portraits, each as a share of the untuned base's.

    1 is the base, 0 the portraits themselves; unbiased but for the scale, which all candidates share.
    """

    def __init__(self, kernels: Sequence[scores.Kernel], scales: Sequence[float]) -> None:
        """`scales`: the base's distance by each judge, above 0."""
        self.kernels, self.scales = list(kernels), list(scales)
        self.pictures, self.references = kernels[0].pictures, kernels[0].references

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`."""
        parts = [kernel.resampled(u, v) / s for kernel, s in zip(self.kernels, self.scales, strict=True)]
        mean: Doubles = np.mean(parts, axis=0)
        return mean


def kernels_of(
    pictures: Features, portraits: Features, trainings: Sequence[Hashable] = ()
) -> dict[str, scores.Kernel]:
    """Judge => the kernel distance (Binkowski et al. 2018, arXiv:1801.01401) of pictures to portraits.

    `trainings`: what trained the adapter that drew each picture (n,), where there are several.
    """
    rows = scores.rows_by(trainings) if len(set(trainings)) > 1 else ()
    return {name: scores.polynomial_kernel(x, portraits[name], rows) for name, x in pictures.items()}


def scales_of(base: Features, portraits: Features) -> dict[str, float]:
    """Judge => the base's distance, of the judges by which the base is farther from the portraits than they
    are from each other. Raises LaureateError where there is none: nothing could be chosen by them."""
    found = {name: kernel() for name, kernel in kernels_of(base, portraits).items()}
    found = {name: value for name, value in found.items() if value > 0}
    if not found:
        raise LaureateError(
            "no judge of compare.judges tells the base's pictures from the held-out portraits, so nothing "
            "can be chosen by them; add pictures, or set choose.strengths, train.snapshots and "
            "train.learning_rates to []"
        )
    return found


def share(
    pictures: Features,
    portraits: Features,
    scales: Mapping[str, float],
    trainings: Sequence[Hashable] = (),
) -> PanelShare:
    """The `PanelShare` of pictures by the judges of `scales`."""
    kernels = kernels_of({name: pictures[name] for name in scales}, portraits, trainings)
    return PanelShare(list(kernels.values()), list(scales.values()))


@dataclass(frozen=True)
class Difference:
    """A paired difference of two candidates, with its standard error and degrees of freedom."""

    value: float
    error: float
    freedom: float

    @property
    def p_above(self) -> float:
        """One-sided p-value of "the true difference is 0 or below", by Student's t."""
        from scipy.special import stdtr

        if not self.error > 0:
            return 0.0 if self.error == 0 and self.value > 0 else 1.0
        return float(stdtr(self.freedom, -self.value / self.error))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval by Student's t."""
        from scipy.special import stdtrit

        half = self.error * float(stdtrit(self.freedom, 1 - LEVEL / 2)) if self.error > 0 else 0.0
        return self.value - half, self.value + half


def difference(of: PanelShare, less: PanelShare, resamples: scores.Resamples) -> Difference:
    """One candidate less another over the same prompts, seeds and portraits; its variance by leaving out
    prompts, portraits and trainings in turn (`scores.jackknife`)."""
    paired = scores.PairedDifference(of, less)
    parts = scores.jackknife(paired, resamples)
    return Difference(paired(), float(np.sqrt(parts.total)), max(1.0, parts.freedom))
