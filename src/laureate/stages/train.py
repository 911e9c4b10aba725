"""train: the LoRA adapter of one rank; all ranks without a result are trained in the same run.

A rank has one arm per training seed and learning rate. A run trains a pack: every arm of the study whose
result is neither in place nor in the work cache. Results of ranks that were not asked for stay in the cache
until their own stage copies them to its outputs. The key of a result is the hash of what its arm depends on
(data, base, parameters, code, versions, machine), not of which arms shared its pack: they do not influence
each other. The same pack on the same machine gives the same bytes; another pack gives the same weights to
rounding (1e-4 relative in float32 after 50 steps).
"""

import shutil
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path

from laureate.config.params import Params
from laureate.core.files import fresh_folder, write_bytes
from laureate.core.paths import (
    ADAPTER_CONFIG,
    ADAPTER_CURVE,
    ADAPTER_WEIGHTS,
    WORK,
    adapter_folder,
    curve_file,
    machine_file,
    shared,
    snapshot_folder,
)
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_config
from laureate.torch_utils import device
from laureate.torch_utils.distributed import joined
from laureate.training.checkpoints import Checkpoints
from laureate.training.result_cache import MACHINE, Results, locked
from laureate.training.run import train
from laureate.training.run_plan import Training, plan_run, trainings_of, with_steps

CACHE = WORK / "train"  # outside the outputs, which DVC deletes before it runs a stage


def run(params: Params, rank: int) -> None:
    """data/encoded.safetensors => models/lora/rank-N and metrics/train/rank-N.csv (step, loss, holdout_loss).

    Below models/lora/rank-N lie the rank's further arms (`arms/NAME`) and, below every arm, its snapshots
    (`step-N`). An arm that failed has its configuration, which says so, and its curve.

    Raises LaureateError if base and encoded data do not belong together, for targets and ranks that do not
    fit the base, and, naming step and rank, for a loss of a main arm that is not a finite number.
    """
    base, params = base_model.expected(params.base), with_steps(params)
    libraries = ["torch", "diffusers", *["transformers"] * bool(params.train.text_encoder)]
    environment: dict[str, object] = {"machine": device.machine()}
    environment |= {name: version(name) for name in libraries}
    trainings = trainings_of(params, base, list(dict.fromkeys([*params.ranks, rank])), environment)
    own = [each for each in trainings if each.arm.rank == rank]
    keys = {each.arm.key: each.key for each in trainings}
    cache = shared(CACHE)
    results, checkpoints = Results(cache / "results"), Checkpoints(cache / "checkpoints")
    with joined() as team, locked(cache) if team.first else nullcontext():
        trained = False
        while plan := team.broadcast(
            plan_run(params, rank, trainings, results, checkpoints) if team.first else None
        ):
            pack = [each for each in trainings if each.arm.key in plan.pack]
            train(params, base, pack, keys, results, plan.checkpoint, checkpoints, team)
            trained = True
        if not team.first:
            return
        if not trained:
            place = results.folder / keys[str(rank)]
            print(f"rank {rank} is trained already: taken from {place}", file=sys.stderr)
        _put_in_place(results, own, rank)
        results.keep_recent([key for each in trainings for key in (each.key, *each.snapshots.values())])
        latest = checkpoints.find()
        unfinished = latest.keys.items() if latest else ()
        if all(results.find(key) or keys.get(name) != key for name, key in unfinished):
            checkpoints.remove()


def _put_in_place(results: Results, trainings: Sequence[Training], rank: int) -> None:
    """Copy the cached results of a rank's arms to its outputs; say which of them have failed."""
    with fresh_folder(adapter_folder(rank)) as folder:
        for each in trainings:
            result, place = results.folder / each.key, folder / each.arm.place
            failed = adapter_config.read(result).get("failed")
            if failed:
                print(f"{each.arm.title} has failed: {failed['reason']}", file=sys.stderr)
            _copy(result, place, [ADAPTER_CONFIG] if failed else [ADAPTER_WEIGHTS, ADAPTER_CONFIG])
            if not each.arm.main:
                _copy(result, place, [ADAPTER_CURVE])
            for step, key in ({} if failed else each.snapshots).items():
                _copy(results.folder / key, snapshot_folder(place, step), [ADAPTER_WEIGHTS, ADAPTER_CONFIG])
    main = results.folder / trainings[0].key
    write_bytes(curve_file(rank), (main / ADAPTER_CURVE).read_bytes())
    write_bytes(machine_file(rank), (main / MACHINE).read_bytes())


def _copy(source: Path, target: Path, names: Sequence[str]) -> None:
    """Copy files of a result into a folder, which is made."""
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(source / name, target / name)
