"""Train the autoencoder on crops of drawings in the base's styles and on abstract pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from laureate.embedded.pretraining import abstract_shapes, architecture, drawings, model_files
from laureate.embedded.pretraining.config import Config
from laureate.embedded.pretraining.train_loop import Task


def _recolour(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Randomly swap channels, invert, or change the contrast, for lines and fills of all colours."""
    if rng.random() < 0.5:
        crop = crop[..., rng.permutation(3)]
    if rng.random() < 0.25:
        crop = 255 - crop
    if rng.random() < 0.5:
        low, high = np.sort(rng.uniform(0, 255, (2, 3)), axis=0)
        low, high = np.minimum(low, 90), np.maximum(high, 150)
        crop = (low + crop / 255.0 * (high - low)).astype(np.uint8)
    return crop


def crops(
    data: drawings.Drawings, of_base: NDArray[np.int64], config: Config, rng: np.random.Generator, n: int
) -> NDArray[np.uint8]:
    """A training batch: (n, crop, crop, 3) uint8."""
    settings, batch = config.vae, []
    for _ in range(n):
        if rng.random() < settings.abstract:
            batch.append(abstract_shapes.picture(rng, settings.crop))
            continue
        room = config.size - settings.crop + 1
        y, x = rng.integers(room, size=2)
        picture = data.pixels[of_base[int(rng.integers(len(of_base)))]]
        crop = np.asarray(picture[y : y + settings.crop, x : x + settings.crop])
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        batch.append(_recolour(crop, rng) if rng.random() < 0.35 else crop)
    return np.stack(batch)


def to_signed(pixels: NDArray[np.uint8]) -> Tensor:
    """(n, h, w, 3) uint8 => (n, 3, h, w) float32 in [-1, 1], channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def reconstruction_loss(decoded: Tensor, wanted: Tensor, edges: float) -> Tensor:
    """Mean absolute and twice the squared difference, plus `edges` times that between neighbouring pixels.

    The squared difference learns colours early; the absolute difference keeps lines sharp.
    """
    difference = decoded - wanted
    across = (difference[..., 1:] - difference[..., :-1]).abs().mean()
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
    return difference.abs().mean() + 2 * difference.square().mean() + edges * (across + down)


@dataclass
class VaeTask(Task):
    """Training of the VAE, without the laureates' style."""

    config: Config
    cache: Path
    out: Path

    def __post_init__(self) -> None:
        self.settings = self.config.vae
        self._data: tuple[drawings.Drawings, NDArray[np.int64]] | None = None

    def build(self) -> Any:
        """An AutoencoderKL."""
        torch.manual_seed(self.settings.seed)
        return architecture.build_vae(self.config.vae, self.config.size)

    def loss(self, model: Any, rng: np.random.Generator, batch: int) -> Tensor:
        """Reconstruction of crops, and a little Kullback-Leibler divergence from the unit normal."""
        if self._data is None:
            data = drawings.load(self.cache, self.config.draw, self.config.size)
            self._data = data, data.of_base()
        wanted = to_signed(crops(*self._data, self.config, rng, batch))
        mean, logvar = model._encode(wanted.bfloat16()).float().chunk(2, dim=1)
        logvar = logvar.clamp(-12, 6)
        sampled = mean + torch.exp(0.5 * logvar) * torch.randn(mean.shape)
        decoded = model._decode(sampled.bfloat16()).sample.float()
        divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        return reconstruction_loss(decoded, wanted, self.config.vae.edges) + self.config.vae.kl * divergence

    def save(self, model: Any) -> None:
        """Save as diffusers does; the stage `vae` then measures the scaling factor."""
        model_files.save_half(model, self.out)
