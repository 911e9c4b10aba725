"""One training loop for all models: data parallel over single-threaded processes.

On a few CPU cores that other programs share, two processes that synchronise once a step are about twice as
fast as two threads that synchronise at every operator. Weights and activations are bfloat16; the
optimiser works on a float32 copy, as in mixed-precision training (Micikevicius et al. 2018).
"""

from __future__ import annotations

import csv
import json
import math
import os
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from laureate.core import files
from laureate.core.progress import progress
from laureate.embedded.pretraining.config import Training
from laureate.embedded.pretraining.optimiser import FlatOptimiser, ordered
from laureate.torch_utils import safetensors_io

LOG_EVERY = 20  # steps averaged into one row of the loss curve
CHECKPOINT_SECONDS = 240
# glibc returns large blocks to the kernel at once; allocating them again costs a tenth of the time
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}


class Task(ABC):
    """A model and its training data. Every process makes its own task; `build` gives all the same weights."""

    settings: Training

    @abstractmethod
    def build(self) -> nn.Module:
        """The model in float32, seeded by the settings."""

    @abstractmethod
    def loss(self, model: Any, rng: np.random.Generator, batch: int) -> Tensor:
        """The mean loss of a fresh batch; `model` is bfloat16 and channels last."""

    @abstractmethod
    def save(self, model: Any) -> None:
        """Write the averaged float32 `model`; called at checkpoints and at the end."""


@dataclass(frozen=True)
class Ending:
    """A request to end early: from `start` on, the learning rate falls linearly to 0 within `span` steps."""

    start: int
    span: int
    top: float

    def rate(self, step: int) -> float:
        """The learning rate at a step."""
        return self.top * max(0.0, 1 - (step - self.start) / self.span)


def learning_rate(step: int, settings: Training) -> float:
    """Linear warm-up, then half a cosine down to 2 % at `settings.steps` (Loshchilov and Hutter 2017)."""
    rise = min(1.0, (step + 1) / max(settings.warmup, 1))
    along = min(1.0, step / settings.steps)
    return settings.learning_rate * rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * along)))


def _averaged(task: Task, flat: FlatOptimiser) -> nn.Module:
    model = task.build()
    with torch.no_grad():
        for p, view in zip(ordered(model)[0], flat.views(flat.average), strict=True):
            p.copy_(view)
    return model.eval()


def _request(folder: Path, name: str) -> float:
    """The number of steps in `name.finish`, in which the run shall end; 0 without such a file."""
    file = folder / f"{name}.finish"
    try:
        return float(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0.0


def _work(
    rank: int, processes: int, task: Task, name: str, cache: Path, curve: Path, rendezvous: str, resume: bool
) -> None:
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(rendezvous, processes)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=processes)
    settings = task.settings
    model = task.build().train()
    flat = FlatOptimiser(model, settings, rank, processes)
    model.to(dtype=torch.bfloat16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    checkpoint = cache / f"{name}.checkpoint.safetensors"
    first = flat.restore(safetensors_io.load(checkpoint)) if resume and checkpoint.is_file() else 0
    flat.write(flat.master)
    rows = _earlier_rows(curve, first) if first else []
    total, losses, saved = settings.steps, [], time.monotonic()
    ending: Ending | None = None
    steps: Any = range(first, total)
    for step in progress(steps, len(steps), name) if rank == 0 else steps:
        rng = np.random.default_rng([settings.seed, step, rank])
        torch.manual_seed(int(rng.integers(2**62)))
        loss = task.loss(model, rng, settings.batch // processes)
        loss.backward()
        flat.gather(loss.item(), _request(cache, name) if rank == 0 and step % LOG_EVERY == 0 else 0.0)
        torch.distributed.all_reduce(flat.gradient)
        flat.gradient[:-1].div_(processes)
        requested = int(flat.gradient[-1])
        if requested and ending is None:
            ending = Ending(step, requested, learning_rate(step, settings))
        rate = ending.rate(step) if ending else learning_rate(step, settings)
        flat.step(rate)
        losses.append(float(flat.gradient[-2]))
        if (step + 1) % LOG_EVERY == 0:
            rows.append((step + 1, float(np.mean(losses)), rate))
            losses = []
            if rank == 0:
                _write_curve(curve, rows)
                if step % (5 * LOG_EVERY) == LOG_EVERY - 1:
                    print(f"{name} step {step + 1} loss {rows[-1][1]:.4f} rate {rate:.2e}", flush=True)
        if rank == 0 and time.monotonic() - saved > CHECKPOINT_SECONDS:
            saved = time.monotonic()
            safetensors_io.save(checkpoint, flat.state(), {})
            task.save(_averaged(task, flat))
        if ending and step >= ending.start + ending.span:
            break
    if rank == 0:
        task.save(_averaged(task, flat))
        checkpoint.unlink(missing_ok=True)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _earlier_rows(curve: Path, first: int) -> list[tuple[int, float, float]]:
    if not curve.is_file():
        return []
    with curve.open(encoding="utf-8") as file:
        rows = [
            (int(row["step"]), float(row["loss"]), float(row["learning_rate"]))
            for row in csv.DictReader(file)
        ]
    return [row for row in rows if row[0] <= first]


def _write_curve(curve: Path, rows: list[tuple[int, float, float]]) -> None:
    lines = [f"{step},{loss:.6g},{rate:.6g}" for step, loss, rate in rows]
    files.write_text(curve, "\n".join(["step,loss,learning_rate", *lines]) + "\n")


def train(task: Task, name: str, cache: Path, curve: Path, processes: int, resume: bool) -> None:
    """Train `task`; its `save` gets the averaged model, `curve` one row of loss per 20 steps.

    With `resume` an unfinished run continues from its checkpoint in `cache`. Writing a number K into
    `cache/NAME.finish` lets a run end early: the learning rate falls to zero over the next K steps.
    """
    cache.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    os.environ.update(ENVIRONMENT)  # read by the processes started below
    with tempfile.TemporaryDirectory() as folder:
        arguments = (processes, task, name, cache, curve, str(Path(folder) / "rendezvous"), resume)
        if processes == 1:
            _work(0, *arguments)
        else:
            torch.multiprocessing.spawn(_work, arguments, nprocs=processes)
    (cache / f"{name}.finish").unlink(missing_ok=True)
    _add_seconds(curve.parent / "seconds.json", name, time.monotonic() - began, anew=not resume)


def _add_seconds(file: Path, name: str, seconds: float, anew: bool) -> None:
    """Record how long a training took, all its resumed parts together."""
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    known[name] = round(seconds + (0 if anew else known.get(name, 0)))
    files.write_json(file, known)
