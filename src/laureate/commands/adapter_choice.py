"""Which weights of a rank a command takes: an arm, a step, and the strength that is merged into them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError, ParameterError
from laureate.core.paths import ADAPTER_CONFIG, ARMS, adapter_folder, snapshot_folder
from laureate.networks.lora import adapter_config
from laureate.sampling.choosing import choice as choices

STRONGEST = 2.0
MAIN = "main"  # what `--arm` calls the main arm


@dataclass(frozen=True)
class Choice:
    """Weights that were trained, and the strength that other programs are to draw with."""

    rank: int
    arm: str  # "" for the main arm
    step: int
    steps: int  # of the whole training
    strength: float
    chosen: bool = False  # whether it is what `laureate choose` chose for the rank

    @property
    def folder(self) -> Path:
        """Where the weights lie."""
        arm = adapter_folder(self.rank) / (ARMS / self.arm if self.arm else "")
        return arm if self.step == self.steps else snapshot_folder(arm, self.step)

    @property
    def name(self) -> str:
        """`rank-16` for what was chosen; else with what differs from main arm, last step and strength 1."""
        if self.chosen:
            return f"rank-{self.rank}"
        step = f"step-{self.step}" if self.step != self.steps else ""
        strength = f"strength-{self.strength:g}" if self.strength != 1 else ""
        arm = self.arm or ("" if step or strength else MAIN)
        return "_".join(part for part in (f"rank-{self.rank}", arm, step, strength) if part)


def choose(
    rank: int,
    arm: str | None = None,
    step: int | None = None,
    strength: float | None = None,
    chosen: choices.Choice | None = None,
) -> Choice:
    """What the options `--arm`, `--step` and `--strength` ask for; None: what `chosen` says, without it the
    main arm, the last step, 1. With `--arm`, the step is the last by default. `main` names the main arm.

    Raises LaureateError for an arm or a step that is not kept, an arm that failed, and a strength that is
    not above 0 and at most 2.
    """
    own = Choice(rank, "", 0, 0, 1.0) if chosen is None else _as_chosen(chosen)
    strength = own.strength if strength is None else strength
    if not 0 < strength <= STRONGEST:
        raise ParameterError(f"--strength {strength:g} must be above 0 and at most {STRONGEST:g}")
    whole = adapter_folder(rank)
    arms = _named(whole / ARMS, "*")
    wanted = own.arm if arm is None else "" if arm == MAIN else arm
    if wanted and wanted not in arms:
        kept = ", ".join(arms) or "none"
        raise LaureateError(
            f"there is no arm {wanted} of rank {rank} (kept: {kept}); train.seeds and train.learning_rates "
            "name them"
        )
    trained = whole / (ARMS / wanted if wanted else "")
    config = adapter_config.read(trained)
    if "failed" in config:
        raise LaureateError(f"arm {wanted} of rank {rank} has no weights: {config['failed']['reason']}")
    last = int(config["train"]["steps"])
    if step is None:
        step = own.step if arm is None and own.step else last
    found = Choice(rank, wanted, step, last, strength)
    usual = own if chosen else Choice(rank, "", last, last, 1.0)
    found = replace(found, chosen=replace(usual, chosen=False) == found)
    if not (found.folder / ADAPTER_CONFIG).is_file():
        steps = [*sorted(int(name.removeprefix("step-")) for name in _named(trained, "step-*")), last]
        raise LaureateError(
            f"the weights after step {step} of rank {rank} are not kept, those after "
            f"{', '.join(map(str, steps))} are; train.snapshots names them"
        )
    return found


def _as_chosen(chosen: choices.Choice) -> Choice:
    """What was chosen, by the arm of its first training seed that has not failed."""
    one = chosen.candidate
    return Choice(chosen.rank, chosen.arm.name, one.step, chosen.last, one.strength)


def origin(choice: Choice) -> dict[str, str]:
    """Arm, step and strength for the header of an exported file."""
    arm: dict[str, Any] = {"laureate.arm": choice.arm} if choice.arm else {}
    return arm | {"laureate.step": str(choice.step), "laureate.strength": f"{choice.strength:g}"}


def _named(folder: Path, pattern: str) -> list[str]:
    """Names of the adapters' folders in a folder that fit a pattern."""
    return sorted(path.name for path in folder.glob(pattern) if (path / ADAPTER_CONFIG).is_file())
