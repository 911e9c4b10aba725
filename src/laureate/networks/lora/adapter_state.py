"""What the file of an adapter says of it, read without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.core.paths import ADAPTER_WEIGHTS
from laureate.networks.lora.adapter import MAGNITUDE, TEXT, UNET, Adapter
from laureate.torch_utils import safetensors_io

if TYPE_CHECKING:
    from laureate.torch_utils.safetensors_io import Array

METADATA = "lora_adapter_metadata"  # where diffusers looks for alpha


def load_arrays(folder: str | Path, strength: float = 1.0) -> tuple[dict[str, Array], Adapter]:
    """An adapter's float32 arrays and what it is; see `described`, and for an unreadable file
    `safetensors_io.load_arrays`."""
    state = safetensors_io.load_arrays(Path(folder) / ADAPTER_WEIGHTS)
    return state, described(folder, state, strength)


def described(folder: str | Path, state: Mapping[str, Any], strength: float = 1.0) -> Adapter:
    """The adapter that `adapter_files.save` wrote into a folder, with its rank, alpha and variant.

    `state`: its tensors; `strength`: factor on its update, see `Adapter.at`. Raises LaureateError if the file
    is damaged or holds no LoRA of a UNet.
    """
    path = Path(folder) / ADAPTER_WEIGHTS
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
    return Adapter(rank, float(config.get("unet.lora_alpha", rank)), variant=variant).at(strength)


def header(folder: str | Path, strength: float = 1.0) -> dict[str, str]:
    """Rank and alpha of a saved adapter as its header has them, alpha times `strength`."""
    config = json.loads(safetensors_io.metadata(Path(folder) / ADAPTER_WEIGHTS)[METADATA])
    for key, value in config.items():
        if key.endswith(".lora_alpha"):
            config[key] = plain(value * strength)
        elif key.endswith(".alpha_pattern"):
            config[key] = {name: plain(alpha * strength) for name, alpha in value.items()}
    return {METADATA: json.dumps(config, sort_keys=True)}


def plain(alpha: float) -> int | float:
    """Alpha as diffusers writes it: a whole number without its point."""
    alpha = round(float(alpha), 9)
    return int(alpha) if alpha.is_integer() else alpha
