"""Which weights of a rank a command takes: an arm, a step, and the strength that is merged into them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError, ParameterError
from laureate.core.paths import ADAPTER_CONFIG, ARMS, adapter_folder, snapshot_folder
from laureate.networks.lora import adapter_config

STRONGEST = 2.0


@dataclass(frozen=True)
class Choice:
    """Weights that were trained, and the strength that other programs are to draw with."""

    rank: int
    arm: str  # "" for the main arm
    step: int
    steps: int  # of the whole training
    strength: float

    @property
    def folder(self) -> Path:
        """Where the weights lie."""
        arm = adapter_folder(self.rank) / (ARMS / self.arm if self.arm else "")
        return arm if self.step == self.steps else snapshot_folder(arm, self.step)

    @property
    def name(self) -> str:
        """`rank-16`, with what differs from the main arm, its last step and strength 1."""
        step = f"step-{self.step}" if self.step != self.steps else ""
        strength = f"strength-{self.strength:g}" if self.strength != 1 else ""
        return "_".join(part for part in (f"rank-{self.rank}", self.arm, step, strength) if part)

    @property
    def trained_as_usual(self) -> bool:
        """The main arm after its last step."""
        return not self.arm and self.step == self.steps


def choose(
    rank: int, arm: str | None = None, step: int | None = None, strength: float | None = None
) -> Choice:
    """What the options `--arm`, `--step` and `--strength` ask for; None: main arm, last step, 1.

    Raises LaureateError for an arm or a step that is not kept, an arm that failed, and a strength that is
    not above 0 and at most 2.
    """
    strength = 1.0 if strength is None else strength
    if not 0 < strength <= STRONGEST:
        raise ParameterError(f"--strength {strength:g} must be above 0 and at most {STRONGEST:g}")
    whole = adapter_folder(rank)
    arms = _named(whole / ARMS, "*")
    if arm and arm not in arms:
        kept = ", ".join(arms) or "none"
        raise LaureateError(
            f"there is no arm {arm} of rank {rank} (kept: {kept}); train.seeds and train.learning_rates "
            "name them"
        )
    trained = whole / (ARMS / arm if arm else "")
    config = adapter_config.read(trained)
    if "failed" in config:
        raise LaureateError(f"arm {arm} of rank {rank} has no weights: {config['failed']['reason']}")
    last = int(config["train"]["steps"])
    found = Choice(rank, arm or "", last if step is None else step, last, strength)
    if not (found.folder / ADAPTER_CONFIG).is_file():
        steps = [*sorted(int(name.removeprefix("step-")) for name in _named(trained, "step-*")), last]
        raise LaureateError(
            f"the weights after step {step} of rank {rank} are not kept, those after "
            f"{', '.join(map(str, steps))} are; train.snapshots names them"
        )
    return found


def origin(choice: Choice) -> dict[str, str]:
    """Arm, step and strength for the header of an exported file."""
    arm: dict[str, Any] = {"laureate.arm": choice.arm} if choice.arm else {}
    return arm | {"laureate.step": str(choice.step), "laureate.strength": f"{choice.strength:g}"}


def _named(folder: Path, pattern: str) -> list[str]:
    """Names of the adapters' folders in a folder that fit a pattern."""
    return sorted(path.name for path in folder.glob(pattern) if (path / ADAPTER_CONFIG).is_file())
