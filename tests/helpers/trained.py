"""What the tests of training share: other parameters, what a run leaves, a run of its own, a kill."""

from __future__ import annotations

import csv
import shutil
import sys
from typing import Any

from laureate.config import params
from laureate.core import paths
from laureate.stages import train
from laureate.training.checkpoints import Checkpoints


def changed(study: params.Params, **values: Any) -> params.Params:
    """The study with other values in its train section."""
    return study.model_copy(update={"train": study.train.model_copy(update=values)})


def outputs(*ranks: int) -> list[bytes]:
    """What a training leaves, for each rank."""
    files = []
    for rank in ranks:
        folder = paths.adapter_folder(rank)
        files += [folder / paths.ADAPTER_WEIGHTS, folder / paths.ADAPTER_CONFIG, paths.curve_file(rank)]
    return [file.read_bytes() for file in files]


def files(rank: int) -> dict[str, bytes]:
    """All that a training leaves of a rank, arms and snapshots too: name => content."""
    folder = paths.adapter_folder(rank)
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return found | {"curve": paths.curve_file(rank).read_bytes()}


def forget() -> None:
    """Remove outputs and work folder."""
    for folder in (paths.ADAPTERS, paths.CURVES, train.CACHE):
        shutil.rmtree(folder, ignore_errors=True)


def curve(rank: int) -> list[dict[str, str]]:
    """The rows of a loss curve."""
    return list(csv.DictReader(paths.curve_file(rank).read_text().splitlines()))


def kept_steps() -> int:
    """How far the checkpoint is."""
    kept = Checkpoints(train.CACHE / "checkpoints").find()
    assert kept
    return int(kept.done["steps"])


def command(rank: int) -> list[str]:
    """`laureate train`."""
    return [sys.executable, "-m", "laureate", "train", "--rank", str(rank)]


class Killed(BaseException):
    """Stands for a signal: nothing but `finally` sees it."""
