"""Training loss: batches, noise, timesteps. The same with adapters on the UNet and without.

Everything random is drawn from (training seed, purpose, step), never from the rank, the learning rate or what
ran before: all arms of a seed see the same pictures, noise and time steps, and a resumed run goes on as if it
had not stopped.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from laureate.config.params import Train
from laureate.networks.backends import device_rules
from laureate.networks.diffusion import noise_schedule
from laureate.networks.lora.low_rank_matmul import InputGroups
from laureate.torch_utils import rng
from laureate.torch_utils.distributed import Team

HOLDOUT_STEPS = 2  # time steps at which the loss of every held-out picture is taken


@dataclass(frozen=True)
class Examples:
    """Encoded pictures and captions, on one device."""

    mean: Tensor  # (n, c, h, w) float32
    logvar: Tensor  # (n, c, h, w) float32
    text: Tensor  # (n, tokens, width), the UNet's dtype; where the text encoder is trained (n, tokens) int64

    def __len__(self) -> int:
        return len(self.mean)


@dataclass(frozen=True)
class Draw:
    """The random part of one step, n samples: the same for every arm of one seed.

    For several seeds the samples of all of them, seed by seed: S * n in place of n.
    """

    rows: Tensor  # (n,) int64, which pictures
    posterior: Tensor  # (n, c, h, w) float32 standard normal, chooses the latent from its moments
    noise: Tensor  # (n, c, h, w) float32 standard normal
    t: Tensor  # (n,) int64 in [0, T)
    empty: Tensor  # (n,) bool, where the caption is dropped

    def to(self, device: torch.device) -> Draw:
        """The same numbers on a device; a graphics card fetches them while it works."""
        if device.type == "cuda":
            return self._each(lambda tensor: tensor.pin_memory().to(device, non_blocking=True))
        return self._each(lambda tensor: tensor.to(device))

    def samples(self, start: int, stop: int) -> Draw:
        """Some of the samples."""
        return self._each(lambda tensor: tensor[start:stop])

    def part(self, index: int, parts: int, seeds: int) -> Draw:
        """The samples of one of several parts of the batch, the same ones of every seed."""
        count = len(self.t) // seeds
        some = slice(count * index // parts, count * (index + 1) // parts)
        return self._each(lambda tensor: tensor.unflatten(0, (seeds, count))[:, some].flatten(0, 1))

    @staticmethod
    def joined(draws: Sequence[Draw]) -> Draw:
        """The samples of several draws, one draw after the other."""
        if len(draws) == 1:
            return draws[0]
        names = [field.name for field in fields(Draw)]
        return Draw(*(torch.cat([getattr(draw, name) for draw in draws]) for name in names))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Draw:
        return Draw(*(change(getattr(self, field.name)) for field in fields(self)))


def draw(
    seed: int, step: int, batch: int, pictures: int, shape: Sequence[int], times: int, dropout: float
) -> Draw:
    """Numbers for one step: pictures in shuffled epochs, noise, uniform time steps below `times`, where the
    caption is left out."""
    position = torch.arange(step * batch, (step + 1) * batch)
    rows = torch.empty(batch, dtype=torch.int64)
    for epoch in (position // pictures).unique().tolist():
        order = torch.randperm(pictures, generator=rng.generator("order", seed, epoch))
        here = position // pictures == epoch
        rows[here] = order[position[here] % pictures]
    source = rng.generator("step", seed, step)
    return Draw(
        rows=rows,
        posterior=torch.randn(batch, *shape, generator=source),
        noise=torch.randn(batch, *shape, generator=source),
        t=torch.randint(times, (batch,), generator=source),
        empty=torch.rand(batch, generator=source) < dropout,
    )


def holdout_draw(seed: int, pictures: int, shape: Sequence[int], times: int) -> Draw:
    """The fixed numbers of the held-out loss: every picture at HOLDOUT_STEPS time steps, which together cover
    [0, times) evenly; captions are never left out."""
    count = pictures * HOLDOUT_STEPS
    source = rng.generator("holdout", seed)
    even = ((torch.arange(count) + 0.5) / count * times).long()
    return Draw(
        rows=torch.arange(count) % pictures,
        posterior=torch.randn(count, *shape, generator=source),
        noise=torch.randn(count, *shape, generator=source),
        t=even[torch.randperm(count, generator=source)],
        empty=torch.zeros(count, dtype=torch.bool),
    )


class Objective:
    """The loss of a UNet, and where asked of its text encoder too, on encoded pictures.

    A batch is [seed x sample] where nothing is adapted. With a stack of R adapters on the networks it is
    [adapter x sample], and every adapter gets the samples of its seed.
    """

    def __init__(
        self,
        unet: torch.nn.Module,
        schedule: noise_schedule.NoiseSchedule,
        train: Train,
        empty: Tensor,
        scaling_factor: float,
        team: Team = Team(),  # noqa: B008 - frozen
        encoder: torch.nn.Module | None = None,
        seeds: Sequence[int] = (),
    ) -> None:
        """`empty`: (1, tokens, width), the empty caption. `seeds`: training seeds, each with random numbers
        of its own; none: the first of `train.seeds`.

        `encoder`: a `CLIPTextModel` in the UNet's dtype, for `train.text_encoder`; captions are token ids
        then, and `empty` is (1, tokens).

        Raises LaureateError for a batch that the team cannot share.
        """
        if bool(train.text_encoder) != (encoder is not None):
            raise ValueError("a text encoder belongs to train.text_encoder, and to nothing else")
        parameter = next(unet.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.unet, self.encoder, self.train, self.team = unet, encoder, train, team
        self.share, self.seeds = team.share(train.batch), tuple(seeds or train.seeds[:1])
        self.schedule, self.scaling_factor = schedule.to(self.device), scaling_factor
        self.empty = empty.to(self.device, torch.int64 if encoder else self.dtype)
        self.predict: Callable[..., Any] = unet
        if train.gradient_checkpointing:
            recompute: Any = unet  # a model of diffusers
            recompute.enable_gradient_checkpointing()

    def beside(self, seeds: Sequence[int]) -> Objective:
        """The same for other seeds, on copies of the networks that share their weights."""

        def copied(network: torch.nn.Module) -> torch.nn.Module:
            tensors = [*network.parameters(), *network.buffers()]
            return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})

        return Objective(
            copied(self.unet),
            self.schedule,
            self.train,
            self.empty,
            self.scaling_factor,
            self.team,
            copied(self.encoder) if self.encoder else None,
            seeds,
        )

    def numbers(self, examples: Examples, step: int) -> Draw:
        """This process's part of the random numbers of a step for every seed, on the device."""
        shape, pictures = examples.mean.shape[1:], len(examples)
        of_seeds = [
            draw(
                seed,
                step,
                self.train.batch,
                pictures,
                shape,
                self.schedule.steps,
                self.train.caption_dropout,
            ).samples(self.share.start, self.share.stop)
            for seed in self.seeds
        ]
        return Draw.joined(of_seeds).to(self.device)

    def losses(self, examples: Examples, numbers: Draw, groups: InputGroups | None = None) -> Tensor:
        """Loss of every sample under each adapter => (R * n,) float32, adapter by adapter.

        `groups`: which seed's samples each adapter gets; None: nothing is adapted, every sample counts once.
        """
        spread = groups.spread if groups else lambda tensor: tensor
        clean = spread(
            noise_schedule.draw_latents(
                examples.mean[numbers.rows],
                examples.logvar[numbers.rows],
                numbers.posterior,
                self.scaling_factor,
            )
        )
        noise, t = spread(numbers.noise), spread(numbers.t)
        left_out = numbers.empty.view(-1, *[1] * (self.empty.dim() - 1))
        text = spread(torch.where(left_out, self.empty, examples.text[numbers.rows]))
        if self.encoder:
            text = self.encoder(text)[0]
        noisy = noise_schedule.add_noise(self.schedule, clean, noise, t).to(self.dtype)
        output = self.predict(noisy, t, encoder_hidden_states=text).sample
        return noise_schedule.losses(self.schedule, output, clean, noise, t, self.train.min_snr_gamma)

    @torch.no_grad()
    def holdout_loss(self, examples: Examples, groups: InputGroups | None = None) -> Tensor:
        """Mean loss on the held-out pictures, always at the same noise and time steps of the seed: (R,)
        float32 for adapters, per seed (S,) where nothing is adapted; `groups`: as in `losses`."""
        shape = examples.mean.shape[1:]
        draws = [holdout_draw(seed, len(examples), shape, self.schedule.steps) for seed in self.seeds]
        samples, count = len(draws[0].rows), len(groups.of) if groups else len(draws)
        losses = torch.zeros(count, samples, device=self.device)
        positions = examples.mean[0, 0].numel()
        batch = device_rules.held_out_batch(self.device.type, self.train.batch, positions)
        for start in range(self.team.index * batch, samples, self.team.size * batch):
            part = Draw.joined([each.samples(start, start + batch) for each in draws]).to(self.device)
            losses[:, start : start + batch] = self.losses(examples, part, groups).view(count, -1)
        self.team.sum_over_processes([losses])
        return losses.mean(dim=1)
