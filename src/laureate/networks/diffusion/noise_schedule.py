"""The diffusion process: noise schedule, training target, loss. No I/O, no global state.

Notation of Ho et al. 2020 (arXiv:2006.11239): x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class NoiseSchedule:
    """How much signal is left at every time step, and what the UNet predicts."""

    alpha_bar: Tensor  # (T,) float32, falling
    prediction: str  # "epsilon" or "v_prediction"

    @property
    def steps(self) -> int:
        """T, the number of time steps of training."""
        return len(self.alpha_bar)

    def to(self, device: torch.device) -> NoiseSchedule:
        """The same schedule on a device."""
        return NoiseSchedule(self.alpha_bar.to(device), self.prediction)


def from_config(config: Mapping[str, Any]) -> NoiseSchedule:
    """The noise schedule of a diffusers scheduler config: its betas, rescaled to zero SNR if it says so."""
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler.from_config(dict(config))
    return NoiseSchedule(scheduler.alphas_cumprod.float().clone(), str(scheduler.config.prediction_type))


def add_noise(schedule: NoiseSchedule, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t for clean latents and noise (n, c, h, w) and time steps t (n,) int64 in [0, T)."""
    signal = schedule.alpha_bar[t].view(-1, 1, 1, 1)
    return signal.sqrt() * clean + (1 - signal).sqrt() * noise


def target(schedule: NoiseSchedule, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """What the UNet should say at x_t: the noise, or v = sqrt(abar) noise - sqrt(1 - abar) x_0.

    v-prediction: Salimans & Ho 2022 (arXiv:2202.00512), section 4.
    """
    if schedule.prediction == "epsilon":
        return noise
    signal = schedule.alpha_bar[t].view(-1, 1, 1, 1)
    return signal.sqrt() * noise - (1 - signal).sqrt() * clean


def min_snr_weight(schedule: NoiseSchedule, t: Tensor, gamma: float) -> Tensor:
    """Weight of the squared error at time steps t (n,): Min-SNR-gamma, Hang et al. 2023 (arXiv:2303.09556).

    min(SNR, gamma) weighs an error in x_0. An error in the noise is SNR times that in x_0, an error in v is
    SNR + 1 times: so min(SNR, gamma) / SNR for epsilon and min(SNR, gamma) / (SNR + 1) for v.
    """
    signal = schedule.alpha_bar[t].double()
    if schedule.prediction == "epsilon":  # gamma / SNR without dividing by an SNR of zero
        weight = (gamma * (1 - signal) / signal).clamp(max=1)
    else:
        weight = torch.minimum(signal, gamma * (1 - signal))
    return weight.float()


def losses(
    schedule: NoiseSchedule, output: Tensor, clean: Tensor, noise: Tensor, t: Tensor, gamma: float | None
) -> Tensor:
    """Squared error of the UNet's output (n, c, h, w), averaged per sample => (n,) float32.

    `gamma`: weigh by Min-SNR-gamma; None: every time step weighs the same.
    """
    error = (output.float() - target(schedule, clean, noise, t)).square().mean(dim=(1, 2, 3))
    return error if gamma is None else error * min_snr_weight(schedule, t, gamma)


def draw_latents(mean: Tensor, logvar: Tensor, noise: Tensor, scaling_factor: float) -> Tensor:
    """Scaled latents from VAE moments and standard normal noise, all (n, c, h, w)."""
    # diffusers' DiagonalGaussianDistribution clamps the log-variance to the same range
    return scaling_factor * (mean + torch.exp(0.5 * logvar.clamp(-30, 20)) * noise)
