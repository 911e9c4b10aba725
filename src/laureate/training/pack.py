"""All arms that train together: on a graphics card one stack, on a CPU a stack for every worker.

The stacks of a CPU lie on networks that share their frozen weights, and step side by side
(`torch_utils.workers`): each computes what a single stack would, on fewer arms, with its share of the cores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from laureate.networks.backends import placement
from laureate.networks.lora.adapter import Adapter
from laureate.networks.lora.arm import Arm
from laureate.torch_utils import workers
from laureate.training.objective import Examples, Objective
from laureate.training.trainer import Trainer


class Pack:
    """One or several stacks of adapters; every result is in the order of `arms`."""

    def __init__(
        self,
        objective: Objective,
        adapters: Sequence[Adapter],
        arms: Sequence[Arm],
        stacks: int | None = None,
    ) -> None:
        """Attach the adapters to the objective's networks, in place, and to copies of them.

        `arms`: learning rate and seed of every adapter, with the objective's seeds. `stacks`: how many at
        most; None: `side_by_side`. Raises LaureateError as `lora.attach` does.
        """
        self.adapters, self.arms = list(adapters), list(arms)
        self.train, self.team, self.seeds = objective.train, objective.team, objective.seeds
        self.device, self.dtype = objective.device, objective.dtype
        parts = shares(len(self.arms), stacks or side_by_side(objective))
        of_seeds = [list(dict.fromkeys(arm.seed for arm in self.arms[part])) for part in parts]
        objectives = [objective]
        if len(parts) > 1:  # all of them before anything is attached
            objectives = [objective.beside(seeds) for seeds in of_seeds]
        self.trainers = [
            Trainer(each, self.adapters[part], self.arms[part])
            for each, part in zip(objectives, parts, strict=True)
        ]
        self.places = [  # of every arm: its stack, and its number there
            (trainer, index) for trainer in self.trainers for index in range(len(trainer.adapters))
        ]

    @property
    def layers(self) -> list[str]:
        """The names of the adapted layers."""
        return list(self.trainers[0].layers)

    def of_arms(self, of_seeds: Tensor) -> Tensor:
        """What belongs to the objective's seeds (S, ...) => to the arms (R, ...)."""
        return of_seeds[[self.seeds.index(arm.seed) for arm in self.arms]]

    def step(self, examples: Examples, step: int) -> Tensor:
        """Train on batch number `step`; gives the losses before the update, (R,) float32."""
        return self._all(lambda trainer: trainer.step(examples, step))

    def holdout_loss(self, examples: Examples) -> Tensor:
        """Mean loss of every adapter on the held-out pictures, (R,) float32."""
        return self._all(lambda trainer: trainer.holdout_loss(examples))

    def export(self, index: int) -> dict[str, Tensor]:
        """Adapter number `index` in the layout of diffusers."""
        trainer, place = self.places[index]
        return trainer.export(place)

    def state(self) -> dict[str, Tensor]:
        """See `Trainer.state`."""
        return {key: part for trainer in self.trainers for key, part in trainer.state().items()}

    def restore(self, tensors: dict[str, Tensor], steps: int) -> None:
        """See `Trainer.restore`."""
        for trainer in self.trainers:
            trainer.restore(tensors, steps)

    def _all(self, work: Callable[[Trainer], Tensor]) -> Tensor:
        return torch.cat(list(workers.in_order(work, self.trainers, len(self.trainers))))


def side_by_side(objective: Objective) -> int:
    """How many stacks the arms of an objective are shared out to, at most."""
    if objective.team.size > 1 or objective.train.compile != "none":
        return 1
    return placement.side_by_side(objective.unet, *([objective.encoder] if objective.encoder else []))


def shares(count: int, most: int) -> list[slice]:
    """`count` arms in at most `most` parts of neighbours, as even as can be: arms of one rank lie side by
    side, and share products."""
    parts = max(1, min(count, most))
    bounds = [count * index // parts for index in range(parts + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]
