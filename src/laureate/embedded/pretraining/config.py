"""The typed form of `models/embedded/params.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from laureate.core.errors import ParameterError

Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Widths = Annotated[tuple[Count, ...], Field(min_length=1, strict=False)]


class Section(BaseModel):
    """Unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Draw(Section):
    """The drawings everything is trained on."""

    count: Count = 48000  # drawings, one invented person each
    laureate: Share = 0.1  # share in the laureates' style, for the judges only
    captions: Count = 6  # captions written per drawing
    seed: int = 1


class Tokenizer(Section):
    """Byte-level BPE, as CLIP's."""

    vocabulary: Count = 1500
    captions: Count = 20000


class Training(Section):
    """Settings of every training: warm-up and cosine decay, an average of the weights."""

    steps: Count
    batch: Count  # over both processes
    learning_rate: Annotated[float, Field(gt=0)]
    warmup: Annotated[int, Field(ge=0)] = 100
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    ema: Share = 0.999
    seed: int = 7


class Vae(Training):
    """AutoencoderKL, factor 8."""

    channels: Widths = (32, 64, 96, 128)
    layers: Count = 1
    latent_channels: Count = 16
    crop: Count = 64  # pixels, side of the training crops
    abstract: Share = 0.35  # share of pictures of strokes and shapes of every colour
    edges: Annotated[float, Field(ge=0)] = 0.5  # weight of the loss on differences of neighbouring pixels
    kl: Annotated[float, Field(ge=0)] = 1.0e-4


class Reader(Training):
    """CLIPTextModel, trained to predict each attribute that a caption names."""

    width: Count = 256
    layers: Count = 3
    heads: Count = 4


class Vision(Training):
    """The vision judge."""

    channels: Widths = (24, 48, 96, 160, 224)
    decoded: Share = 0.25  # share of pictures that went through the VAE
    decoded_count: Count = 3000  # how many drawings go through the VAE


class Clip(Training):
    """The small CLIPModel: its vision tower, and the projections that join it to the base's text model."""

    width: Count = 192
    layers: Count = 4
    heads: Count = 3
    projection: Count = 128
    patch: Count = 16
    attributes: Annotated[float, Field(ge=0)] = (
        2.0  # weight of the loss on plain captions, relative to the contrastive loss
    )


class Latents(Section):
    """Encoding of the drawings in the base's styles."""

    count: Count = 32000  # drawings that the UNet sees


class Unet(Training):
    """UNet2DConditionModel."""

    channels: Widths = (128, 192)
    layers: Count = 1
    head_width: Count = 64
    caption_dropout: Share = 0.1
    snr_gamma: Annotated[float, Field(gt=0)] = 5.0


class Quality(Section):
    """How the models are evaluated."""

    prompts: Count = 400
    drawings: Count = 1400  # for the vision judge, in all styles
    clip_drawings: Count = 420  # the first of these, for CLIP
    steps: Count = 20
    guidance: float = 4.0
    seed: int = 900001  # no training drawing has a seed near it


class Config(Section):
    """All of `params.yaml`."""

    size: Count = 128  # pixels, side of the pictures
    draw: Draw
    tokenizer: Tokenizer
    vae: Vae
    reader: Reader
    vision: Vision
    clip: Clip
    latents: Latents
    unet: Unet
    quality: Quality


def small(config: Config) -> Config:
    """The same models with few weights, for tests."""
    narrow: dict[str, dict[str, Any]] = {
        "vae": {"channels": (16, 16, 32, 32)},
        "reader": {"width": 64, "layers": 1, "heads": 2},
        "vision": {"channels": (8, 16, 24, 32, 40)},
        "clip": {"width": 64, "layers": 1, "heads": 2, "projection": 32},
        "unet": {"channels": (32, 64), "head_width": 32},
    }
    return config.model_copy(
        update={name: getattr(config, name).model_copy(update=values) for name, values in narrow.items()}
    )


def load(path: str | Path) -> Config:
    """Read and check `path`; a `ParameterError` names the first key that is wrong."""
    path = Path(path)
    if not path.is_file():
        raise ParameterError(f"{path} does not exist; give the pre-training's parameters with --params")
    try:
        return Config.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except yaml.YAMLError as error:
        raise ParameterError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ParameterError(f"{path}: {key}: {first['msg']}") from error
