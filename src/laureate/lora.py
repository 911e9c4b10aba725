"""LoRA layers (Hu et al. 2021, arXiv:2106.09685): attach to a frozen UNet, export, load, merge.

Layers hold a stack of R adapters: the batch is [adapter x sample], and one batched product serves all of
them. An adapter whose rank is below the stack's largest is padded with zeros, which stay zero: the gradient
of a padded column of A is a multiple of the padded row of B, and the other way round.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from laureate import seeds, tensors
from laureate.errors import LaureateError

WEIGHTS = "pytorch_lora_weights.safetensors"
PREFIX = "unet."
METADATA = "lora_adapter_metadata"  # where diffusers looks for alpha


@dataclass(frozen=True)
class Adapter:
    """Shape of one adapter: the update of a weight is `alpha / rank * (A @ B).T`."""

    rank: int
    alpha: float

    @property
    def scale(self) -> float:
        """alpha / rank."""
        return self.alpha / self.rank


class LoraLinear(nn.Module):
    """A frozen linear layer and R low-rank updates: y[r] = base(x[r]) + scale[r] * x[r] @ A[r] @ B[r]."""

    def __init__(self, base: nn.Linear, adapters: Sequence[Adapter], start: Tensor) -> None:
        """`start`: (r_max, in) float32, the rows from which every adapter takes its first `rank`."""
        super().__init__()
        count, width = len(adapters), max(adapter.rank for adapter in adapters)
        self.base = base
        self.a = nn.Parameter(torch.zeros(count, base.in_features, width, device=base.weight.device))
        self.b = nn.Parameter(torch.zeros(count, width, base.out_features, device=base.weight.device))
        with torch.no_grad():
            for index, adapter in enumerate(adapters):
                self.a[index, :, : adapter.rank] = start[: adapter.rank].T
        self.scale: Tensor
        scales = torch.tensor([adapter.scale for adapter in adapters]).view(count, 1, 1)
        self.register_buffer("scale", scales.to(base.weight.device), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: (R * n, ..., in) in the base's dtype => (R * n, ..., out) in the same dtype."""
        y: Tensor = self.base(x)
        stacked = x.reshape(self.a.shape[0], -1, x.shape[-1])
        # alpha / rank goes onto the narrow product: it is the cheapest place
        narrow = torch.bmm(stacked, self.a.to(x.dtype)) * self.scale.to(x.dtype)
        update = torch.bmm(narrow, self.b.to(x.dtype))
        return y + update.reshape(y.shape)


def find_targets(unet: nn.Module, targets: Sequence[str]) -> dict[str, nn.Linear]:
    """The linear layers whose name ends in one of `targets` (`to_q`, `to_out.0`), by name, in module order.

    Raises LaureateError for a target that matches nothing, or anything but a linear layer.
    """
    found: dict[str, nn.Linear] = {}
    unmatched = set(targets)
    for name, module in unet.named_modules():
        matching = {target for target in targets if name == target or name.endswith(f".{target}")}
        if not matching:
            continue
        if not isinstance(module, nn.Linear):
            raise LaureateError(
                f"train.targets: {min(matching)!r} is the {type(module).__name__} {name}; "
                "only linear layers can be adapted"
            )
        unmatched -= matching
        found[name] = module
    if unmatched:
        linear = [name for name, module in unet.named_modules() if isinstance(module, nn.Linear)]
        endings = sorted({_ending(name) for name in linear})
        raise LaureateError(
            f"train.targets: {min(unmatched)!r} is not the name of a layer of the UNet; "
            f"its linear layers end in {', '.join(endings)}"
        )
    return found


def _ending(name: str) -> str:
    """`...attn1.to_out.0` => `to_out.0`: a number alone says nothing."""
    parts = name.split(".")
    return ".".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]


