"""Random generators keyed by purpose, so that numbers do not depend on what ran before."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator
    from torch import device as Device


def generator(*key: int | str, device: Device | str = "cpu") -> Generator:
    """A generator for one purpose, such as ("train", seed, step): equal keys, equal numbers.

    The key is hashed, so that neighbouring seeds and steps give unrelated streams. Drawing on the CPU gives
    every device the same numbers; another device is for numbers too many to be sent there.
    """
    import torch

    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "little") >> 1)
