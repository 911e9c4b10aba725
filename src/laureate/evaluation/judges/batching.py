"""Shared by all judges: resize pictures, run a network in batches, return NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from laureate.core.errors import LaureateError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

Features = NDArray[np.float32]
JudgeOutput = dict[str, Features]  # name => array, see `laureate.evaluation.judges`


class Judge(Protocol):
    """The interface of a judge."""

    def extract(self, pictures: Sequence[Image]) -> JudgeOutput:
        """n RGB pictures => named arrays; see `laureate.evaluation.judges`."""
        ...


def pixels(pictures: Sequence[Image], size: int) -> torch.Tensor:
    """RGB pictures => NCHW float32 in [0, 255], size × size, by clean-fid's anti-aliased bicubic resize.

    Values are not rounded after the resize (Parmar et al. 2022, arXiv:2104.11222).
    """
    import torch

    arrays = [np.asarray(picture.convert("RGB"), dtype=np.uint8) for picture in pictures]
    if any(picture.size != (size, size) for picture in pictures):
        from cleanfid.resize import make_resizer

        resize = make_resizer("PIL", False, "bicubic", (size, size))
        arrays = [resize(array) for array in arrays]
    stack = np.stack(arrays).astype(np.float32)
    return torch.from_numpy(stack).permute(0, 3, 1, 2).contiguous()


def batches(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """`items` in lists of at most `size`. Raises LaureateError where there are none."""
    if not len(items):
        raise LaureateError("a judge got no pictures; check that the samples and the data set are not empty")
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def in_batches(
    pictures: Sequence[Image], size: int, forward: Callable[[list[Image]], Mapping[str, torch.Tensor]]
) -> JudgeOutput:
    """Run `forward` on every batch without gradients => its outputs joined, name by name."""
    import torch

    with torch.inference_mode():
        parts = [forward(part) for part in batches(pictures, size)]
    return {name: numpy([part[name] for part in parts]) for name in parts[0]}


def numpy(parts: Sequence[torch.Tensor]) -> Features:
    """Tensors on any device => one float32 array."""
    import torch

    # in rows, as a cache file gives them back: sums over another order of memory round differently
    return torch.cat(list(parts)).float().cpu().contiguous().numpy()


def unit(features: Features) -> Features:
    """Rows scaled to length 1."""
    scaled: Features = features / np.linalg.norm(features, axis=1, keepdims=True)
    return scaled


def versions(*packages: str) -> str:
    """ "transformers 5.23.0, torch 2.13.0": the version of a judge's code."""
    return ", ".join(f"{name} {version(name)}" for name in packages)
