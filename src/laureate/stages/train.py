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
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import base, device, tensors
from laureate.curves import Curves
from laureate.errors import LaureateError
from laureate.files import fresh_folder, sha256_file, write_bytes, write_json, write_text
from laureate.params import Params
from laureate.places import ADAPTERS, CURVES, ENCODED, WORK
from laureate.progress import progress
from laureate.workcache import Checkpoints, Kept, Results, key_of, locked

if TYPE_CHECKING:
    from torch import Tensor

    from laureate.training import Examples, Trainer

KEPT = WORK / "train"  # outside the outputs, which DVC deletes before it runs a stage
WEIGHTS, CONFIG, CURVE = "pytorch_lora_weights.safetensors", "config.json", "curve.csv"
CODE = ("curves.py", "device.py", "diffusion.py", "lora.py", "seeds.py", "stages/train.py", "training.py")
NO_SAY = {"pack", "checkpoint_every"}  # parameters that change no result
LOOK = 10  # steps between two looks at the losses: each look waits for the device


def run(params: Params, rank: int) -> None:
    """data/encoded.safetensors => models/lora/rank-N and metrics/train/rank-N.csv (step, loss, holdout_loss).

    Raises LaureateError if base and encoded data do not belong together, for targets and ranks that do not
    fit the base, and, naming step and rank, for a loss that is not a finite number.
    """
    found, params = base.expected(params.base), counted(params)
    recipes = {each: recipe(params, found, each) for each in dict.fromkeys([*params.ranks, rank])}
    around = {"torch": version("torch"), "diffusers": version("diffusers"), "machine": device.machine()}
    keys = {str(each): key_of([content, around]) for each, content in recipes.items()}
    results, checkpoints = Results(KEPT / "results"), Checkpoints(KEPT / "checkpoints")
    with locked(KEPT):
        result = results.find(keys[str(rank)])
        if result:
            print(f"rank {rank} is trained already: taken from {result}", file=sys.stderr)
        else:
            kept = checkpoints.find()
            if kept and not _continues(kept, keys, rank, params.train.pack):
                kept = None
            pack = [int(name) for name in kept.keys] if kept else _pack(params, rank, recipes, keys, results)
            train(params, found, {each: recipes[each] for each in pack}, keys, results, checkpoints, kept)
            result = results.folder / keys[str(rank)]
        _put_in_place(result, rank)
        results.keep_only(keys.values())
        kept = checkpoints.find()
        if not kept or all(results.find(key) or keys.get(name) != key for name, key in kept.keys.items()):
            checkpoints.remove()


def counted(params: Params) -> Params:
    """The same parameters with `train.steps` as `train.epochs` and the encoded pictures make it."""
    if params.train.epochs is None:
        return params
    pictures = len(json.loads(tensors.metadata(ENCODED).get("train.files", "[]")))
    steps = params.train.steps_for(pictures)
    return params.model_copy(update={"train": params.train.model_copy(update={"steps": steps})})


def recipe(params: Params, found: base.Base, rank: int) -> dict[str, Any]:
    """What the result of one rank depends on, but for the machine and the versions of what is installed.

    Raises LaureateError if the encoded data were made with another base.
    """
    header = tensors.metadata(ENCODED)
    if header.get("base") != found.fingerprint:
        raise LaureateError(
            f"{ENCODED} was made with another base than {found.folder}; run `laureate encode` again"
        )
    package = Path(base.__file__).parent
    settings = params.train.model_dump(exclude=NO_SAY)
    return {
        "rank": rank,
        "alpha": float(rank if params.train.alpha == "rank" else params.train.alpha),
        "train": settings,
        "base": found.fingerprint,
        "dataset": header["dataset"],
        "encoded": sha256_file(ENCODED),
        "code": key_of({name: sha256_file(package / name) for name in CODE}),
    }


def train(
    params: Params,
    found: base.Base,
    recipes: Mapping[int, dict[str, Any]],
    keys: Mapping[str, str],
    results: Results,
    checkpoints: Checkpoints,
    kept: Kept | None,
) -> None:
    """Train the ranks of `recipes` together, from a checkpoint if there is one, and keep their results."""
    from laureate import diffusion, lora
    from laureate.training import Trainer

    where = device.pick()
    dtype = device.precision(params.train.precision, where)
    encoded = tensors.load(ENCODED)
    trainer = Trainer(
        device.place_unet(found.unet(dtype), where, dtype),
        diffusion.schedule(found.scheduler),
        [lora.Adapter(rank, content["alpha"]) for rank, content in recipes.items()],
        params.train,
        encoded["empty.text"],
        found.scaling_factor,
    )
    of_pack = {str(rank): keys[str(rank)] for rank in recipes}
    curves = fit(trainer, _examples(encoded, trainer), of_pack, checkpoints, kept)
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
) -> Curves:
    """Run all steps, or those after the checkpoint, and give the losses. `keys`: by name of a rank."""
    settings, first, ranks = trainer.train, 0, [int(name) for name in keys]
    curves = Curves(ranks, kept.done if kept else None)
    label = f"train rank{'s' * (len(keys) > 1)} {', '.join(keys)}"
    if kept:
        first = kept.done["steps"]
        trainer.restore(kept.state(), first)
        print(f"{label}: going on after step {first}, from {kept.path}", file=sys.stderr)
    for step in progress(range(first, settings.steps), None, label):
        held = trainer.holdout_loss(data["holdout"]) if step % settings.holdout_every == 0 else None
        curves.add(step, trainer.step(data["train"], step))
        if held is not None:
            curves.row(step, held)
        if (step + 1) % LOOK == 0:
            curves.look()
        if (step + 1) % settings.checkpoint_every == 0 and step + 1 < settings.steps:
            # the curves are looked at first: a checkpoint must not keep what made a loss infinite
            checkpoints.write(keys, {"steps": step + 1, **curves.kept()}, trainer.state())
    curves.row(settings.steps, trainer.holdout_loss(data["holdout"]))
    return curves


def _pack(
    params: Params,
    rank: int,
    recipes: Mapping[int, dict[str, Any]],
    keys: Mapping[str, str],
    results: Results,
) -> list[int]:
    """The ranks to train: the one that was asked for, and unless it is to be alone all that are missing."""
    if not params.train.pack:
        return [rank]
    return [
        each
        for each, content in recipes.items()
        if each == rank or not (results.find(keys[str(each)]) or _in_place(each, content))
    ]


def _in_place(rank: int, content: dict[str, Any]) -> bool:
    """The outputs of a rank are there and of this recipe, so that DVC will not ask for them."""
    folder = ADAPTERS / f"rank-{rank}"
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tensors.header(folder / WEIGHTS)
    except (OSError, ValueError, LaureateError):
        return False
    return {**content, "precision": config.get("precision")} == config and _curve(rank).is_file()


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


def _examples(encoded: "dict[str, Tensor]", trainer: "Trainer") -> "dict[str, Examples]":
    """The two parts of the data set, on the trainer's device."""
    from laureate.training import Examples

    return {
        part: Examples(
            mean=encoded[f"{part}.mean"].to(trainer.device),
            logvar=encoded[f"{part}.logvar"].to(trainer.device),
            text=encoded[f"{part}.text"].to(trainer.device, trainer.dtype),
        )
        for part in ("train", "holdout")
    }
