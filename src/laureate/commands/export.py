"""`laureate export`: write an adapter as one file in the format of another program."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from laureate import __version__
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.paths import ADAPTER_WEIGHTS, ADAPTERS
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_config
from laureate.torch_utils import safetensors_io

if TYPE_CHECKING:
    from torch import Tensor

    from laureate.networks.lora.injection import Adapter

FORMS = ("diffusers", "kohya", "comfyui")
EXPORTS = Path("exports")
KOHYA_PARTS = {"unet": "lora_unet", "text_encoder": "lora_te"}
KOHYA_HALVES = {"lora_A": "lora_down", "lora_B": "lora_up"}


def run(params: Params, rank: int, to: str, out: str | None = None) -> None:
    """models/lora/rank-N => one safetensors file, by default exports/rank-N-FORM.safetensors.

    Raises LaureateError for an adapter that is missing or was trained on another base.
    """
    from laureate.networks.lora import adapter_files
    from laureate.sampling.pipeline import check_adapter

    folder = ADAPTERS / f"rank-{rank}"
    base = base_model.expected(params.base)
    check_adapter(folder, base)
    state, adapter = adapter_files.load(folder)
    path = Path(out) if out else EXPORTS / f"rank-{rank}-{to}.safetensors"
    metadata = origin(folder, base, rank)
    if to == "diffusers":
        metadata |= {
            adapter_files.METADATA: safetensors_io.metadata(folder / ADAPTER_WEIGHTS)[adapter_files.METADATA]
        }
    else:
        state = kohya(state, adapter)
        metadata |= kohya_metadata(adapter, base)
    safetensors_io.save(path, state, {"format": "pt"} | metadata)
    print(f"{path}: {len(state)} tensors in the format of {to}")


def kohya(state: Mapping[str, Tensor], adapter: Adapter) -> dict[str, Tensor]:
    """`unet.NAME.lora_A.weight` => `lora_unet_NAME.lora_down.weight`, `.lora_up.weight` and `.alpha`; and
    `text_encoder.text_model.NAME` => `lora_te_text_model_NAME`; the points in NAME become underscores.

    `.alpha` is a float32 scalar per layer. ComfyUI reads the same names: its loader knows the attention
    layers of Stable Diffusion 1 and 2 by them, and the layers of their text encoders. Raises LaureateError
    for an adapter with magnitudes (DoRA), which Kohya's networks.lora does not have.
    """
    if adapter.variant == "dora":
        raise LaureateError("an adapter trained with DoRA has no form in Kohya's scripts: use --to diffusers")
    import torch

    alpha, converted = torch.tensor(float(adapter.alpha)), {}
    for key, tensor in state.items():
        name, half = key.removesuffix(".weight").rsplit(".", 1)
        part, layer = name.split(".", 1)
        stem = f"{KOHYA_PARTS[part]}_{layer.replace('.', '_')}"
        converted[f"{stem}.{KOHYA_HALVES[half]}.weight"] = tensor
        converted[f"{stem}.alpha"] = alpha
    return converted


def origin(folder: Path, base: base_model.Base, rank: int) -> dict[str, str]:
    """Where the adapter comes from, as metadata: hashes of base and data, the commit, the recipe as JSON."""
    config = adapter_config.read(folder)
    recipe = {key: value for key, value in config.items() if key not in ("base", "dataset", "encoded")}
    return {
        "laureate.version": __version__,
        "laureate.rank": str(rank),
        "laureate.base": base.fingerprint,
        "laureate.base_source": base.source,
        "laureate.dataset": str(config["dataset"]),
        "laureate.commit": commit(),
        "laureate.recipe": json.dumps(recipe, sort_keys=True),
    }


def kohya_metadata(adapter: Adapter, base: base_model.Base) -> dict[str, str]:
    """The metadata keys of sd-scripts by which programs show an adapter and choose its base."""
    width = base_model.read_json(base.folder / "unet" / "config.json").get("cross_attention_dim")
    version = {768: "sd_v1", 1024: "sd_v2"}.get(width if isinstance(width, int) else 0)
    metadata = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(adapter.rank),
        "ss_network_alpha": f"{adapter.alpha:g}",
        "modelspec.prediction_type": "v" if base.prediction == "v_prediction" else "epsilon",
    }
    if version:  # neither, for a base of another width
        metadata |= {"ss_base_model_version": version, "ss_v2": str(version == "sd_v2")}
    return metadata


def commit() -> str:
    """The commit of the working folder, with "-changed" where files differ from it; "unknown" without git."""
    try:
        git = ["git", "rev-parse", "HEAD"]
        head = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
        status = ["git", "status", "--porcelain", "--untracked-files=no"]
        changed = subprocess.run(status, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-changed" if changed else head
