"""`laureate plan`: estimate operations, memory, time and disk of a study before it is run.

Operations and memory are counted on the meta device (`cost_model`), for which configurations are enough, and
kept (`plan_cache`): for a shape that was counted before nothing is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laureate.commands import card_fit, plan_machine
from laureate.commands.base_costs import BaseCosts
from laureate.commands.plan_cache import FILE, PlanCache
from laureate.commands.plan_machine import CONTEXT, GIB, Machine
from laureate.commands.step_cost import Cost
from laureate.config.params import Params
from laureate.core.paths import DATASET
from laureate.formats import imagefolder, prompts
from laureate.networks.diffusion import base_model
from laureate.networks.lora.arm import arms_of
from laureate.sampling.choosing import cost as choosing

TERA = 1e12
SHARE = 0.35  # of the speed of a matrix product; UNets on GPUs are reported at 0.3 to 0.5
# dense bfloat16 products with float32 sums, 1e12 operations a second, as specified
GPUS = {"RTX 3090": 71.0, "RTX 4090": 165.0, "A100": 312.0, "H100": 989.0}


@dataclass(frozen=True)
class Shape:
    """The configurations of a base, and where they were read."""

    configs: dict[str, dict[str, Any]]
    known_from: str
    fetched: bool


@dataclass(frozen=True)
class Plan:
    """What was counted."""

    shape: Shape
    train: int  # pictures to train on
    holdout: int  # held-out pictures
    drawn: int  # pictures of one model
    steps: int  # updates of a training
    alone: dict[int, Cost]  # of one update of all arms of a rank
    pack: Cost  # of one update of all ranks together
    weights: int  # bytes of the base in float32
    encode: int  # operations of the whole stage
    training: int  # operations of all ranks
    sampling: int  # operations of all models
    candidates: int  # of every rank, to choose from
    chosen_from: int  # pictures of all ranks that choosing draws at most
    choosing: int  # operations of these

    @property
    def flops(self) -> int:
        """Operations of the three stages."""
        return self.encode + self.training + self.sampling + self.choosing


def run(params: Params, pictures: int | None = None, card: float | None = None) -> None:
    """Print the plan. `pictures`: how many to train on, if there is no data set yet; `card`: GiB of a
    graphics card: print which settings fit it instead.

    Raises LaureateError for prompts that cannot be read and a base that exists but is not valid.
    """
    shape, cache = shape_of(params), PlanCache(FILE)
    if card is not None:
        lines = card_fit.lines(params, shape.configs, card, CONTEXT, cache)
    else:
        machine = plan_machine.of_process(params.train.precision, cache)
        counts = pictures_of(params, pictures)
        made = estimate(params, shape, counts, machine.dtype, machine.attention, cache)
        on_gpu = (made.alone, made.pack) if machine.kind == "cuda" else gpu_updates(params, shape, cache)
        lines = [*summary(params, made), *costs_of(made, on_gpu, machine)]
    cache.save()
    print("\n".join(lines))


def shape_of(params: Params) -> Shape:
    """The base's configurations: its own if it exists, else those of its source, layout or prediction."""
    from laureate.networks.sources.checkpoint_conversion import layout_folder

    folder, known = Path(params.base.path), "as it is on the disk"
    if not folder.is_dir():
        local = next((s.folder for s in params.base.sources if s.folder and Path(s.folder).is_dir()), None)
        named = next((s.layout for s in params.base.sources if s.layout), None)
        guess = "sd2-512" if params.base.prediction == "epsilon" else "sd2-768"
        folder = Path(local) if local else layout_folder(named or guess)
        known = f"not there yet; its shape is taken from {local or f'the layout {named or guess}'}"
    else:
        base_model.expected(params.base)
    configs = {part: base_model.read_json(folder / part / "config.json") for part in base_model.WEIGHTS}
    configs["scheduler"] = base_model.read_json(folder / "scheduler" / "scheduler_config.json")
    return Shape(configs, known, Path(params.base.path).is_dir())


def pictures_of(params: Params, given: int | None) -> tuple[int, int]:
    """Pictures to train on and held out: of the data set, else `given`, else the minimum of prepare."""
    found = []
    for part in imagefolder.PARTS:
        there = (DATASET / part / imagefolder.METADATA).is_file()
        found.append(len(imagefolder.read_metadata(DATASET / part)) if there else 0)
    if all(found) and given is None:
        return found[0], found[1]
    train = given or params.prepare.min_train
    share = params.prepare.holdout
    return train, max(params.prepare.min_holdout, round(train * share / max(1 - share, 0.01)))


