"""repeat: which settings make two trainings the same to the last byte, and what they cost.

Each setting trains the pack twice from the same start and compares all weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks import harness
from benchmarks import train as one_step
from benchmarks.pack import RANKS, SIZES, sizes_of

if TYPE_CHECKING:
    import torch

STEPS = 10
COLUMNS = {
    "setting": "setting",
    "same": "the same bytes",
    "difference": "largest difference",
    "seconds": "s a step",
    "cost": "against plain",
}
SETTINGS = ("plain", "deterministic algorithms", "no tf32", "deterministic algorithms, no tf32")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--ranks, --sizes, --precision."""
    harness.add_common(parser, repeats=1)
    parser.add_argument("--ranks", type=int, nargs="+", default=RANKS, metavar="N")
    parser.add_argument("--sizes", nargs="+", metavar="BATCHxSIDE", help="such as 8x16")
    parser.add_argument("--precision", default="auto", metavar="P")
    parser.set_defaults(compile="none")


def run(options: argparse.Namespace) -> None:
    """A row per setting, at the first size."""
    from laureate.torch_utils import device

    where = device.pick()
    dtype = device.precision(options.precision, where)
    batch, side = sizes_of(options, SIZES[where.type])[0]
    rows: list[dict[str, Any]] = []
    for setting in SETTINGS[:2] if options.quick else SETTINGS:
        with applied(setting):
            (one, seconds), (other, _) = (trained(options, where, dtype, batch, side) for _ in range(2))
        rows.append({
            "setting": setting,
            "same": all(a.equal(b) for a, b in zip(one, other, strict=True)),
            "difference": max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True)),
            "seconds": seconds,
            "cost": seconds / rows[0]["seconds"] if rows else 1.0,
        })  # fmt: skip
    harness.report("repeat", options, rows, COLUMNS)


@contextmanager
def applied(setting: str) -> Iterator[None]:
    """Settings of torch, put back afterwards."""
    import torch

    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    if "deterministic" in setting:
        torch.use_deterministic_algorithms(True, warn_only=True)
    if "tf32" in setting:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def trained(
    options: argparse.Namespace, where: torch.device, dtype: torch.dtype, batch: int, side: int
) -> tuple[list[torch.Tensor], float]:
    """The weights after some steps, and seconds of a warm step."""
    pack, step = one_step.one(options, options.ranks, where, dtype, batch, side)
    seconds = [harness.timed(step) for _ in range(2 if options.quick else STEPS)]
    return [weight.detach().clone() for trainer in pack.trainers for weight in trainer.flat.weights], min(
        seconds
    )
