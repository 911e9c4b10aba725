"""busy: a training step and a drawing beside a process that takes one of the cores, against the same alone.

The work runs in a process of its own with the threads that a stage has there (`core.cores`); the other
process turns in a circle on the first core that this one may use. Rounds alone and beside it take turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import harness
from benchmarks.pack import RANKS
from laureate.core import cores
from laureate.core.errors import LaureateError

INSIDE = "BENCHMARKS_BUSY_INSIDE"  # in the environment of the process that does the work
CIRCLE = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
COLUMNS = {
    "what": "what",
    "threads": "threads",
    "precision": "precision",
    "alone_seconds": "alone s",
    "beside_seconds": "beside s",
    "slower": "times slower",
    "slower_low": "from",
    "slower_high": "to",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--ranks, --precision, --batch, --threads."""
    harness.add_common(parser)
    parser.add_argument("--ranks", type=int, nargs="+", default=RANKS, metavar="N")
    parser.add_argument("--precision", default="auto", help="default: auto")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="of a step (default: 8)")
    parser.add_argument("--threads", type=int, metavar="N", help="default: as a stage chooses them")


def run(options: argparse.Namespace) -> None:
    """Start this benchmark again with the environment of a stage; there, measure both."""
    if os.environ.get(INSIDE) != "1":
        environment = {**os.environ, INSIDE: "1"}
        cores.share_cores(options.threads, environment)
        done = subprocess.run([sys.executable, "-m", "benchmarks", *words(options)], env=environment)
        if done.returncode:
            raise LaureateError(f"the measuring process ended with status {done.returncode}")
        return
    import torch

    from laureate.torch_utils import device

    dtype = device.precision(options.precision, torch.device("cpu"))
    rows = []
    for what, work in {"training step": step(options, dtype), "drawing": drawing(options, dtype)}.items():
        work()
        taken: dict[str, list[float]] = {"alone": [], "beside": []}
        for _ in range(options.repeats):
            taken["alone"].append(harness.timed(work))
            with busy_core():
                taken["beside"].append(harness.timed(work))
        ratios = [beside / alone for alone, beside in zip(taken["alone"], taken["beside"], strict=True)]
        rows.append({
            "what": what,
            "threads": torch.get_num_threads(),
            "precision": device.name_of(dtype),
            **harness.spread(taken["alone"], "alone_seconds"),
            **harness.spread(taken["beside"], "beside_seconds"),
            **harness.spread(ratios, "slower"),
        })  # fmt: skip
    harness.report("busy", options, rows, COLUMNS)


def words(options: argparse.Namespace) -> list[str]:
    """The command line of some options, but for --threads, which the environment says."""
    given = {"base": options.base, "repeats": options.repeats, "precision": options.precision}
    given |= {"batch": options.batch, "out": options.out}
    named = [word for key, value in given.items() if value is not None for word in (f"--{key}", str(value))]
    ranks = ["--ranks", *map(str, options.ranks)]
    return ["busy", *ranks, *named, *(["--quick"] if options.quick else [])]


@contextmanager
def busy_core() -> Iterator[None]:
    """While the block runs, a process takes one core for itself."""
    core = min(os.sched_getaffinity(0))
    with subprocess.Popen([sys.executable, "-c", CIRCLE, str(core)]) as process:
        try:
            yield
        finally:
            process.kill()


def step(options: argparse.Namespace, dtype: Any) -> Callable[[], Any]:
    """Some training steps of six ranks on the embedded base's latents."""
    import torch

    from benchmarks import train

    given = argparse.Namespace(base=options.base, compile="none")
    _, one = train.one(given, options.ranks, torch.device("cpu"), dtype, options.batch, 16)
    return lambda: [one() for _ in range(1 if options.quick else 4)]


def drawing(options: argparse.Namespace, dtype: Any) -> Callable[[], Any]:
    """Some solver steps of two batches with the base."""
    import torch

    from benchmarks import bases
    from laureate.config.params import Sample
    from laureate.sampling import pipeline
    from laureate.torch_utils import device

    found = bases.find(options.base)
    values = {"steps": 1 if options.quick else 4, "precision": device.name_of(dtype)}
    settings = Sample.model_validate(values)
    unet = pipeline.load_unet(found, None, settings)
    batch = 2 if options.quick else settings.batch
    source, count = torch.Generator().manual_seed(0), 2 * batch
    noise = torch.randn(count, unet.config.in_channels, 16, 16, generator=source)
    text = torch.randn(count, 77, unet.config.cross_attention_dim, generator=source)
    return lambda: list(pipeline.solve(found, unet, text, text[:1], noise, settings, batch))
