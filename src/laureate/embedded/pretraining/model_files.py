"""Write models in half precision, in the layouts that `from_pretrained` reads."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from laureate.core import files
from laureate.embedded.pretraining import architecture
from laureate.embedded.pretraining.config import Config


def save_half(model: Any, folder: Path) -> None:
    """Save a diffusers or transformers model as float16.

    Its config still says float32, so that both libraries load it as float32: half the bytes in git, and no
    half-precision arithmetic on a CPU.
    """
    half = copy.deepcopy(model).half()
    with files.fresh_folder(folder) as aside:
        half.save_pretrained(aside)
        config = aside / "config.json"
        text = config.read_text(encoding="utf-8").replace('"dtype": "float16"', '"dtype": "float32"')
        config.write_text(text, encoding="utf-8")


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Save the tokenizer in the layout of a pipeline."""
    with files.fresh_folder(folder) as aside:
        tokenizer.save_pretrained(aside)


def save_index(base: Path) -> None:
    """Write `model_index.json` and the scheduler, which a StableDiffusionPipeline needs beside the models."""
    import diffusers

    architecture.build_scheduler().save_pretrained(base / "scheduler")
    files.write_json(
        base / "model_index.json",
        {
            "_class_name": "StableDiffusionPipeline",
            "_diffusers_version": diffusers.__version__,
            "feature_extractor": [None, None],
            "image_encoder": [None, None],
            "requires_safety_checker": False,
            "safety_checker": [None, None],
            "scheduler": ["diffusers", "DDIMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )


def save_clip(model: Any, tokenizer: Any, size: int, folder: Path) -> None:
    """Save a CLIPModel with its tokenizer and image processor in one folder."""
    save_half(model, folder)
    tokenizer.save_pretrained(folder)
    architecture.build_clip_processor(size).save_pretrained(folder)


def write_random(out: Path, config: Config, seed: int, tokenizer: Any) -> None:
    """Write all models with random weights, for tests."""
    torch.manual_seed(seed)
    size = config.size
    save_tokenizer(tokenizer, out / "base" / "tokenizer")
    save_half(architecture.build_vae(config.vae, size), out / "base" / "vae")
    save_half(architecture.build_text(config.reader, tokenizer), out / "base" / "text_encoder")
    save_half(architecture.build_unet_of(config), out / "base" / "unet")
    save_index(out / "base")
    save_clip(architecture.build_clip(config, tokenizer), tokenizer, size, out / "clip")
    architecture.build_vision(config.vision, size).save(out / "vision")
