"""`laureate oracle`: picture pool, features, resampled studies, report. Input, output and progress only."""

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
from laureate.core.paths import ADAPTERS, WORK
from laureate.core.progress import progress
from laureate.embedded.oracle import coverage, picture_pool, report, resampled_studies, retraining_study
from laureate.embedded.oracle.pool_features import Judges, ReferenceLayers, pool_features
from laureate.evaluation import feature_extraction, scores
from laureate.formats import prompts
from laureate.networks.diffusion import base_model
from laureate.sampling import pipeline

FOLDER = WORK / "oracle"
METRICS, PAGE = Path("metrics/oracle.json"), Path("docs/oracle.md")
LPIPS_PORTRAITS = 2000  # of the portraits, those whose layers are kept in memory: 0.75 MB each


@dataclass(frozen=True)
class Sizes:
    """Sizes of the pool and of the studies. Raises LaureateError for impossible ones."""

    prompts: int = 500  # of the pool, each with all seeds of the study
    references: int = 10_000  # portraits of the pool
    studies: int = 400  # resampled from the pool
    study_prompts: int = 49  # of each study
    study_references: int = 34
    draws: int = 500  # bootstrap resamples of an interval
    seed: int = 7

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = 0 if name == "seed" else 2
            if value < least:
                raise LaureateError(f"laureate oracle needs {name} of at least {least}, got {value}")
        for less, more in (("study_prompts", "prompts"), ("study_references", "references")):
            if getattr(self, less) > getattr(self, more):
                raise LaureateError(
                    f"a study cannot draw {getattr(self, less)} {more} from {getattr(self, more)}: "
                    f"raise --{more}"
                )


def run(params: Params, trainings: int = 0, **sizes: int) -> None:
    """Make what is missing of the pool, resample studies; write metrics/oracle.json and docs/oracle.md.

    `trainings`: train every rank so often and study the luck of that instead, each with `study_prompts`: see
    `retraining_study`.
    """
    if trainings:
        # a training draws the prompts of one study; there is no pool of others
        shared = {
            name.replace("study_prompts", "prompts"): sizes[name] for name in sizes.keys() - {"prompts"}
        }
        retraining_study.run(params, FOLDER, retraining_study.Sizes(trainings, **shared), _cores())
        return
    size = Sizes(**sizes)
    results = simulate(make_pool(params, size), size)
    write_json(METRICS, results)
    write_text(PAGE, report.page(results))
    print(f"{PAGE} and {METRICS} are written")


