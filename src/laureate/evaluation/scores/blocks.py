"""Scores over blocks of pictures: what a resample counts as one, in memory that does not grow with n².

A block is a prompt's pictures, or several prompts' where there are very many. A resample draws whole blocks,
so a kernel matrix may be summed over them beforehand: (g, g) for g blocks instead of (n, n), exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from laureate.evaluation.scores.base import Array, Doubles, Rows, Score, finite, squared_distances
from laureate.evaluation.scores.bootstrap import Resamples, resample
from laureate.evaluation.scores.kernel_distances import SCALE, SIGMA

MOST = 500  # blocks: more draw hardly another interval
ROWS = 512  # of a kernel matrix held at once
KernelFunction = Callable[[Doubles, Doubles], Doubles]  # (n, d), (m, d) => (n, m)


def polynomial(a: Doubles, b: Doubles) -> Doubles:
    """KID's kernel (⟨a, b⟩ / d + 1)³; see `polynomial_kernel`."""
    found: Doubles = (a @ b.T / a.shape[1] + 1) ** 3
    return found


def gaussian_of_unit(a: Doubles, b: Doubles) -> Doubles:
    """CMMD's kernel, between vectors brought to unit length; see `clip_kernel`."""
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (a, b))
    found: Doubles = SCALE * np.exp(-squared_distances(a, b) / (2 * SIGMA**2))
    return found


def blocks_of(clusters: Sequence[Hashable], most: int = MOST) -> Rows:
    """The block of each picture (n,): its cluster's number, in order of first occurrence, modulo `most`."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(c, len(numbers)) % most for c in clusters], dtype=np.intp)


def resample_blocks(blocks: int, references: int, draws: int = 1000, seed: int = 0) -> Resamples:
    """`resample` where each block counts as one picture: the same draws as of so many prompts."""
    return resample(range(blocks), references, draws, seed)


def summed(kernel: KernelFunction, x: Array, y: Array, of_x: Rows, of_y: Rows) -> Doubles:
    """A kernel matrix of `x` (n, d) and `y` (m, d), summed over blocks `of_x` (n,), `of_y` (m,) => (g, h)."""
    a, b = finite(x, "features"), finite(y, "reference features")
    found = np.zeros((int(of_x.max()) + 1, int(of_y.max()) + 1))
    order = np.argsort(of_y, kind="stable")
    b, starts = b[order], np.searchsorted(of_y[order], np.arange(found.shape[1]))
    for start in range(0, len(a), ROWS):
        part = slice(start, start + ROWS)
        np.add.at(found, of_x[part], np.add.reduceat(kernel(a[part], b), starts, axis=1))
    return found


class BlockKernel(Score):
    """`Kernel`, the unbiased squared maximum mean discrepancy, where blocks are drawn as one.

    `xx` (g, g), `xy` (g, h), `yy` (h, h): kernel sums over blocks; `own_x` (g,), `own_y` (h,): the sums over
    pairs of a picture with itself; `size_x` (g,), `size_y` (h,): pictures in each block. The same value and
    the same resamples as `Kernel` has where all pictures of a block occur equally often.
    """

    def __init__(
        self, xx: Doubles, xy: Doubles, yy: Doubles, own: tuple[Doubles, Doubles], size: tuple[Rows, Rows]
    ) -> None:
        self.xx, self.xy, self.yy, self.own, self.size = xx, xy, yy, own, size
        self.pictures, self.references = xy.shape

    @classmethod
    def of(cls, kernel: KernelFunction, x: Array, y: Array, of_x: Rows, of_y: Rows) -> BlockKernel:
        """From features `x` (n, d), `y` (m, d) and the block of each picture."""
        return cls(
            summed(kernel, x, x, of_x, of_x), summed(kernel, x, y, of_x, of_y),
            summed(kernel, y, y, of_y, of_y), (_own(kernel, x, of_x), _own(kernel, y, of_y)),
            (np.bincount(of_x), np.bincount(of_y)),
        )  # fmt: skip

    def beside(self, other: BlockKernel, between: Doubles) -> BlockKernel:
        """The pictures of both as one set of g + g blocks; `between` (g, g): kernel sums from one to the
        other. What a permutation test draws from."""
        return BlockKernel(
            np.block([[self.xx, between], [between.T, other.xx]]),
            np.concatenate([self.xy, other.xy]), self.yy,
            (np.concatenate([self.own[0], other.own[0]]), self.own[1]),
            (np.concatenate([self.size[0], other.size[0]]), self.size[1]),
        )  # fmt: skip

    def of_references(self) -> BlockKernel:
        """The references held against themselves: with u and v apart, one part of them against the other."""
        return BlockKernel(
            self.yy, self.yy, self.yy, (self.own[1], self.own[1]), (self.size[1], self.size[1])
        )

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`; `u` (b, g), `v` (b, h): how often each block occurs."""
        cross = np.sum((u @ self.xy) * v, axis=1) / ((u @ self.size[0]) * (v @ self.size[1]))
        return (
            _within(self.xx, self.own[0], self.size[0], u)
            + _within(self.yy, self.own[1], self.size[1], v)
            - 2 * cross
        )


class OfPictures(Score):
    """A score of single pictures, drawn by blocks: each picture occurs as often as its block."""

    def __init__(self, score: Score, of_x: Rows, of_y: Rows) -> None:
        self.score, self.of_x, self.of_y = score, of_x, of_y
        self.pictures, self.references = int(of_x.max()) + 1, int(of_y.max()) + 1

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`; `u` (b, g), `v` (b, h)."""
        return self.score.resampled(u[:, self.of_x], v[:, self.of_y])


class Apart(Score):
    """One set's score less another's where nothing pairs their pictures; the references are shared.

    The first blocks are those of `of`, the others those of `less`; see `resample_apart`.
    """

    def __init__(self, of: Score, less: Score) -> None:
        self.of, self.less = of, less
        self.pictures = (of.pictures or 0) + (less.pictures or 0)
        self.references = of.references

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`; `u` (b, g + h)."""
        first = self.of.pictures or 0
        return self.of.resampled(u[:, :first], v) - self.less.resampled(u[:, first:], v)


def resample_apart(first: int, second: int, references: int, draws: int = 1000, seed: int = 0) -> Resamples:
    """Resamples of two sets of blocks, each drawn on its own, for `Apart`."""
    one, other = (resample_blocks(g, references, draws, s) for g, s in ((first, seed), (second, seed + 1)))
    groups = resample_blocks(first + second, references, 1).groups
    counts = np.concatenate([one.prompt_counts, other.prompt_counts], axis=1)
    return Resamples(groups, references, counts, one.reference_counts)


def _own(kernel: KernelFunction, x: Array, of_x: Rows) -> Doubles:
    """Kernel of every picture with itself, summed over blocks (g,)."""
    values = np.asarray(x, dtype=np.float64)
    own = np.concatenate(
        [np.diagonal(kernel(values[i : i + 64], values[i : i + 64])) for i in range(0, len(x), 64)]
    )
    found: Doubles = np.bincount(of_x, weights=own).astype(np.float64)
    return found


def _within(k: Doubles, own: Doubles, size: Rows, u: Doubles) -> Doubles:
    """Mean of a kernel over pairs of two different pictures; NaN where there is none."""
    pairs = (u @ size) ** 2 - (u * u) @ size
    pairs = np.where(pairs > 0, pairs, np.nan)
    found: Doubles = (np.sum((u @ k) * u, axis=1) - (u * u) @ own) / pairs
    return found
