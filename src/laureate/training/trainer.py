"""One training step of a stack of adapters: learning rate, gradients, clipping, state to resume."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from laureate.config.params import Train, of_rank
from laureate.networks.backends import device_rules
from laureate.networks.lora import adapter_files, injection
from laureate.networks.lora.adapter import TEXT, Adapter
from laureate.networks.lora.arm import Arm, main_arm
from laureate.networks.lora.flat_parameters import FlatParameters
from laureate.networks.lora.low_rank_matmul import InputGroups
from laureate.torch_utils import rng
from laureate.training import optimisers
from laureate.training.objective import Draw, Examples, Objective


def learning_rate_factor(train: Train, step: int) -> float:
    """Factor of the learning rate at a step: linear warm-up over `train.warmup` steps, then 1, or a cosine to
    0 at `train.steps`."""
    if step < train.warmup:
        return (step + 1) / train.warmup
    if train.schedule == "constant":
        return 1.0
    done = (step - train.warmup) / max(1, train.steps - train.warmup)
    return (1 + math.cos(math.pi * done)) / 2


def adapter(train: Train, rank: int) -> Adapter:
    """The adapter of a rank, as the parameters want it."""
    alpha = of_rank(train.alpha, rank)
    return Adapter(
        rank,
        float(rank if alpha == "rank" else alpha),
        float(of_rank(train.dropout, rank)),
        train.variant,
        train.init,
    )


class Trainer:
    """A stack of R adapters on a frozen UNet, where asked on its text encoder too, and its optimiser.

    One step trains all of them: arms of one seed on the same batch.
    """

    def __init__(
        self, objective: Objective, adapters: Sequence[Adapter], arms: Sequence[Arm] | None = None
    ) -> None:
        """Attach the adapters to the objective's networks, in place. In a team every process has the same
        adapters and a share of every batch.

        `arms`: learning rate and seed of every adapter, with the objective's seeds; None: each adapter is the
        main arm of its rank. Raises LaureateError as `lora.attach` does.
        """
        unet, encoder, train = objective.unet, objective.encoder, objective.train
        self.objective, self.train, self.adapters = objective, train, list(adapters)
        self.arms = list(arms or [main_arm(train, adapter.rank) for adapter in adapters])
        self.device, self.team = objective.device, objective.team
        self.part = 0  # of the batch, that is trained on now
        seeds = [arm.seed for arm in self.arms]
        if set(seeds) != set(objective.seeds):
            raise ValueError("the objective draws for other seeds than those of the arms")
        self.groups = InputGroups(tuple(objective.seeds.index(seed) for seed in seeds))
        runs = device_rules.adapter_runs(self.device.type, [adapter.rank for adapter in adapters])
        self.layers = injection.attach(unet, adapters, train.targets, seeds, runs=runs)
        if encoder:
            self.layers |= injection.attach(encoder, adapters, train.text_encoder, seeds, TEXT, runs)
        injection.share_start(unet, self.groups, text=not encoder)
        self.flat = FlatParameters(self.layers, objective.dtype, self._multiplies_out)
        rates = [arm.learning_rate for arm in self.arms]
        self.optimizer = optimisers.build(self.flat, train, rates)
        if train.compile != "none":
            objective.predict = torch.compile(unet, mode=train.compile)

    def _multiplies_out(self, fan_in: int, out: int) -> bool:
        """Whether the update of a layer is multiplied out; a compiled UNet multiplies factors itself."""
        kernels = self.train.kernels
        return self.train.compile == "none" and device_rules.multiplies_out(
            self.device.type, fan_in, out, kernels
        )

    def step(self, examples: Examples, step: int) -> Tensor:
        """Train on batch number `step`; gives the loss before the update, (R,) float32, without waiting."""
        with self._dropout(step):
            losses = self.backward(examples, self.objective.numbers(examples, step))
        self.team.sum_over_processes([losses, *self.flat.gradients])
        self._clip()
        self._update(learning_rate_factor(self.train, step))
        return losses

    def backward(self, examples: Examples, numbers: Draw) -> Tensor:
        """Put the gradients of given samples into `flat.gradients`; gives the losses, (R,) float32: a sum
        over the samples as a share of the batch. The samples are taken in `train.gradient_accumulation`
        parts."""
        self.flat.refresh()
        count = len(self.adapters)
        total = torch.zeros(count, device=self.device)
        seeds = len(self.objective.seeds)
        parts = min(self.train.gradient_accumulation, len(numbers.t) // seeds)
        for self.part in range(parts):
            some = numbers if parts == 1 else numbers.part(self.part, parts, seeds)
            losses = self.objective.losses(examples, some, self.groups).view(count, -1)
            losses = losses.sum(dim=1) / self.train.batch
            losses.sum().backward()
            total += losses.detach()
        self.flat.gather_gradients()
        return total

    def holdout_loss(self, examples: Examples) -> Tensor:
        """Mean loss of every adapter on the held-out pictures, (R,) float32."""
        self.flat.refresh()
        return self.objective.holdout_loss(examples, self.groups)

    def export(self, index: int) -> dict[str, Tensor]:
        """Adapter number `index` in the layout of diffusers."""
        return adapter_files.export(self.layers, index)

    def state(self) -> dict[str, Tensor]:
        """Weights and moments of the optimiser by name, adapter by adapter without the stack's padding, as
        views where they exist already: with the steps done, all that a resumed run needs."""
        weights = [weight.detach() for weight in self.flat.weights]
        state = {
            f"{self.arms[index].key}.{layer}.{part}.weight": values
            for layer, part, index, values in self.flat.own(weights)
        }
        stored = self.optimizer.stored()
        return state | {f"{self.arms[index].key}.{name}": values for index, name, values in stored}

    def restore(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Go on from `state()` after `steps` steps. Raises KeyError or RuntimeError for another stack's."""
        self.optimizer.prepare(steps)
        for key, part in self.state().items():
            part.copy_(tensors[key])

    @contextmanager
    def _dropout(self, step: int) -> Iterator[None]:
        """Turn dropout on, with random numbers that depend on (seed, step, layer, part of the batch) only."""
        dropping = {name: layer for name, layer in self.layers.items() if layer.drops}
        for name, layer in dropping.items():
            layer.generators = {
                seed: partial(self._dropout_source, seed, step, name) for seed in self.objective.seeds
            }
            layer.share = self.team.index, self.team.size
        yield
        for layer in dropping.values():
            layer.generators = {}

    def _dropout_source(self, seed: int, step: int, layer: str) -> torch.Generator:
        """A fresh generator: a layer that is computed again for its gradients must drop the same inputs."""
        part = [self.part] if self.part else []
        return rng.generator("dropout", seed, step, layer, *part, device=self.device)

    def _update(self, factor: float) -> None:
        """One step of the optimiser at a factor of each adapter's learning rate."""
        self.optimizer.step(factor)
        self.flat.mark_gradients_stale()

    def _clip(self) -> None:
        """Scale every adapter's gradient down to `max_grad_norm`, each by its own norm over all layers."""
        factor = (self.train.max_grad_norm / (self.flat.norms() + 1e-6)).clamp(max=1)
        if self.device.type == "cpu" and bool((factor == 1).all()):  # a graphics card would have to wait
            return
        for gradient, part in zip(self.flat.gradients, self.flat.per_run(factor), strict=True):
            gradient.mul_(part)
