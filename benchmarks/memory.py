"""memory: what a training step holds, each rank alone and all together, against what `laureate plan` says.

On a GPU what its allocator has handed out at most; on a CPU the bytes of all tensors that exist at once, as
the operations of a true step make them.
"""

from __future__ import annotations

import argparse
import gc
from typing import TYPE_CHECKING, Any

from benchmarks import bases, harness
from benchmarks import train as one_step
from benchmarks.pack import RANKS, SIZES, sizes_of

if TYPE_CHECKING:
    import torch

COLUMNS = {
    "ranks": "ranks",
    "precision": "precision",
    "batch": "batch",
    "latent": "latents",
    "measured_gib": "measured GiB",
    "estimated_gib": "estimated GiB",
    "error": "error",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--ranks, --sizes, --precision."""
    harness.add_common(parser, repeats=1)
    parser.add_argument("--ranks", type=int, nargs="+", default=RANKS, metavar="N")
    parser.add_argument("--sizes", nargs="+", metavar="BATCHxSIDE", help="such as 8x16")
    parser.add_argument("--precision", default="auto", metavar="P")
    parser.set_defaults(compile="none")


def run(options: argparse.Namespace) -> None:
    """A row per size for every rank alone and for the pack of all."""
    from laureate.torch_utils import device

    where = device.pick()
    dtype = device.precision(options.precision, where)
    rows = []
    for batch, side in sizes_of(options, SIZES[where.type]):
        packs = [options.ranks] if options.quick else [*([rank] for rank in options.ranks), options.ranks]
        for ranks in packs:
            measured = peak(options, ranks, where, dtype, batch, side)
            estimated = estimate(options, ranks, where, dtype, batch, side)
            rows.append({
                "ranks": ", ".join(map(str, ranks)),
                "precision": device.name_of(dtype),
                "batch": batch,
                "latent": side,
                "measured_gib": measured / 2**30,
                "estimated_gib": estimated / 2**30,
                "error": estimated / measured - 1,
            })  # fmt: skip
    harness.report("memory", options, rows, COLUMNS)


def peak(
    options: argparse.Namespace,
    ranks: list[int],
    where: torch.device,
    dtype: torch.dtype,
    batch: int,
    side: int,
) -> int:
    """Bytes held at most in a warm step."""
    import torch

    from laureate.commands.operation_counts import LiveBytes

    gc.collect()
    if where.type == "cuda":
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated()
    pack, step = one_step.one(options, ranks, where, dtype, batch, side, stacks=1)
    (trainer,) = pack.trainers
    step()
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        step()
        return int(torch.cuda.max_memory_allocated() - before)
    unet = trainer.objective.unet
    held = [*unet.parameters(), *unet.buffers(), *trainer.flat.weights, *trainer.flat.tensors]
    held += trainer.optimizer.tensors()
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in held}
    with LiveBytes(held) as live:
        step()
    return int(sum(storages.values()) + live.peak)


def estimate(
    options: argparse.Namespace,
    ranks: list[int],
    where: torch.device,
    dtype: torch.dtype,
    batch: int,
    side: int,
) -> int:
    """The same by the model of cost behind `laureate plan`, without what a process takes."""
    from laureate.commands import cost_model
    from laureate.config.params import Train
    from laureate.networks.lora.adapter import Adapter

    found = bases.find(options.base)
    unet = found.unet()
    configs = {
        "unet": dict(unet.config),
        "scheduler": found.scheduler,
        "text_encoder": {"hidden_size": unet.config.cross_attention_dim},
        "vae": {"block_out_channels": [0] * found.downscale.bit_length()},  # one more than it halves sides
    }
    settings = Train(batch=batch, warmup=0, schedule="constant")
    adapters = [Adapter(rank, float(rank)) for rank in ranks]
    attention = "plain" if where.type == "cpu" and dtype.itemsize == 2 else "fused"
    resolution = side * found.downscale
    cost = cost_model.training(configs, adapters, settings, resolution, dtype, attention)
    return cost.memory("cuda", 0) if where.type == "cuda" else cost.weights + cost.temporary


def facts() -> dict[str, Any]:
    """What the GPU is, for whoever reads the result; nothing without one."""
    import torch

    if not torch.cuda.is_available():
        return {}
    of = torch.cuda.get_device_properties(0)
    return {
        "name": of.name,
        "memory_gib": round(of.total_memory / 2**30, 1),
        "capability": f"{of.major}.{of.minor}",
        "cuda": torch.version.cuda,
    }
