"""train: one LoRA adapter on the encoded pictures, with checkpoints from which a killed run goes on."""

import hashlib
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import base, device, tensors
from laureate.errors import LaureateError
from laureate.files import fresh_folder, sha256_file, write_json, write_text
from laureate.params import Params
from laureate.places import ADAPTERS, CURVES, ENCODED, WORK
from laureate.progress import progress

if TYPE_CHECKING:
    from torch import Tensor

    from laureate.training import Examples, Trainer

CHECKPOINTS = WORK / "train"  # outside the outputs, which DVC deletes before it runs a stage
CODE = ("diffusion.py", "lora.py", "seeds.py", "training.py")
LOOK = 10  # steps between two looks at the losses: each look waits for the device


def run(params: Params, rank: int) -> None:
    """data/encoded.safetensors => models/lora/rank-N and metrics/train/rank-N.csv (step, loss, holdout_loss).

    Raises LaureateError if base and encoded data do not belong together, for targets and ranks that do not
    fit the base, and, naming step and rank, for a loss that is not a finite number.
    """
    found = base.find(params.base.path)
    header = tensors.metadata(ENCODED)
    if header.get("base") != found.fingerprint:
        raise LaureateError(
            f"{ENCODED} was made with another base than {found.folder}; run `laureate encode` again"
        )
    from laureate import diffusion, lora
    from laureate.training import Trainer

    where = device.pick()
    dtype = device.precision(params.train.precision, where)
    unet = device.place_unet(found.unet(), where, dtype)
    encoded = tensors.load(ENCODED)
    adapter = lora.Adapter(rank, float(rank if params.train.alpha == "rank" else params.train.alpha))
    trainer = Trainer(
        unet,
        diffusion.schedule(found.scheduler),
        [adapter],
        params.train,
        encoded["empty.text"],
        found.scaling_factor,
    )
    resolved = {
        "rank": rank,
        "alpha": adapter.alpha,
        "precision": device.name_of(dtype),
        "train": params.train.model_dump(),
        "base": found.fingerprint,
        "dataset": header["dataset"],
        "encoded": sha256_file(ENCODED),
    }
    checkpoint = Checkpoint(CHECKPOINTS / f"rank-{rank}.safetensors", _key(resolved, where.type))
    rows = fit(trainer, _examples(encoded, trainer), rank, checkpoint)
    with fresh_folder(ADAPTERS / f"rank-{rank}") as folder:
        lora.save(folder, trainer.export(0), adapter, list(trainer.layers))
        write_json(folder / "config.json", resolved)
    lines = [f"{step},{loss:.6f},{holdout:.6f}" for step, loss, holdout in rows]
    write_text(CURVES / f"rank-{rank}.csv", "\n".join(["step,loss,holdout_loss", *lines]) + "\n")
    checkpoint.remove()


class Curve:
    """The losses of a training, as rows [updates done, mean loss since the row before, held-out loss]."""

    def __init__(
        self, rank: int, rows: list[list[float]] | None = None, pending: list[float] | None = None
    ) -> None:
        self.rank, self.rows, self.pending = rank, rows or [], pending or []
        self._unseen: list[tuple[int, Tensor]] = []

    def add(self, step: int, loss: "Tensor") -> None:
        """Note the loss of batch number `step` (from 0) without waiting for the device."""
        self._unseen.append((step, loss))

    def look(self) -> None:
        """Fetch the losses noted so far. Raises LaureateError naming step and rank if one is not finite."""
        for step, loss in self._unseen:
            self.pending.append(self._finite(float(loss), "loss", step + 1))
        self._unseen.clear()

    def row(self, updates: int, holdout_loss: float) -> None:
        """Close a row."""
        self.look()
        held = self._finite(holdout_loss, "held-out loss", updates)
        losses = self.pending or [self.rows[-1][1]]  # none since a row that the last batch closed
        self.rows.append([updates, sum(losses) / len(losses), held])
        self.pending = []

    def _finite(self, value: float, name: str, step: int) -> float:
        if not math.isfinite(value):
            raise LaureateError(
                f"rank {self.rank}: the {name} is {value} at step {step}; "
                "lower train.learning_rate or raise train.warmup"
            )
        return value


class Checkpoint:
    """A file from which a training can go on: good for one content of data, base, code and parameters."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key

    def write(self, steps: int, state: "dict[str, Tensor]", curve: Curve) -> None:
        """Keep everything after `steps` steps; the older checkpoint goes when the new one is whole."""
        done = {"steps": steps, "rows": curve.rows, "pending": curve.pending}
        tensors.save(self.path, state, {"key": self.key, "done": json.dumps(done)})

    def read(self) -> "tuple[dict[str, Tensor], dict[str, Any]] | None":
        """State and what was done, or None if there is nothing of this key."""
        try:
            header = tensors.metadata(self.path)
            if header.get("key") != self.key:
                return None
            return tensors.load(self.path), json.loads(header["done"])
        except LaureateError:  # missing, or damaged from outside: start over
            return None

    def remove(self) -> None:
        """The outputs are written: no longer needed."""
        self.path.unlink(missing_ok=True)


def fit(
    trainer: "Trainer", data: "dict[str, Examples]", rank: int, checkpoint: Checkpoint
) -> list[list[float]]:
    """Run all steps, from the checkpoint if there is one; gives the rows of `Curve`."""
    train, first, curve = trainer.train, 0, Curve(rank)
    kept = checkpoint.read()
    if kept:
        state, done = kept
        first, curve = done["steps"], Curve(rank, done["rows"], done["pending"])
        trainer.restore(state, first)
        print(f"rank {rank} goes on after step {first}, from {checkpoint.path}", file=sys.stderr)
    for step in progress(range(first, train.steps), None, f"train rank {rank}"):
        held = float(trainer.holdout_loss(data["holdout"])[0]) if step % train.holdout_every == 0 else None
        curve.add(step, trainer.step(data["train"], step)[0])
        if held is not None:
            curve.row(step, held)
        if (step + 1) % LOOK == 0:
            curve.look()
        if (step + 1) % train.checkpoint_every == 0 and step + 1 < train.steps:
            curve.look()  # a checkpoint must not keep what made a loss infinite
            checkpoint.write(step + 1, trainer.state(), curve)
    curve.row(train.steps, float(trainer.holdout_loss(data["holdout"])[0]))
    return curve.rows


def _examples(encoded: "dict[str, Tensor]", trainer: "Trainer") -> "dict[str, Examples]":
    """The two parts of the data set, on the trainer's device."""
    from laureate.training import Examples

    return {
        part: Examples(
            mean=encoded[f"{part}.mean"].to(trainer.device),
            logvar=encoded[f"{part}.logvar"].to(trainer.device),
            text=encoded[f"{part}.text"].to(trainer.device, trainer.dtype),
        )
        for part in ("train", "holdout")
    }


def _key(resolved: dict[str, Any], where: str) -> str:
    """SHA-256 over everything the weights depend on: data, base, parameters, code, torch, kind of device."""
    import torch

    package = Path(base.__file__).parent
    code = {name: sha256_file(package / name) for name in CODE}
    content = {**resolved, "code": code, "torch": torch.__version__, "device": where}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
