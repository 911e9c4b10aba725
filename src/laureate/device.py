"""Where the arithmetic runs: decided when a stage runs, never at import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def pick() -> torch.device:
    """The first CUDA device if torch sees one, else the CPU. `CUDA_VISIBLE_DEVICES` chooses among several."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def place(model: Any, where: torch.device, precision: str) -> Any:
    """Move a frozen model to a device, in `float32` or `bfloat16`, channels last, as convolutions like it."""
    import torch

    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    # diffusers' own `to` warns about a lower precision, whatever the model
    move: Any = torch.nn.Module.to
    return move(model, device=where, dtype=dtype, memory_format=torch.channels_last)
