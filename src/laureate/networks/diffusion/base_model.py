"""Find, verify and load a frozen Stable Diffusion in the folder layout of diffusers.

Finding and verifying need neither torch nor diffusers, so a missing or broken base stops a stage at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file
from laureate.core.system_files import is_system_file
from laureate.torch_utils.safetensors_io import header

if TYPE_CHECKING:
    import torch

    from laureate.config import params

WEIGHTS = {
    "text_encoder": "model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}
PREDICTIONS = ("epsilon", "v_prediction")
ORIGIN = "source.json"  # in a base that was fetched: where it came from


@dataclass(frozen=True)
class Base:
    """A verified base folder. The methods load a part anew, frozen, in evaluation mode.

    They take the precision to load in (None: float32), so that a large part never lies in memory in float32
    only to be rounded.
    """

    folder: Path
    fingerprint: str  # SHA-256 over the component files, 64 hexadecimal digits
    scheduler: dict[str, Any]  # scheduler_config.json
    scaling_factor: float  # latents = scaling_factor * VAE posterior
    downscale: int  # pixels per latent, along one side
    files: Mapping[str, str]  # SHA-256 by name in the folder
    source: str  # where it came from, in words: goes into every output

    @property
    def prediction(self) -> str:
        """What the UNet predicts: `epsilon` (the noise) or `v_prediction` (Salimans & Ho 2022)."""
        return str(self.scheduler.get("prediction_type", "epsilon"))

    def unet(self, dtype: torch.dtype | None = None) -> Any:
        """The `UNet2DConditionModel`."""
        from diffusers import UNet2DConditionModel

        return self._load(UNet2DConditionModel, "unet", dtype)

    def vae(self, dtype: torch.dtype | None = None) -> Any:
        """The `AutoencoderKL`."""
        from diffusers import AutoencoderKL

        return self._load(AutoencoderKL, "vae", dtype)

    def text_encoder(self, dtype: torch.dtype | None = None) -> Any:
        """The `CLIPTextModel`."""
        from transformers import CLIPTextModel
        from transformers.utils import logging

        logging.disable_progress_bar()  # a bar of its own for a hundredth of a second
        return self._load(CLIPTextModel, "text_encoder", dtype)

    def tokenizer(self) -> Any:
        """The `CLIPTokenizer`."""
        from transformers import CLIPTokenizer

        return CLIPTokenizer.from_pretrained(self.folder / "tokenizer", local_files_only=True)

    def _load(self, kind: Any, part: str, dtype: torch.dtype | None) -> Any:
        import torch

        wanted = dtype or torch.float32
        # both libraries; transformers calls it dtype
        key = "dtype" if part == "text_encoder" else "torch_dtype"
        try:
            model = kind.from_pretrained(
                self.folder / part,
                use_safetensors=True,
                local_files_only=True,
                low_cpu_mem_usage=True,
                **{key: wanted},
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise LaureateError(
                f"{self.folder / part} cannot be loaded as {kind.__name__}: {reason}"
            ) from None
        return model.eval().requires_grad_(False)


def expected(given: params.Base) -> Base:
    """`find` the base of the parameters, and check that it is the one that is meant.

    Raises LaureateError as `find` does, and if it predicts something else than `base.prediction`, came from
    a source that `base.sources` does not name, or has a file whose SHA-256 is not that in `base.lock`.
    """
    found = find(given.path)
    check_prediction(found, given)
    names = [source.name for source in given.sources]
    origin = _origin(found.folder)
    if origin and origin.get("name") not in names:
        raise LaureateError(
            f"{found.folder} came from {found.source}, which base.sources does not name; "
            f"name it there, or remove the folder and run `laureate fetch`"
        )
    name = origin["name"] if origin else f"folder {given.path}"
    check_lock(found, given.lock, name)
    return found


def check_prediction(found: Base, given: params.Base) -> None:
    """Raise LaureateError if a base does not predict what `base.prediction` says."""
    _check_prediction(found.prediction, found.folder, found.source, given)


def _check_prediction(prediction: str, folder: Path, source: str, given: params.Base) -> None:
    if given.prediction and prediction != given.prediction:
        raise LaureateError(
            f"{folder} ({source}) predicts {prediction}, but base.prediction is {given.prediction}; take "
            "the other base (Stable Diffusion 2.1 predicts v_prediction at 768 px, its -base epsilon at 512) "
            "or set base.prediction"
        )


def check_lock(found: Base, lock: str | Path, name: str) -> None:
    """Raise LaureateError if a file is not what the lock has noted for the source `name`, if anything."""
    noted = read_lock(lock).get(name)
    if noted is None:
        return
    files = noted["files"]
    for file in sorted(set(files) | set(found.files)):
        if files.get(file) != found.files.get(file):
            what = "is new" if file not in files else "is missing" if file not in found.files else "differs"
            raise LaureateError(
                f"{found.folder / file} {what}: its SHA-256 is not that in {lock} for {name!r}; fetch "
                f"the base again, or, if the change is meant, remove that entry and run `laureate fetch`"
            )


def read_lock(path: str | Path) -> dict[str, Any]:
    """Source => what was noted of it (`revision`, `prediction`, `files`). Raises LaureateError if damaged."""
    if not Path(path).is_file():
        return {}
    noted = read_json(Path(path))
    if not all(isinstance(entry, dict) and isinstance(entry.get("files"), dict) for entry in noted.values()):
        raise LaureateError(f"{path} is not a lock of base models; restore it with git")
    return noted


def find(folder: str | Path) -> Base:
    """Verify a base folder and take its fingerprint.

    Raises LaureateError, one sentence each: no folder, not a Stable Diffusion pipeline, a component or a
    file missing, weights that are pickled or cut short, an unknown prediction type, parts that do not fit.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise LaureateError(
            f"there is no base model at {folder}; see base.path in params.yaml, or run `laureate fetch`"
        )
    check_kind(folder)
    if not (folder / "tokenizer").is_dir():
        raise LaureateError(f"the base {folder} has no tokenizer folder")
    configs = {part: read_json(folder / part / "config.json") for part in WEIGHTS}
    for part, name in WEIGHTS.items():
        _check_weights(folder / part, name)
    scheduler = _scheduler(folder)
    _check_fit(folder, configs)
    files = _hashes(folder)
    origin = _origin(folder)
    return Base(
        folder=folder,
        fingerprint=fingerprint(files),
        files=files,
        source=str(origin["source"]) if origin else f"folder {folder}",
        scheduler=scheduler,
        scaling_factor=float(configs["vae"].get("scaling_factor", 0.18215)),
        downscale=2 ** (len(configs["vae"]["block_out_channels"]) - 1),
    )


