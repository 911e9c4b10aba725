"""`laureate plan`: estimate operations, memory, time and disk of a study before it is run.

Operations and memory are counted on the meta device (`cost_model`), for which configurations are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.commands import card_fit, matrix_speed
from laureate.config.params import Params
from laureate.core.paths import DATASET
from laureate.formats import imagefolder, prompts
from laureate.networks.diffusion import base_model
from laureate.networks.lora.arm import arms_of
from laureate.torch_utils import device

if TYPE_CHECKING:
    from laureate.commands.cost_model import Cost

GIB, TERA = 2**30, 1e12
SHARE = 0.35  # of the speed of a matrix product; UNets on GPUs are reported at 0.3 to 0.5
# dense bfloat16 products with float32 sums, 1e12 operations a second, as specified
GPUS = {"RTX 3090": 71.0, "RTX 4090": 165.0, "A100": 312.0, "H100": 989.0}
CONTEXT = 0.6 * GIB  # GPU memory of a process before it loads a model


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
    encode: int  # operations of the whole stage
    training: int  # operations of all ranks
    sampling: int  # operations of all models

    @property
    def flops(self) -> int:
        """Operations of the three stages."""
        return self.encode + self.training + self.sampling


def run(params: Params, pictures: int | None = None, card: float | None = None) -> None:
    """Print the plan. `pictures`: how many to train on, if there is no data set yet; `card`: GiB of a
    graphics card: print which settings fit it instead.

    Raises LaureateError for prompts that cannot be read and a base that exists but is not valid.
    """
    shape = shape_of(params)
    if card is not None:
        print("\n".join(card_fit.lines(params, shape.configs, card, int(CONTEXT))))
        return
    counts = pictures_of(params, pictures)
    where = device.pick()
    dtype = device.precision(params.train.precision, where)
    attention = "plain" if where.type == "cpu" and dtype.itemsize == 2 else "fused"
    made = estimate(params, shape, counts, dtype, attention)
    on_gpu = (made.alone, made.pack) if where.type == "cuda" else gpu_updates(params, shape)
    speed = matrix_speed.measured(where, dtype)
    process = int(CONTEXT) if where.type == "cuda" else resident()
    print("\n".join([*summary(params, made), *costs_of(params, made, on_gpu, where, dtype, speed, process)]))


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


def estimate(params: Params, shape: Shape, counts: tuple[int, int], dtype: Any, attention: str) -> Plan:
    """Count the operations of all stages and the cost of one update.

    `counts`: pictures to train on and held out; `attention`: see `cost_model.training`.
    """
    from laureate.commands import cost_model
    from laureate.sampling import sampler
    from laureate.training.objective import HOLDOUT_STEPS

    train, sample = params.train, params.sample
    steps, side = train.steps_for(counts[0]), params.prepare.resolution
    alone, pack = updates(params, shape, dtype, attention)
    holdout_loss = cost_model.drawing(shape.configs, 1, side, dtype, attention).flops
    holdout_loss += cost_model.reading(shape.configs, 1, dtype) if train.text_encoder else 0
    holdout_loss *= HOLDOUT_STEPS * counts[1]
    arms = sum(len(arms_of(train, rank)) for rank in params.ranks)
    # before the first step all arms of a seed equal the base
    first = len(train.seeds) * (1 if train.pack else len(params.ranks))
    measurements = -(-steps // train.holdout_every) * arms + first
    drawn = len(prompts.load(sample.prompts)) * len(sample.seeds)
    call = cost_model.drawing(shape.configs, 1, params.drawn_at, dtype, attention).flops
    guided = 0
    if sample.guidance != 1:
        scheduler = shape.configs["scheduler"]
        guided = sampler.guided_steps(scheduler, sample.scheduler, sample.steps, sample.guidance_interval)
    picture = call * (sample.steps + guided)
    picture += cost_model.coding(shape.configs, 1, params.drawn_at, "decode").flops
    encode = cost_model.coding(shape.configs, 1, side, "encode").flops * sum(counts)
    together = pack.flops if train.pack else sum(cost.flops for cost in alone.values())
    return Plan(
        shape=shape,
        train=counts[0],
        holdout=counts[1],
        drawn=drawn,
        steps=steps,
        alone=alone,
        pack=pack,
        encode=encode,
        training=together * steps + holdout_loss * measurements,
        sampling=picture * drawn * (1 + len(params.ranks)),
    )


def updates(params: Params, shape: Shape, dtype: Any, attention: str) -> tuple[dict[int, Cost], Cost]:
    """The cost of one update of every rank's arms alone (by rank), and of all ranks together."""
    from laureate.commands import cost_model
    from laureate.training.trainer import adapter

    def counted(*ranks: int) -> Cost:
        arms = [arm for rank in ranks for arm in arms_of(params.train, rank)]
        adapters = [adapter(params.train, arm.rank) for arm in arms]
        return cost_model.training(
            shape.configs, adapters, params.train, params.prepare.resolution, dtype, attention, arms
        )

    low, high = min(params.ranks), max(params.ranks)
    ends = counted(low), counted(high) if high > low else None
    if ends[1] is None:
        return {low: ends[0]}, ends[0]
    alone = {rank: cost_model.between(ends[0], ends[1], (rank - low) / (high - low)) for rank in params.ranks}
    return alone, counted(*params.ranks)


