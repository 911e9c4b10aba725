"""The two judges: a vision net that reads attributes, a CLIPModel that compares pictures with captions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from laureate.embedded.pretraining import architecture, drawings, model_files
from laureate.embedded.pretraining.config import Config
from laureate.embedded.pretraining.drawings import HEADS
from laureate.embedded.pretraining.text_reader import attribute_loss
from laureate.embedded.pretraining.train_loop import Task
from laureate.simulator.portraits import captions, styles
from laureate.simulator.portraits.attributes import Attributes, random_attributes

DECODED = "decoded.npy"  # the first drawings, encoded and decoded by the VAE


def augmented(pixels: NDArray[np.uint8], rng: np.random.Generator, reach: int) -> Tensor:
    """Augment pictures (n, h, w, 3) uint8 => (n, 3, h, w) float32 in [0, 1].

    Random shift by up to `reach` pixels, contrast and brightness, blur, and noise.
    """
    shifted = []
    for picture in pixels:
        y, x = rng.integers(2 * reach + 1, size=2)
        wide = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
        shifted.append(wide[y : y + picture.shape[0], x : x + picture.shape[1]])
    n = len(pixels)
    images = torch.from_numpy(np.stack(shifted)).permute(0, 3, 1, 2).float() / 255

    def each(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (n, 1, 1, 1)).astype(np.float32))

    soft = nn.functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    blur = each(0, 1) * (each(0, 1) < 0.4)
    images = images.lerp(soft, blur)
    images = (images - 0.5) * each(0.85, 1.1) + 0.5 + each(-0.06, 0.06)
    images = images + torch.randn(images.shape) * each(0, 0.05) * (each(0, 1) < 0.5)
    return images.clamp(0, 1).contiguous(memory_format=torch.channels_last)


@dataclass
class VisionTask(Task):
    """Training of the vision judge on all styles; some drawings are VAE-decoded, as samples will be."""

    config: Config
    cache: Path
    out: Path

    def __post_init__(self) -> None:
        self.settings = self.config.vision
        self._data: tuple[drawings.Drawings, NDArray[np.uint8]] | None = None

    def build(self) -> Any:
        """A VisionNet."""
        torch.manual_seed(self.settings.seed)
        return architecture.build_vision(self.config.vision, self.config.size)

    def loss(self, model: Any, rng: np.random.Generator, batch: int) -> Tensor:
        """Cross-entropy over the attributes that can be seen."""
        if self._data is None:
            data = drawings.load(self.cache, self.config.draw, self.config.size)
            self._data = data, np.load(self.cache / DECODED, mmap_mode="r")
        data, decoded = self._data
        again = round(batch * self.config.vision.decoded)
        rows = np.concatenate(
            [rng.integers(len(decoded), size=again), rng.integers(len(data.pixels), size=batch - again)]
        )
        pixels = np.concatenate([decoded[rows[:again]], data.pixels[rows[again:]]])
        labels = torch.from_numpy(data.labels[rows].astype(np.int64))
        logits = model(augmented(pixels, rng, 5).bfloat16()).logits
        return attribute_loss(logits, labels, torch.from_numpy(data.readable[rows]))

    def save(self, model: Any) -> None:
        """config.json and model.safetensors."""
        model.save(self.out)


def plain_captions() -> tuple[list[str], dict[str, NDArray[np.int64]]]:
    """The shortest captions, each naming one class and a style, and their indices: head => (styles, classes).

    For the head "style" they name only the style; its row is the same for every style.
    """
    who = random_attributes(np.random.default_rng(0))
    texts: list[str] = []
    places: dict[str, NDArray[np.int64]] = {}
    for name, classes in HEADS.items():
        rows = []
        for style in styles.STYLES:
            if name == "style":
                wanted = [captions.prompt(who, each, []) for each in classes]
            else:
                wanted = [captions.prompt(shown_with(who, name, each), style, [name]) for each in classes]
            rows.append([len(texts) + index for index in range(len(wanted))])
            texts += wanted
        places[name] = np.array(rows)
    return texts, places


def shown_with(who: Attributes, name: str, value: str) -> Attributes:
    """`who` with one attribute changed; a bald person given a hair colour gets short hair."""
    if name == "hair_colour" and who.hair == "bald":
        who = replace(who, hair="short")
    return replace(who, **{name: value})


class _ClipData:
    """Data of the CLIP training, opened once per process."""

    def __init__(self, cache: Path, config: Config, text_model: Any, tokenizer: Any) -> None:
        self.drawings = drawings.load(cache, config.draw, config.size)
        self.captions = np.load(cache / "captions.npy", mmap_mode="r")
        texts, places = plain_captions()
        ids = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            self.plain = torch.cat([text_model(input_ids=part).pooler_output for part in ids.split(64)])
        self.places = {name: torch.from_numpy(place) for name, place in places.items()}


@dataclass
class ClipTask(Task):
    """Contrastive training of drawings and their captions (Radford et al. 2021).

    The text tower is the base's trained text model; it stays frozen, only its projection is trained
    (the reverse of Zhai et al. 2022). Captions that differ in one attribute alone are rare in a batch, so
    every drawing is also compared with the plain captions of every class of every attribute.
    """

    config: Config
    cache: Path
    out: Path
    text: Path
    tokenizer: Any

    def __post_init__(self) -> None:
        self.settings = self.config.clip
        self._data: _ClipData | None = None

    def build(self) -> Any:
        """A CLIPModel."""
        from transformers import CLIPTextModel

        torch.manual_seed(self.settings.seed)
        model = architecture.build_clip(self.config, self.tokenizer)
        text = CLIPTextModel.from_pretrained(self.text, local_files_only=True)
        model.text_model.load_state_dict(text.state_dict())
        model.text_model.requires_grad_(False)
        return model

    def loss(self, model: Any, rng: np.random.Generator, batch: int) -> Tensor:
        """Symmetric cross-entropy over the batch, and over the classes of every attribute."""
        if self._data is None:
            self._data = _ClipData(self.cache, self.config, model.text_model, self.tokenizer)
        data = self._data
        rows = rng.integers(len(data.drawings.pixels), size=batch)
        column = rng.integers(data.captions.shape[1], size=batch)
        ids = torch.from_numpy(data.captions[rows, column].astype(np.int64))
        images = augmented(data.drawings.pixels[rows], rng, 4)
        centre, width = (
            torch.tensor(value).view(1, 3, 1, 1) for value in (architecture.CLIP_MEAN, architecture.CLIP_STD)
        )
        visual = model.vision_model(pixel_values=((images - centre) / width).bfloat16()).pooler_output
        with torch.no_grad():
            textual = model.text_model(input_ids=ids).pooler_output
        scale = model.logit_scale.float().exp().clamp(max=100)
        a = nn.functional.normalize(model.visual_projection(visual).float(), dim=-1)
        b = nn.functional.normalize(model.text_projection(textual).float(), dim=-1)
        plain = nn.functional.normalize(model.text_projection(data.plain).float(), dim=-1)
        scores, right = scale * a @ b.T, torch.arange(batch)
        across, down = (nn.functional.cross_entropy(part, right) for part in (scores, scores.T))
        labels = torch.from_numpy(data.drawings.labels[rows].astype(np.int64))
        each, style = scale * a @ plain.T, labels[:, list(HEADS).index("style")]
        logits = {name: each.gather(1, place[style]) for name, place in data.places.items()}
        mask = torch.from_numpy(data.drawings.readable[rows])
        return (across + down) / 2 + self.config.clip.attributes * attribute_loss(logits, labels, mask)

    def save(self, model: Any) -> None:
        """With its tokenizer and picture processor."""
        model_files.save_clip(model, self.tokenizer, self.config.size, self.out)
