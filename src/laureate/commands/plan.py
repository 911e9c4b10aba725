"""plan: what a study will do and cost, before anything is fetched or trained.

Operations and memory are counted on the meta device (`cost_model`): configurations are enough.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.config.params import Params
from laureate.core.paths import DATASET
from laureate.formats import imagefolder, prompts
from laureate.networks.diffusion import base_model
from laureate.torch_utils import device

if TYPE_CHECKING:
    from laureate.commands.cost_model import Cost

GIB, TERA = 2**30, 1e12
SHARE = 0.35  # of what a matrix product reaches; UNets on GPUs are reported at 0.3 to 0.5
GPUS = {  # dense bfloat16 products with float32 sums, 1e12 operations a second, as their makers say
    "RTX 3090": 71.0,
    "RTX 4090": 165.0,
    "A100": 312.0,
    "H100": 989.0,
}
CONTEXT = 0.6 * GIB  # a process on a GPU before it has a model


@dataclass(frozen=True)
class Shape:
    """The configurations of a base, and where they are from."""

    configs: dict[str, dict[str, Any]]
    known_from: str
    fetched: bool


@dataclass(frozen=True)
class Plan:
    """What is counted."""

    shape: Shape
    train: int  # pictures
    holdout: int
    drawn: int  # pictures of one model
    steps: int  # updates of a training
    alone: dict[int, Cost]  # one update, by rank
    pack: Cost  # one update of all ranks together
    encode: int  # operations in all, as below
    training: int
    sampling: int  # all models

    @property
    def flops(self) -> int:
        """All three."""
        return self.encode + self.training + self.sampling


def run(params: Params, pictures: int | None = None) -> None:
    """Print the plan. `pictures`: how many to train on, where the data set is not there yet.

    Raises LaureateError for prompts that cannot be read and a base that is there but broken.
    """
    shape, counts = shape_of(params), pictures_of(params, pictures)
    where = device.pick()
    dtype = device.precision(params.train.precision, where)
    attention = "plain" if where.type == "cpu" and dtype.itemsize == 2 else "fused"
    made = estimate(params, shape, counts, dtype, attention)
    on_gpu = (made.alone, made.pack) if attention == "fused" else updates(params, shape, dtype, "fused")
    speed = rate(where, dtype)
    process = int(CONTEXT) if where.type == "cuda" else resident()
    print("\n".join([*said(params, made), *costs_of(params, made, on_gpu, where, dtype, speed, process)]))


def shape_of(params: Params) -> Shape:
    """The base's configurations: its own if it is there, else those that its source or prediction names."""
    from laureate.networks.sources.checkpoint_conversion import layout_folder

    folder, known = Path(params.base.path), "as it lies there"
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
    """Pictures to train on and held out: of the data set, else as given, else the fewest that are allowed."""
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
    """Count everything."""
    from laureate.commands import cost_model
    from laureate.training.objective import HOLDOUT_STEPS

    train, sample = params.train, params.sample
    steps, side = train.steps_for(counts[0]), params.prepare.resolution
    alone, pack = updates(params, shape, dtype, attention)
    look = cost_model.drawing(shape.configs, 1, side, dtype, attention).flops
    look += cost_model.reading(shape.configs, 1, dtype) if train.text_encoder else 0
    look *= HOLDOUT_STEPS * counts[1]
    looks = -(-steps // train.holdout_every) * len(params.ranks)
    looks += 1 if train.pack else len(params.ranks)  # at the start, when all ranks are the base
    drawn = len(prompts.load(sample.prompts)) * len(sample.seeds)
    call = cost_model.drawing(shape.configs, 1, params.drawn_at, dtype, attention).flops
    picture = call * sample.steps * (2 if sample.guidance != 1 else 1)
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
        training=together * steps + look * looks,
        sampling=picture * drawn * (1 + len(params.ranks)),
    )


def updates(params: Params, shape: Shape, dtype: Any, attention: str) -> tuple[dict[int, Cost], Cost]:
    """One update of every rank alone, and of all together."""
    from laureate.commands import cost_model
    from laureate.training.trainer import adapter

    def counted(*ranks: int) -> Cost:
        adapters = [adapter(params.train, rank) for rank in ranks]
        return cost_model.training(
            shape.configs, adapters, params.train, params.prepare.resolution, dtype, attention
        )

    low, high = min(params.ranks), max(params.ranks)
    ends = counted(low), counted(high) if high > low else None
    if ends[1] is None:
        return {low: ends[0]}, ends[0]
    alone = {rank: cost_model.between(ends[0], ends[1], (rank - low) / (high - low)) for rank in params.ranks}
    return alone, counted(*params.ranks)


def said(params: Params, plan: Plan) -> list[str]:
    """What will happen, in words."""
    train, sample, models = params.train, params.sample, 1 + len(params.ranks)
    epochs = plan.steps * train.batch / plan.train
    order = "all ranks together" if train.pack else "one rank after the other"
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
            f"Note: the base was trained at {own} px, this trains at {params.prepare.resolution}: it learns "
            "the composition of that size too"
        )
    here = plan.shape.fetched or params.base.sources[0].kind in ("folder", "file")
    missing = 0 if here else weights(params, plan)
    lines.append(
        f"To fetch: {missing / 1e9:.1f} GB of base, and the portraits" if missing else "To fetch: portraits"
    )
    adapters = sum(4 * cost.adapted for cost in plan.alone.values())
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
    """Memory and hours, as a table and a list."""
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
        f": about {_hours(plan.flops / (SHARE * speed))}"
    )
    for name, peak in GPUS.items():
        lines.append(f"On one {name}: about {_hours(plan.flops / (SHARE * peak * TERA))}")
    lines.append(f"Hours assume {SHARE:.0%} of a matrix product's speed; crawling and judging come on top.")
    return lines


def weights(params: Params, plan: Plan) -> int:
    """Bytes of the base's files: half as many in half precision."""
    import torch

    from laureate.commands import cost_model

    single = sum(
        cost_model.size_of(cost_model.model(plan.shape.configs, part, torch.float32))
        for part in base_model.WEIGHTS
    )
    return single // (2 if any(source.variant for source in params.base.sources[:1]) else 1)


def rate(where: Any, dtype: Any, side: int = 1024, seconds: float = 0.5) -> float:
    """Operations a second of a square matrix product, the best of those done in `seconds`."""
    import torch

    a = torch.randn(side, side).to(where, dtype)
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        a @ a
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        best = max(best, 2 * side**3 / (time.perf_counter() - start))
    return best


def resident() -> int:
    """Bytes of memory this process has now, libraries and all, without a model."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # no Linux: what it is there
        return int(0.5 * GIB)
    return pages * 4096


def _latents(plan: Plan, side: int) -> int:
    """Numbers of a latent."""
    return int(plan.shape.configs["vae"]["latent_channels"]) * (side // _downscale(plan)) ** 2


def _downscale(plan: Plan) -> int:
    """Pixels per latent along a side."""
    return int(2 ** (len(plan.shape.configs["vae"]["block_out_channels"]) - 1))


def _hours(seconds: float) -> str:
    """In the unit that one would say."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
