"""Convert a single-file checkpoint of Stable Diffusion 1 or 2 into a base in the layout of diffusers.

Such a file holds no configuration, and diffusers looks that of Stable Diffusion 2 up in a repository that was
deleted: so it is taken from `layouts/`, and checked against the tensors in the file.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError
from laureate.core.network import is_lfs_pointer
from laureate.networks.diffusion.base_model import WEIGHTS
from laureate.networks.sources.http_download import Unavailable
from laureate.torch_utils import safetensors_io

LAYOUTS = Path(__file__).parent / "layouts"
CROSS = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
VAE = "first_stage_model.decoder.conv_in.weight"
SDXL = "conditioner.embedders.1.model.token_embedding.weight"
TEXT = {  # the name of the token embedding => the family of the checkpoint
    "cond_stage_model.model.token_embedding.weight": "Stable Diffusion 2",
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": "Stable Diffusion 1",
}


def convert(file: Path, layout: str, tokenizer: Path, folder: Path) -> None:
    """Write the base in `file` to `folder`, which exists and is empty.

    `layout` is a folder of `layouts/` or a path; `tokenizer` a folder with CLIP's vocab.json and merges.txt.
    Raises Unavailable if there is no such file, LaureateError if it is of another family than the layout or
    has tensors missing.
    """
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import logging

    if not file.is_file():
        raise Unavailable(f"there is no file {file}")
    if is_lfs_pointer(file):
        raise Unavailable(f"{file} is a Git LFS pointer, not the checkpoint: run `git lfs pull` beside it")
    configs = layout_folder(layout)
    _check_family(file, layout, configs)
    for name in ("vocab.json", "merges.txt"):
        if not (tokenizer / name).is_file():
            raise LaureateError(
                f"there is no {tokenizer / name}; a checkpoint contains no tokenizer, so put CLIP's "
                "vocab.json and merges.txt there"
            )
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as place:
        whole = Path(shutil.copytree(configs, Path(place) / "layout"))
        for name in ("vocab.json", "merges.txt"):
            shutil.copyfile(tokenizer / name, whole / "tokenizer" / name)
        try:
            pipeline = StableDiffusionPipeline.from_single_file(
                str(file), config=str(whole), local_files_only=True, torch_dtype=_dtype(file)
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise LaureateError(f"{file} cannot be read as {layout}: {reason}") from None
        for part in WEIGHTS:
            lost = [name for name, weight in getattr(pipeline, part).named_parameters() if weight.is_meta]
            if lost:
                raise LaureateError(f"{file} lacks {lost[0]} of the {part}; it is not a complete {layout}")
        pipeline.save_pretrained(folder, safe_serialization=True)
        # these two files as written by diffusers vary with its version
        for name in ("model_index.json", "scheduler/scheduler_config.json"):
            shutil.copyfile(configs / name, folder / name)


def layout_folder(layout: str) -> Path:
    """The folder of a layout. Raises LaureateError for an unknown one."""
    for folder in (LAYOUTS / layout, Path(layout)):
        if (folder / "unet" / "config.json").is_file():
            return folder
    known = ", ".join(sorted(path.name for path in LAYOUTS.iterdir()))
    raise LaureateError(f"there is no layout {layout!r}: choose one of {known}, or a folder with such files")


def _check_family(file: Path, layout: str, configs: Path) -> None:
    """Check the tensors in a checkpoint's header against a layout. Raises LaureateError."""
    header: dict[str, Any] = safetensors_io.header(file)
    if SDXL in header:
        raise LaureateError(
            f"{file} is SDXL, which has two text encoders and is not supported; give Stable Diffusion 1 or 2"
        )
    family = next((family for key, family in TEXT.items() if key in header), None)
    parts = {"text encoder": family, "UNet": header.get(CROSS)}
    _check_parts(file, [name for name, found in parts.items() if not found])
    width = header[CROSS]["shape"][1]
    wanted = json.loads((configs / "unet" / "config.json").read_text())["cross_attention_dim"]
    if width != wanted:
        raise LaureateError(
            f"{file} is {family} (its text embeddings are {width} wide), but its layout is {layout} "
            f"({wanted} wide); correct layout in base.sources"
        )
    _check_parts(file, [] if VAE in header else ["VAE"])


def _check_parts(file: Path, missing: list[str]) -> None:
    """Raise LaureateError if parts of a checkpoint are missing."""
    if missing:
        raise LaureateError(
            f"{file} is not a complete Stable Diffusion checkpoint: it lacks the {' and the '.join(missing)};"
            " give the full checkpoint, not an adapter or a part"
        )


def _dtype(file: Path) -> Any:
    """The precision that most tensors of a file have."""
    import torch

    kinds = [tensor["dtype"] for key, tensor in safetensors_io.header(file).items() if key != "__metadata__"]
    most = max(set(kinds), key=kinds.count)
    return {"F16": torch.float16, "BF16": torch.bfloat16}.get(most, torch.float32)