def gpu_updates(params: Params, shape: Shape) -> tuple[dict[int, Cost], Cost]:
    """`updates` as a GPU computes them, whatever this machine is: `auto` is bfloat16 there, since Ampere."""
    import torch

    asked = params.train.precision
    return updates(params, shape, torch.float32 if asked == "float32" else torch.bfloat16, "fused")


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


def costs_of(
    params: Params,
    plan: Plan,
    on_gpu: tuple[dict[int, Cost], Cost],
    where: Any,
    dtype: Any,
    speed: float,
    process: int,
) -> list[str]:
    """Memory per rank as a table, then operations and hours, as lines of text."""
    here = where.type
    lines = ["", f"{'rank':>6} {'weights':>10} {'GFLOP/update':>13} {'GiB here':>9} {'GiB on a GPU':>13}"]
    for rank, cost in plan.alone.items():
        gpu = on_gpu[0][rank].memory("cuda", int(CONTEXT))
        lines.append(
            f"{rank:>6} {cost.adapted:>10,} {cost.flops / 1e9:>13,.0f} "
            f"{cost.memory(here, process) / GIB:>9.1f} {gpu / GIB:>13.1f}"
        )
    gpu, total = on_gpu[1].memory("cuda", int(CONTEXT)), sum(cost.adapted for cost in plan.alone.values())
    lines.append(
        f"{'all':>6} {total:>10,} {plan.pack.flops / 1e9:>13,.0f} "
        f"{plan.pack.memory(here, process) / GIB:>9.1f} {gpu / GIB:>13.1f}"
    )
    lines.append("")
    parts = {"encode": plan.encode, "train": plan.training, "sample": plan.sampling}
    counted = ", ".join(f"{name} {value / TERA:,.0f}" for name, value in parts.items())
    lines.append(f"Operations in units of 1e12: {counted}; {plan.flops / TERA:,.0f} in all")
    lines.append(
        f"Here ({here}, {device.name_of(dtype)}, a matrix product reaches {speed / TERA:.2f} x 1e12 a second)"
        f": about {duration(plan.flops / (SHARE * speed))}"
    )
    for name, peak in GPUS.items():
        lines.append(f"On one {name}: about {duration(plan.flops / (SHARE * peak * TERA))}")
    lines.append(f"Hours assume {SHARE:.0%} of a matrix product's speed, and leave out crawl and evaluate.")
    return lines


def weights(params: Params, plan: Plan) -> int:
    """Bytes of the base's files, half as many for the fp16 variant."""
    import torch

    from laureate.commands import cost_model

    single = sum(
        cost_model.size_of(cost_model.model(plan.shape.configs, part, torch.float32))
        for part in base_model.WEIGHTS
    )
    return single // (2 if any(source.variant for source in params.base.sources[:1]) else 1)


def resident() -> int:
    """Bytes of memory that this process uses now, with its libraries and without a model."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux: the usual value there
        return int(0.5 * GIB)
    return pages * 4096


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
