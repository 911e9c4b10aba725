"""One checkpoint in the original layout of Stable Diffusion => a base in the layout of diffusers.

Such a file has no configuration in it, and for Stable Diffusion 2 diffusers looks it up in a repository that
was deleted: so it is given, from `layouts/`, and what can be seen in the file is held against it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError
from laureate.networks.diffusion.base_model import WEIGHTS
from laureate.networks.sources.http_download import Unavailable
from laureate.torch_utils import safetensors_io

LAYOUTS = Path(__file__).parent / "layouts"
CROSS = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
SDXL = "conditioner.embedders.1.model.token_embedding.weight"
TEXT = {  # the family that a text encoder's name belongs to
    "cond_stage_model.model.token_embedding.weight": "Stable Diffusion 2",
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": "Stable Diffusion 1",
}


def convert(file: Path, layout: str, tokenizer: Path, folder: Path) -> None:
    """Write the base in `file` to `folder`, which exists and is empty.

    `layout` names one of `layouts/` or a folder like it; `tokenizer` has CLIP's vocab.json and merges.txt.
    Raises Unavailable if there is no such file, LaureateError if it is of another family than the layout or
    has tensors missing.
    """
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import logging

    if not file.is_file():
        raise Unavailable(f"there is no file {file}")
    configs = layout_folder(layout)
    _check_family(file, layout, configs)
    for name in ("vocab.json", "merges.txt"):
        if not (tokenizer / name).is_file():
            raise LaureateError(
                f"there is no {tokenizer / name}; a checkpoint has no tokenizer in it, so put CLIP's "
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
                raise LaureateError(f"{file} lacks {lost[0]} of the {part}; it is no whole {layout}")
        pipeline.save_pretrained(folder, safe_serialization=True)
        # the library's own words about scheduler and pipeline vary with its version; these do not
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
    """Hold what a checkpoint's header says against a layout."""
    header: dict[str, Any] = safetensors_io.header(file)
    if SDXL in header:
        raise LaureateError(
            f"{file} is SDXL, which has two text encoders and is not supported; give Stable Diffusion 1 or 2"
        )
    family = next((family for key, family in TEXT.items() if key in header), None)
    if family is None or CROSS not in header:
        raise LaureateError(
            f"{file} is no whole Stable Diffusion checkpoint: it lacks the text encoder or the UNet; give "
            "the full checkpoint, not an adapter or a part"
        )
    width = header[CROSS]["shape"][1]
    wanted = json.loads((configs / "unet" / "config.json").read_text())["cross_attention_dim"]
    if width != wanted:
        raise LaureateError(
            f"{file} is {family} (its text embeddings are {width} wide), but its layout is {layout} "
            f"({wanted} wide); correct layout in base.sources"
        )


def _dtype(file: Path) -> Any:
    """The precision that most tensors of a file have."""
    import torch

    kinds = [tensor["dtype"] for key, tensor in safetensors_io.header(file).items() if key != "__metadata__"]
    most = max(set(kinds), key=kinds.count)
    return {"F16": torch.float16, "BF16": torch.bfloat16}.get(most, torch.float32)
