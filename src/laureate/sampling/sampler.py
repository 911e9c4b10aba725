"""The sampling loop: a solver, classifier-free guidance, pictures that do not depend on the batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from laureate.networks.backends import device_rules, placement
from laureate.torch_utils import workers

Denoiser = Callable[
    ..., Any
]  # a UNet2DConditionModel: (latents, t, encoder_hidden_states) => output with .sample


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
    interval: Sequence[float] = (0.0, 1.0),
    on_step: Callable[[], None] | None = None,
    finish: Callable[[Tensor], Any] | None = None,
    side_by_side: int = 1,
) -> Iterator[Any]:
    """Draw latents from noise; yields (k, c, h, w) float32 for every `batch` of pictures, in order, or what
    `finish` makes of them.

    text: (n, tokens, width), negative: (1, tokens, width), noise: (n, c, h, w), on the UNet's device.
    Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598) runs both halves in one batch; `guidance`
    1 leaves it out. `interval`: the noise levels at which there is guidance (`is_guided`); at the others the
    text alone is followed, with half the rows. Both solvers are deterministic, so a picture depends on its
    own noise and text only. The last batch is filled up: a kernel that is chosen by the size of the batch
    then serves every picture. For the same reason a call has at least `device_rules.least_rows` rows:
    docs/performance.md has what is left between batches. `on_step` is called after every step of a batch; an
    error that it raises ends the run. `side_by_side`: batches that are drawn at once (`workers.in_order`).
    """
    least = device_rules.least_rows(noise.device.type)
    batch = max(batch, least if guidance == 1 else least // 2)
    dtype = next(unet.parameters()).dtype if isinstance(unet, torch.nn.Module) else noise.dtype

    @torch.inference_mode()
    def drawn(start: int) -> Any:
        solving = copy.deepcopy(scheduler)  # it counts its steps
        count = min(batch, len(noise) - start)
        rows = torch.arange(start, start + batch).clamp(max=len(noise) - 1)  # the last picture fills up
        given = text[rows].to(dtype)
        both = torch.cat([negative.to(dtype).expand(len(rows), -1, -1), given])
        alone = torch.arange(max(batch, least)) % batch  # without guidance: few pictures are drawn twice
        given = given[alone]
        solving.set_timesteps(steps, device=noise.device)
        x = noise[rows].float() * solving.init_noise_sigma
        with placement.drawing(unet):
            for t in solving.timesteps:
                scaled = solving.scale_model_input(x, t).to(dtype)
                if guidance != 1 and is_guided(t, solving, interval):
                    halves = unet(torch.cat([scaled, scaled]), t, encoder_hidden_states=both).sample
                    without, towards = halves.float().chunk(2)
                    output = without + guidance * (towards - without)
                else:
                    output = unet(scaled[alone], t, encoder_hidden_states=given).sample[:batch].float()
                x = solving.step(output, t, x).prev_sample
                if on_step is not None:
                    on_step()
        return finish(x[:count]) if finish else x[:count]

    yield from workers.in_order(drawn, range(0, len(noise), batch), side_by_side)


def is_guided(t: Tensor | float, scheduler: Any, interval: Sequence[float]) -> bool:
    """Whether a step at time `t` has guidance: at medium noise it makes pictures better, at high noise poorer
    in variety, at low noise it changes little (Kynkäänniemi et al. 2024, arXiv:2404.07724).

    `interval`: lowest and highest share of the scheduler's training steps, 0 (no noise) to 1 (nothing else).
    """
    return interval[0] <= float(t) / scheduler.config.num_train_timesteps <= interval[1]


def guided_steps(config: Mapping[str, Any], name: str, steps: int, interval: Sequence[float]) -> int:
    """How many of `steps` of a solver have guidance, for a scheduler's configuration."""
    made = solver(config, name)
    made.set_timesteps(steps)
    return sum(is_guided(t, made, interval) for t in made.timesteps)
