"""Choose device and precision, when a stage runs and never at import."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def pick() -> torch.device:
    """The first CUDA device if torch sees one, else the CPU. `CUDA_VISIBLE_DEVICES` chooses among several."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(asked: str, where: torch.device) -> torch.dtype:
    """`float32` or `bfloat16` as asked; `auto` is bfloat16 where the device is faster with it."""
    import torch

    if asked != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[asked]
    if where.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def name_of(dtype: torch.dtype) -> str:
    """`float32`, `bfloat16`: as in params.yaml."""
    return str(dtype).removeprefix("torch.")


def described(dtype: torch.dtype) -> dict[str, Any]:
    """Where a training ran: architecture, processor, graphics cards, precision, version of torch."""
    import torch

    facts = machine()
    named = {key: facts[key] for key in ("architecture", "processor", "cards")}
    return {**named, "precision": name_of(dtype), "torch": torch.__version__}


def peak_memory(where: torch.device) -> int:
    """Bytes that this process has held at most: of the graphics card where it runs on one, else of memory.

    0 where the system does not say.
    """
    if where.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(where))
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def machine() -> dict[str, Any]:
    """What decides how numbers are rounded on this machine, read without torch: the processor and its
    instructions, the graphics cards and `CUDA_VISIBLE_DEVICES`."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return {
        "architecture": platform.machine(),
        "processor": facts.get("model name", platform.processor()),
        "instructions": sorted(facts.get("flags", facts.get("Features", "")).split()),
        "cards": [line for card in cards for line in card.read_text().splitlines() if "Model" in line],
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
