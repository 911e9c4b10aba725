"""Device, precision, memory layout and kernels of a loaded network: the only door to the CPU backends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
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


def side_by_side(*networks: torch.nn.Module) -> int:
    """How many batches or stacks are worked on at once by networks of one device (`device_rules.workers`)."""
    import torch

    parameters = [parameter for network in networks for parameter in network.parameters()]
    weights = sum(parameter.nbytes for parameter in parameters)
    return device_rules.workers(parameters[0].device.type, torch.get_num_threads(), weights)


@contextmanager
def drawing(unet: Any) -> Iterator[None]:
    """For the steps of one drawing, between which neither texts nor weights change, and in each of which all
    rows are of one time: a UNet with the blocks and the attention of a CPU computes the keys and values of
    every text tensor once, and the embedding of a time once, whatever the rows. Any other is not changed.

    The products of the embedding have no more rows than the batch, so few that a CPU's libraries choose other
    kernels for other batches: taken from one row, pictures in float32 depend less on the batch.
    """
    modules = list(unet.modules()) if hasattr(unet, "modules") else []
    processors: list[Any] = [getattr(module, "processor", None) for module in modules]
    keeping = [processor for processor in processors if hasattr(processor, "kept")]
    timed = [module for module in modules if hasattr(module, "one_time")]
    thread = get_ident()  # several may draw with one UNet
    for processor in keeping:
        processor.kept[thread] = {}
    for module in timed:
        module.one_time.add(thread)
    try:
        yield
    finally:
        for processor in keeping:
            processor.kept.pop(thread, None)
        for module in timed:
            module.one_time.discard(thread)
