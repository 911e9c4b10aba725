"""Device, precision, memory layout and kernels of a loaded network: the only door to the CPU backends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from laureate.networks.backends import device_rules

if TYPE_CHECKING:
    import torch

    from laureate.config.schema import Kernels


def place(model: Any, where: torch.device, dtype: torch.dtype, channels_last: bool = True) -> Any:
    """Move a frozen model to a device and precision, by default channels last, as convolutions like it."""
    import torch

    # diffusers' own `to` warns about a lower precision, whatever the model
    move: Any = torch.nn.Module.to
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return move(model, device=where, dtype=dtype, memory_format=layout)


def place_text(encoder: Any, where: torch.device, dtype: torch.dtype, kernels: Kernels = "auto") -> Any:
    """`place` for a `CLIPTextModel` that is trained, with the attention that is fastest there; `reference`:
    with the one that it was loaded with."""
    if kernels == "auto" and device_rules.attention_as_products(where.type, 8 * dtype.itemsize):
        encoder.set_attn_implementation("eager")
    return place(encoder, where, dtype)


def place_unet(unet: Any, where: torch.device, dtype: torch.dtype, kernels: Kernels = "auto") -> Any:
    """`place` for a `UNet2DConditionModel`, in the layout that is fastest there.

    `auto`: on a CPU with the blocks and the attention of `cpu_unet_blocks`. `reference`: with the blocks and
    the attention that diffusers gave it.
    """
    if kernels == "auto" and where.type == "cpu":
        from laureate.networks.backends.cpu_unet_blocks import exchange_blocks

        choose_attention(unet, where, dtype)
        exchange_blocks(unet, device_rules.attention_as_products(where.type, 8 * dtype.itemsize))
    return place(unet, where, dtype, channels_last=device_rules.channels_last(where.type))


def choose_attention(unet: Any, where: torch.device, dtype: torch.dtype) -> None:
    """Set that of diffusers' own attention processors which is fastest on a device, in place."""
    if device_rules.attention_as_products(where.type, 8 * dtype.itemsize):
        from diffusers.models.attention_processor import AttnProcessor

        unet.set_attn_processor(AttnProcessor())


@contextmanager
def texts_kept(unet: Any) -> Iterator[None]:
    """While the block runs, a UNet that `place_unet` gave the attention of `cpu_attention` computes the keys
    and values of every text tensor once: for the steps of one drawing, between which neither the text nor the
    weights change. Of any other network nothing is changed."""
    processors = [
        module.processor for module in getattr(unet, "modules", list)() if hasattr(module, "processor")
    ]
    keeping = [processor for processor in processors if hasattr(processor, "kept")]
    for processor in keeping:
        processor.kept = {}
    try:
        yield
    finally:
        for processor in keeping:
            processor.kept = None
