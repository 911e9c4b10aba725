"""What the tests of training share: other parameters, what a run leaves, a run of its own, a kill."""

from __future__ import annotations

import csv
import shutil
import sys
from typing import Any

from laureate import lora, params
from laureate.stages import train
from laureate.workcache import Checkpoints


def changed(study: params.Params, **values: Any) -> params.Params:
    """The study with other values in its train section."""
    return study.model_copy(update={"train": study.train.model_copy(update=values)})


def outputs(*ranks: int) -> list[bytes]:
    """What a training leaves, for each rank."""
    paths = []
    for rank in ranks:
        folder = train.ADAPTERS / f"rank-{rank}"
        paths += [folder / lora.WEIGHTS, folder / "config.json", train.CURVES / f"rank-{rank}.csv"]
    return [path.read_bytes() for path in paths]


def forget() -> None:
    """Remove outputs and work folder."""
    for folder in (train.ADAPTERS, train.CURVES, train.KEPT):
        shutil.rmtree(folder, ignore_errors=True)


def curve(rank: int) -> list[dict[str, str]]:
    """The rows of a loss curve."""
    return list(csv.DictReader((train.CURVES / f"rank-{rank}.csv").read_text().splitlines()))


def kept_steps() -> int:
    """How far the checkpoint is."""
    kept = Checkpoints(train.KEPT / "checkpoints").find()
    assert kept
    return int(kept.done["steps"])


def command(rank: int) -> list[str]:
    """`laureate train`."""
    return [sys.executable, "-m", "laureate", "train", "--rank", str(rank)]


class Killed(BaseException):
    """Stands for a signal: nothing but `finally` sees it."""
