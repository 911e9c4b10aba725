"""LoRA adapters (Hu et al. 2021, arXiv:2106.09685) of a frozen UNet and text encoder: attach, export, load,
merge.

What is attached are stacks of R adapters, see `laureate.layers`; what is loaded and merged is one adapter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor, nn

from laureate import seeds, tensors
from laureate.errors import LaureateError
from laureate.layers import Adapter, LoraConv2d, LoraLinear, Shared, Stacked

__all__ = ["Adapter", "LoraConv2d", "LoraLinear", "attach", "export", "find_targets", "load", "merge", "save"]

Target = nn.Linear | nn.Conv2d
WEIGHTS = "pytorch_lora_weights.safetensors"
PREFIX = "unet."
MAGNITUDE = "lora_magnitude_vector"
METADATA = "lora_adapter_metadata"  # where diffusers looks for alpha


@dataclass(frozen=True)
class Part:
    """A network of a Stable Diffusion that can be adapted."""

    said: str
    key: str  # of the parameters, which names its layers
    prefix: str  # of its layers' names in a file
    magnitude: str = MAGNITUDE  # ends the name of DoRA's lengths in a file
    label: str = ""  # of its layers' names where those of both parts are kept together


UNET = Part("UNet", "train.targets", PREFIX)
# `text_model` was a part of its names when the formats were made: all loaders know it, and drop it where they
# need not have it. transformers reads magnitudes as they are named; PEFT, for the UNet, adds `.weight`
_TEXT = "text_encoder.text_model."
TEXT = Part("text encoder", "train.text_encoder", _TEXT, f"{MAGNITUDE}.weight", _TEXT)


def find_targets(net: nn.Module, targets: Sequence[str], part: Part = UNET) -> dict[str, Target]:
    """The layers whose name ends in one of `targets` (`to_q`, `to_out.0`, `conv1`), by name, in module order.

    Raises LaureateError for a target that matches nothing, or anything but a linear layer or a plain
    convolution (one group, no dilation, kernels of 1 x 1 or 3 x 3).
    """
    found: dict[str, Target] = {}
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
        found[name] = module
    if unmatched:
        endings = sorted({_ending(name) for name, module in net.named_modules() if _fits(module)})
        raise LaureateError(
            f"{part.key}: {min(unmatched)!r} is not the name of a layer of the {part.said}; "
            f"those that can be adapted end in {', '.join(endings)}"
        )
    return found


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
    found = find_targets(net, targets, part)
    widest = max(side for layer in found.values() for side in _sides(layer))
    if width > widest and part == UNET:  # it is the UNet that there are ranks for
        raise LaureateError(
            f"rank {width} is larger than the widest adapted layer ({widest}), so it adds nothing to "
            f"rank {widest}; take it out of ranks"
        )
    for name, layer in found.items():
        if isinstance(layer, nn.Conv2d) and adapters[0].variant == "dora":
            raise LaureateError(f"train.variant: dora is for linear layers, {name} is a convolution")
    return found


def attach(
    net: nn.Module, adapters: Sequence[Adapter], targets: Sequence[str], seed: int, part: Part = UNET
) -> dict[str, Stacked]:
    """Put a stack of adapters onto a frozen UNet or text encoder, in place, and give the new layers by name.

    A starts uniform in +-1/sqrt(fan_in), which is PEFT's Kaiming-uniform with a = sqrt(5); B starts at zero,
    so the output does not change (with PiSSA it does not either). A depends on (seed, layer), and its
    first columns are the same for all ranks. Variant and init are the same for all adapters. A rank may be
    larger than some layers are wide: there the update is of full rank, as in PEFT.

    Raises LaureateError as `fitting` does.
    """
    width = max(adapter.rank for adapter in adapters)
    layers: dict[str, Stacked] = {}
    for name, layer in fitting(net, adapters, targets, part).items():
        fan_in = _sides(layer)[1]
        start = torch.empty(width, fan_in).uniform_(
            -(fan_in**-0.5), fan_in**-0.5, generator=seeds.generator("lora", seed, part.label + name)
        )
        kind = LoraConv2d if isinstance(layer, nn.Conv2d) else LoraLinear
        layers[part.label + name] = kind(layer, adapters, start)
        net.set_submodule(name, layers[part.label + name])
    return layers


def share_start(unet: nn.Module, count: int, text: bool) -> None:
    """Compute what comes before the first adapted layer of a `UNet2DConditionModel` once for R adapters, in
    place. For a batch in which every adapter sees the same: [the same samples] x R. `text`: captions are the
    same as well, so that keys and values of the base are computed once."""
    for name, module in unet.named_modules():
        if text and isinstance(module, LoraLinear) and name.endswith((".attn2.to_k", ".attn2.to_v")):
            module.same = True
    names = ["conv_in", "time_embedding"]
    if "Attn" in type(unet.get_submodule("down_blocks.0")).__name__:
        names.append("down_blocks.0.resnets.0")  # in front of the first attention
    for name in names:
        layer = unet.get_submodule(name)
        if not any(isinstance(module, Stacked) for module in layer.modules()):
            unet.set_submodule(name, Shared(layer, count))
        elif name != "time_embedding":
            return


def _sides(layer: Target) -> tuple[int, int]:
    """(out, fan_in) of a layer's weight as a matrix."""
    out, fan_in = layer.weight.flatten(1).shape
    return out, fan_in


