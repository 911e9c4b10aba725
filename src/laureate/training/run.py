"""Train arms together as a stack of adapters, from the start or from a checkpoint, and keep their results."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.config.params import Params
from laureate.core.files import write_json, write_text
from laureate.core.paths import ADAPTER_CURVE, ENCODED, LIVE, shared
from laureate.core.progress import progress
from laureate.networks.backends import placement
from laureate.networks.diffusion import base_model
from laureate.networks.lora.arm import Arm
from laureate.torch_utils import device, safetensors_io
from laureate.torch_utils.distributed import Team
from laureate.training.checkpoints import Checkpoints, SavedCheckpoint
from laureate.training.loss_curves import Curves
from laureate.training.observer import Announcer, Observer, Several
from laureate.training.result_cache import MACHINE, Results, key_of
from laureate.training.run_plan import Training

if TYPE_CHECKING:
    from torch import Tensor

    from laureate.training.objective import Examples, Objective
    from laureate.training.pack import Pack

LOSS_CHECK_INTERVAL = 10  # steps between two fetches of the losses: each waits for the device


def train(
    params: Params,
    found: base_model.Base,
    trainings: Sequence[Training],
    keys: Mapping[str, str],
    results: Results,
    checkpoint: SavedCheckpoint | None,
    checkpoints: Checkpoints,
    team: Team,
) -> None:
    """Train some arms together, from a checkpoint if there is one, and keep their results.

    `keys`: of all arms of the study, by name."""
    from laureate.networks.diffusion import noise_schedule
    from laureate.networks.lora import injection
    from laureate.networks.lora.adapter import TEXT
    from laureate.training import optimisers
    from laureate.training.objective import Objective
    from laureate.training.pack import Pack
    from laureate.training.trainer import adapter

    where, kernels = device.pick(), params.train.kernels
    dtype = device.precision(params.train.precision, where)
    encoded, reads = safetensors_io.load(ENCODED), bool(params.train.text_encoder)
    arms = [each.arm for each in trainings]
    objective = Objective(
        placement.place_unet(found.unet(dtype), where, dtype, kernels),
        noise_schedule.from_config(found.scheduler),
        params.train,
        encoded["empty.ids" if reads else "empty.text"],
        found.scaling_factor,
        team,
        placement.place_text(found.text_encoder(dtype), where, dtype, kernels) if reads else None,
        list(dict.fromkeys(arm.seed for arm in arms)),
    )
    data, adapters = _examples(encoded, objective), [adapter(params.train, arm.rank) for arm in arms]
    # errors before the first pass over the held-out pictures
    optimisers.check(params.train)
    injection.fitting(objective.unet, adapters, params.train.targets)
    if objective.encoder:
        injection.fitting(objective.encoder, adapters, params.train.text_encoder, TEXT)
    # every adapter starts as the base, so all of a seed have the base's held-out loss
    start = None if checkpoint else objective.holdout_loss(data["holdout"])
    pack = Pack(objective, adapters, arms)
    done = checkpoint.done["steps"] if checkpoint else 0
    kept = Kept(pack, trainings, results, found.source, done) if team.first else None
    observer = observers(pack, data["holdout"], found, keys) if team.first else Observer()
    try:
        curves = fit(pack, data, trainings, checkpoints, checkpoint, start, observer, kept)
    finally:
        observer.close()
    if kept:
        kept.results_of(curves)


class Kept:
    """Keeps what a run makes: snapshots while it goes on, and the results at its end."""

    def __init__(
        self,
        pack: "Pack",
        trainings: Sequence[Training],
        results: Results,
        base_source: str,
        first: int = 0,
    ) -> None:
        """`first`: the steps that a run before this one has done."""
        self.pack, self.trainings, self.results = pack, trainings, results
        self.source = base_source
        self.first, self.started = first, time.monotonic()

    def snapshot(self, step: int, curves: Curves) -> None:
        """Keep the weights after `step` steps of every arm that is to have a snapshot and has not failed."""
        curves.fetch()
        for index, each in enumerate(self.trainings):
            if step in each.snapshots and each.arm.key not in curves.failed:
                with self.results.adding(each.snapshots[step]) as folder:
                    self._save(folder, index, each.recipe_after(step))

    def results_of(self, curves: Curves) -> None:
        """Keep weights and curve of every arm; of one that failed, its curve and the reason."""
        cost = {  # of all arms together: one pass through the frozen base serves them all
            "ranks": sorted({each.arm.rank for each in self.trainings}),
            "adapters": len(self.trainings),
            "steps": self.pack.train.steps - self.first,
            "seconds": round(time.monotonic() - self.started, 1),
            "peak_memory": device.peak_memory(self.pack.device),
        }
        for index, each in enumerate(self.trainings):
            failed = curves.failed.get(each.arm.key)
            with self.results.adding(each.key) as folder:
                if failed:
                    self._describe(folder, each.recipe | {"failed": failed})
                else:
                    self._save(folder, index, each.recipe)
                write_text(folder / ADAPTER_CURVE, curves.csv(index))
                write_json(folder / MACHINE, {**device.described(self.pack.dtype), "training": cost})

    def _save(self, folder: Path, index: int, recipe: Mapping[str, Any]) -> None:
        from laureate.networks.lora import adapter_files

        pack = self.pack
        adapter_files.save(folder, pack.export(index), pack.adapters[index], pack.layers)
        self._describe(folder, recipe)

    def _describe(self, folder: Path, recipe: Mapping[str, Any]) -> None:
        from laureate.networks.lora import adapter_config

        precision = device.name_of(self.pack.dtype)
        adapter_config.write(folder, recipe, precision=precision, base_source=self.source)


def fit(
    pack: "Pack",
    data: "dict[str, Examples]",
    trainings: Sequence[Training],
    checkpoints: Checkpoints,
    checkpoint: SavedCheckpoint | None,
    start: "Tensor | None",
    observer: Observer,
    kept: Kept | None,
) -> Curves:
    """Run all steps, or those after the checkpoint; gives the loss curves.

    `start`: held-out loss of the base before the first step, (S,) by seed; `kept`: what keeps snapshots."""
    settings, first = pack.train, 0
    keys = {each.arm.key: each.key for each in trainings}
    curves = Curves(pack.arms, checkpoint.done if checkpoint else None, observer)
    label = _label(pack.arms)
    if checkpoint:
        first = checkpoint.done["steps"]
        pack.restore(checkpoint.state(), first)
        print(f"{label}: going on after step {first}, from {checkpoint.path}", file=sys.stderr)
    steps = range(first, settings.steps)
    for step in progress(steps, None, label) if pack.team.first else steps:
        held_out = pack.of_arms(start) if step == 0 and start is not None else None
        if step and step % settings.holdout_every == 0:
            held_out = pack.holdout_loss(data["holdout"])
        curves.add(step, pack.step(data["train"], step))
        if held_out is not None:
            curves.close_row(step, held_out)
        if (step + 1) % LOSS_CHECK_INTERVAL == 0:
            curves.fetch()
        observer.after_step(step + 1)
        if kept and step + 1 in settings.snapshots and step + 1 < settings.steps:
            kept.snapshot(step + 1, curves)
        if (step + 1) % settings.checkpoint_every == 0 and step + 1 < settings.steps:
            done = {"steps": step + 1, **curves.state()}  # raises before a main arm's NaN is saved
            if pack.team.first:
                checkpoints.write(keys, done, pack.state())
    curves.close_row(settings.steps, pack.holdout_loss(data["holdout"]))
    return curves


def _label(arms: Sequence[Arm]) -> str:
    """What a run trains, in words: `train ranks 4, 8`, `train ranks 4, 8 in 6 arms`."""
    ranks = list(dict.fromkeys(str(arm.rank) for arm in arms))
    several = f" in {len(arms)} arms" if len(arms) > len(ranks) else ""
    return f"train rank{'s' * (len(ranks) > 1)} {', '.join(ranks)}{several}"


def observers(
    pack: "Pack", held_out: "Examples", found: base_model.Base, keys: Mapping[str, str]
) -> Observer:
    """Who watches the run: trackers and previews, as the parameters want them, in a folder of its own."""
    settings, wanted = pack.train, list[Observer]([Announcer()])
    folder = live_folder(keys)
    if settings.trackers:
        from laureate.training.trackers import Trackers

        wanted.append(Trackers(settings.trackers, pack.arms, folder))
    if settings.preview:
        from laureate.training.preview import Preview

        vae = placement.place(found.vae(pack.dtype), pack.device, pack.dtype)
        wanted.append(Preview(pack, held_out, vae, found.scheduler, folder))
    return Several(wanted)


def live_folder(keys: Mapping[str, str]) -> Path:
    """.work/live/NAME-HASH: name of the DVC experiment, or `study`; hash of the keys of all arms."""
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
