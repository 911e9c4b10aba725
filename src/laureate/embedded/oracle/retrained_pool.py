"""Many independent trainings of every rank, and pictures of fresh prompts from each: what the luck of a
training does to a score can only be seen by training again.

Every training has its own seed: another initialisation, order of pictures, noise and time steps. Training t
draws prompts of its own, the same for all ranks, so that the pictures of all trainings together are those of
many prompts. Adapters and pictures are stored under hashes of what they depend on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from laureate.config.params import Params
from laureate.core.files import sha256_file
from laureate.core.paths import ENCODED
from laureate.embedded.oracle import picture_pool
from laureate.embedded.oracle.picture_pool import Part
from laureate.formats.prompts import Prompt
from laureate.networks.diffusion import base_model
from laureate.torch_utils import device
from laureate.torch_utils.distributed import Team
from laureate.training.checkpoints import Checkpoints
from laureate.training.result_cache import Results, key_of
from laureate.training.run import train
from laureate.training.run_plan import trainings_of

FIRST_SEED = 9000  # of the trainings; the study's own is another
# keys of `train` that the weights depend on, besides the seed
TRAINING_PARAMETERS = (
    "steps", "batch", "learning_rate", "warmup", "schedule", "alpha", "dropout", "variant", "init", "targets",
    "text_encoder", "weight_decay", "max_grad_norm", "caption_dropout", "min_snr_gamma", "precision",
    "optimizer",
)  # fmt: skip


@dataclass(frozen=True)
class Training:
    """One training of all ranks."""

    seed: int
    adapters: Mapping[int, Path]  # rank => folder


def check(params: Params) -> None:
    """Raise LaureateError, before anything is made, where the encoded portraits are missing or of another
    base."""
    trainings_of(params, base_model.expected(params.base), params.ranks, {})


def trained(params: Params, seed: int, folder: Path) -> Training:
    """Train all ranks together with a seed, unless that was done before."""
    alone: dict[str, Any] = {"seeds": [seed], "learning_rates": [], "snapshots": []}
    settings = params.train.model_copy(update={**alone, "holdout_every": params.train.steps})
    params = params.model_copy(update={"train": settings})
    base = base_model.expected(params.base)
    made_by = {
        "base": base.fingerprint,
        "encoded": sha256_file(ENCODED),
        "train": settings.model_dump(include=set(TRAINING_PARAMETERS)),
        "seed": seed,
        "ranks": params.ranks,
        "machine": device.machine(),
    }
    keys = {str(rank): key_of(made_by | {"rank": rank}) for rank in params.ranks}
    results = Results(folder / "adapters")
    if not all(results.find(key) for key in keys.values()):
        arms = trainings_of(params, base, params.ranks, {})
        arms = [replace(each, key=keys[each.arm.key]) for each in arms]
        train(params, base, arms, keys, results, None, Checkpoints(folder / "checkpoints"), Team())
    return Training(seed, {rank: results.folder / keys[str(rank)] for rank in params.ranks})


def drawn(
    params: Params, training: Training | None, prompts: Sequence[Prompt], folder: Path
) -> dict[str, list[Part]]:
    """The pictures of some prompts, by every rank of a training or (None) by the base => model => parts."""
    adapters: dict[str, Path | None] = {"baseline": None}
    if training:
        adapters = {f"rank-{rank}": path for rank, path in training.adapters.items()}
    return {
        model: picture_pool.generated(params, model, prompts, folder, adapter)
        for model, adapter in adapters.items()
    }


def one_noise(params: Params) -> Params:
    """The parameters with one picture per prompt: more prompts say more than more pictures of each."""
    sample: Any = params.sample.model_copy(update={"seeds": params.sample.seeds[:1]})
    return params.model_copy(update={"sample": sample})
