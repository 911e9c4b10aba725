"""`laureate export`: an adapter as one file in the form that other programs load."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import __version__
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS, ADAPTERS
from laureate.networks.diffusion import base_model
from laureate.torch_utils import safetensors_io

if TYPE_CHECKING:
    from torch import Tensor

    from laureate.networks.lora.injection import Adapter

FORMS = ("diffusers", "kohya", "comfyui")
EXPORTS = Path("exports")


def run(params: Params, rank: int, to: str, out: str | None = None) -> None:
    """models/lora/rank-N => one safetensors file, by default exports/rank-N-FORM.safetensors.

    Raises LaureateError for an adapter that is missing or was trained on another base.
    """
    from laureate.networks.lora import adapter_files
    from laureate.sampling.pipeline import check_adapter

    folder = ADAPTERS / f"rank-{rank}"
    found = base_model.expected(params.base)
    check_adapter(folder, found)
    state, adapter = adapter_files.load(folder)
    path = Path(out) if out else EXPORTS / f"rank-{rank}-{to}.safetensors"
    about = origin(folder, found, rank)
    if to == "diffusers":
        about |= {
            adapter_files.METADATA: safetensors_io.metadata(folder / ADAPTER_WEIGHTS)[adapter_files.METADATA]
        }
    else:
        state = kohya(state, adapter)
        about |= kohya_metadata(adapter, found)
    safetensors_io.save(path, state, {"format": "pt"} | about)
    print(f"{path}: {len(state)} tensors in the form of {to}")


def kohya(state: dict[str, Tensor], adapter: Adapter) -> dict[str, Tensor]:
    """`unet.NAME.lora_A.weight` => `lora_unet_NAME.lora_down.weight`, `.lora_up.weight` and `.alpha`; and
    `text_encoder.text_model.NAME` => `lora_te_text_model_NAME`.

    The names are diffusers' own translation, which writes alpha = rank, whatever alpha is, and `lora_te1` for
    the text encoder, as for SDXL's first. ComfyUI reads the same names: its loader knows the attention layers
    of Stable Diffusion 1 and 2 by them, and the layers of their text encoders. Raises LaureateError for an
    adapter with magnitudes (DoRA), which Kohya's networks.lora does not have.
    """
    if adapter.variant == "dora":
        raise LaureateError("an adapter trained with DoRA has no form in Kohya's scripts: use --to diffusers")
    import torch
    from diffusers.utils.state_dict_utils import convert_state_dict_to_kohya

    found: dict[str, Tensor] = convert_state_dict_to_kohya(dict(state))
    alpha = torch.tensor(float(adapter.alpha))
    return {
        name.replace("lora_te1_", "lora_te_"): alpha if name.endswith(".alpha") else tensor
        for name, tensor in found.items()
    }


def origin(folder: Path, found: base_model.Base, rank: int) -> dict[str, str]:
    """What the adapter is made of, as metadata: hashes of base and data, the commit, the recipe as JSON."""
    config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    recipe = {key: value for key, value in config.items() if key not in ("base", "dataset", "encoded")}
    return {
        "laureate.version": __version__,
        "laureate.rank": str(rank),
        "laureate.base": found.fingerprint,
        "laureate.base_source": found.source,
        "laureate.dataset": str(config.get("dataset", "unknown")),
        "laureate.commit": commit(),
        "laureate.recipe": json.dumps(recipe, sort_keys=True),
    }


def kohya_metadata(adapter: Adapter, found: base_model.Base) -> dict[str, str]:
    """The words of sd-scripts that programs show or choose a base by."""
    width = _config(found, "unet").get("cross_attention_dim")
    version = {768: "sd_v1", 1024: "sd_v2"}.get(width if isinstance(width, int) else 0)
    about = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(adapter.rank),
        "ss_network_alpha": f"{adapter.alpha:g}",
        "modelspec.prediction_type": "v" if found.prediction == "v_prediction" else "epsilon",
    }
    if version:  # neither, for a base of another width
        about |= {"ss_base_model_version": version, "ss_v2": str(version == "sd_v2")}
    return about


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


def _config(found: base_model.Base, part: str) -> dict[str, Any]:
    path = found.folder / part / "config.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise LaureateError(f"{path} cannot be read; restore the base") from None
