"""Share the prompts of a study out over the training seeds of a rank.

Every prompt is drawn by one training only, so several training seeds cost no more pictures than one, and the
differences between the pictures of a rank hold the luck of training as well. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from laureate.config.params import Train
from laureate.core.errors import LaureateError
from laureate.core.paths import adapter_folder
from laureate.networks.lora import adapter_config
from laureate.networks.lora.arm import arms_of_seeds


def folders_of_seeds(train: Train, rank: int) -> dict[int, Path]:
    """Training seed => folder of the rank's adapter that was trained with it, at the rank's own rate."""
    return {arm.seed: adapter_folder(rank) / arm.place for arm in arms_of_seeds(train, rank)}


def failures(folders: Mapping[int, Path]) -> dict[int, str]:
    """Training seed => why its training failed, for those that did; `folders`: of whole trainings.

    Raises LaureateError for an arm without a readable configuration.
    """
    found = {}
    for seed, folder in folders.items():
        failed = adapter_config.read(folder).get("failed")
        if failed:
            found[seed] = str(failed["reason"])
    return found


def share_out(prompts: int, seeds: Sequence[int], failed: Collection[int] = ()) -> list[int]:
    """The training seed that draws each prompt: prompt number i is that of seed number i mod S, which is the
    same for every rank. Prompts of a failed seed go round the seeds that are left; the others stay."""
    left = [seed for seed in seeds if seed not in failed]
    if not left:
        raise LaureateError("no training seed is left to draw with; run `laureate train` again")
    shares, moved = [], 0
    for number in range(prompts):
        seed = seeds[number % len(seeds)]
        if seed in failed:
            seed = left[moved % len(left)]
            moved += 1
        shares.append(seed)
    return shares
