"""Memory that stays: what the C library gives back and gets again costs more than it is worth."""

from __future__ import annotations

import ctypes
from pathlib import Path

# of malloc.h; the numbers are part of the interface of glibc
MXFAST, TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = 1, -1, -2, -4
LARGE = 2**30  # bytes of weights


def keep() -> bool:
    """Have the C library keep freed memory for the next request; gives whether it could be told.

    By default glibc maps every large block anew and unmaps it when it is freed. A network frees its
    activations in every step, and the system clears each page of the next step's before it is used: a tenth
    to half of a training step. Nor are small blocks put by unmerged ("fast bins"): every request for a large
    one would merge them first, a hundredth of a step. With another C library nothing is changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    most = 2**31 - 1
    settings = {MXFAST: 0, MMAP_MAX: 0, TRIM_THRESHOLD: most, TOP_PAD: 64 * 2**20}
    return min(mallopt(name, value) for name, value in settings.items()) == 1  # all of them are set


def keep_beside(base: str | Path) -> bool:
    """`keep`, unless the networks in the folder `base` are LARGE; gives whether it is kept.

    Weights leave holes where they lay before they had their precision and layout, and what is kept is not
    given back: with Stable Diffusion 2.1 `train` took 9.7 GiB instead of 7.5, for little of a long step.
    """
    if sum(file.stat().st_size for file in Path(base).rglob("*.safetensors")) >= LARGE:
        return False
    return keep()
