"""train: the LoRA adapter of one rank; all ranks without a result are trained in the same run.

A run trains a pack: every rank of the study whose result is neither in place nor in the work cache. Results
of ranks that were not asked for stay in the cache until their own stage copies them to its outputs. The key
of a result is the hash of what its rank depends on (data, base, parameters, code, versions, machine), not of
which ranks shared its pack: they do not influence each other. The same pack on the same machine gives the
same bytes; another pack gives the same weights to rounding (1e-4 relative in float32 after 50 steps).
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
from laureate.training.run_plan import plan_run, recipes_of, with_steps

CACHE = WORK / "train"  # outside the outputs, which DVC deletes before it runs a stage


def run(params: Params, rank: int) -> None:
    """data/encoded.safetensors => models/lora/rank-N and metrics/train/rank-N.csv (step, loss, holdout_loss).

    Raises LaureateError if base and encoded data do not belong together, for targets and ranks that do not
    fit the base, and, naming step and rank, for a loss that is not a finite number.
    """
    base, params = base_model.expected(params.base), with_steps(params)
    recipes = recipes_of(params, base, list(dict.fromkeys([*params.ranks, rank])))
    libraries = ["torch", "diffusers", *["transformers"] * bool(params.train.text_encoder)]
    environment = {"machine": device.machine(), **{name: version(name) for name in libraries}}
    keys = {str(each): key_of([content, environment]) for each, content in recipes.items()}
    cache = shared(CACHE)
    results, checkpoints = Results(cache / "results"), Checkpoints(cache / "checkpoints")
    with joined() as team, locked(cache) if team.first else nullcontext():
        plan = team.broadcast(
            plan_run(params, rank, recipes, keys, results, checkpoints) if team.first else None
        )
        if plan:
            pack = {each: recipes[each] for each in plan.pack}
            train(params, base, pack, keys, results, checkpoints, plan.checkpoint, team)
        if not team.first:
            return
        _put_in_place(results.folder / keys[str(rank)], rank)
        results.keep_recent(keys.values())
        latest = checkpoints.find()
        unfinished = latest.keys.items() if latest else ()
        if all(results.find(key) or keys.get(name) != key for name, key in unfinished):
            checkpoints.remove()


def _put_in_place(result: Path, rank: int) -> None:
    """Copy a cached result to the outputs of its rank."""
    with fresh_folder(adapter_folder(rank)) as folder:
        for name in (ADAPTER_WEIGHTS, ADAPTER_CONFIG):
            shutil.copyfile(result / name, folder / name)
    write_bytes(curve_file(rank), (result / CURVE).read_bytes())
    write_bytes(machine_file(rank), (result / MACHINE).read_bytes())