def check_kind(folder: Path) -> None:
    """Raise LaureateError if `model_index.json` describes another pipeline than StableDiffusionPipeline."""
    index = read_json(folder / "model_index.json")
    kind = str(index.get("_class_name", "no pipeline"))
    if kind != "StableDiffusionPipeline":
        hint = "; SDXL has two text encoders and is not supported" if "XL" in kind else ""
        raise LaureateError(
            f"{folder / 'model_index.json'} describes {kind}; a base must be a StableDiffusionPipeline "
            f"(Stable Diffusion 1 or 2){hint}"
        )


def check_scheduler(folder: Path, given: params.Base, source: str) -> None:
    """What `check_prediction` does, before the weights are there."""
    _check_prediction(str(_scheduler(folder).get("prediction_type", "epsilon")), folder, source, given)


def _scheduler(folder: Path) -> dict[str, Any]:
    """The scheduler's configuration. Raises LaureateError for an unknown prediction type."""
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json")
    prediction = scheduler.get("prediction_type", "epsilon")
    if prediction not in PREDICTIONS:
        raise LaureateError(
            f"{folder / 'scheduler' / 'scheduler_config.json'}: prediction_type {prediction!r} is not "
            f"supported; it must be one of {', '.join(PREDICTIONS)}"
        )
    return scheduler


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a base. Raises LaureateError if it is missing or something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LaureateError(f"the base lacks {path}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise LaureateError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(value, dict):
        raise LaureateError(f"{path} must hold a JSON object")
    return value


def _check_weights(part: Path, name: str) -> None:
    """The weights are there, in one safetensors file that is as long as its header says."""
    path = part / name
    if not path.is_file():
        pickled = sorted(p.name for p in part.glob("*.bin") if not is_system_file(p.name))
        if pickled:
            raise LaureateError(
                f"{part} has pickled weights only ({pickled[0]}), not loaded here; convert them to {name}"
            )
        raise LaureateError(f"the base lacks {path}")
    header(path)


def _check_fit(folder: Path, configs: dict[str, dict[str, Any]]) -> None:
    """The UNet takes the VAE's latents and the text encoder's embeddings."""
    pairs = (
        ("unet", "in_channels", "vae", "latent_channels"),
        ("unet", "cross_attention_dim", "text_encoder", "hidden_size"),
    )
    for left, left_key, right, right_key in pairs:
        a, b = configs[left].get(left_key), configs[right].get(right_key)
        if a != b:
            raise LaureateError(
                f"the parts of {folder} do not fit: {left}.{left_key} is {a}, {right}.{right_key} is {b}"
            )


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of the files a base is loaded from, by name in the folder, whatever lies beside them."""
    files = [folder / "model_index.json", folder / "scheduler" / "scheduler_config.json"]
    files += [folder / part / name for part in WEIGHTS for name in ("config.json", WEIGHTS[part])]
    tokenizer = (folder / "tokenizer").iterdir()
    files += [path for path in tokenizer if path.is_file() and not is_system_file(path.name)]
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(files)}


def fingerprint(files: Mapping[str, str]) -> str:
    """SHA-256 over names and contents of a base's files."""
    lines = sorted(f"{name} {digest}\n" for name, digest in files.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _origin(folder: Path) -> dict[str, Any] | None:
    """What `laureate fetch` left in a base: `name` and `source`; None for a folder that was there before."""
    if not (folder / ORIGIN).is_file():
        return None
    origin = read_json(folder / ORIGIN)
    if not {"name", "source"} <= origin.keys():
        raise LaureateError(f"{folder / ORIGIN} is damaged; remove {folder} and run `laureate fetch`")
    return origin
