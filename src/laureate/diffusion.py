"""The diffusion process: noise schedule, training target, loss, sampling loop. No I/O, no global state.

Notation of Ho et al. 2020 (arXiv:2006.11239): x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LEAST = 4  # rows of a batch on a CPU: for fewer its libraries choose other kernels, which round differently

Denoiser = Callable[
    ..., Any
]  # a UNet2DConditionModel: (latents, t, encoder_hidden_states) => output with .sample


@dataclass(frozen=True)
class Schedule:
    """How much signal is left at every time step, and what the UNet predicts."""

    alpha_bar: Tensor  # (T,) float32, falling
    prediction: str  # "epsilon" or "v_prediction"

    @property
    def steps(self) -> int:
        """T, the number of time steps of training."""
        return len(self.alpha_bar)

    def to(self, device: torch.device) -> Schedule:
        """The same schedule on a device."""
        return Schedule(self.alpha_bar.to(device), self.prediction)


def schedule(config: Mapping[str, Any]) -> Schedule:
    """The noise schedule of a diffusers scheduler config: its betas, rescaled to zero SNR if it says so."""
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler.from_config(dict(config))
    return Schedule(scheduler.alphas_cumprod.float().clone(), str(scheduler.config.prediction_type))


def add_noise(process: Schedule, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t for clean latents and noise (n, c, h, w) and time steps t (n,) int64 in [0, T)."""
    signal = process.alpha_bar[t].view(-1, 1, 1, 1)
    return signal.sqrt() * clean + (1 - signal).sqrt() * noise


def target(process: Schedule, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """What the UNet should say at x_t: the noise, or v = sqrt(abar) noise - sqrt(1 - abar) x_0.

    v-prediction: Salimans & Ho 2022 (arXiv:2202.00512), section 4.
    """
    if process.prediction == "epsilon":
        return noise
    signal = process.alpha_bar[t].view(-1, 1, 1, 1)
    return signal.sqrt() * noise - (1 - signal).sqrt() * clean


def min_snr_weight(process: Schedule, t: Tensor, gamma: float) -> Tensor:
    """Weight of the squared error at time steps t (n,): Min-SNR-gamma, Hang et al. 2023 (arXiv:2303.09556).

    min(SNR, gamma) weighs an error in x_0. An error in the noise is SNR times that in x_0, an error in v is
    SNR + 1 times: so min(SNR, gamma) / SNR for epsilon and min(SNR, gamma) / (SNR + 1) for v.
    """
    signal = process.alpha_bar[t].double()
    if process.prediction == "epsilon":  # gamma / SNR without dividing by an SNR of zero
        weight = (gamma * (1 - signal) / signal).clamp(max=1)
    else:
        weight = torch.minimum(signal, gamma * (1 - signal))
    return weight.float()


def errors(
    process: Schedule, output: Tensor, clean: Tensor, noise: Tensor, t: Tensor, gamma: float | None
) -> Tensor:
    """Squared error of the UNet's output (n, c, h, w), averaged per sample => (n,) float32.

    `gamma`: weigh by Min-SNR-gamma; None: every time step weighs the same.
    """
    error = (output.float() - target(process, clean, noise, t)).square().mean(dim=(1, 2, 3))
    return error if gamma is None else error * min_snr_weight(process, t, gamma)


def draw_latents(mean: Tensor, logvar: Tensor, noise: Tensor, scaling_factor: float) -> Tensor:
    """Scaled latents from VAE moments and standard normal noise, all (n, c, h, w)."""
    # diffusers' DiagonalGaussianDistribution clamps the log-variance to the same range
    return scaling_factor * (mean + torch.exp(0.5 * logvar.clamp(-30, 20)) * noise)


def solver(config: Mapping[str, Any], name: str) -> Any:
    """A diffusers scheduler: `ddim` (Song et al. 2020, arXiv:2010.02502, with eta = 0) or `dpm++` (of second
    order: DPM-Solver++, Lu et al. 2022, arXiv:2211.01095)."""
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    if name == "ddim":
        return DDIMScheduler.from_config(dict(config), clip_sample=False)
    if name == "dpm++":
        return DPMSolverMultistepScheduler.from_config(
            dict(config), algorithm_type="dpmsolver++", solver_order=2
        )
    raise ValueError(f"no solver named {name!r}")


@torch.inference_mode()
def sample(
    unet: Denoiser,
    scheduler: Any,
    text: Tensor,
    negative: Tensor,
    noise: Tensor,
    *,
    steps: int,
    guidance: float,
    batch: int,
) -> Iterator[Tensor]:
    """Draw latents from noise; yields (k, c, h, w) float32 for every `batch` of pictures, in order.

    text: (n, tokens, width), negative: (1, tokens, width), noise: (n, c, h, w), on the UNet's device.
    Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598) runs both halves in one batch; `guidance`
    1 leaves it out. Both solvers are deterministic, so a picture depends on its own noise and text only. The
    last batch is filled up: a kernel that is chosen by the size of the batch then serves every picture. For
    the same reason a batch has at least LEAST rows on a CPU: docs/performance.md has what is left between
    batches.
    """
    if noise.device.type == "cpu":
        batch = max(batch, LEAST if guidance == 1 else LEAST // 2)
    dtype = next(unet.parameters()).dtype if isinstance(unet, torch.nn.Module) else noise.dtype
    for start in range(0, len(noise), batch):
        count = min(batch, len(noise) - start)
        rows = torch.arange(start, start + batch).clamp(max=len(noise) - 1)  # the last picture fills up
        condition = text[rows].to(dtype)
        if guidance != 1:
            condition = torch.cat([negative.to(dtype).expand(len(rows), -1, -1), condition])
        scheduler.set_timesteps(steps, device=noise.device)
        x = noise[rows].float() * scheduler.init_noise_sigma
        for t in scheduler.timesteps:
            scaled = scheduler.scale_model_input(x, t).to(dtype)
            if guidance == 1:
                output = unet(scaled, t, encoder_hidden_states=condition).sample.float()
            else:
                without, given = (
                    unet(torch.cat([scaled, scaled]), t, encoder_hidden_states=condition)
                    .sample.float()
                    .chunk(2)
                )
                output = without + guidance * (given - without)
            x = scheduler.step(output, t, x).prev_sample
        yield x[:count]
