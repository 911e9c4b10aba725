"""The costs of a base's shape: counted on the meta device by `cost_model`, or as they were counted before.

torch and the networks are imported when something is counted.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from laureate.commands.plan_cache import PlanCache
from laureate.commands.step_cost import Cost, between
from laureate.config.params import Sample, Train
from laureate.networks.diffusion.base_model import WEIGHTS
from laureate.networks.lora.arm import arms_of

if TYPE_CHECKING:
    import torch

Configs = Mapping[str, Mapping[str, Any]]  # part => its configuration; `scheduler` too
# parameters of train that change nothing in one update's cost
NEUTRAL = {"steps", "epochs", "warmup", "holdout_every", "checkpoint_every", "trackers", "preview", "compile"}


class BaseCosts:
    """Costs of the networks with the configurations `configs`. `dtype`: a type of torch or its name;
    `attention`: see `cost_model.training`."""

    def __init__(self, configs: Configs, dtype: Any, attention: str, cache: PlanCache) -> None:
        self.configs, self.attention, self.cache = configs, attention, cache
        self.dtype = str(dtype).removeprefix("torch.")

    def alone(self, train: Train, ranks: Sequence[int], side: int) -> dict[int, Cost]:
        """The cost of one update of the arms of every rank by itself; those between are interpolated."""
        low, high = min(ranks), max(ranks)
        ends = self.training(train, [low], side), self.training(train, [high], side)
        return {rank: between(*ends, (rank - low) / max(high - low, 1)) for rank in ranks}

    def training(self, train: Train, ranks: Sequence[int], side: int) -> Cost:
        """One update of the arms of `ranks` together, on pictures of `side` pixels."""

        def count() -> Cost:
            from laureate.commands import cost_model
            from laureate.training.trainer import adapter

            arms = [arm for rank in ranks for arm in arms_of(train, rank)]
            adapters = [adapter(train, arm.rank) for arm in arms]
            return cost_model.training(
                self.configs, adapters, train, side, self._torch_dtype(), self.attention, arms
            )

        depends = [train.model_dump(mode="json", exclude=NEUTRAL), list(ranks), side]
        return Cost(*self._known("training", depends, lambda: count().values()))

    def drawing(self, side: int) -> int:
        """Operations of one call of the UNet for one picture of `side` pixels."""

        def count() -> int:
            from laureate.commands import cost_model

            return cost_model.drawing(self.configs, 1, side, self._torch_dtype(), self.attention).flops

        return int(self._known("drawing", side, count))

    def guided_steps(self, sample: Sample) -> int:
        """How many steps of a drawing have guidance, and so a second call of the UNet."""
        if sample.guidance == 1:
            return 0
        settings = sample.scheduler, sample.steps, sample.guidance_interval

        def count() -> int:
            from laureate.sampling import sampler

            with warnings.catch_warnings():  # diffusers hands a tensor to NumPy in an old way
                warnings.simplefilter("ignore", DeprecationWarning)
                return sampler.guided_steps(self.configs["scheduler"], *settings)

        return int(self._known("guided steps", settings, count))

    def reading(self) -> int:
        """Operations of the text encoder for one caption."""

        def count() -> int:
            from laureate.commands import cost_model

            return cost_model.reading(self.configs, 1, self._torch_dtype())

        return int(self._known("reading", None, count))

    def coding(self, side: int, way: str) -> int:
        """Operations of the VAE for one picture of `side` pixels; `way`: `encode` or `decode`."""

        def count() -> int:
            from laureate.commands import cost_model

            return cost_model.coding(self.configs, 1, side, way).flops

        return int(self._known("coding", [side, way], count))

    def weights(self) -> int:
        """Bytes of all weights in float32."""

        def count() -> int:
            import torch

            from laureate.commands import cost_model

            models = (cost_model.model(self.configs, part, torch.float32) for part in WEIGHTS)
            return sum(map(cost_model.size_of, models))

        return int(self._known("weights", None, count))

    def _known(self, kind: str, depends: object, count: Callable[[], Any]) -> Any:
        return self.cache.value(kind, [self.configs, self.dtype, self.attention, depends], count)

    def _torch_dtype(self) -> torch.dtype:
        import torch

        found = getattr(torch, self.dtype)
        assert isinstance(found, torch.dtype)
        return found
