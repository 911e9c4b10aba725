"""Read and write LoRA adapters in the diffusers layout, take them out of a stack, merge them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from laureate.core.errors import LaureateError
from laureate.core.paths import ADAPTER_WEIGHTS
from laureate.networks.lora import adapter_state
from laureate.networks.lora.adapter import TEXT, UNET, Adapter, Part
from laureate.networks.lora.adapter_state import METADATA as METADATA
from laureate.networks.lora.layers import Stacked
from laureate.torch_utils import safetensors_io


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


def save(
    folder: str | Path,
    state: Mapping[str, Tensor],
    adapter: Adapter,
    targets: Sequence[str],
    ranks: Mapping[str, int] | None = None,
) -> None:
    """Write `pytorch_lora_weights.safetensors` as `StableDiffusionPipeline.load_lora_weights` reads it.

    `targets`: names or ends of names of layers of the UNet, and of the text encoder's those that `attach`
    gives. `ranks`: of layers whose rank is not the adapter's, by the same names; their scale is the
    adapter's. Rank and alpha are in the header, where diffusers and PEFT look for them; it takes alpha = rank
    without. They are those of a plain LoRA of the same effect: rsLoRA goes into alpha, PiSSA's start into the
    rank.
    """
    rank = adapter.rank * (2 if adapter.init == "pissa" else 1)
    alpha = adapter.scale * rank
    of_text = [name.removeprefix(TEXT.label) for name in targets if name.startswith(TEXT.label)]
    of_unet = [name for name in targets if not name.startswith(TEXT.label)]
    config: dict[str, object] = {}
    for part, label, names in (("unet", "", of_unet), ("text_encoder", TEXT.label, of_text)):
        if names:
            config[f"{part}.r"] = rank
            config[f"{part}.lora_alpha"] = adapter_state.plain(alpha)
            config[f"{part}.target_modules"] = sorted(names)
            other = {name: (ranks or {}).get(label + name, rank) for name in names}
            other = {name: value for name, value in other.items() if value != rank}
            if other:
                config[f"{part}.rank_pattern"] = other
                config[f"{part}.alpha_pattern"] = {
                    name: adapter_state.plain(adapter.scale * value) for name, value in other.items()
                }
            if adapter.variant == "dora":
                config[f"{part}.use_dora"] = True
    safetensors_io.save(
        Path(folder) / ADAPTER_WEIGHTS, state, {METADATA: json.dumps(config, sort_keys=True), "format": "pt"}
    )


def load(folder: str | Path, strength: float = 1.0) -> tuple[dict[str, Tensor], Adapter]:
    """Read what `save` wrote, see `adapter_state.described`."""
    state = safetensors_io.load(Path(folder) / ADAPTER_WEIGHTS)
    return state, adapter_state.described(folder, state, strength)


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
