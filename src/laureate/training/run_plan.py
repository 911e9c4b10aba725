"""What a training run does: ranks to train, what is kept from before, the key of each result."""

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
from laureate.training.checkpoints import Checkpoints, Kept
from laureate.training.result_cache import Results, code_of_stage

RESULT_NEUTRAL = {"pack", "checkpoint_every", "trackers", "preview"}  # parameters that change no result


PER_RANK = ("learning_rate", "alpha", "dropout")


@dataclass(frozen=True)
class RunPlan:
    """What is to be trained."""

    pack: list[int]
    kept: Kept | None  # where to go on


def counted(params: Params) -> Params:
    """The same parameters with `train.steps` as `train.epochs` and the encoded pictures make it."""
    if params.train.epochs is None:
        return params
    pictures = len(json.loads(safetensors_io.metadata(ENCODED).get("train.files", "[]")))
    steps = params.train.steps_for(pictures)
    return params.model_copy(update={"train": params.train.model_copy(update={"steps": steps})})


def recipes_of(params: Params, found: base_model.Base, ranks: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What the result of every rank depends on, but for the machine and the versions of what is installed.

    Raises LaureateError if the encoded data were made with another base, or without what is wanted now.
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
    """What to train so that there is a result of `rank`: nothing, what a checkpoint was written for, or the
    rank with, unless it is to be alone, all that are missing."""
    result = results.find(keys[str(rank)])
    if result:
        print(f"rank {rank} is trained already: taken from {result}", file=sys.stderr)
        return None
    kept = checkpoints.find()
    if kept and _continues(kept, keys, rank, params.train.pack):
        return RunPlan([int(name) for name in kept.keys], kept)
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
    """The outputs of a rank are there and of this recipe, so that DVC will not ask for them."""
    folder = adapter_folder(rank)
    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        safetensors_io.header(folder / ADAPTER_WEIGHTS)
    except (OSError, ValueError, LaureateError):
        return False
    return config | content == config and curve_file(rank).is_file()  # it says more, such as the precision


def _continues(kept: Kept, keys: Mapping[str, str], rank: int, pack: bool) -> bool:
    """Whether a checkpoint leads to what is wanted: it holds the rank, and nothing has changed since."""
    names = list(kept.keys)
    current = all(keys.get(name) == key for name, key in kept.keys.items())
    return current and str(rank) in names and (pack or names == [str(rank)])
