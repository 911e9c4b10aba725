"""guidance: steps and interval of guidance against seconds a picture and what the judges see, on a study.

Every setting draws all pictures of one model of a finished study from the same noise; the chosen one, those
of others too. The judges of the
study's panel see them against its held-out portraits; what is reported are paired differences from the first
setting with 95 % intervals, which hold the luck of prompts and portraits. Seconds are those of one batch of
pictures from noise to pixels, in turns, the networks loaded.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import harness
from laureate.core.errors import LaureateError

if TYPE_CHECKING:
    from laureate.config.params import Params, Sample
    from laureate.evaluation.scores import Score
    from laureate.networks.diffusion.base_model import Base

SETTINGS = ["12:0:1", "8:0:1", "8:0.3:0.9", "8:0.4:0.9", "6:0.3:0.9"]
SEEN = {  # score => the head of its column
    "kid_imagenet": "KID, ImageNet",
    "kid": "KID",
    "kid_clip": "KID, CLIP",
    "content": "content",
    "clip_content": "CLIP content",
    "lpips_diversity": "diversity",
}
COLUMNS = {
    "model": "model",
    "steps": "steps",
    "interval": "guidance in",
    "guided": "guided steps",
    "seconds": "s a picture",
    **SEEN,
}


@dataclass(frozen=True)
class Setting:
    """Solver steps and the interval of noise levels with guidance."""

    steps: int
    interval: tuple[float, float]

    @classmethod
    def of(cls, text: str) -> Setting:
        """`8:0.4:0.9`. Raises LaureateError for anything else."""
        try:
            steps, low, high = text.split(":")
            return cls(int(steps), (float(low), float(high)))
        except ValueError:
            raise LaureateError(
                f"{text!r} is no setting: write STEPS:LOWEST:HIGHEST, such as 8:0.4:0.9"
            ) from None

    def on(self, sample: Sample, precision: str) -> Sample:
        """The section `sample` with this setting."""
        values = {"steps": self.steps, "guidance_interval": list(self.interval), "precision": precision}
        return sample.model_copy(update=values)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--study, --models, --settings, --chosen, --precision, --timed, --kept."""
    harness.add_common(parser)
    parser.add_argument("--study", type=Path, default=Path(), metavar="DIR", help="a finished study")
    parser.add_argument(
        "--models",
        nargs="+",
        default=["rank-16", "rank-128", "rank-4", "baseline"],
        metavar="NAME",
        help="the first under all settings, the others under the first setting and the chosen one",
    )
    parser.add_argument("--chosen", default="8:0.4:0.9", metavar="STEPS:LOWEST:HIGHEST")
    parser.add_argument("--settings", nargs="+", default=SETTINGS, metavar="STEPS:LOWEST:HIGHEST")
    parser.add_argument("--precision", default="auto", help="of the pictures that are judged (default: auto)")
    parser.add_argument("--timed", default="float32", help="precision of what is timed (default: float32)")
    parser.add_argument(
        "--kept", type=Path, metavar="DIR", help="pictures of an interrupted run, to go on with"
    )


def run(options: argparse.Namespace) -> None:
    """Draw, judge and time all settings."""
    from laureate.config import params
    from laureate.core.progress import progress
    from laureate.formats import prompts
    from laureate.networks.diffusion import base_model
    from laureate.sampling import sampler

    study = params.load(options.study / "params.yaml")
    found = base_model.find(study.base.path)
    settings = [Setting.of(text) for text in options.settings]
    pairs = [(prompt, seed) for prompt in prompts.load(study.sample.prompts) for seed in study.sample.seeds]
    if options.quick:
        settings, options.models, pairs = settings[:2], options.models[-1:], pairs[:8]
    chosen = [settings[0], Setting.of(options.chosen)]
    seconds = (
        timed(found, options, study, list(dict.fromkeys([*settings, *chosen])), pairs)
        if options.repeats
        else {}
    )
    rows = []
    work = [
        (model, setting)
        for model in options.models
        for setting in (settings if model == options.models[0] else chosen)
    ]
    firsts: dict[str, Mapping[str, Score]] = {}
    for model, setting in progress(work, len(work), "settings"):
        pictures = drawn(found, options, study, model, setting, pairs)
        scored, resamples = scores_of(options.study, study, pictures, pairs)
        first = firsts.setdefault(model, scored)
        rows.append({
            "model": model,
            "steps": setting.steps,
            "interval": f"{setting.interval[0]:g} to {setting.interval[1]:g}",
            "guided": sampler.guided_steps(
                found.scheduler, study.sample.scheduler, setting.steps, setting.interval
            ),
            "seconds": seconds.get(setting),
            **seen(scored, None if first is scored else first, resamples),
        })  # fmt: skip
    harness.report("guidance", options, rows, COLUMNS)


