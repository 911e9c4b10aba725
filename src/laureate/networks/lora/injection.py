"""Attach stacks of LoRA adapters (Hu et al. 2021, arXiv:2106.09685) to a frozen UNet or text encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeGuard

import torch
from torch import nn

from laureate.core.errors import LaureateError
from laureate.networks.lora.adapter import UNET, Adapter, Part
from laureate.networks.lora.layers import LoraConv2d, LoraLinear, Shared, Stacked
from laureate.networks.lora.low_rank_matmul import InputGroups, Run
from laureate.torch_utils import rng

Target = nn.Linear | nn.Conv2d


def find_targets(net: nn.Module, targets: Sequence[str], part: Part = UNET) -> dict[str, Target]:
    """The layers whose name ends in one of `targets` (`to_q`, `to_out.0`, `conv1`), by name, in module order.

    Raises LaureateError for a target that matches nothing, or anything but a linear layer or a plain
    convolution (one group, no dilation, kernels of 1 x 1 or 3 x 3).
    """
    layers: dict[str, Target] = {}
    unmatched = set(targets)
    for name, module in net.named_modules():
        matching = {target for target in targets if name == target or name.endswith(f".{target}")}
        if not matching:
            continue
        if not _fits(module):
            raise LaureateError(
                f"{part.key}: {min(matching)!r} is the {type(module).__name__} {name}; "
                "only linear layers and plain convolutions of 1 x 1 or 3 x 3 can be adapted"
            )
        unmatched -= matching
        layers[name] = module
    if unmatched:
        endings = sorted({_ending(name) for name, module in net.named_modules() if _fits(module)})
        raise LaureateError(
            f"{part.key}: {min(unmatched)!r} is not the name of a layer of the {part.said}; "
            f"those that can be adapted end in {', '.join(endings)}"
        )
    return layers


def _fits(module: nn.Module) -> TypeGuard[Target]:
    """A linear layer or a plain convolution."""
    if isinstance(module, nn.Conv2d):
        return (
            module.groups == 1
            and module.dilation == (1, 1)
            and module.padding_mode == "zeros"
            and module.kernel_size in ((1, 1), (3, 3))
        )
    return isinstance(module, nn.Linear)


def _ending(name: str) -> str:
    """`...attn1.to_out.0` => `to_out.0`: a number alone says nothing."""
    parts = name.split(".")
    return ".".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]


def fitting(
    net: nn.Module, adapters: Sequence[Adapter], targets: Sequence[str], part: Part = UNET
) -> dict[str, Target]:
    """The layers that `attach` adapts, by name, without changing anything.

    Raises LaureateError for an unknown target, a rank that is larger than every layer of the UNet is wide, or
    a variant that a layer does not have.
    """
    width = max(adapter.rank for adapter in adapters)
    layers = find_targets(net, targets, part)
    widest = max(side for layer in layers.values() for side in _sides(layer))
    if width > widest and part == UNET:  # it is the UNet that there are ranks for
        raise LaureateError(
            f"rank {width} is larger than the widest adapted layer ({widest}), so it adds nothing to "
            f"rank {widest}; take it out of ranks"
        )
    for name, layer in layers.items():
        if isinstance(layer, nn.Conv2d) and adapters[0].variant == "dora":
            raise LaureateError(f"train.variant: dora is for linear layers, {name} is a convolution")
    return layers


def attach(
    net: nn.Module,
    adapters: Sequence[Adapter],
    targets: Sequence[str],
    seed: int | Sequence[int],
    part: Part = UNET,
    runs: Sequence[Run] | None = None,
) -> dict[str, Stacked]:
    """Put a stack of adapters onto a frozen UNet or text encoder, in place, and give the new layers by name.

    A starts uniform in +-1/sqrt(fan_in), which is PEFT's Kaiming-uniform with a = sqrt(5); B starts at zero,
    so the output does not change (with PiSSA it does not either). A depends on (seed, layer), and its
    first columns are the same for all ranks. `seed`: one for all adapters, or one for each. Variant and init
    are the same for all adapters. A rank may be larger than some layers are wide: there the update is of full
    rank, as in PEFT. `runs`: which adapters share a batched product (`device_rules.adapter_runs`); None: each
    is alone.

    Raises LaureateError as `fitting` does.
    """
    width = max(adapter.rank for adapter in adapters)
    seeds = [seed] * len(adapters) if isinstance(seed, int) else list(seed)
    layers: dict[str, Stacked] = {}
    for name, layer in fitting(net, adapters, targets, part).items():
        fan_in = _sides(layer)[1]
        starts = {
            each: torch.empty(width, fan_in).uniform_(
                -(fan_in**-0.5), fan_in**-0.5, generator=rng.generator("lora", each, part.label + name)
            )
            for each in dict.fromkeys(seeds)
        }
        kind = LoraConv2d if isinstance(layer, nn.Conv2d) else LoraLinear
        layers[part.label + name] = kind(layer, adapters, starts, runs, seeds)
        net.set_submodule(name, layers[part.label + name])
    return layers


def share_start(unet: nn.Module, groups: InputGroups, text: bool) -> None:
    """Compute what comes before the first adapted layer of a `UNet2DConditionModel` once for all adapters of
    a group, in place. For a batch in which these see the same: [the same samples] x R. `text`: captions are
    the same as well, so that keys and values of the base are computed once."""
    for name, module in unet.named_modules():
        if text and isinstance(module, LoraLinear) and name.endswith((".attn2.to_k", ".attn2.to_v")):
            module.groups = groups
    names = ["conv_in", "time_embedding"]
    if "Attn" in type(unet.get_submodule("down_blocks.0")).__name__:
        names.append("down_blocks.0.resnets.0")  # in front of the first attention
    for name in names:
        layer = unet.get_submodule(name)
        if not any(isinstance(module, Stacked) for module in layer.modules()):
            unet.set_submodule(name, Shared(layer, groups))
        elif name != "time_embedding":
            return


@contextmanager
def unshared(unet: nn.Module) -> Iterator[None]:
    """While the block runs, every adapter's samples are its own: undoes `share_start` for other batches."""
    sharing = [module for module in unet.modules() if isinstance(module, Shared | Stacked)]
    before = [module.groups for module in sharing]
    for module in sharing:
        module.groups = None
    try:
        yield
    finally:
        for module, groups in zip(sharing, before, strict=True):
            module.groups = groups


def _sides(layer: Target) -> tuple[int, int]:
    """(out, fan_in) of a layer's weight as a matrix."""
    out, fan_in = layer.weight.flatten(1).shape
    return out, fan_in
