"""`laureate oracle --trainings N`: how much the luck of a training matters, and whether the answer knows it.

Every rank is trained N times. What all trainings of a rank score on average is the truth about that rank.
Small studies are drawn from them: of one training with all its prompts, as a study with one seed is, of
several trainings that share the same number of prompts, and of several with all their prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from laureate.comparison import rank_selection
from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import write_json
from laureate.core.progress import progress
from laureate.embedded.oracle import (
    coverage,
    luck_of_training,
    picture_pool,
    ranks_page,
    resampled_studies,
    retrained_pool,
    retraining_report,
)
from laureate.embedded.oracle.pool_features import Judges, PoolFeatures, pool_features
from laureate.evaluation import feature_extraction, scores
from laureate.formats import prompts

METRICS = Path("metrics/retraining.json")
KEYS = ("kid", "kid_clip", "cmmd", "style", "style_read", "content", "clip", "clip_content")
SHARED_BY = 3  # trainings of a study that shares its prompts out


@dataclass(frozen=True)
class Sizes:
    """Sizes of the pool and of the studies. Raises LaureateError for impossible ones."""

    trainings: int
    prompts: int = 48  # of each training, one picture each
    references: int = 2000  # portraits of the pool
    studies: int = 300  # of each kind, resampled from the pool
    study_references: int = 34
    draws: int = 300  # bootstrap resamples of an interval
    seed: int = 7

    def __post_init__(self) -> None:
        least = {"trainings": SHARED_BY + 1, "prompts": 3 * SHARED_BY, "seed": 0}
        for name, value in asdict(self).items():
            if value < least.get(name, 2):
                raise LaureateError(
                    f"laureate oracle --trainings needs {name} of at least {least.get(name, 2)}, got {value}"
                )


def run(params: Params, folder: Path, size: Sizes, processes: int) -> None:
    """Make what is missing of the pool, resample studies; write metrics/retraining.json and docs/ranks.md."""
    params = retrained_pool.one_noise(params)
    results = simulate(make_pool(params, folder, size, processes), size)
    results["train"] = params.train.model_dump(include=set(retrained_pool.TRAINING_PARAMETERS))
    write_json(METRICS, results)
    ranks_page.write("retraining", retraining_report.part(results))
    print(f"{ranks_page.PAGE} and {METRICS} are written")


def make_pool(params: Params, folder: Path, size: Sizes, processes: int) -> resampled_studies.Pool:
    """Trainings, their pictures and features: made, or read where an earlier run has stored them."""
    known = prompts.load(params.sample.prompts)
    fresh = picture_pool.fresh_prompts(size.trainings * size.prompts, known)
    blocks = [fresh[start : start + size.prompts] for start in range(0, len(fresh), size.prompts)]
    judges = Judges(params)
    retrained_pool.check(params)
    portraits = picture_pool.portraits(params, size.references, folder, processes)
    parts: dict[str, list[picture_pool.Part]] = {}
    for number, block in enumerate(progress(blocks, len(blocks), "trainings")):
        training = retrained_pool.trained(params, retrained_pool.FIRST_SEED + number, folder)
        for one in (None, training):
            for model, made in retrained_pool.drawn(params, one, block, folder).items():
                parts.setdefault(model, []).extend(made)
    texts = [prompt.text for prompt in fresh]
    contents = [prompts.without_style(text, params.prepare.style) for text in texts]
    text_features, content_features = judges.clip.texts(texts), judges.clip.texts(contents)
    wanted = [prompt.attributes for prompt in fresh]

    def of_model(features: PoolFeatures) -> resampled_studies.ModelPool:
        classes = judges.vision.classes
        return resampled_studies.ModelPool(
            features=features,
            lpips=None,
            clip=scores.clip_score(features.clip, text_features),
            clip_content=scores.clip_content(features.clip, content_features),
            content=feature_extraction.content_read(features.probabilities, classes, wanted),
            style_read=feature_extraction.style_read(features.probabilities, classes, params.evaluate.style),
        )

    models = {model: of_model(pool_features(made, judges, model)) for model, made in parts.items()}
    drawn_by = tuple(number for number, block in enumerate(blocks) for _ in block)
    real = pool_features(portraits, judges, "portraits")
    return resampled_studies.Pool(models, real, 1, params.evaluate.neighbours, drawn_by)


def simulate(pool: resampled_studies.Pool, size: Sizes) -> dict[str, Any]:
    """All results, as JSON."""
    true_values = resampled_studies.true_values(pool)
    keys = list(dict.fromkeys([*KEYS, *pool.panel.values()]))
    kinds: dict[str, Any] = {}
    for name, (trainings, count) in kinds_of(size).items():
        label = f"studies of {name}"

        def drawn(of: int = trainings, asked: int = count, said: str = label) -> Any:
            studies = resampled_studies.retrained_studies(
                pool, size.studies, asked, of, size.study_references, size.seed
            )
            return progress(studies, size.studies, said)

        by_key = coverage.coverage(pool, drawn(), true_values, size.draws, keys)
        panel = coverage.panel_recommendations(pool, drawn(), true_values, pool.panel)
        kinds[name] = {
            "scores": {
                key: {model: one.summary() for model, one in by_model.items()}
                for key, by_model in by_key.items()
            },
            "advice": {judge: advice_summary(found) for judge, found in panel.items()},
        }
    return {
        "sizes": asdict(size),
        "margin": rank_selection.MARGIN,
        "kinds": kinds,
        "luck": luck(pool, keys, size),
        "true": {model: {key: values[key] for key in keys} for model, values in true_values.items()},
        "tied": {
            judge: sorted(coverage.tied(true_values, key, rank_selection.MARGIN)[1])
            for judge, key in pool.panel.items()
        },
    }


def kinds_of(size: Sizes) -> dict[str, tuple[int, int]]:
    """Kind of study => trainings, and prompts of all of them together."""
    return {
        "one training": (1, size.prompts),
        f"{SHARED_BY} trainings": (SHARED_BY, size.prompts),
        f"{SHARED_BY} trainings, {SHARED_BY * size.prompts} prompts": (SHARED_BY, SHARED_BY * size.prompts),
    }


def luck(pool: resampled_studies.Pool, keys: list[str], size: Sizes) -> dict[str, Any]:
    """Score => rank => standard deviations of a study by what they come from, with intervals."""
    found: dict[str, dict[str, Any]] = {}
    rng = np.random.default_rng(size.seed)
    portraits = rng.choice(pool.drawable, min(pool.drawable, 500), replace=False)
    ranks = [model for model in pool.models if model != resampled_studies.BASELINE]
    for model in progress(ranks, len(ranks), "luck of training"):
        each: dict[str, list[scores.VarianceParts]] = {}
        values: dict[str, list[float]] = {}
        for training in sorted(set(pool.trainings)):
            chosen = np.flatnonzero(np.asarray(pool.trainings) == training)
            study = resampled_studies.Study(chosen, portraits, pool.per_prompt)
            resamples = resampled_studies.resamples_of(study, 2, 0)
            for key, score in resampled_studies.scores_of(pool, model, study, keys).items():
                values.setdefault(key, []).append(score())
                each.setdefault(key, []).append(scores.jackknife(score, resamples))
        for key, parts in each.items():
            scale = len(portraits) / size.study_references
            found.setdefault(key, {})[model] = asdict(
                luck_of_training.decompose(
                    values[key],
                    [part.from_prompts for part in parts],
                    float(np.mean([part.from_references for part in parts])) * scale,
                    size.seed,
                )
            )
    return found


def advice_summary(found: list[coverage.Recommendation]) -> Mapping[str, Any]:
    """Shares of studies in which the recommended rank is right, none is recommended, nothing is open."""
    return {
        "right": float(np.mean([one.right for one in found])),
        "cannot_tell": float(np.mean([one.rank is None for one in found])),
        "settled": float(np.mean([one.enough for one in found])),
    }
