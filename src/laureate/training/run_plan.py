"""Plan a training run: what each arm's result depends on, which arms to train, where to resume."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laureate.config.params import Params, check_snapshots, of_rank
from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file
from laureate.core.paths import (
    ADAPTER_CONFIG,
    ADAPTER_CURVE,
    ADAPTER_WEIGHTS,
    ENCODED,
    adapter_folder,
    curve_file,
    snapshot_folder,
)
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_config
from laureate.networks.lora.arm import Arm, arms_of
from laureate.torch_utils import safetensors_io
from laureate.training.checkpoints import Checkpoints, SavedCheckpoint
from laureate.training.result_cache import Results, code_of_stage, key_of

RESULT_NEUTRAL = {"pack", "checkpoint_every", "trackers", "preview"}  # parameters that change no result
OF_ARMS = {"seeds", "learning_rates", "snapshots"}  # those that say which arms and steps there are
PER_RANK = ("alpha", "dropout")  # may be a mapping from rank to value


@dataclass(frozen=True)
class Training:
    """One arm as it is to be trained: what its weights depend on, and the keys of its results."""

    arm: Arm
    recipe: dict[str, Any]
    key: str  # of the last step
    snapshots: dict[int, str]  # step => key

    def recipe_after(self, step: int) -> dict[str, Any]:
        """The recipe of a snapshot."""
        return self.recipe | {"step": step}

    def complete(self, results: Results) -> bool:
        """Whether the results hold all of it; an arm that failed has no snapshots."""
        last = results.find(self.key)
        if last is None:
            return False
        failed = "failed" in adapter_config.read(last)
        return failed or all(results.find(key) for key in self.snapshots.values())


@dataclass(frozen=True)
class RunPlan:
    """What is to be trained."""

    pack: list[str]  # keys of the arms that are trained together
    checkpoint: SavedCheckpoint | None  # where to resume


def with_steps(params: Params) -> Params:
    """The same parameters with `train.steps` set from `train.epochs` and the number of pictures.

    Raises ParameterError for a snapshot behind the last step.
    """
    if params.train.epochs is None:
        return params
    pictures = len(json.loads(safetensors_io.metadata(ENCODED).get("train.files", "[]")))
    train = params.train.model_copy(update={"steps": params.train.steps_for(pictures)})
    return params.model_copy(update={"train": check_snapshots(train)})


def trainings_of(
    params: Params, found: base_model.Base, ranks: Sequence[int], environment: Mapping[str, object]
) -> list[Training]:
    """All arms of some ranks, rank by rank, each with everything that its result depends on.

    `environment`: the machine and the versions of libraries, which are no part of a recipe. Raises
    LaureateError if the encoded data were made with another base, or lack token ids that are needed now.
    """
    header = safetensors_io.metadata(ENCODED)
    if header.get("base") != found.fingerprint:
        raise LaureateError(
            f"{ENCODED} was made with another base than {found.folder}; run `laureate encode` again"
        )
    if params.train.text_encoder and "train.ids" not in safetensors_io.header(ENCODED):
        raise LaureateError(f"{ENCODED} has no token ids for train.text_encoder; run `laureate encode` again")
    settings = params.train.model_dump(exclude=RESULT_NEUTRAL | OF_ARMS)
    common = {
        "base": found.fingerprint,
        "dataset": header["dataset"],
        "encoded": sha256_file(ENCODED),
        "code": code_of_stage("train"),
    }
    trainings = []
    for arm in (arm for rank in ranks for arm in arms_of(params.train, rank)):
        own = {"learning_rate": arm.learning_rate, "seed": arm.seed}
        own |= {key: of_rank(settings[key], arm.rank) for key in PER_RANK}
        recipe = adapter_config.recipe(arm.rank, settings | own, **common)
        steps = [step for step in params.train.snapshots if step < params.train.steps]
        snapshots = {step: key_of([recipe | {"step": step}, environment]) for step in steps}
        trainings.append(Training(arm, recipe, key_of([recipe, environment]), snapshots))
    return trainings


def plan_run(
    params: Params,
    rank: int,
    trainings: Sequence[Training],
    results: Results,
    checkpoints: Checkpoints,
) -> RunPlan | None:
    """What to train next to get the results of `rank`. None: they are in the cache. Else the pack of a
    checkpoint that can be resumed, or the missing arms of `rank` with, where `train.pack` is true, those of
    all other ranks whose outputs are not in place."""
    by_rank = {each.arm.rank: [t for t in trainings if t.arm.rank == each.arm.rank] for each in trainings}
    missing = [each.arm.key for each in by_rank[rank] if not each.complete(results)]
    if not missing:
        return None
    checkpoint = checkpoints.find()
    serves = checkpoint is not None and any(key in checkpoint.keys for key in missing)
    if checkpoint and serves and _resumes(checkpoint, trainings, rank, params.train.pack, results):
        return RunPlan(list(checkpoint.keys), checkpoint)
    ranks = [rank]
    if params.train.pack:
        ranks += [other for other, arms in by_rank.items() if other != rank and not _in_place(arms)]
    wanted = [each for each in trainings if each.arm.rank in ranks]
    return RunPlan([each.arm.key for each in wanted if not each.complete(results)], None)


def _in_place(trainings: Sequence[Training]) -> bool:
    """Whether the outputs of a rank exist and were made by these recipes: DVC will not ask for them."""
    for each in trainings:
        folder = adapter_folder(each.arm.rank) / each.arm.place
        curve = curve_file(each.arm.rank) if each.arm.main else folder / ADAPTER_CURVE
        if not (curve.is_file() and _made_by(each.recipe, folder)):
            return False
        if (folder / ADAPTER_WEIGHTS).is_file():  # it has not failed
            for step in each.snapshots:
                if not _made_by(each.recipe_after(step), snapshot_folder(folder, step)):
                    return False
    return True


def _made_by(recipe: dict[str, Any], folder: Path) -> bool:
    """Whether a folder holds an adapter that this recipe made, or says that the training failed."""
    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        if "failed" not in config:
            safetensors_io.header(folder / ADAPTER_WEIGHTS)
    except (OSError, ValueError, LaureateError):
        return False
    return bool(config | recipe == config)  # has more keys, such as the precision


def _resumes(
    checkpoint: SavedCheckpoint,
    trainings: Sequence[Training],
    rank: int,
    pack: bool,
    results: Results,
) -> bool:
    """Whether training can go on from a checkpoint: no key has changed since, the snapshots before it are
    kept, and where `pack` is false it holds arms of the rank only."""
    arms = [each for each in trainings if checkpoint.keys.get(each.arm.key) == each.key]
    if len(arms) < len(checkpoint.keys):
        return False
    failed, done = checkpoint.done.get("failed", {}), checkpoint.done["steps"]
    for each in arms:
        before = [key for step, key in each.snapshots.items() if step <= done]
        if each.arm.key not in failed and not all(results.find(key) for key in before):
            return False
    return pack or {each.arm.rank for each in arms} == {rank}