def timed(
    found: Base, options: argparse.Namespace, study: Params, settings: Sequence[Setting], pairs: Sequence[Any]
) -> dict[Setting, float]:
    """Seconds a picture of one batch with the base, the median of the repeats."""
    import torch

    from laureate.networks.diffusion import encoding
    from laureate.sampling import pipeline

    count = min(study.sample.batch, len(pairs))
    unet = pipeline.load_unet(found, None, settings[0].on(study.sample, options.timed))
    vae, encoder = pipeline.load_vae(found), pipeline.load_text_encoder(found, None)
    texts = [study.sample.negative_prompt, *(prompt.text for prompt, _ in pairs[:count])]
    embedded = encoding.embed(found.tokenizer(), encoder, texts)
    side = study.drawn_at // found.downscale
    shape = (unet.config.in_channels, side, side)
    noise = torch.stack([pipeline.starting_noise(prompt.id, seed, shape) for prompt, seed in pairs[:count]])

    def one(setting: Setting) -> None:
        own = setting.on(study.sample, options.timed)
        latents = pipeline.solve(found, unet, embedded[1:], embedded[:1], noise, own, count)
        for batch in latents:
            pipeline.pictures_of(found, vae, batch)

    work = {str(index): (lambda each=setting: one(each)) for index, setting in enumerate(settings)}
    taken = harness.interleaved(work, options.repeats)
    return {
        setting: harness.spread(taken[str(index)], "s")["s"] / count for index, setting in enumerate(settings)
    }


def drawn(
    found: Base, options: argparse.Namespace, study: Params, model: str, setting: Setting, pairs: Any
) -> list[Any]:
    """The RGB pictures of a model under a setting, drawn anew unless `--kept` has them."""
    import numpy as np
    from PIL import Image

    from laureate.sampling import pipeline

    name = f"{model}_{setting.steps}_{setting.interval[0]:g}_{setting.interval[1]:g}_{options.precision}.npz"
    kept = options.kept / name if options.kept else None
    if kept and kept.is_file():
        return [Image.fromarray(pixels) for pixels in np.load(kept)["pictures"]]
    own = study.model_copy(update={"sample": setting.on(study.sample, options.precision)})
    adapter = None if model == "baseline" else options.study / "models/lora" / model
    pictures = list(pipeline.draw(found, adapter, list(pairs), own))
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, pictures=np.stack([np.asarray(picture) for picture in pictures]))
    return pictures


def scores_of(folder: Path, study: Params, pictures: list[Any], pairs: Sequence[Any]) -> tuple[Any, Any]:
    """The scores of `SEEN` of some pictures, and the resamples for their intervals."""
    from laureate.core.paths import DATASET
    from laureate.dataset import user_folder
    from laureate.evaluation import feature_extraction, scoring
    from laureate.evaluation.judges.panel import Panel, PictureSet, open_set
    from laureate.formats import prompts

    sets = {part: open_set(user_folder.pictures_in(folder / DATASET / part)) for part in ("train", "holdout")}
    names = [f"{prompt.id}_{seed}" for prompt, seed in pairs]
    sets["generated"] = PictureSet([Path(name) for name in names], pictures)
    panel = Panel(study.evaluate, Path(".work/judged"), study.panel)
    texts = [prompt.text for prompt, _ in pairs]
    evidence = feature_extraction.extract_evidence(
        panel,
        sets,
        model="drawn",
        names=names,
        texts=(texts, [prompts.without_style(text, study.prepare.style) for text in texts]),
        clusters=[prompt.id for prompt, _ in pairs],
        attributes=[prompt.attributes for prompt, _ in pairs],
        style=study.evaluate.style,
    )
    chosen = scoring.scores_of(evidence, study.evaluate.neighbours)
    resamples = scoring.resamples_of(evidence, len(sets["holdout"]), study.evaluate)
    return {key: chosen[key] for key in SEEN if chosen.get(key) is not None}, resamples


def seen(scored: Mapping[str, Any], first: Mapping[str, Any] | None, resamples: Any) -> dict[str, Any]:
    """Score => its value, or its difference from that of the first setting, with the interval, in words;
    KEY_value, KEY_low and KEY_high as numbers."""
    from laureate.evaluation import scores

    found: dict[str, Any] = {}
    for key, score in scored.items():
        of = score if first is None else scores.PairedDifference(score, first[key])
        estimate = scores.estimate(of, resamples)
        numbers = (estimate.value, estimate.low, estimate.high)
        found |= {f"{key}_{name}": n for name, n in zip(("value", "low", "high"), numbers, strict=True)}
        if first is None:
            found[key] = f"{numbers[0]:.4f}"
        else:
            mark = "" if numbers[1] <= 0 <= numbers[2] else " *"
            found[key] = f"{numbers[0]:+.4f} ({numbers[1]:+.4f} to {numbers[2]:+.4f}){mark}"
    return found
