"""Plan a training run: what each rank's result depends on, which ranks to train, where to resume."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from laureate.config.params import Params, of_rank
from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file
from laureate.core.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS, ENCODED, adapter_folder, curve_file
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_config
from laureate.torch_utils import safetensors_io
from laureate.training.checkpoints import Checkpoints, SavedCheckpoint
from laureate.training.result_cache import Results, code_of_stage

RESULT_NEUTRAL = {"pack", "checkpoint_every", "trackers", "preview"}  # parameters that change no result
PER_RANK = ("learning_rate", "alpha", "dropout")  # may be a mapping from rank to value


@dataclass(frozen=True)
class RunPlan:
    """What is to be trained."""

    pack: list[int]  # ranks that are trained together
    checkpoint: SavedCheckpoint | None  # where to resume


def with_steps(params: Params) -> Params:
    """The same parameters with `train.steps` set from `train.epochs` and the number of pictures."""
    if params.train.epochs is None:
        return params
    pictures = len(json.loads(safetensors_io.metadata(ENCODED).get("train.files", "[]")))
    steps = params.train.steps_for(pictures)
    return params.model_copy(update={"train": params.train.model_copy(update={"steps": steps})})


def recipes_of(params: Params, found: base_model.Base, ranks: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Per rank, everything that its result depends on but the machine and the versions of libraries.

    Raises LaureateError if the encoded data were made with another base, or lack token ids
    that are needed now.
    """
    header = safetensors_io.metadata(ENCODED)
    if header.get("base") != found.fingerprint:
        raise LaureateError(
            f"{ENCODED} was made with another base than {found.folder}; run `laureate encode` again"
        )
    if params.train.text_encoder and "train.ids" not in safetensors_io.header(ENCODED):
        raise LaureateError(f"{ENCODED} has no token ids for train.text_encoder; run `laureate encode` again")
    settings = params.train.model_dump(exclude=RESULT_NEUTRAL)
    common = {
        "base": found.fingerprint,
        "dataset": header["dataset"],
        "encoded": sha256_file(ENCODED),
        "code": code_of_stage("train"),
    }
    return {
        rank: adapter_config.recipe(
            rank, settings | {key: of_rank(settings[key], rank) for key in PER_RANK}, **common
        )
        for rank in ranks
    }


def plan_run(
    params: Params,
    rank: int,
    recipes: Mapping[int, dict[str, Any]],
    keys: Mapping[str, str],
    results: Results,
    checkpoints: Checkpoints,
) -> RunPlan | None:
    """What to train to get a result of `rank`. None: it is in the cache. Else the pack of a checkpoint that
    can be resumed, or `rank` with, where `train.pack` is true, all other ranks that have no result."""
    result = results.find(keys[str(rank)])
    if result:
        print(f"rank {rank} is trained already: taken from {result}", file=sys.stderr)
        return None
    checkpoint = checkpoints.find()
    if checkpoint and _resumes(checkpoint, keys, rank, params.train.pack):
        return RunPlan([int(name) for name in checkpoint.keys], checkpoint)
    if not params.train.pack:
        return RunPlan([rank], None)
    return RunPlan(
        [
            each
            for each, content in recipes.items()
            if each == rank or not (results.find(keys[str(each)]) or _in_place(each, content))
        ],
        None,
    )


def _in_place(rank: int, content: dict[str, Any]) -> bool:
    """Whether the outputs of a rank exist and were made by this recipe, so that DVC will not ask for them."""
    folder = adapter_folder(rank)
    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        safetensors_io.header(folder / ADAPTER_WEIGHTS)
    except (OSError, ValueError, LaureateError):
        return False
    return config | content == config and curve_file(rank).is_file()  # has more keys, such as the precision


def _resumes(checkpoint: SavedCheckpoint, keys: Mapping[str, str], rank: int, pack: bool) -> bool:
    """Whether training can go on from a checkpoint: it holds the rank, and no key has changed since."""
    names = list(checkpoint.keys)
    current = all(keys.get(name) == key for name, key in checkpoint.keys.items())
    return current and str(rank) in names and (pack or names == [str(rank)])
