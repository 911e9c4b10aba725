"""Device, precision, memory layout and kernels of a loaded network: the only door to the CPU backends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


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
    `lean`: on a CPU, with blocks of `cpu_unet_blocks`; else with diffusers' own everywhere."""
    import torch

    if where.type == "cpu":
        from diffusers.models.attention_processor import AttnProcessor

        # here torch 2.13's fused attention takes 2 to 4 times as long as two products and a softmax
        products = dtype == torch.bfloat16
        if products:
            unet.set_attn_processor(AttnProcessor())
        if lean:
            from laureate.networks.backends.cpu_unet_blocks import make_lean

            make_lean(unet, products)
    # torch 2.13's group norm on a CPU takes 3 to 15 times as long channels last: more than convolutions save
    return place(unet, where, dtype, channels_last=where.type != "cpu")
