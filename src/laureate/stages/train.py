"""train: the LoRA adapter of one rank, and in the same run those of all other ranks that are still missing.

A run trains a pack: every rank of the study whose result is neither in place nor in the work cache. The ranks
that were not asked for wait there until their own stage picks them up. A result is kept under the key of
what its rank depends on (data, base, parameters, code, versions, machine), not of which ranks shared its
pack: they do not touch each other. What that promises: the same pack on the same machine gives the same
bytes; another pack gives the same weights to rounding (1e-4 relative in float32 after 50 steps).
"""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import base, device, tensors
from laureate.curves import Curves
from laureate.errors import LaureateError
from laureate.files import fresh_folder, sha256_file, write_bytes, write_json, write_text
from laureate.params import Params, of_rank
from laureate.places import ADAPTERS, CURVES, ENCODED, WORK
from laureate.progress import progress
from laureate.team import Team, joined
from laureate.workcache import Checkpoints, Kept, Results, key_of, locked

if TYPE_CHECKING:
    from torch import Tensor

    from laureate.objective import Examples, Objective
    from laureate.training import Trainer

KEPT = WORK / "train"  # outside the outputs, which DVC deletes before it runs a stage
WEIGHTS, CONFIG, CURVE = "pytorch_lora_weights.safetensors", "config.json", "curve.csv"
CODE = (
    "attention",
    "curves",
    "device",
    "diffusion",
    "flat",
    "layers",
    "lean",
    "lora",
    "objective",
    "products",
    "seeds",
    "stages/train",
    "team",
    "training",
)
NO_SAY = {"pack", "checkpoint_every"}  # parameters that change no result
PER_RANK = ("learning_rate", "alpha", "dropout")
LOOK = 10  # steps between two looks at the losses: each look waits for the device


def run(params: Params, rank: int) -> None:
    """data/encoded.safetensors => models/lora/rank-N and metrics/train/rank-N.csv (step, loss, holdout_loss).

    Raises LaureateError if base and encoded data do not belong together, for targets and ranks that do not
    fit the base, and, naming step and rank, for a loss that is not a finite number.
    """
    found, params = base.expected(params.base), counted(params)
    recipes = recipes_of(params, found, list(dict.fromkeys([*params.ranks, rank])))
    libraries = ["torch", "diffusers", *["transformers"] * bool(params.train.text_encoder)]
    around = {"machine": device.machine(), **{name: version(name) for name in libraries}}
    keys = {str(each): key_of([content, around]) for each, content in recipes.items()}
    results, checkpoints = Results(KEPT / "results"), Checkpoints(KEPT / "checkpoints")
    with joined() as team, locked(KEPT) if team.first else nullcontext():
        plan = team.told(_plan(params, rank, recipes, keys, results, checkpoints) if team.first else None)
        if plan:
            pack = {each: recipes[each] for each in plan.pack}
            train(params, found, pack, keys, results, checkpoints, plan.kept, team)
        if not team.first:
            return
        _put_in_place(results.folder / keys[str(rank)], rank)
        results.keep_only(keys.values())
        kept = checkpoints.find()
        if not kept or all(results.find(key) or keys.get(name) != key for name, key in kept.keys.items()):
            checkpoints.remove()


@dataclass(frozen=True)
class Plan:
    """What is to be trained."""

    pack: list[int]
    kept: Kept | None  # where to go on


def counted(params: Params) -> Params:
    """The same parameters with `train.steps` as `train.epochs` and the encoded pictures make it."""
    if params.train.epochs is None:
        return params
    pictures = len(json.loads(tensors.metadata(ENCODED).get("train.files", "[]")))
    steps = params.train.steps_for(pictures)
    return params.model_copy(update={"train": params.train.model_copy(update={"steps": steps})})


