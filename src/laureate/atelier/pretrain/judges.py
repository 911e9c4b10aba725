"""The two judges: a vision net that reads attributes, a CLIPModel that compares pictures with captions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from laureate.atelier.pretrain import architecture, drawings, shipping
from laureate.atelier.pretrain.config import Config
from laureate.atelier.pretrain.drawings import HEADS
from laureate.atelier.pretrain.loop import Task
from laureate.atelier.pretrain.reader import attribute_loss

DECODED = "decoded.npy"  # the first drawings, through the VAE and back


def augmented(pixels: NDArray[np.uint8], rng: np.random.Generator, reach: int) -> Tensor:
    """Pictures (n, h, w, 3) uint8, mildly disturbed => (n, 3, h, w) float32 in [0, 1].

    Shifted by up to `reach` pixels, brighter or darker, blurred, noisy: what a judge must not mind.
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
    """Sees all styles, and some drawings as the VAE decodes them: it will judge decoded pictures."""

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
        """Cross-entropy of what can be seen."""
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


class _ClipWithHeads(nn.Module):
    """A CLIPModel, and heads that read attributes from each tower: they only help it to learn."""

    def __init__(self, clip: Any) -> None:
        super().__init__()
        self.clip = clip
        widths = {
            "picture": clip.config.vision_config.hidden_size,
            "text": clip.config.text_config.hidden_size,
        }
        self.heads = nn.ModuleDict(
            {
                tower: nn.ModuleDict(
                    {name: nn.Linear(width, len(classes)) for name, classes in HEADS.items()}
                )
                for tower, width in widths.items()
            }
        )

    def read(self, tower: str, pooled: Tensor) -> dict[str, Tensor]:
        """Logits of every head of a tower."""
        heads: Any = self.heads[tower]
        return {name: head(pooled) for name, head in heads.items()}


@dataclass
class ClipTask(Task):
    """Contrast of drawings with one of their captions, wordy or terse (Radford et al. 2021).

    The text tower is the base's, which has learned to read; it stays frozen, only its projection is trained
    (the reverse of Zhai et al. 2022).
    """

    config: Config
    cache: Path
    out: Path
    text: Path
    tokenizer: Any

    def __post_init__(self) -> None:
        self.settings = self.config.clip
        self._data: tuple[drawings.Drawings, NDArray[np.int16]] | None = None

    def build(self) -> _ClipWithHeads:
        """A CLIPModel with its helping heads."""
        torch.manual_seed(self.settings.seed)
        from transformers import CLIPTextModel

        model = architecture.build_clip(self.config, self.tokenizer)
        text = CLIPTextModel.from_pretrained(self.text, local_files_only=True)
        model.text_model.load_state_dict(text.state_dict())
        model.text_model.requires_grad_(False)
        return _ClipWithHeads(model)

    def loss(self, model: Any, rng: np.random.Generator, batch: int) -> Tensor:
        """Symmetric cross-entropy over the batch, and the attributes' from both towers."""
        if self._data is None:
            data = drawings.load(self.cache, self.config.draw, self.config.size)
            self._data = data, np.load(self.cache / "captions.npy", mmap_mode="r")
        data, captions = self._data
        rows = rng.integers(len(data.pixels), size=batch)
        ids = torch.from_numpy(captions[rows, rng.integers(captions.shape[1], size=batch)].astype(np.int64))
        images = augmented(data.pixels[rows], rng, 4)
        centre, width = (
            torch.tensor(value).view(1, 3, 1, 1) for value in (architecture.CLIP_MEAN, architecture.CLIP_STD)
        )
        clip = model.clip
        seen = clip.vision_model(pixel_values=((images - centre) / width).bfloat16()).pooler_output
        with torch.no_grad():
            said = clip.text_model(input_ids=ids).pooler_output
        a = nn.functional.normalize(clip.visual_projection(seen).float(), dim=-1)
        b = nn.functional.normalize(clip.text_projection(said).float(), dim=-1)
        scores = clip.logit_scale.float().exp().clamp(max=100) * a @ b.T
        right = torch.arange(batch)
        contrast = (
            nn.functional.cross_entropy(scores, right) + nn.functional.cross_entropy(scores.T, right)
        ) / 2
        labels = torch.from_numpy(data.labels[rows].astype(np.int64))
        mask = torch.from_numpy(data.readable[rows])
        return contrast + self.config.clip.attributes * attribute_loss(model.read(seen), labels, mask)

    def save(self, model: Any) -> None:
        """Only the CLIPModel."""
        shipping.save_clip(model.clip, self.tokenizer, self.config.size, self.out)
