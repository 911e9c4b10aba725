"""Train the denoiser: v-prediction on cached latents, with captions encoded by the frozen text model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laureate.embedded.pretraining import architecture, model_files
from laureate.embedded.pretraining.config import Config
from laureate.embedded.pretraining.train_loop import Task


def velocity_weight(alphas_cumprod: Tensor, gamma: float) -> Tensor:
    """Min-SNR weight of the velocity's squared error: min(SNR, gamma) / (SNR + 1) (Hang et al. 2023)."""
    snr = alphas_cumprod / (1 - alphas_cumprod)
    return snr.clamp(max=gamma) / (snr + 1)


def noised(clean: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> tuple[Tensor, Tensor]:
    """x_t = a x_0 + s e and the velocity a e - s x_0 (Salimans and Ho 2022); alphas_cumprod (n,) is a²."""
    a = alphas_cumprod.sqrt().view(-1, 1, 1, 1)
    s = (1 - alphas_cumprod).sqrt().view(-1, 1, 1, 1)
    return a * clean + s * noise, a * noise - s * clean


class _Data:
    """Data of the training, opened once per process."""

    def __init__(
        self, cache: Path, text: Any, alphas_cumprod: Tensor, empty: list[int], factor: float
    ) -> None:
        self.mean = np.load(cache / "mean.npy", mmap_mode="r")
        self.spread = np.load(cache / "spread.npy", mmap_mode="r")
        self.rows = np.load(cache / "rows.npy")  # drawing of each latent
        self.captions = np.load(cache / "captions.npy", mmap_mode="r")
        self.text, self.alphas_cumprod, self.factor = text, alphas_cumprod, factor
        self.empty = np.array(empty, np.int64)


@dataclass
class UnetTask(Task):
    """Training of the UNet, on drawings in the base's styles only."""

    config: Config
    cache: Path
    out: Path
    text: Path  # folder of the frozen text model
    empty: list[int]  # token ids of the empty caption
    factor: float  # scale of the latents

    def __post_init__(self) -> None:
        self.settings = self.config.unet
        self._data: _Data | None = None

    def build(self) -> Any:
        """A UNet2DConditionModel."""
        torch.manual_seed(self.settings.seed)
        return architecture.build_unet_of(self.config)

    def _open(self, model: Any) -> _Data:
        from diffusers.models.attention_processor import AttnProcessor
        from transformers import CLIPTextModel

        # explicit matrix products: torch's fused attention is slow in its backward pass on a CPU
        model.set_attn_processor(AttnProcessor())
        text = CLIPTextModel.from_pretrained(self.text, local_files_only=True).to(torch.bfloat16).eval()
        schedule = architecture.build_scheduler().alphas_cumprod
        return _Data(self.cache, text.requires_grad_(False), schedule, self.empty, self.factor)

    def loss(self, model: Any, rng: np.random.Generator, batch: int) -> Tensor:
        """Weighted squared error of the velocity; time steps are spread evenly over the batch."""
        if self._data is None:
            self._data = self._open(model)
        data = self._data
        rows = rng.integers(len(data.rows), size=batch)
        ids = data.captions[data.rows[rows], rng.integers(data.captions.shape[1], size=batch)].astype(
            np.int64
        )
        ids[rng.random(batch) < self.config.unet.caption_dropout] = data.empty
        with torch.no_grad():
            encoded = data.text(torch.from_numpy(ids)).last_hidden_state
        mean = torch.from_numpy(data.mean[rows].astype(np.float32))
        spread = torch.from_numpy(data.spread[rows].astype(np.float32))
        clean = (mean + spread * torch.randn(mean.shape)) * data.factor
        even = (rng.permutation(batch) + rng.random(batch)) / batch
        t = torch.from_numpy((even * len(data.alphas_cumprod)).astype(np.int64))
        level = data.alphas_cumprod[t]
        noisy, velocity = noised(clean, torch.randn(clean.shape), level)
        noisy = noisy.to(dtype=torch.bfloat16, memory_format=torch.channels_last)
        predicted = model(noisy, t, encoded).sample.float()
        error = (predicted - velocity).square().mean(dim=(1, 2, 3))
        return (velocity_weight(level, self.config.unet.snr_gamma) * error).mean()

    def save(self, model: Any) -> None:
        """Save the UNet into the base."""
        model_files.save_half(model, self.out)