def recipes_of(params: Params, found: base.Base, ranks: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What the result of every rank depends on, but for the machine and the versions of what is installed.

    Raises LaureateError if the encoded data were made with another base, or without what is wanted now.
    """
    header = tensors.metadata(ENCODED)
    if header.get("base") != found.fingerprint:
        raise LaureateError(
            f"{ENCODED} was made with another base than {found.folder}; run `laureate encode` again"
        )
    if params.train.text_encoder and "train.ids" not in tensors.header(ENCODED):
        raise LaureateError(f"{ENCODED} has no token ids for train.text_encoder; run `laureate encode` again")
    package = Path(base.__file__).parent
    settings = params.train.model_dump(exclude=NO_SAY)
    common = {
        "base": found.fingerprint,
        "dataset": header["dataset"],
        "encoded": sha256_file(ENCODED),
        "code": key_of({name: sha256_file(package / f"{name}.py") for name in CODE}),
    }
    return {
        rank: {
            "rank": rank,
            "train": settings | {key: of_rank(settings[key], rank) for key in PER_RANK},
            **common,
        }
        for rank in ranks
    }


def train(
    params: Params,
    found: base.Base,
    recipes: Mapping[int, dict[str, Any]],
    keys: Mapping[str, str],
    results: Results,
    checkpoints: Checkpoints,
    kept: Kept | None,
    team: Team,
) -> None:
    """Train the ranks of `recipes` together, from a checkpoint if there is one, and keep their results."""
    from laureate import diffusion, lora
    from laureate.objective import Objective
    from laureate.training import Trainer, adapter

    where = device.pick()
    dtype = device.precision(params.train.precision, where)
    encoded, reads = tensors.load(ENCODED), bool(params.train.text_encoder)
    objective = Objective(
        device.place_unet(found.unet(dtype), where, dtype),
        diffusion.schedule(found.scheduler),
        params.train,
        encoded["empty.ids" if reads else "empty.text"],
        found.scaling_factor,
        team,
        device.place_text(found.text_encoder(dtype), where, dtype) if reads else None,
    )
    data, adapters = _examples(encoded, objective), [adapter(params.train, rank) for rank in recipes]
    # what does not fit is said before the first look
    lora.fitting(objective.unet, adapters, params.train.targets)
    if objective.encoder:
        lora.fitting(objective.encoder, adapters, params.train.text_encoder, lora.TEXT)
    # every adapter starts as the base, so one look at that is one at all of them
    start = None if kept else objective.holdout_loss(data["holdout"]).expand(len(recipes))
    trainer = Trainer(objective, adapters)
    of_pack = {str(rank): keys[str(rank)] for rank in recipes}
    curves = fit(trainer, data, of_pack, checkpoints, kept, start)
    if not team.first:
        return
    for index, (rank, content) in enumerate(recipes.items()):
        with results.adding(keys[str(rank)]) as folder:
            lora.save(folder, trainer.export(index), trainer.adapters[index], list(trainer.layers))
            about = {"precision": device.name_of(dtype), "base_source": found.source}
            write_json(folder / CONFIG, {**content, **about})
            write_text(folder / CURVE, curves.csv(index))


def fit(
    trainer: "Trainer",
    data: "dict[str, Examples]",
    keys: Mapping[str, str],
    checkpoints: Checkpoints,
    kept: Kept | None,
    start: "Tensor | None",
) -> Curves:
    """Run all steps, or those after the checkpoint, and give the losses. `keys`: by name of a rank; `start`:
    the held-out loss before the first step, (R,)."""
    settings, first, ranks = trainer.train, 0, [int(name) for name in keys]
    curves = Curves(ranks, kept.done if kept else None)
    label = f"train rank{'s' * (len(keys) > 1)} {', '.join(keys)}"
    if kept:
        first = kept.done["steps"]
        trainer.restore(kept.state(), first)
        print(f"{label}: going on after step {first}, from {kept.path}", file=sys.stderr)
    steps = range(first, settings.steps)
    for step in progress(steps, None, label) if trainer.team.first else steps:
        held = start if step == 0 else None
        if step and step % settings.holdout_every == 0:
            held = trainer.holdout_loss(data["holdout"])
        curves.add(step, trainer.step(data["train"], step))
        if held is not None:
            curves.row(step, held)
        if (step + 1) % LOOK == 0:
            curves.look()
        if (step + 1) % settings.checkpoint_every == 0 and step + 1 < settings.steps:
            done = {"steps": step + 1, **curves.kept()}  # fails before anything infinite is written
            if trainer.team.first:
                checkpoints.write(keys, done, trainer.state())
    curves.row(settings.steps, trainer.holdout_loss(data["holdout"]))
    return curves


def _plan(
    params: Params,
    rank: int,
    recipes: Mapping[int, dict[str, Any]],
    keys: Mapping[str, str],
    results: Results,
    checkpoints: Checkpoints,
) -> Plan | None:
    """What to train so that there is a result of `rank`: nothing, what a checkpoint was written for, or the
    rank with, unless it is to be alone, all that are missing."""
    result = results.find(keys[str(rank)])
    if result:
        print(f"rank {rank} is trained already: taken from {result}", file=sys.stderr)
        return None
    kept = checkpoints.find()
    if kept and _continues(kept, keys, rank, params.train.pack):
        return Plan([int(name) for name in kept.keys], kept)
    if not params.train.pack:
        return Plan([rank], None)
    return Plan(
        [
            each
            for each, content in recipes.items()
            if each == rank or not (results.find(keys[str(each)]) or _in_place(each, content))
        ],
        None,
    )


def _in_place(rank: int, content: dict[str, Any]) -> bool:
    """The outputs of a rank are there and of this recipe, so that DVC will not ask for them."""
    folder = ADAPTERS / f"rank-{rank}"
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tensors.header(folder / WEIGHTS)
    except (OSError, ValueError, LaureateError):
        return False
    return config | content == config and _curve(rank).is_file()  # it says more, such as the precision


def _continues(kept: Kept, keys: Mapping[str, str], rank: int, pack: bool) -> bool:
    """Whether a checkpoint leads to what is wanted: it holds the rank, and nothing has changed since."""
    names = list(kept.keys)
    current = all(keys.get(name) == key for name, key in kept.keys.items())
    return current and str(rank) in names and (pack or names == [str(rank)])


def _put_in_place(result: Path, rank: int) -> None:
    """Copy a kept result to the outputs of its rank."""
    with fresh_folder(ADAPTERS / f"rank-{rank}") as folder:
        for name in (WEIGHTS, CONFIG):
            shutil.copyfile(result / name, folder / name)
    write_bytes(_curve(rank), (result / CURVE).read_bytes())


def _curve(rank: int) -> Path:
    return CURVES / f"rank-{rank}.csv"


def _examples(encoded: "dict[str, Tensor]", objective: "Objective") -> "dict[str, Examples]":
    """The two parts of the data set, on the objective's device."""
    from laureate.objective import Examples

    kind = "ids" if objective.encoder else "text"
    return {
        part: Examples(
            mean=encoded[f"{part}.mean"].to(objective.device),
            logvar=encoded[f"{part}.logvar"].to(objective.device),
            text=encoded[f"{part}.{kind}"].to(objective.device, objective.empty.dtype),
        )
        for part in ("train", "holdout")
    }
