"""A training that is killed, wherever that happens, ends in the same bytes; one that diverges says so."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from trained import Killed, changed, files, forget, kept_steps, outputs

torch = pytest.importorskip("torch")

from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.stages import train  # noqa: E402
from laureate.training import objective, trainer  # noqa: E402
from laureate.training.checkpoints import Checkpoints  # noqa: E402


@pytest.mark.parametrize("moment", [0, 4, 13])
def test_a_killed_run_loses_at_most_one_interval(
    study: params.Params, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    train.run(study, rank=4)
    undisturbed = outputs(4)
    forget()
    calls: list[int] = []
    original = trainer.Trainer.step

    def step(self: trainer.Trainer, examples: objective.Examples, number: int) -> Any:
        calls.append(number)
        if number == moment and calls.count(number) == 1:
            raise Killed
        return original(self, examples, number)

    monkeypatch.setattr(trainer.Trainer, "step", step)
    with pytest.raises(Killed):
        train.run(study, rank=4)
    assert not paths.ADAPTERS.exists()
    train.run(study, rank=4)
    assert outputs(4) == undisturbed
    again = calls[calls.index(moment) + 1 :]
    assert again[0] == moment // 4 * 4, "goes on from the last checkpoint"


def test_a_checkpoint_serves_only_what_it_was_written_for(
    study: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = trainer.Trainer.step
    seen: list[int] = []

    def step(self: trainer.Trainer, examples: objective.Examples, number: int) -> Any:
        if number == 9 and self.train.learning_rate == 0.5:
            raise Killed
        seen.append(number)
        return original(self, examples, number)

    monkeypatch.setattr(trainer.Trainer, "step", step)
    other = changed(study, learning_rate=0.5)
    with pytest.raises(Killed):
        train.run(other, rank=2)
    assert kept_steps() == 8
    seen.clear()
    train.run(study, rank=2)
    assert seen == list(range(14)), "other parameters: from the start"
    with pytest.raises(Killed):
        train.run(other, rank=2)
    seen.clear()
    with pytest.raises(Killed):
        train.run(changed(other, pack=False), rank=2)
    assert seen[0] == 0, "alone: not from the pack's checkpoint"
    forget()
    with pytest.raises(Killed):
        train.run(other, rank=2)
    (checkpoint,) = (train.CACHE / "checkpoints").iterdir()
    data = bytearray(checkpoint.read_bytes())
    data[-1] ^= 1
    checkpoint.write_bytes(data)
    seen.clear()
    with pytest.raises(Killed):
        train.run(other, rank=2)
    assert seen[0] == 0, "damaged from outside: not trusted"


def test_the_newest_whole_checkpoint_counts_and_the_older_one_goes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints, state = Checkpoints(tmp_path), {"weight": torch.arange(3.0)}
    checkpoints.write({"2": "key"}, {"steps": 4}, state)
    (older,) = tmp_path.iterdir()
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        assert older.exists(), "not removed before the new one is in place"
        if target.name.startswith("00000012"):
            raise Killed
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    checkpoints.write({"2": "key"}, {"steps": 8}, {"weight": torch.ones(3)})
    (older,) = tmp_path.iterdir()
    with pytest.raises(Killed):
        checkpoints.write({"2": "key"}, {"steps": 12}, state)
    kept = checkpoints.find()
    assert kept
    assert (kept.keys, kept.done) == ({"2": "key"}, {"steps": 8})
    assert torch.equal(kept.state()["weight"], torch.ones(3))


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(
    study: params.Params, monkeypatch: pytest.MonkeyPatch, poison: float
) -> None:
    original = trainer.Trainer.step

    def step(self: trainer.Trainer, examples: objective.Examples, number: int) -> Any:
        loss = original(self, examples, number)
        return loss * torch.tensor([1.0, poison]) if number == 6 else loss

    monkeypatch.setattr(trainer.Trainer, "step", step)
    with pytest.raises(
        LaureateError, match=rf"^rank 4: the loss is {poison} at step 7; lower train\.learning_rate"
    ):
        train.run(study, rank=2)
    assert not paths.ADAPTERS.exists()
    assert kept_steps() == 4


STEPS = 8  # with a checkpoint after each, so that a run has some forty moments to be killed at
ARMS: dict[str, Any] = {"seeds": [42, 43], "learning_rates": [5e-3], "snapshots": [3, 6]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kills", "arms"),
    [(20, {}), (3, ARMS), pytest.param(20, ARMS, marks=pytest.mark.e2e)],
    ids=["ranks", "arms", "arms-20"],
)
def test_sigkill_at_random_moments_changes_no_byte(
    study: params.Params, monkeypatch: pytest.MonkeyPatch, kills: int, arms: dict[str, Any]
) -> None:
    """Real processes, killed by the kernel; with a checkpoint after every step, some while writing one."""
    study = changed(study, steps=STEPS, **arms)
    context = multiprocessing.get_context("forkserver")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # else it finds no module of tests to preload
    context.set_forkserver_preload(
        [
            "diffusers.models.unets.unet_2d_condition",
            "diffusers.schedulers.scheduling_ddim",
            "test_train_interrupted",
        ]
    )

    def run_until(event: int | None, later: float = 0.0) -> int:
        """Train until a step or a write has begun so many times, and so many seconds longer; None: until
        the end. Gives the number of steps and writes seen."""
        told, telling = context.Pipe(duplex=False)
        run = context.Process(target=train_slowly, args=(study, telling))
        run.start()
        telling.close()
        seen = 0
        with contextlib.suppress(EOFError):
            while seen != event:
                seen += told.recv()
        if event is not None:
            time.sleep(later)
            run.kill()
        run.join()
        assert run.exitcode == (0 if event is None else -signal.SIGKILL)
        return seen

    events = run_until(None)
    undisturbed = files(4)
    assert any("step-6" in name for name in undisturbed) == bool(arms)
    moments = random.Random(0)
    found: list[str] = []
    for _ in range(kills):
        forget()
        run_until(moments.randrange(1, events), moments.uniform(0, 0.01))
        found += [path.name for path in train.CACHE.rglob("*") if path.is_file()]
        train.run(study, rank=4)
        assert files(4) == undisturbed
        assert not list(train.WORK.rglob("*.part"))
        assert not (train.CACHE / "checkpoints").exists()
    if kills == 20:
        assert any(name.endswith(".part") for name in found), "some while a checkpoint was written"
    assert any(name.endswith(".safetensors") for name in found), "some after one was"


def train_slowly(study: params.Params, telling: Any) -> None:
    """Train rank 4 with its pack, in a process of its own that tells when a step and when a write begins."""
    sync, step = os.fsync, trainer.Trainer.step

    def slow_sync(file: int) -> None:
        telling.send(1)
        time.sleep(0.02)
        sync(file)

    def tell_and_step(self: trainer.Trainer, examples: objective.Examples, number: int) -> Any:
        telling.send(1)
        return step(self, examples, number)

    os.fsync, trainer.Trainer.step = slow_sync, tell_and_step  # type: ignore[method-assign]
    train.run(changed(study, checkpoint_every=1), rank=4)
