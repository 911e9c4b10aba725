"""train: the LoRA adapter of one rank, and in the same run those of all other ranks that are still missing.

A run trains a pack: every rank of the study whose result is neither in place nor in the work cache. The ranks
that were not asked for wait there until their own stage picks them up. A result is kept under the key of
what its rank depends on (data, base, parameters, code, versions, machine), not of which ranks shared its
pack: they do not touch each other. What that promises: the same pack on the same machine gives the same
bytes; another pack gives the same weights to rounding (1e-4 relative in float32 after 50 steps).
"""

import shutil
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path

from laureate.config.params import Params
from laureate.core.files import fresh_folder, write_bytes
from laureate.core.paths import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    WORK,
    adapter_folder,
    curve_file,
    machine_file,
    shared,
)
from laureate.networks.diffusion import base_model
from laureate.torch_utils import device
from laureate.torch_utils.distributed import joined
from laureate.training.checkpoints import Checkpoints
from laureate.training.result_cache import CURVE, MACHINE, Results, key_of, locked
from laureate.training.run import train
from laureate.training.run_plan import counted, plan_run, recipes_of

KEPT = WORK / "train"  # outside the outputs, which DVC deletes before it runs a stage


def run(params: Params, rank: int) -> None:
    """data/encoded.safetensors => models/lora/rank-N and metrics/train/rank-N.csv (step, loss, holdout_loss).

    Raises LaureateError if base and encoded data do not belong together, for targets and ranks that do not
    fit the base, and, naming step and rank, for a loss that is not a finite number.
    """
    found, params = base_model.expected(params.base), counted(params)
    recipes = recipes_of(params, found, list(dict.fromkeys([*params.ranks, rank])))
    libraries = ["torch", "diffusers", *["transformers"] * bool(params.train.text_encoder)]
    around = {"machine": device.machine(), **{name: version(name) for name in libraries}}
    keys = {str(each): key_of([content, around]) for each, content in recipes.items()}
    kept = shared(KEPT)
    results, checkpoints = Results(kept / "results"), Checkpoints(kept / "checkpoints")
    with joined() as team, locked(kept) if team.first else nullcontext():
        plan = team.told(plan_run(params, rank, recipes, keys, results, checkpoints) if team.first else None)
        if plan:
            pack = {each: recipes[each] for each in plan.pack}
            train(params, found, pack, keys, results, checkpoints, plan.kept, team)
        if not team.first:
            return
        _put_in_place(results.folder / keys[str(rank)], rank)
        results.keep_recent(keys.values())
        latest = checkpoints.find()
        if not latest or all(results.find(key) or keys.get(name) != key for name, key in latest.keys.items()):
            checkpoints.remove()


def _put_in_place(result: Path, rank: int) -> None:
    """Copy a kept result to the outputs of its rank."""
    with fresh_folder(adapter_folder(rank)) as folder:
        for name in (ADAPTER_WEIGHTS, ADAPTER_CONFIG):
            shutil.copyfile(result / name, folder / name)
    write_bytes(curve_file(rank), (result / CURVE).read_bytes())
    write_bytes(machine_file(rank), (result / MACHINE).read_bytes())
