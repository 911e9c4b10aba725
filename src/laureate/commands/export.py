"""`laureate export`: write an adapter as one file in the format of another program."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import __version__
from laureate.commands import adapter_choice
from laureate.commands.adapter_choice import Choice
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.paths import adapter_folder
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_config
from laureate.torch_utils import safetensors_io

if TYPE_CHECKING:
    from laureate.networks.lora.adapter import Adapter

FORMS = ("diffusers", "kohya", "comfyui")
EXPORTS = Path("exports")
KOHYA_PARTS = {"unet": "lora_unet", "text_encoder": "lora_te"}
KOHYA_HALVES = {"lora_A": "lora_down", "lora_B": "lora_up"}


def run(
    params: Params,
    rank: int,
    to: str,
    out: str | None = None,
    arm: str | None = None,
    step: int | None = None,
    strength: float | None = None,
) -> None:
    """models/lora/rank-N => one safetensors file, by default exports/rank-N-FORM.safetensors.

    `arm`, `step` and `strength`: see `adapter_choice.choose`; the strength goes into alpha. Raises
    LaureateError as that does, and for an adapter that is missing or was trained on another base.
    """
    from laureate.networks.lora import adapter_state
    from laureate.sampling.choosing import choice as choices
    from laureate.sampling.pipeline import check_adapter

    base = base_model.expected(params.base)
    check_adapter(adapter_folder(rank), base)
    choice = adapter_choice.choose(rank, arm, step, strength, choices.read(params, rank))
    state, adapter = adapter_state.load_arrays(choice.folder, choice.strength)
    path = Path(out) if out else EXPORTS / f"{choice.name}-{to}.safetensors"
    metadata = origin(choice, base)
    if to == "diffusers":
        metadata |= adapter_state.header(choice.folder, choice.strength)
    else:
        state = kohya(state, adapter)
        metadata |= kohya_metadata(adapter, base)
    safetensors_io.save(path, state, {"format": "pt"} | metadata)
    print(
        f"{path}: {len(state)} tensors in the format of {to}, after step {choice.step}, "
        f"strength {choice.strength:g}"
    )


def kohya(state: Mapping[str, Any], adapter: Adapter) -> dict[str, Any]:
    """`unet.NAME.lora_A.weight` => `lora_unet_NAME.lora_down.weight`, `.lora_up.weight` and `.alpha`; and
    `text_encoder.text_model.NAME` => `lora_te_text_model_NAME`; the points in NAME become underscores.

    `state` may hold tensors or arrays; `.alpha` is a float32 scalar of NumPy per layer. ComfyUI reads the
    same names: its loader knows the attention layers of Stable Diffusion 1 and 2 by them, and the layers of
    their text encoders. Raises LaureateError for an adapter with magnitudes (DoRA), which Kohya's
    networks.lora does not have.
    """
    if adapter.variant == "dora":
        raise LaureateError("an adapter trained with DoRA has no form in Kohya's scripts: use --to diffusers")
    import numpy as np

    converted: dict[str, Any] = {}
    for key, tensor in state.items():
        name, half = key.removesuffix(".weight").rsplit(".", 1)
        part, layer = name.split(".", 1)
        stem = f"{KOHYA_PARTS[part]}_{layer.replace('.', '_')}"
        converted[f"{stem}.{KOHYA_HALVES[half]}.weight"] = tensor
        own = state[f"{name}.lora_A.weight"].shape[0]  # a global budget of `shrink` gives several ranks
        converted[f"{stem}.alpha"] = np.asarray(float(adapter.alpha) * own / adapter.rank, dtype=np.float32)
    return converted


def origin(choice: Choice, base: base_model.Base) -> dict[str, str]:
    """Where the adapter comes from, as metadata: hashes of base and data, the commit, the recipe as JSON, the
    step and the strength."""
    config = adapter_config.read(choice.folder)
    recipe = {key: value for key, value in config.items() if key not in ("base", "dataset", "encoded")}
    return {
        "laureate.version": __version__,
        "laureate.rank": str(choice.rank),
        **adapter_choice.origin(choice),
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