def make_pool(params: Params, size: Sizes) -> resampled_studies.Pool:
    """Pictures and their features: made, or read where an earlier run has stored them."""
    pool_prompts = picture_pool.fresh_prompts(size.prompts, prompts.load(params.sample.prompts))
    names, base = ["baseline", *params.adapters], base_model.expected(params.base)
    for model in params.adapters:  # before the portraits, which take minutes
        pipeline.check_adapter(ADAPTERS / model, base)
    portraits = picture_pool.portraits(params, size.references, FOLDER, _cores())
    drawn = {
        model: picture_pool.generated(
            params, model, pool_prompts, FOLDER, None if model == "baseline" else ADAPTERS / model
        )
        for model in names
    }
    judges = Judges(params)
    real = pool_features(portraits, judges, "portraits")
    with_lpips = [part for part in portraits if part.stop <= LPIPS_PORTRAITS] or portraits[:1]
    reference_layers = ReferenceLayers(with_lpips, judges)
    texts = [prompt.text for prompt in pool_prompts]
    contents = [prompts.without_style(text, params.prepare.style) for text in texts]
    text_features, content_features = (
        np.repeat(judges.clip.texts(t), len(params.sample.seeds), axis=0) for t in (texts, contents)
    )
    wanted = [prompt.attributes for prompt in pool_prompts for _ in params.sample.seeds]
    models = {}
    for model, parts in drawn.items():
        features = pool_features(parts, judges, model)
        classes = judges.vision.classes
        models[model] = resampled_studies.ModelPool(
            features=features,
            lpips=reference_layers.lpips(parts, model),
            clip=scores.clip_score(features.clip, text_features),
            clip_content=scores.clip_content(features.clip, content_features),
            content=feature_extraction.content_read(features.probabilities, classes, wanted),
            style_read=feature_extraction.style_read(features.probabilities, classes, params.evaluate.style),
        )
    return resampled_studies.Pool(models, real, len(params.sample.seeds), params.evaluate.neighbours)


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def simulate(pool: resampled_studies.Pool, size: Sizes) -> dict[str, Any]:
    """All results of the simulation study, as JSON."""
    per = pool.per_prompt
    true_values = resampled_studies.true_values(pool)

    def studies(count: int, of: int = size.study_prompts, seeds: int = per, label: str = "") -> Iterator[Any]:
        drawn = resampled_studies.studies(pool, count, of, seeds, size.study_references, size.seed)
        return progress(drawn, count, label) if label else drawn

    fast = [key for key in pool.intervals if key != "fid"]
    by_key = coverage.coverage(pool, studies(size.studies, label="intervals"), true_values, size.draws, fast)
    few = max(2, size.studies // 10)  # one value of FID takes as long as all others together
    by_key |= coverage.coverage(
        pool, studies(few, label="intervals of FID"), true_values, size.draws, ["fid"]
    )
    advice = {}
    for key in resampled_studies.CRITERIA:
        drawn = studies(size.studies, label=f"advice by {key}")
        recommended = coverage.recommendations(pool, drawn, true_values, key)
        best, tied = coverage.tied(true_values, key, rank_selection.MARGIN)
        advice[key] = summary(recommended) | {"best": best, "tied": sorted(tied)}
    panel = coverage.panel_recommendations(
        pool, studies(size.studies, label="advice of the panel"), true_values, pool.panel
    )
    designs = []
    for count, seeds in designs_of(pool, size, per):
        drawn = studies(size.studies, count, seeds, f"{count} prompts × {seeds}")
        recommended = coverage.recommendations(pool, drawn, true_values, "kid")
        of_kid = coverage.coverage(pool, studies(few, count, seeds), true_values, size.draws, ["kid"])["kid"]
        widths = [np.mean(one.widths) for model, one in of_kid.items() if model != "baseline"]
        width = float(np.mean(widths))
        designs.append({"prompts": count, "seeds": seeds, "width": width} | summary(recommended))
    return {
        "sizes": asdict(size)
        | {"per_prompt": per, "pictures": pool.prompts * per, "drawable": pool.drawable},
        "margin": rank_selection.MARGIN,
        "intervals": size.studies,
        "noise": 100 * float(np.sqrt(0.95 * 0.05 / size.studies)),
        "scores": {
            key: {model: one.summary() for model, one in by_model.items()} for key, by_model in by_key.items()
        },
        "advice": advice,
        "panel": {
            name: {key: value for key, value in summary(of).items() if key != "right"}
            | coverage.by_truth(of, true_values, pool.panel)
            for name, of in panel.items()
        },
        "designs": designs,
    }


def designs_of(pool: resampled_studies.Pool, size: Sizes, per: int) -> list[tuple[int, int]]:
    """Other designs (prompts, pictures per prompt): fewer and more prompts, and one picture per prompt."""
    k = size.study_prompts
    wanted = [
        (max(2, k // 4), per),
        (max(2, k // 2), per),
        (k, per),
        (k * per, 1),
        (2 * k, per),
        (4 * k, per),
    ]
    return [design for design in dict.fromkeys(wanted) if design[0] <= pool.prompts]


def summary(recommended: Sequence[coverage.Recommendation]) -> dict[str, Any]:
    """Shares of studies: right, no rank recommended, settled; and how often each rank was recommended."""
    ranks = [str(one.rank) for one in recommended]
    return {
        "right": float(np.mean([one.right for one in recommended])),
        "cannot_tell": float(np.mean([one.rank is None for one in recommended])),
        "settled": float(np.mean([one.enough for one in recommended])),
        "named": {rank: ranks.count(rank) for rank in sorted(set(ranks), key=lambda r: (len(r), r))},
        "studies": len(recommended),
    }
