"""Train a stack of adapters together, from the start or from a checkpoint, and keep their results."""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.config.params import Params
from laureate.core.files import write_json, write_text
from laureate.core.paths import ENCODED, LIVE, shared
from laureate.core.progress import progress
from laureate.networks.backends import placement
from laureate.networks.diffusion import base_model
from laureate.torch_utils import device, safetensors_io
from laureate.torch_utils.distributed import Team
from laureate.training.checkpoints import Checkpoints, SavedCheckpoint
from laureate.training.loss_curves import Curves
from laureate.training.observer import Observer, Several
from laureate.training.result_cache import CURVE, MACHINE, Results, key_of

if TYPE_CHECKING:
    from torch import Tensor

    from laureate.training.objective import Examples, Objective
    from laureate.training.trainer import Trainer

LOSS_CHECK_INTERVAL = 10  # steps between two fetches of the losses: each waits for the device


def train(
    params: Params,
    found: base_model.Base,
    recipes: Mapping[int, dict[str, Any]],
    keys: Mapping[str, str],
    results: Results,
    checkpoints: Checkpoints,
    checkpoint: SavedCheckpoint | None,
    team: Team,
) -> None:
    """Train the ranks of `recipes` together, from a checkpoint if there is one, and keep their results."""
    from laureate.networks.diffusion import noise_schedule
    from laureate.networks.lora import adapter_config, adapter_files, injection
    from laureate.networks.lora.adapter import TEXT
    from laureate.training.objective import Objective
    from laureate.training.trainer import Trainer, adapter

    where, kernels = device.pick(), params.train.kernels
    dtype = device.precision(params.train.precision, where)
    encoded, reads = safetensors_io.load(ENCODED), bool(params.train.text_encoder)
    objective = Objective(
        placement.place_unet(found.unet(dtype), where, dtype, kernels),
        noise_schedule.from_config(found.scheduler),
        params.train,
        encoded["empty.ids" if reads else "empty.text"],
        found.scaling_factor,
        team,
        placement.place_text(found.text_encoder(dtype), where, dtype, kernels) if reads else None,
    )
    data, adapters = _examples(encoded, objective), [adapter(params.train, rank) for rank in recipes]
    # errors before the first pass over the held-out pictures
    injection.fitting(objective.unet, adapters, params.train.targets)
    if objective.encoder:
        injection.fitting(objective.encoder, adapters, params.train.text_encoder, TEXT)
    # every adapter starts as the base, so all have the base's held-out loss
    start = None if checkpoint else objective.holdout_loss(data["holdout"]).expand(len(recipes))
    trainer = Trainer(objective, adapters)
    started, done = time.monotonic(), checkpoint.done["steps"] if checkpoint else 0
    of_pack = {str(rank): keys[str(rank)] for rank in recipes}
    observer = observers(trainer, data["holdout"], found, keys) if team.first else Observer()
    try:
        curves = fit(trainer, data, of_pack, checkpoints, checkpoint, start, observer)
    finally:
        observer.close()
    if not team.first:
        return
    cost = {  # of all ranks together: one pass through the frozen base serves them all
        "ranks": list(recipes),
        "steps": params.train.steps - done,
        "seconds": round(time.monotonic() - started, 1),
        "peak_memory": device.peak_memory(where),
    }
    for index, (rank, content) in enumerate(recipes.items()):
        with results.adding(keys[str(rank)]) as folder:
            adapter_files.save(folder, trainer.export(index), trainer.adapters[index], list(trainer.layers))
            adapter_config.write(folder, content, precision=device.name_of(dtype), base_source=found.source)
            write_text(folder / CURVE, curves.csv(index))
            write_json(folder / MACHINE, {**device.described(dtype), "training": cost})


def fit(
    trainer: "Trainer",
    data: "dict[str, Examples]",
    keys: Mapping[str, str],
    checkpoints: Checkpoints,
    checkpoint: SavedCheckpoint | None,
    start: "Tensor | None",
    observer: Observer | None = None,
) -> Curves:
    """Run all steps, or those after the checkpoint; gives the loss curves.

    `keys`: of the results, by name of a rank; `start`: held-out loss before the first step, (R,)."""
    settings, first, ranks = trainer.train, 0, [int(name) for name in keys]
    observer = observer or Observer()
    curves = Curves(ranks, checkpoint.done if checkpoint else None, observer)
    label = f"train rank{'s' * (len(keys) > 1)} {', '.join(keys)}"
    if checkpoint:
        first = checkpoint.done["steps"]
        trainer.restore(checkpoint.state(), first)
        print(f"{label}: going on after step {first}, from {checkpoint.path}", file=sys.stderr)
    steps = range(first, settings.steps)
    for step in progress(steps, None, label) if trainer.team.first else steps:
        held_out = start if step == 0 else None
        if step and step % settings.holdout_every == 0:
            held_out = trainer.holdout_loss(data["holdout"])
        curves.add(step, trainer.step(data["train"], step))
        if held_out is not None:
            curves.close_row(step, held_out)
        if (step + 1) % LOSS_CHECK_INTERVAL == 0:
            curves.fetch()
        observer.after_step(step + 1)
        if (step + 1) % settings.checkpoint_every == 0 and step + 1 < settings.steps:
            done = {"steps": step + 1, **curves.state()}  # raises before a loss that is not finite is saved
            if trainer.team.first:
                checkpoints.write(keys, done, trainer.state())
    curves.close_row(settings.steps, trainer.holdout_loss(data["holdout"]))
    return curves


def observers(
    trainer: "Trainer", held_out: "Examples", found: base_model.Base, keys: Mapping[str, str]
) -> Observer:
    """Who watches the run: trackers and previews, as the parameters want them, in a folder of its own."""
    settings, wanted = trainer.train, list[Observer]()
    folder = live_folder(keys)
    if settings.trackers:
        from laureate.training.trackers import Trackers

        wanted.append(Trackers(settings.trackers, [each.rank for each in trainer.adapters], folder))
    if settings.preview:
        from laureate.training.preview import Preview

        objective = trainer.objective
        vae = placement.place(found.vae(objective.dtype), objective.device, objective.dtype)
        wanted.append(Preview(trainer, held_out, vae, found.scheduler, folder))
    return Several(wanted)


def live_folder(keys: Mapping[str, str]) -> Path:
    """.work/live/NAME-HASH: name of the DVC experiment, or `study`; hash of the keys of all results."""
    name = os.environ.get("DVC_EXP_NAME") or "study"
    return shared(LIVE) / f"{name}-{key_of(sorted(keys.items()))[:8]}"


def _examples(encoded: "dict[str, Tensor]", objective: "Objective") -> "dict[str, Examples]":
    """The train and holdout parts of the encoded data, on the objective's device."""
    from laureate.training.objective import Examples

    kind = "ids" if objective.encoder else "text"
    return {
        part: Examples(
            mean=encoded[f"{part}.mean"].to(objective.device),
            logvar=encoded[f"{part}.logvar"].to(objective.device),
            text=encoded[f"{part}.{kind}"].to(objective.device, objective.empty.dtype),
        )
        for part in ("train", "holdout")
    }
