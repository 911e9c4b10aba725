"""`laureate plan --card GIB`: the settings with which a training fits into a graphics card's memory.

They are tried from the cheapest to the dearest: a batch in parts does the same operations in smaller
products; checkpointing computes activations twice; one rank after the other does what a pack does once for
all ranks anew for each. Adafactor comes last: its moments take next to no memory, but it learns otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from laureate.commands.base_costs import BaseCosts, Configs
from laureate.commands.plan_cache import PlanCache
from laureate.commands.step_cost import Cost
from laureate.config.params import Params, Train
from laureate.core.progress import progress

GIB = 2**30
SPARE = 0.95  # of a card: its driver and the screen take the rest


@dataclass(frozen=True)
class Fit:
    """Settings of `train`, what a step with them holds, and what it costs."""

    train: Train
    bytes: int
    price: float  # operations of a step of all ranks, as a multiple of those of the settings as they are

    def changes(self, before: Train) -> dict[str, object]:
        """The parameters that differ."""
        old, new = (of.model_dump() for of in (before, self.train))
        return {key: value for key, value in new.items() if old.get(key) != value}


def candidates(train: Train) -> Iterator[Train]:
    """Settings of less and less memory: those as they are first."""
    parts, size = [], 1
    while size < train.batch:
        parts.append(size)
        size *= 2
    parts = [part for part in [*parts, train.batch] if part >= train.gradient_accumulation]
    ways = [
        (pack, checkpointing)
        for pack in dict.fromkeys((train.pack, False))
        for checkpointing in dict.fromkeys((train.gradient_checkpointing, True))
    ]
    for pack, checkpointing in ways:
        for part in parts:
            values = {
                "pack": pack,
                "gradient_checkpointing": checkpointing,
                "gradient_accumulation": part,
            }
            yield train.model_copy(update=values)
    if train.optimizer == "adamw":
        yield train.model_copy(update={**values, "optimizer": "adafactor"})


def fit(
    params: Params, configs: Configs, gib: float, context: int, cache: PlanCache | None = None
) -> tuple[Fit | None, Fit]:
    """The first candidate that fits a card of `gib` => (it or None, the last one that was tried).

    `context`: bytes of a process on the card before it loads a model; `cache`: what was counted before.
    """
    cache = cache or PlanCache()
    tried, first = list(candidates(params.train)), 0
    last = None
    for train in progress(tried, len(tried), "settings"):
        costs = costs_of(params.model_copy(update={"train": train}), configs, cache)
        operations = sum(cost.flops for cost in costs)
        first = first or operations
        last = Fit(train, max(cost.memory("cuda", context) for cost in costs), operations / first)
        if last.bytes <= SPARE * gib * GIB:
            return last, last
    assert last is not None
    return None, last


def costs_of(params: Params, configs: Configs, cache: PlanCache | None = None) -> list[Cost]:
    """The cost of one update of every run: of all ranks together, or of each alone."""
    dtype = "float32" if params.train.precision == "float32" else "bfloat16"
    costs = BaseCosts(configs, dtype, "fused", cache or PlanCache())
    what = params.train, params.ranks, params.prepare.resolution
    return [costs.training(*what)] if params.train.pack else list(costs.alone(*what).values())


def lines(
    params: Params, configs: Configs, gib: float, context: int, cache: PlanCache | None = None
) -> list[str]:
    """What to set for a card, as lines of text; for the parameters see `fit`."""
    found, last = fit(params, configs, gib, context, cache)
    if found is None:
        return [
            f"Nothing fits a card of {gib:g} GiB: with a batch in {last.train.gradient_accumulation} parts, "
            f"checkpointing, one rank after the other and Adafactor a step holds {last.bytes / GIB:.1f} GiB; "
            "lower prepare.resolution, or leave out the largest of ranks"
        ]
    changes = found.changes(params.train)
    if not changes:
        return [f"A card of {gib:g} GiB has room for train as it is: {found.bytes / GIB:.1f} GiB"]
    written = ", ".join(f"{key}: {_yaml(value)}" for key, value in changes.items())
    price = (
        f"{100 * (found.price - 1):.0f} % more operations" if found.price > 1.005 else "the same operations"
    )
    same = "The adapters are the same but for rounding."
    if "optimizer" in changes:
        same = "Adafactor learns otherwise than AdamW: the adapters differ."
    smaller = ", in smaller products" if "gradient_accumulation" in changes else ""
    return [
        f"For a card of {gib:g} GiB set in train: {written}",
        f"A step then holds {found.bytes / GIB:.1f} GiB and takes {price}{smaller}. {same}",
    ]


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
