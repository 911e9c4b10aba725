"""The learning rate, step and strength that a rank is drawn with: metrics/choices/rank-N.json.

Needs no torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.paths import ADAPTER_CONFIG, ADAPTERS, adapter_folder, choice_file, snapshot_folder
from laureate.core.text_files import read_text
from laureate.networks.lora import adapter_config
from laureate.networks.lora.arm import Arm
from laureate.sampling.choosing.candidates import Candidate, arms_at, candidates_of


@dataclass(frozen=True)
class Choice:
    """The chosen candidate of a rank, and its arms."""

    rank: int
    candidate: Candidate
    arms: tuple[Arm, ...]  # one per training seed
    last: int  # step of the whole training

    def folder(self, arm: Arm) -> Path:
        """Where the weights of one of its arms lie after the chosen step."""
        return weights_folder(self.rank, arm, self.candidate.step, self.last)

    @property
    def arm(self) -> Arm:
        """The arm of the first training seed that has not failed."""
        for arm in self.arms:
            if "failed" not in adapter_config.read(adapter_folder(self.rank) / arm.place):
                return arm
        raise LaureateError(
            f"every training of rank {self.rank} with learning rate {self.candidate.learning_rate:g} has "
            "failed; run `laureate choose` again"
        )


def weights_folder(rank: int, arm: Arm, step: int, last: int) -> Path:
    """Where the weights of an arm lie after a step."""
    whole = adapter_folder(rank) / arm.place
    return whole if step == last else snapshot_folder(whole, step)


def last_step(rank: int) -> int:
    """The last step of a rank's training. Raises LaureateError where it is not trained."""
    folder = adapter_folder(rank)
    try:
        return int(adapter_config.read(folder)["train"]["steps"])
    except (KeyError, TypeError, ValueError):
        raise LaureateError(f"{folder / ADAPTER_CONFIG} is damaged; run `laureate train` again") from None


def read(params: Params, rank: int) -> Choice:
    """The choice of a rank. Without a file, the only candidate that `params` gives it.

    Raises LaureateError where several candidates have no file, and where the file is damaged or names none of
    them.
    """
    last = last_step(rank)
    candidates = candidates_of(params.train, params.sample, params.choose, rank, last)
    path, again = choice_file(rank), f"run `laureate choose --rank {rank}`"
    chosen = candidates[0]
    if path.is_file() or len(candidates) > 1:
        chosen = _candidate(read_file(path, again), path, again)
        if chosen not in candidates:
            raise LaureateError(
                f"{path} names {chosen.title}, which params.yaml does not offer; {again} again"
            )
    return Choice(rank, chosen, tuple(arms_at(params.train, rank, chosen.learning_rate)), last)


def read_file(path: Path, again: str = "run `laureate choose`") -> dict[str, Any]:
    """The content of a choice's file. Raises LaureateError naming it if it is missing or damaged."""
    text = read_text(path, f"{again} first")
    try:
        found = dict(json.loads(text))
    except (ValueError, TypeError):
        raise LaureateError(f"{path} is damaged; {again} again") from None
    _candidate(found, path, again)
    return found


def _candidate(values: dict[str, Any], path: Path, again: str) -> Candidate:
    try:
        return Candidate(float(values["learning_rate"]), int(values["step"]), float(values["strength"]))
    except (KeyError, TypeError, ValueError):
        raise LaureateError(f"{path} is damaged; {again} again") from None


def weights_of(params: Params, model: str) -> tuple[Path, float]:
    """The folder of the weights that the name of a model stands for, and the strength to draw with.

    `rank-16` stands for the chosen arm and step of rank 16; a longer name such as `rank-16/step-80` for that
    folder, and sample.strength.
    """
    rank, _, rest = model.partition("/")
    number = rank.removeprefix("rank-")
    known = not rest and number.isdecimal() and int(number) in params.ranks
    if not known or not (is_offered(params) or choice_file(int(number)).is_file()):
        return ADAPTERS / model, params.sample.strength
    found = read(params, int(number))
    return found.folder(found.arm), found.candidate.strength


def is_offered(params: Params) -> bool:
    """Whether there is more than one rate, step or strength to choose from."""
    return bool(params.train.learning_rates or params.train.snapshots or params.choose.strengths)
