"""The training loop's arithmetic: what is drawn for a step, one step of all adapters, the held-out loss.

Everything random is drawn from (seed, purpose, step), never from the rank or from what ran before: every rank
sees the same pictures, noise and time steps, and a resumed run goes on as if it had not stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from laureate import diffusion, lora, seeds
from laureate.flat import Flat
from laureate.params import Train, of_rank
from laureate.team import Team

MOMENTS = ("exp_avg", "exp_avg_sq")  # of AdamW
HOLDOUT_STEPS = 2  # time steps at which every held-out picture is looked at
HOLDOUT_SIZE = 2048  # positions of the latents that are looked at together, at least


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
    """The random part of one step, n samples: the same for every rank."""

    rows: Tensor  # (n,) int64, which pictures
    posterior: Tensor  # (n, c, h, w) float32 standard normal, chooses the latent from its moments
    noise: Tensor  # (n, c, h, w) float32 standard normal
    t: Tensor  # (n,) int64 in [0, T)
    empty: Tensor  # (n,) bool, where the caption is left out

    def to(self, device: torch.device) -> Draw:
        """The same numbers on a device; a graphics card fetches them while it works."""
        if device.type == "cuda":
            return self._each(lambda tensor: tensor.pin_memory().to(device, non_blocking=True))
        return self._each(lambda tensor: tensor.to(device))

    def samples(self, start: int, stop: int) -> Draw:
        """Some of the samples."""
        return self._each(lambda tensor: tensor[start:stop])

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
        order = torch.randperm(pictures, generator=seeds.generator("order", seed, epoch))
        here = position // pictures == epoch
        rows[here] = order[position[here] % pictures]
    source = seeds.generator("step", seed, step)
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
    source = seeds.generator("holdout", seed)
    even = ((torch.arange(count) + 0.5) / count * times).long()
    return Draw(
        rows=torch.arange(count) % pictures,
        posterior=torch.randn(count, *shape, generator=source),
        noise=torch.randn(count, *shape, generator=source),
        t=even[torch.randperm(count, generator=source)],
        empty=torch.zeros(count, dtype=torch.bool),
    )


def schedule(train: Train, step: int) -> float:
    """Share of the learning rate at a step: linear warm-up over `train.warmup` steps, then 1, or a cosine to
    0 at `train.steps`."""
    if step < train.warmup:
        return (step + 1) / train.warmup
    if train.schedule == "constant":
        return 1.0
    done = (step - train.warmup) / max(1, train.steps - train.warmup)
    return (1 + math.cos(math.pi * done)) / 2


def adapter(train: Train, rank: int) -> lora.Adapter:
    """The adapter of a rank, as the parameters want it."""
    alpha = of_rank(train.alpha, rank)
    return lora.Adapter(
        rank,
        float(rank if alpha == "rank" else alpha),
        float(of_rank(train.dropout, rank)),
        train.variant,
        train.init,
    )


class Trainer:
    """A stack of R adapters on a frozen UNet, where asked on its text encoder too, and its optimiser.

    One step trains all of them on one batch.
    """

    def __init__(
        self,
        unet: torch.nn.Module,
        process: diffusion.Schedule,
        adapters: Sequence[lora.Adapter],
        train: Train,
        empty: Tensor,
        scaling_factor: float,
        team: Team = Team(),  # noqa: B008 - frozen
        encoder: torch.nn.Module | None = None,
    ) -> None:
        """Attach the adapters to `unet`, in place. `empty`: (1, tokens, width), the empty caption. In a team
        every process has the same adapters and a share of every batch.

        `encoder`: a `CLIPTextModel` in the UNet's dtype, for `train.text_encoder`; captions are token ids
        then, and `empty` is (1, tokens).

        Raises LaureateError as `lora.attach` does, and for a batch that cannot be shared.
        """
        if bool(train.text_encoder) != (encoder is not None):
            raise ValueError("a text encoder belongs to train.text_encoder, and to nothing else")
        self.team, self.share = team, team.share(train.batch)
        self.device = next(unet.parameters()).device
        self.dtype = next(unet.parameters()).dtype
        self.unet, self.train, self.adapters = unet, train, list(adapters)
        self.process = process.to(self.device)
        self.encoder, self.scaling_factor = encoder, scaling_factor
        self.empty = empty.to(self.device, torch.int64 if encoder else self.dtype)
        self.layers = lora.attach(unet, adapters, train.targets, train.seed)
        if encoder:
            self.layers |= lora.attach(encoder, adapters, train.text_encoder, train.seed, lora.TEXT)
        lora.share_start(unet, len(adapters), text=not encoder)
        self.flat = Flat(self.layers, self.dtype, whole=train.compile == "none")
        rates = torch.tensor([float(of_rank(train.learning_rate, adapter.rank)) for adapter in adapters])
        self.rate = float(rates.max())
        self.shares = None if len(rates.unique()) == 1 else (rates / self.rate).to(self.device)
        # on the meta device, where a step is counted and not done, there is no fused kernel
        fused = self.device.type != "meta"
        self.optimizer = torch.optim.AdamW(
            self.flat.weights, lr=self.rate, weight_decay=train.weight_decay, fused=fused
        )
        if train.compile == "none":
            self.predict: Callable[..., Any] = unet
        else:
            self.predict = torch.compile(unet, mode=train.compile)

    def step(self, examples: Examples, step: int) -> Tensor:
        """Train on batch number `step`; gives the loss before the update, (R,) float32, without waiting."""
        shape = examples.mean.shape[1:]
        numbers = draw(
            self.train.seed,
            step,
            self.train.batch,
            len(examples),
            shape,
            self.process.steps,
            self.train.caption_dropout,
        )
        mine = numbers.samples(self.share.start, self.share.stop).to(self.device)
        with self._dropout(step):
            losses = self.backward(examples, mine)
        self.team.add_up([losses, *self.flat.gradients])
        self._clip()
        self._update(schedule(self.train, step))
        return losses

    def backward(self, examples: Examples, numbers: Draw) -> Tensor:
        """Bring the gradients of given samples to `flat.gradients`; gives the losses, (R,) float32: a sum
        over the samples as a share of the batch."""
        self.flat.refresh()
        losses = self._losses(examples, numbers).view(len(self.adapters), -1).sum(dim=1) / self.train.batch
        losses.sum().backward()
        self.flat.collect()
        return losses.detach()

    @torch.no_grad()
    def holdout_loss(self, examples: Examples) -> Tensor:
        """Mean loss on the held-out pictures, (R,) float32: always the same noise and time steps."""
        numbers = holdout_draw(self.train.seed, len(examples), examples.mean.shape[1:], self.process.steps)
        losses = torch.zeros(len(self.adapters), len(numbers.rows), device=self.device)
        # small latents in small batches would leave the machine idle
        batch = max(self.train.batch, HOLDOUT_SIZE // examples.mean[0, 0].numel())
        self.flat.refresh()
        for start in range(self.team.index * batch, len(numbers.rows), self.team.size * batch):
            part = numbers.samples(start, start + batch).to(self.device)
            losses[:, start : start + batch] = self._losses(examples, part).view(len(self.adapters), -1)
        self.team.add_up([losses])
        return losses.mean(dim=1)

    def export(self, index: int) -> dict[str, Tensor]:
        """Adapter number `index` in the layout of diffusers."""
        return lora.export(self.layers, index)

    def state(self) -> dict[str, Tensor]:
        """Weights and moments of the optimiser by name, adapter by adapter without the stack's padding, as
        views where they exist already: with the steps done, all that a resumed run needs."""
        weights = self.flat.weights
        kinds = {"weight": [weight.detach() for weight in weights]}
        for kind in MOMENTS:
            known = [self.optimizer.state[weight].get(kind) for weight in weights]
            kinds[kind] = [
                torch.zeros_like(weight) if moment is None else moment
                for moment, weight in zip(known, weights, strict=True)
            ]
        return {
            f"{self.adapters[index].rank}.{layer}.{part}.{kind}": values
            for kind, stacks in kinds.items()
            for layer, part, index, values in self.flat.own(stacks)
        }

    def restore(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Go on from `state()` after `steps` steps. Raises KeyError or RuntimeError for another stack's."""
        for weight in self.flat.weights:
            moments = {kind: torch.zeros_like(weight) for kind in MOMENTS}
            self.optimizer.state[weight] = {"step": torch.tensor(float(steps), device=self.device), **moments}
        for key, part in self.state().items():
            part.copy_(tensors[key])

    def _losses(self, examples: Examples, numbers: Draw) -> Tensor:
        """Loss of every sample under every adapter => (R * n,) float32, adapter by adapter. The flat weights
        must be refreshed."""
        count = len(self.adapters)
        clean = diffusion.draw_latents(
            examples.mean[numbers.rows], examples.logvar[numbers.rows], numbers.posterior, self.scaling_factor
        ).repeat(count, 1, 1, 1)
        noise, t = numbers.noise.repeat(count, 1, 1, 1), numbers.t.repeat(count)
        left_out = numbers.empty.view(-1, *[1] * (self.empty.dim() - 1))
        text = torch.where(left_out, self.empty, examples.text[numbers.rows])
        text = text.repeat(count, *[1] * (text.dim() - 1))
        if self.encoder:
            text = self.encoder(text)[0]
        noisy = diffusion.add_noise(self.process, clean, noise, t).to(self.dtype)
        output = self.predict(noisy, t, encoder_hidden_states=text).sample
        return diffusion.errors(self.process, output, clean, noise, t, self.train.min_snr_gamma)

    @contextmanager
    def _dropout(self, step: int) -> Iterator[None]:
        """Let layers leave out inputs, by numbers that depend on (seed, step, layer) only."""
        dropping = {name: layer for name, layer in self.layers.items() if layer.drops}
        for name, layer in dropping.items():
            layer.generator = seeds.generator("dropout", self.train.seed, step, name, device=self.device)
            layer.share = self.team.index, self.team.size
        yield
        for layer in dropping.values():
            layer.generator = None

    def _update(self, share: float) -> None:
        """One step of AdamW at a share of each adapter's learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * share
        weights = self.flat.weights
        before = [] if self.shares is None else [weight.detach().clone() for weight in weights]
        self.optimizer.step()
        self.flat.forget()
        if self.shares is not None:
            with torch.no_grad():  # AdamW's change of a weight is a multiple of the learning rate
                for weight, old, part in zip(weights, before, self.flat.each(self.shares), strict=True):
                    weight.copy_(torch.lerp(old, weight, part))

    def _clip(self) -> None:
        """Scale every adapter's gradient down to `max_grad_norm`, each by its own norm over all layers."""
        factor = (self.train.max_grad_norm / (self.flat.norms() + 1e-6)).clamp(max=1)
        if self.device.type == "cpu" and bool((factor == 1).all()):  # a graphics card would have to wait
            return
        for gradient, part in zip(self.flat.gradients, self.flat.each(factor), strict=True):
            gradient.mul_(part)
