"""Measure how fast this machine multiplies matrices."""

from __future__ import annotations

import time
from typing import Any


def measured(where: Any, dtype: Any, side: int = 1024, seconds: float = 0.5) -> float:
    """Operations a second of a square matrix product: the fastest of those run in `seconds`."""
    import torch

    a = torch.randn(side, side).to(where, dtype)
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        a @ a
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        best = max(best, 2 * side**3 / (time.perf_counter() - start))
    return best