def export(layers: Mapping[str, Stacked], index: int) -> dict[str, Tensor]:
    """One adapter of a stack under the names of diffusers and PEFT, float32 on the CPU, without padding.

    `unet.NAME.lora_A.weight` (rank, in) and `unet.NAME.lora_B.weight` (out, rank), for a convolution
    (rank, in, k, k) and (out, rank, 1, 1); with DoRA `unet.NAME.lora_magnitude_vector` (out,). For layers of
    the text encoder the same with `text_encoder.text_model.` in place of `unet.`.
    """
    state = {}
    for name, layer in layers.items():
        a, b = layer.weights_of(index)
        if isinstance(layer.base, nn.Conv2d):
            a, b = a.reshape(-1, *layer.base.weight.shape[1:]), b[:, :, None, None]
        part = TEXT if name.startswith(TEXT.label) else UNET
        key = part.prefix + name.removeprefix(part.label)
        state[f"{key}.lora_A.weight"] = a.float().cpu().contiguous()
        state[f"{key}.lora_B.weight"] = b.float().cpu().contiguous()
        if layer.m:
            state[f"{key}.{part.magnitude}"] = layer.own("m", index)[0].detach().float().cpu().clone()
    return state


def save(folder: str | Path, state: Mapping[str, Tensor], adapter: Adapter, targets: Sequence[str]) -> None:
    """Write `pytorch_lora_weights.safetensors` as `StableDiffusionPipeline.load_lora_weights` reads it.

    `targets`: names or ends of names of layers of the UNet, and of the text encoder's those that `attach`
    gives. Rank and alpha are in the header, where diffusers and PEFT look for them; it takes alpha = rank
    without. They are those of a plain LoRA of the same effect: rsLoRA goes into alpha, PiSSA's start into the
    rank.
    """
    rank = adapter.rank * (2 if adapter.init == "pissa" else 1)
    alpha = round(adapter.scale * rank, 9)
    of_text = [name.removeprefix(TEXT.label) for name in targets if name.startswith(TEXT.label)]
    of_unet = [name for name in targets if not name.startswith(TEXT.label)]
    config: dict[str, object] = {}
    for part, names in (("unet", of_unet), ("text_encoder", of_text)):
        if names:
            config[f"{part}.r"] = rank
            config[f"{part}.lora_alpha"] = int(alpha) if alpha.is_integer() else alpha
            config[f"{part}.target_modules"] = sorted(names)
            if adapter.variant == "dora":
                config[f"{part}.use_dora"] = True
    tensors.save(
        Path(folder) / WEIGHTS, state, {METADATA: json.dumps(config, sort_keys=True), "format": "pt"}
    )


def load(folder: str | Path) -> tuple[dict[str, Tensor], Adapter]:
    """What `save` wrote: the tensors and the adapter's shape.

    Raises LaureateError if the file is missing, damaged or holds no LoRA of a UNet.
    """
    path = Path(folder) / WEIGHTS
    state = tensors.load(path)
    ranks = {tensor.shape[0] for name, tensor in state.items() if name.endswith(".lora_A.weight")}
    known = UNET.prefix, TEXT.prefix
    if len(ranks) != 1 or not all(name.startswith(known) for name in state):
        raise LaureateError(
            f"{path} does not hold one LoRA of a UNet; its tensors should be named unet.*.lora_A.weight"
        )
    rank = ranks.pop()
    config = json.loads(tensors.metadata(path).get(METADATA, "{}"))
    variant = "dora" if any(MAGNITUDE in name for name in state) else "lora"
    return state, Adapter(rank, float(config.get("unet.lora_alpha", rank)), variant=variant)


def has(state: Mapping[str, Tensor], part: Part) -> bool:
    """Whether an adapter changes a part of the base."""
    return any(name.startswith(part.prefix) for name in state)


def merge(net: nn.Module, state: Mapping[str, Tensor], adapter: Adapter, part: Part = UNET) -> None:
    """Add an adapter's update of a part to the weights of that part, in place: afterwards it costs nothing.

    Raises LaureateError if the adapter has a layer that the part lacks, or one of another shape.
    """
    with torch.no_grad():
        for key in sorted(key for key in state if key.startswith(part.prefix)):
            if not key.endswith(".lora_A.weight"):
                continue
            name = key.removeprefix(part.prefix).removesuffix(".lora_A.weight")
            a, b = state[key], state.get(f"{part.prefix}{name}.lora_B.weight")
            try:
                layer = net.get_submodule(name)
            except AttributeError:
                layer = None
            if (
                not isinstance(layer, nn.Linear | nn.Conv2d)
                or b is None
                or layer.weight.shape != (b.shape[0], *a.shape[1:])
            ):
                raise LaureateError(
                    f"the adapter does not fit the base: layer {name} is missing or has another shape"
                )
            update = adapter.scale * (b.float().flatten(1) @ a.float().flatten(1))
            weight = layer.weight.float() + update.reshape(layer.weight.shape).to(layer.weight.device)
            length = state.get(f"{part.prefix}{name}.{part.magnitude}")
            if length is not None:
                weight *= (length.to(weight.device) / weight.norm(dim=1))[:, None]
            layer.weight.copy_(weight)
