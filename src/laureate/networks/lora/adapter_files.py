"""Read and write LoRA adapters in the diffusers layout, take them out of a stack, merge them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from laureate.core.errors import LaureateError
from laureate.core.paths import ADAPTER_WEIGHTS
from laureate.networks.lora.adapter import MAGNITUDE, TEXT, UNET, Adapter, Part
from laureate.networks.lora.layers import Stacked
from laureate.torch_utils import safetensors_io

METADATA = "lora_adapter_metadata"  # where diffusers looks for alpha


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
            config[f"{part}.lora_alpha"] = _plain(alpha)
            config[f"{part}.target_modules"] = sorted(names)
            other = {name: (ranks or {}).get(label + name, rank) for name in names}
            other = {name: value for name, value in other.items() if value != rank}
            if other:
                config[f"{part}.rank_pattern"] = other
                config[f"{part}.alpha_pattern"] = {
                    name: _plain(adapter.scale * value) for name, value in other.items()
                }
            if adapter.variant == "dora":
                config[f"{part}.use_dora"] = True
    safetensors_io.save(
        Path(folder) / ADAPTER_WEIGHTS, state, {METADATA: json.dumps(config, sort_keys=True), "format": "pt"}
    )


def load(folder: str | Path, strength: float = 1.0) -> tuple[dict[str, Tensor], Adapter]:
    """Read what `save` wrote: the tensors, and the adapter with its rank, alpha and variant.

    `strength`: factor on its update, see `Adapter.at`.

    Raises LaureateError if the file is missing, damaged or holds no LoRA of a UNet.
    """
    path = Path(folder) / ADAPTER_WEIGHTS
    state = safetensors_io.load(path)
    ranks = {tensor.shape[0] for name, tensor in state.items() if name.endswith(".lora_A.weight")}
    known = UNET.prefix, TEXT.prefix
    config = json.loads(safetensors_io.metadata(path).get(METADATA, "{}"))
    rank = int(config.get("unet.r", max(ranks, default=0)))
    several = "unet.rank_pattern" in config or "text_encoder.rank_pattern" in config
    if not ranks or (ranks != {rank} and not several) or not all(name.startswith(known) for name in state):
        raise LaureateError(
            f"{path} does not hold one LoRA of a UNet; its tensors should be named unet.*.lora_A.weight"
        )
    variant = "dora" if any(MAGNITUDE in name for name in state) else "lora"
    return state, Adapter(rank, float(config.get("unet.lora_alpha", rank)), variant=variant).at(strength)


def header(folder: str | Path, strength: float = 1.0) -> dict[str, str]:
    """Rank and alpha of a saved adapter as `save` wrote them into its header, alpha times `strength`."""
    config = json.loads(safetensors_io.metadata(Path(folder) / ADAPTER_WEIGHTS)[METADATA])
    for key, value in config.items():
        if key.endswith(".lora_alpha"):
            config[key] = _plain(value * strength)
        elif key.endswith(".alpha_pattern"):
            config[key] = {name: _plain(alpha * strength) for name, alpha in value.items()}
    return {METADATA: json.dumps(config, sort_keys=True)}


def _plain(alpha: float) -> int | float:
    """Alpha as diffusers writes it: a whole number without its point."""
    alpha = round(float(alpha), 9)
    return int(alpha) if alpha.is_integer() else alpha


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
