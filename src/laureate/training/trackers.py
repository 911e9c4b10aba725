"""Losses of a running training in accelerate's trackers, such as TensorBoard: `train.trackers`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError
from laureate.networks.lora.arm import Arm
from laureate.training.observer import Observer


class Trackers(Observer):
    """Logs `loss/rank-N` and `holdout_loss/rank-N` of every rank, and those of its further arms as
    `loss/rank-N/NAME`: the arms of a pack share a chart."""

    def __init__(self, names: Sequence[str], arms: Sequence[Arm], folder: Path) -> None:
        """`names`: as accelerate calls them; `folder`: of this run. What a tracker keeps on disk is in it.

        Raises LaureateError naming a tracker whose package is not installed, or that does not start.
        """
        from accelerate import PartialState
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

        PartialState()  # which process this is: trackers log from the first only
        installed = {str(getattr(name, "value", name)) for name in get_available_trackers()}
        self.models = [f"rank-{arm.key}" for arm in arms]
        self.trackers: list[Any] = []
        for name in names:
            if name not in installed:
                raise LaureateError(
                    f"train.trackers names {name}, which is not installed: pip install {name}, "
                    "or take it out of the list"
                )
            kind = LOGGER_TYPE_TO_CLASS[name]
            if kind.requires_logging_directory:
                tracker = kind(folder.name, folder.parent)
            elif name == "dvclive":  # only files: no experiment, and no dvc.yaml of its own
                tracker = kind(dir=str(folder / name), save_dvc_exp=False, dvcyaml=None)
            else:
                tracker = kind("laureate")
            try:
                if hasattr(tracker, "start"):
                    tracker.start()
            except Exception as error:
                raise LaureateError(f"train.trackers: {name} does not start: {error}") from error
            self.trackers.append(tracker)

    def losses(self, step: int, values: Sequence[float]) -> None:
        """See `Observer`."""
        self._log("loss", step, values)

    def holdout_losses(self, step: int, values: Sequence[float]) -> None:
        """See `Observer`."""
        self._log("holdout_loss", step, values)

    def close(self) -> None:
        """See `Observer`."""
        for tracker in self.trackers:
            tracker.finish()

    def _log(self, name: str, step: int, values: Sequence[float]) -> None:
        logged = {
            f"{name}/{model}": value
            for model, value in zip(self.models, values, strict=True)
            if math.isfinite(value)
        }
        for tracker in self.trackers:
            tracker.log(logged, step=step)