def estimate(
    params: Params,
    shape: Shape,
    counts: tuple[int, int],
    dtype: Any,
    attention: str,
    cache: PlanCache | None = None,
) -> Plan:
    """Count the operations of all stages and the cost of one update.

    `counts`: pictures to train on and held out; `dtype`: torch's, or its name; `attention`: see
    `cost_model.training`; `cache`: what was counted before.
    """
    cache = cache or PlanCache()
    costs = BaseCosts(shape.configs, dtype, attention, cache)
    train, sample = params.train, params.sample
    steps, side = train.steps_for(counts[0]), params.prepare.resolution
    alone, pack = updates(params, shape, dtype, attention, cache)
    holdout_loss = costs.drawing(side)
    holdout_loss += costs.reading() if train.text_encoder else 0
    holdout_loss *= int(cache.value("steps of the held-out loss", None, holdout_steps)) * counts[1]
    arms = sum(len(arms_of(train, rank)) for rank in params.ranks)
    # before the first step all arms of a seed equal the base
    first = len(train.seeds) * (1 if train.pack else len(params.ranks))
    measurements = -(-steps // train.holdout_every) * arms + first
    drawn = len(prompts.load(sample.prompts)) * len(sample.seeds)
    picture = costs.drawing(params.drawn_at) * (sample.steps + costs.guided_steps(sample))
    picture += costs.coding(params.drawn_at, "decode")
    encode = costs.coding(side, "encode") * sum(counts)
    candidates, chosen_from = choosing.pictures(params, steps)
    together = pack.flops if train.pack else sum(cost.flops for cost in alone.values())
    return Plan(
        shape=shape,
        train=counts[0],
        holdout=counts[1],
        drawn=drawn,
        steps=steps,
        alone=alone,
        pack=pack,
        weights=costs.weights(),
        encode=encode,
        training=together * steps + holdout_loss * measurements,
        sampling=picture * drawn * (1 + len(params.ranks)),
        candidates=candidates,
        chosen_from=chosen_from,
        choosing=picture * chosen_from,
    )


def updates(
    params: Params, shape: Shape, dtype: Any, attention: str, cache: PlanCache | None = None
) -> tuple[dict[int, Cost], Cost]:
    """The cost of one update of every rank's arms alone (by rank), and of all ranks together.

    The parameters are those of `estimate`.
    """
    costs = BaseCosts(shape.configs, dtype, attention, cache or PlanCache())
    what = params.train, params.ranks, params.prepare.resolution
    return costs.alone(*what), costs.training(*what)


def gpu_updates(params: Params, shape: Shape, cache: PlanCache) -> tuple[dict[int, Cost], Cost]:
    """`updates` as a GPU computes them, whatever this machine is: `auto` is bfloat16 there, since Ampere."""
    dtype = "float32" if params.train.precision == "float32" else "bfloat16"
    return updates(params, shape, dtype, "fused", cache)


def holdout_steps() -> int:
    """Time steps at which a training takes the loss of every held-out picture."""
    from laureate.training.objective import HOLDOUT_STEPS

    return HOLDOUT_STEPS


def summary(params: Params, plan: Plan) -> list[str]:
    """What the study will do and how much disk it takes, as lines of text."""
    train, sample, models = params.train, params.sample, 1 + len(params.ranks)
    epochs = plan.steps * train.batch / plan.train
    order = "all ranks together" if train.pack else "one rank after the other"
    if len(train.seeds) > 1 or train.learning_rates:
        order += f", with {_counted(train.seeds, 'seed')} and {_counted([0, *train.learning_rates], 'rate')}"
    sources = ", then ".join(source.name for source in params.base.sources)
    lines = [
        f"World {params.world}: pictures from {params.crawl.site}",
        f"Base {params.base.path}: {plan.shape.known_from}; predicts "
        f"{plan.shape.configs['scheduler'].get('prediction_type', 'epsilon')}",
        f"Sources, in order: {sources}",
        f"Pictures: {plan.train} to train on, {plan.holdout} held out, at {params.prepare.resolution} px",
        f"Training: ranks {', '.join(map(str, params.ranks))}; {plan.steps} updates of {train.batch} "
        f"pictures each ({epochs:.0f} epochs), {order}"
        + (", of the text encoder too" if train.text_encoder else ""),
        f"Drawing: {plan.drawn} pictures of each of {models} models at {params.drawn_at} px, {sample.steps} "
        f"steps, guidance {sample.guidance:g}",
    ]
    if plan.candidates > 1:
        lines.append(
            f"Choosing: {plan.candidates} candidates of a rank (learning rate, step, strength), at most "
            f"{plan.chosen_from} pictures of all ranks"
        )
    own = int(plan.shape.configs["unet"].get("sample_size") or 0) * _downscale(plan)
    if own and own != params.prepare.resolution:
        lines.append(
            f"Note: the base was trained at {own} px, this study trains at {params.prepare.resolution}: the "
            "adapters also learn the composition at that size"
        )
    here = plan.shape.fetched or params.base.sources[0].kind in ("folder", "file")
    missing = 0 if here else weights(params, plan)
    lines.append(
        f"To download: base ({missing / 1e9:.1f} GB), portraits" if missing else "To download: portraits"
    )
    kept = 1 + sum(step < plan.steps for step in train.snapshots)  # of every arm
    adapters = kept * sum(4 * cost.adapted for cost in plan.alone.values())
    drawn = 1.3 * params.drawn_at**2 * plan.drawn * models  # PNG bytes of a drawing, about
    latents = 8 * (plan.train + plan.holdout) * _latents(plan, params.prepare.resolution)
    disk = weights(params, plan) + adapters + drawn + latents
    lines.append(f"Disk: about {disk / 1e9:.1f} GB, of which {adapters / 1e9:.2f} GB are adapters")
    return lines


def costs_of(plan: Plan, on_gpu: tuple[dict[int, Cost], Cost], machine: Machine) -> list[str]:
    """Memory per rank as a table, then operations and hours, as lines of text."""
    here, process, speed = machine.kind, machine.process, machine.speed
    lines = ["", f"{'rank':>6} {'weights':>10} {'GFLOP/update':>13} {'GiB here':>9} {'GiB on a GPU':>13}"]
    for rank, cost in plan.alone.items():
        gpu = on_gpu[0][rank].memory("cuda", CONTEXT)
        lines.append(
            f"{rank:>6} {cost.adapted:>10,} {cost.flops / 1e9:>13,.0f} "
            f"{cost.memory(here, process) / GIB:>9.1f} {gpu / GIB:>13.1f}"
        )
    gpu, total = on_gpu[1].memory("cuda", CONTEXT), sum(cost.adapted for cost in plan.alone.values())
    lines.append(
        f"{'all':>6} {total:>10,} {plan.pack.flops / 1e9:>13,.0f} "
        f"{plan.pack.memory(here, process) / GIB:>9.1f} {gpu / GIB:>13.1f}"
    )
    lines.append("")
    parts = {"encode": plan.encode, "train": plan.training, "sample": plan.sampling}
    parts |= {"choose": plan.choosing} if plan.choosing else {}
    counted = ", ".join(f"{name} {value / TERA:,.0f}" for name, value in parts.items())
    lines.append(f"Operations in units of 1e12: {counted}; {plan.flops / TERA:,.0f} in all")
    lines.append(
        f"Here ({here}, {machine.dtype}, a matrix product reaches {speed / TERA:.2f} x 1e12 a second)"
        f": about {duration(plan.flops / (SHARE * speed))}"
    )
    for name, peak in GPUS.items():
        lines.append(f"On one {name}: about {duration(plan.flops / (SHARE * peak * TERA))}")
    lines.append(f"Hours assume {SHARE:.0%} of a matrix product's speed, and leave out crawl and evaluate.")
    return lines


def weights(params: Params, plan: Plan) -> int:
    """Bytes of the base's files, half as many for the fp16 variant."""
    return plan.weights // (2 if any(source.variant for source in params.base.sources[:1]) else 1)


def _latents(plan: Plan, side: int) -> int:
    """Elements of the latents of one picture."""
    return int(plan.shape.configs["vae"]["latent_channels"]) * (side // _downscale(plan)) ** 2


def _downscale(plan: Plan) -> int:
    """Pixels per latent along a side."""
    return int(2 ** (len(plan.shape.configs["vae"]["block_out_channels"]) - 1))


def _counted(things: Sequence[object], what: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{len(things)} {what}{'s' * (len(things) > 1)}"


def duration(seconds: float) -> str:
    """A duration in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
