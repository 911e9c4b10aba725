"""One training loop for all models: data parallel over single-threaded processes.

On a few CPU cores that other programs share, two processes that meet once a step run about twice as fast as
two threads that meet at every operator. Weights and activations are bfloat16; the optimiser works on a float32
copy, as in mixed-precision training (Micikevicius et al. 2018).
"""

from __future__ import annotations

import csv
import math
import os
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from laureate import files, tensors
from laureate.atelier.pretrain.config import Training
from laureate.progress import progress

LOG_EVERY = 20  # steps averaged into one row of the loss curve
CHECKPOINT_SECONDS = 240


class Task(ABC):
    """What is trained on what. A task is made anew in every process; `build` gives all the same weights."""

    settings: Training

    @abstractmethod
    def build(self) -> nn.Module:
        """The model in float32, seeded by the settings."""

    @abstractmethod
    def loss(self, model: Any, rng: np.random.Generator, batch: int) -> Tensor:
        """The mean loss of a fresh batch; `model` is bfloat16 and channels last."""

    @abstractmethod
    def save(self, model: Any) -> None:
        """Write the averaged float32 `model`: at checkpoints, and at the end."""


def learning_rate(step: int, settings: Training, end: int | None = None) -> float:
    """Linear warm-up, then half a cosine down to 2 % at `settings.steps` (Loshchilov and Hutter 2017)."""
    rise = min(1.0, (step + 1) / max(settings.warmup, 1))
    along = min(1.0, step / settings.steps)
    return settings.learning_rate * rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * along)))


class _Flat:
    """All parameters of a model as one float32 vector, its optimiser, and its running average."""

    def __init__(self, model: nn.Module, settings: Training) -> None:
        self.settings = settings
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        sizes = [p.numel() for p in self.parameters]
        self.master = nn.Parameter(torch.cat([p.detach().float().reshape(-1) for p in self.parameters]))
        # two more places carry the loss and the request to end early from one process to all
        self.gradient = torch.zeros(sum(sizes) + 2)
        self.views = self._views(self.master.data, sizes)
        self.gradient_views = self._views(self.gradient, sizes)
        self.average = self.master.detach().clone()
        self.average_views = self._views(self.average, sizes)
        self.optimiser = torch.optim.AdamW(
            [self.master], lr=0.0, betas=(0.9, 0.99), weight_decay=settings.weight_decay, fused=True
        )

    def _views(self, vector: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        parts = torch.split(vector[: sum(sizes)], list(sizes))
        return [part.view(p.shape) for part, p in zip(parts, self.parameters, strict=True)]

    def gather(self, loss: float, request: float) -> None:
        """Copy the parameters' gradients into the vector, and the two extras behind them."""
        for view, p in zip(self.gradient_views, self.parameters, strict=True):
            if p.grad is None:
                view.zero_()
            else:
                view.copy_(p.grad)
                p.grad = None
        self.gradient[-2], self.gradient[-1] = loss, request

    def step(self, rate: float, number: int) -> None:
        """One AdamW step with the gathered gradient, clipped by its norm; then the running average."""
        gradient = self.gradient[:-2]
        norm = gradient.norm()
        gradient.mul_(torch.clamp(self.settings.max_grad_norm / (norm + 1e-6), max=1.0))
        if not math.isfinite(float(norm)):
            return  # a bad batch: better none than a broken model
        self.master.grad = gradient
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.step()
        keep = min(self.settings.ema, (1 + number) / (10 + number))
        self.average.lerp_(self.master.detach(), 1 - keep)
        self.write(self.views)

    @torch.no_grad()
    def write(self, views: list[Tensor]) -> None:
        """Copy a vector's views into the model."""
        for p, view in zip(self.parameters, views, strict=True):
            p.copy_(view)

    def state(self, step: int) -> dict[str, Tensor]:
        """Everything a resumed run needs."""
        inner = self.optimiser.state[self.master]
        return {
            "master": self.master.detach(),
            "average": self.average,
            "first": inner["exp_avg"],
            "second": inner["exp_avg_sq"],
            "step": torch.tensor([step], dtype=torch.int64),
        }

    def restore(self, state: dict[str, Tensor]) -> int:
        """Take up `state`; returns the step to go on from."""
        self.master.data.copy_(state["master"])
        self.average.copy_(state["average"])
        step = int(state["step"])
        self.optimiser.state[self.master] = {
            "step": torch.tensor(float(step)),
            "exp_avg": state["first"].clone(),
            "exp_avg_sq": state["second"].clone(),
        }
        self.write(self.views)
        return step


def _averaged(task: Task, flat: _Flat) -> nn.Module:
    model = task.build()
    with torch.no_grad():
        wanted = [p for p in model.parameters() if p.requires_grad]
        for p, view in zip(wanted, flat.average_views, strict=True):
            p.copy_(view)
    return model.eval()


def _request(folder: Path, name: str) -> float:
    """The number in `name.finish`, if someone asks for the run to end in so many steps."""
    file = folder / f"{name}.finish"
    try:
        return float(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0.0


def _work(
    rank: int, processes: int, task: Task, name: str, cache: Path, curve: Path, meeting: str, resume: bool
) -> None:
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(meeting, processes)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=processes)
    settings = task.settings
    model = task.build().train()
    flat = _Flat(model, settings)
    model.to(dtype=torch.bfloat16, memory_format=torch.channels_last)
    checkpoint = cache / f"{name}.checkpoint.safetensors"
    first = flat.restore(tensors.load(checkpoint)) if resume and checkpoint.is_file() else 0
    flat.write(flat.views)
    rows = _earlier_rows(curve, first) if first else []
    total, last, losses, saved = settings.steps, None, [], time.monotonic()
    steps: Any = range(first, total)
    for step in progress(steps, len(steps), name) if rank == 0 else steps:
        rng = np.random.default_rng([settings.seed, step, rank])
        torch.manual_seed(int(rng.integers(2**62)))
        loss = task.loss(model, rng, settings.batch // processes)
        loss.backward()  # type: ignore[no-untyped-call]
        flat.gather(loss.item(), _request(cache, name) if rank == 0 and step % LOG_EVERY == 0 else 0.0)
        torch.distributed.all_reduce(flat.gradient)
        flat.gradient[:-1].div_(processes)
        asked = float(flat.gradient[-1])
        if asked and last is None:
            begin, last = step, step + int(asked)
            rate_then = learning_rate(step, settings)
        rate = (
            learning_rate(step, settings)
            if last is None
            else rate_then * max(0.0, 1 - (step - begin) / asked)
        )
        flat.step(rate, step)
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
            tensors.save(checkpoint, flat.state(step + 1), {})
            task.save(_averaged(task, flat))
        if last is not None and step >= last:
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

    With `resume` an unfinished run goes on from its checkpoint in `cache`. Writing a number K into
    `cache/NAME.finish` lets a run end early: the learning rate falls to zero over the next K steps.
    """
    cache.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"  # read by the processes started below
    with tempfile.TemporaryDirectory() as folder:
        arguments = (processes, task, name, cache, curve, str(Path(folder) / "meeting"), resume)
        if processes == 1:
            _work(0, *arguments)
        else:
            torch.multiprocessing.spawn(_work, arguments, nprocs=processes)  # type: ignore[no-untyped-call]
    (cache / f"{name}.finish").unlink(missing_ok=True)
