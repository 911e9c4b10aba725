"""Random numbers that depend on what they are for, and on nothing that ran before."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator


def generator(*key: int | str) -> Generator:
    """A CPU generator for one purpose, such as ("train", seed, step): equal keys, equal numbers.

    The key is hashed, so that neighbouring seeds and steps give unrelated streams; drawing on the CPU gives
    every device the same numbers.
    """
    import torch

    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
