"""train: one warm training step as a share of what the machine can multiply, and where its time goes.

The limit is the measured rate of a large matrix product in the precision of the UNet. FLOPs are those that
the step does: what the pack computes once for all ranks is counted once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks import bases, harness
from benchmarks.pack import RANKS, SIZES, data, sizes_of

if TYPE_CHECKING:
    import torch

    from laureate.training.pack import Pack

ROWS = 12  # of the profile
COLUMNS = {
    "ranks": "ranks",
    "precision": "precision",
    "batch": "batch",
    "latent": "latents",
    "seconds": "s a step",
    "gflops": "GFLOP",
    "rate": "TFLOP/s",
    "share": "share of limit",
}
PROFILE = {"operation": "operation", "calls": "calls", "share": "share of time"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--ranks, --sizes, --precision, --compile."""
    harness.add_common(parser, repeats=10)
    parser.add_argument("--ranks", type=int, nargs="+", default=RANKS, metavar="N")
    parser.add_argument("--sizes", nargs="+", metavar="BATCHxSIDE", help="such as 8x16")
    parser.add_argument("--precision", default="auto", metavar="P")
    parser.add_argument("--compile", default="none", metavar="MODE", help="train.compile (default: none)")


def run(options: argparse.Namespace) -> None:
    """A row per size for all ranks at once and for the largest alone; the profile is of the first size."""
    from laureate.torch_utils import device

    where = device.pick()
    dtype = device.precision(options.precision, where)
    limit = harness.matrix_rate(where, dtype)
    rows: list[dict[str, Any]] = []
    profile: list[dict[str, Any]] = []
    for batch, side in sizes_of(options, SIZES[where.type]):
        for ranks in (options.ranks, [max(options.ranks)]):
            pack, step = one(options, ranks, where, dtype, batch, side)
            _, alone = one(options, ranks, where, dtype, batch, side, stacks=1)
            done = harness.flops(alone)  # operations are counted in this thread only
            seconds = harness.spread(
                harness.interleaved({"step": step}, options.repeats, warm=1 if options.quick else 3)["step"],
                "seconds",
            )
            rows.append({
                "ranks": len(pack.adapters),
                "precision": device.name_of(dtype),
                "batch": batch,
                "latent": side,
                **seconds,
                "flops": done,
                "gflops": done / 1e9,
                "rate": done / seconds["seconds"] / 1e12,
                "share": done / seconds["seconds"] / limit,
            })  # fmt: skip
            profile = profile or operations(alone, where)
    harness.report(
        "train",
        options,
        rows,
        COLUMNS,
        beside={"profile": (profile, PROFILE)},
        limits={device.name_of(dtype): limit},
    )


def one(
    options: argparse.Namespace,
    ranks: list[int],
    where: torch.device,
    dtype: torch.dtype,
    batch: int,
    side: int,
    stacks: int | None = None,
) -> tuple[Pack, Callable[[], Any]]:
    """A pack on made-up data, and its step; `stacks` as in `Pack`."""
    import torch

    from laureate.config.params import Train
    from laureate.networks.backends import placement
    from laureate.networks.diffusion import noise_schedule
    from laureate.networks.lora.adapter import Adapter
    from laureate.networks.lora.arm import main_arm
    from laureate.training.objective import Objective
    from laureate.training.pack import Pack

    found = bases.find(options.base)
    unet = placement.place_unet(found.unet(), where, dtype)
    examples = data(unet, where, side)
    empty = torch.zeros(1, *examples.text.shape[1:])
    settings = Train(batch=batch, warmup=0, schedule="constant", compile=options.compile)
    process = noise_schedule.from_config(found.scheduler)
    objective = Objective(unet, process, settings, empty, found.scaling_factor)
    adapters = [Adapter(rank, float(rank)) for rank in ranks]
    pack = Pack(objective, adapters, [main_arm(settings, rank) for rank in ranks], stacks)
    return pack, lambda: pack.step(examples, 0)


def operations(step: Callable[[], Any], where: torch.device) -> list[dict[str, Any]]:
    """The operations that take most of a step, each without those that it calls."""
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (where.type == "cuda")
    with profile(activities=kinds) as seen:
        for _ in range(3):
            step()
    key = "self_device_time_total" if where.type == "cuda" else "self_cpu_time_total"
    found = sorted(seen.key_averages(), key=lambda entry: getattr(entry, key), reverse=True)
    total = sum(getattr(entry, key) for entry in found)
    return [
        {"operation": entry.key, "calls": entry.count // 3, "share": getattr(entry, key) / total}
        for entry in found[:ROWS]
    ]