def attach(
    unet: nn.Module, adapters: Sequence[Adapter], targets: Sequence[str], seed: int
) -> dict[str, LoraLinear]:
    """Put a stack of adapters onto a frozen UNet, in place, and give the new layers by name.

    A starts uniform in +-1/sqrt(in), which is PEFT's Kaiming-uniform with a = sqrt(5); B starts at zero, so
    the UNet's output does not change. A depends on (seed, layer), and its first columns are the same for all
    ranks. A rank may be larger than some layers are wide: there the update is of full rank, as in PEFT.

    Raises LaureateError for an unknown target, or a rank that is larger than every layer is wide.
    """
    width = max(adapter.rank for adapter in adapters)
    found, layers = find_targets(unet, targets), {}
    widest = max(max(linear.in_features, linear.out_features) for linear in found.values())
    if width > widest:
        raise LaureateError(
            f"rank {width} is larger than the widest adapted layer ({widest}), so it adds nothing to "
            f"rank {widest}; take it out of ranks"
        )
    for name, linear in found.items():
        bound = linear.in_features**-0.5
        start = torch.empty(width, linear.in_features).uniform_(
            -bound, bound, generator=seeds.generator("lora", seed, name)
        )
        layers[name] = LoraLinear(linear, adapters, start)
        unet.set_submodule(name, layers[name])
    return layers


def export(layers: Mapping[str, LoraLinear], index: int, adapter: Adapter) -> dict[str, Tensor]:
    """One adapter of a stack under the names of diffusers and PEFT: `unet.NAME.lora_A.weight` (rank, in) and
    `unet.NAME.lora_B.weight` (out, rank), float32 on the CPU, without the stack's padding."""
    state = {}
    for name, layer in layers.items():
        state[f"{PREFIX}{name}.lora_A.weight"] = (
            layer.a[index, :, : adapter.rank].detach().float().cpu().T.contiguous()
        )
        state[f"{PREFIX}{name}.lora_B.weight"] = (
            layer.b[index, : adapter.rank].detach().float().cpu().T.contiguous()
        )
    return state


def save(folder: str | Path, state: Mapping[str, Tensor], adapter: Adapter, targets: Sequence[str]) -> None:
    """Write `pytorch_lora_weights.safetensors` as `StableDiffusionPipeline.load_lora_weights` reads it.

    Rank and alpha are in the header, where diffusers and PEFT look for them; it takes alpha = rank without.
    """
    alpha = int(adapter.alpha) if float(adapter.alpha).is_integer() else adapter.alpha
    config = {"unet.r": adapter.rank, "unet.lora_alpha": alpha, "unet.target_modules": sorted(targets)}
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
    if len(ranks) != 1 or not all(name.startswith(PREFIX) for name in state):
        raise LaureateError(
            f"{path} does not hold one LoRA of a UNet; its tensors should be named unet.*.lora_A.weight"
        )
    rank = ranks.pop()
    config = json.loads(tensors.metadata(path).get(METADATA, "{}"))
    return state, Adapter(rank, float(config.get("unet.lora_alpha", rank)))


def merge(unet: nn.Module, state: Mapping[str, Tensor], adapter: Adapter) -> None:
    """Add an adapter's update to the weights of a UNet, in place: afterwards it costs nothing.

    Raises LaureateError if the adapter has a layer that the UNet lacks, or one of another shape.
    """
    with torch.no_grad():
        for key in sorted(key for key in state if key.endswith(".lora_A.weight")):
            name = key.removeprefix(PREFIX).removesuffix(".lora_A.weight")
            a, b = state[key], state.get(f"{PREFIX}{name}.lora_B.weight")
            try:
                layer = unet.get_submodule(name)
            except AttributeError:
                layer = None
            if (
                not isinstance(layer, nn.Linear)
                or b is None
                or layer.weight.shape != (b.shape[0], a.shape[1])
            ):
                raise LaureateError(
                    f"the adapter does not fit the base: layer {name} is missing or has another shape"
                )
            update = adapter.scale * (b.float() @ a.float())
            layer.weight += update.to(layer.weight.device, layer.weight.dtype)
