"""Where the arithmetic runs: decided when a stage runs, never at import."""

from __future__ import annotations

import os
import platform
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


def machine() -> dict[str, Any]:
    """What decides here how numbers are rounded, without importing torch: the processor and its instructions,
    the graphics cards and which of them are to be seen."""
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


def place(model: Any, where: torch.device, dtype: torch.dtype, channels_last: bool = True) -> Any:
    """Move a frozen model to a device and precision, by default channels last, as convolutions like it."""
    import torch

    # diffusers' own `to` warns about a lower precision, whatever the model
    move: Any = torch.nn.Module.to
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return move(model, device=where, dtype=dtype, memory_format=layout)


def place_text(encoder: Any, where: torch.device, dtype: torch.dtype) -> Any:
    """`place` for a `CLIPTextModel` that is trained, with the attention that is fastest there."""
    import torch

    if where.type == "cpu" and dtype == torch.bfloat16:
        encoder.set_attn_implementation("eager")  # for the same reason as the UNet's
    return place(encoder, where, dtype)


def place_unet(unet: Any, where: torch.device, dtype: torch.dtype, lean: bool = True) -> Any:
    """`place` for a `UNet2DConditionModel`, with the attention and the layout that are fastest there.
    `lean`: on a CPU, with blocks of `laureate.lean`; else with diffusers' own everywhere."""
    import torch

    if where.type == "cpu":
        from diffusers.models.attention_processor import AttnProcessor

        # here torch 2.13's fused attention takes 2 to 4 times as long as two products and a softmax
        products = dtype == torch.bfloat16
        if products:
            unet.set_attn_processor(AttnProcessor())
        if lean:
            from laureate.lean import make_lean

            make_lean(unet, products)
    # torch 2.13's group norm on a CPU takes 3 to 15 times as long channels last: more than convolutions save
    return place(unet, where, dtype, channels_last=where.type != "cpu")
