"""`laureate oracle`: pictures, judges, redrawn studies, report. Reading, writing and progress."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from laureate.comparison import rank_selection
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import write_json, write_text
from laureate.core.paths import WORK
from laureate.core.progress import progress
from laureate.embedded.oracle import picture_pool, resampled_studies
from laureate.embedded.oracle import report as page
from laureate.embedded.oracle.pool_features import Judges, References, look
from laureate.evaluation import feature_extraction, scores
from laureate.formats import prompts

FOLDER = WORK / "oracle"
METRICS, PAGE = Path("metrics/oracle.json"), Path("docs/oracle.md")
LPIPS_PORTRAITS = 2000  # of the portraits, those whose layers are kept in memory: 0.75 MB each


@dataclass(frozen=True)
class Sizes:
    """How much the oracle draws. Raises LaureateError for sizes that cannot be."""

    prompts: int = 500  # of the pool, each with all seeds of the study
    references: int = 10_000  # portraits
    studies: int = 400  # drawn again from these
    study_prompts: int = 49  # of each study
    study_references: int = 34
    draws: int = 500  # resamples behind an interval
    seed: int = 7

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < (0 if name == "seed" else 2):
                raise LaureateError(f"laureate oracle needs {name} of at least 2, got {value}")
        for less, more in (("study_prompts", "prompts"), ("study_references", "references")):
            if getattr(self, less) > getattr(self, more):
                raise LaureateError(
                    f"a study cannot draw {getattr(self, less)} {more} from {getattr(self, more)}: "
                    f"ask for more {more}"
                )


def run(params: Params, **sizes: int) -> None:
    """Draw what is missing, judge it, redraw studies; write metrics/oracle.json and docs/oracle.md."""
    size = Sizes(**sizes)
    world = gather(params, size)
    found = report(world, size)
    write_json(METRICS, found)
    write_text(PAGE, page.written(found))
    print(f"{PAGE} and {METRICS} are written")


def gather(params: Params, size: Sizes) -> resampled_studies.World:
    """Pictures and what judges see in them: drawn or read where an earlier run has not left them."""
    asked = picture_pool.fresh_prompts(size.prompts, prompts.load(params.sample.prompts))
    processes = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    portraits = picture_pool.portraits(params, size.references, FOLDER, processes)
    models = ["baseline", *params.adapters]
    drawn = {model: picture_pool.generated(params, model, asked, FOLDER) for model in models}
    judges = Judges(params)
    real = look(portraits, judges, "portraits")
    near = References([part for part in portraits if part.stop <= LPIPS_PORTRAITS] or portraits[:1], judges)
    texts = [prompt.text for prompt in asked]
    contents = [feature_extraction.content_of(text, params.prepare.style) for text in texts]
    said, kept = (
        np.repeat(judges.clip.texts(t), len(params.sample.seeds), axis=0) for t in (texts, contents)
    )
    wanted = [prompt.attributes for prompt in asked for _ in params.sample.seeds]
    seen = {}
    for model, parts in drawn.items():
        looks = look(parts, judges, model)
        seen[model] = resampled_studies.Seen(
            looks=looks,
            lpips=near.lpips(parts, model),
            clip=scores.clip_score(looks.clip, said),
            clip_content=scores.clip_content(looks.clip, kept),
            content=feature_extraction.content_read(looks.probabilities, judges.vision.classes, wanted),
            style_read=feature_extraction.style_read(
                looks.probabilities, judges.vision.classes, params.evaluate.style
            ),
        )
    return resampled_studies.World(seen, real, len(params.sample.seeds))


def report(world: resampled_studies.World, size: Sizes) -> dict[str, Any]:
    """Everything the page says, as JSON."""
    per = world.per_prompt
    truths = resampled_studies.truths(world)

    def studies(count: int, of: int = size.study_prompts, seeds: int = per, label: str = "") -> Iterator[Any]:
        drawn = resampled_studies.studies(world, count, of, seeds, size.study_references, size.seed)
        return progress(drawn, count, label) if label else drawn

    quick = [key for key in resampled_studies.INTERVALS if key != "fid"]
    covered = resampled_studies.cover(
        world, studies(size.studies, label="intervals"), truths, size.draws, quick
    )
    few = max(2, size.studies // 10)  # one value of FID takes as long as all others together
    covered |= resampled_studies.cover(
        world, studies(few, label="intervals of FID"), truths, size.draws, ["fid"]
    )
    advice = {}
    for key in resampled_studies.CRITERIA:
        said = resampled_studies.ask(world, studies(size.studies, label=f"advice by {key}"), truths, key)
        best, right = resampled_studies.tied(truths, key, rank_selection.MARGIN)
        advice[key] = summary(said) | {"best": best, "tied": sorted(right)}
    designs = []
    for count, seeds in designs_of(world, size, per):
        said = resampled_studies.ask(
            world, studies(size.studies, count, seeds, f"{count} prompts × {seeds}"), truths, "kid"
        )
        some = resampled_studies.cover(world, studies(few, count, seeds), truths, size.draws, ["kid"])["kid"]
        widths = [np.mean(one.widths) for model, one in some.items() if model != "baseline"]
        designs.append({"prompts": count, "seeds": seeds, "width": float(np.mean(widths))} | summary(said))
    return {
        "sizes": asdict(size)
        | {"per_prompt": per, "pictures": world.prompts * per, "drawable": world.drawable},
        "margin": rank_selection.MARGIN,
        "intervals": size.studies,
        "noise": 100 * float(np.sqrt(0.95 * 0.05 / size.studies)),
        "scores": {
            key: {model: one.summary() for model, one in by_model.items()}
            for key, by_model in covered.items()
        },
        "advice": advice,
        "designs": designs,
    }


def designs_of(world: resampled_studies.World, size: Sizes, per: int) -> list[tuple[int, int]]:
    """Other ways to spend pictures: fewer and more prompts, and one picture of twice as many."""
    k = size.study_prompts
    wanted = [
        (max(2, k // 4), per),
        (max(2, k // 2), per),
        (k, per),
        (k * per, 1),
        (2 * k, per),
        (4 * k, per),
    ]
    return [design for design in dict.fromkeys(wanted) if design[0] <= world.prompts]


def summary(said: Sequence[resampled_studies.Advised]) -> dict[str, Any]:
    """How often the adviser was right, how often it could not tell, and which ranks it named."""
    named = [str(one.rank) for one in said]
    return {
        "right": float(np.mean([one.right for one in said])),
        "cannot_tell": float(np.mean([one.rank is None for one in said])),
        "settled": float(np.mean([one.enough for one in said])),
        "named": {rank: named.count(rank) for rank in sorted(set(named), key=lambda r: (len(r), r))},
        "studies": len(said),
    }
