"""Small studies resampled from the oracle's picture pool: interval coverage and correctness of the adviser.

A study draws prompts from the pool, with all their pictures, and references from the portraits, both without
replacement. It is then scored as a real study is: by the same scores, intervals and adviser. Nothing is
trained and no picture is generated. Pure functions of features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from laureate.core.errors import LaureateError
from laureate.core.progress import progress
from laureate.embedded.oracle.pool_features import PoolFeatures
from laureate.evaluation import scores, scoring
from laureate.evaluation.evidence import Evidence
from laureate.evaluation.scores import Score
from laureate.evaluation.scores.kernel_distances import SCALE, SIGMA

INTERVALS = (
    "kid", "kid_clip", "cmmd", "style", "lpips", "clip", "clip_content", "is", "style_read", "content", "fid",
)  # fmt: skip
CRITERIA = ("kid", "cmmd", "style", "lpips")
BASELINE = "baseline"  # is not trained
BLOCK = 1000  # rows of a kernel matrix that are computed at once
Rows = NDArray[np.intp]
Array = NDArray[np.floating]
Doubles = NDArray[np.float64]
BlockKernel = Callable[[Doubles, Doubles], Doubles]


@dataclass(frozen=True)
class ModelPool:
    """One model's n pictures in the pool, ordered by prompt: features, and values per picture."""

    features: PoolFeatures
    lpips: NDArray[np.float32] | None  # (n, r): to the first r portraits; None: not computed
    clip: Array  # (n,) CLIP score with the prompt,
    clip_content: Array  # and with the prompt without its style phrase
    content: Array  # (n, attributes) 1 read back, 0 not, NaN not part of the prompt
    style_read: Array  # (n,) 1 where the judge reads the style


@dataclass(frozen=True)
class Study:
    """The prompts and portraits of the pool that a resampled study has, and its pictures per prompt."""

    prompts: Rows
    portraits: Rows
    seeds: int
    trainings: tuple[int, ...] = ()  # that of each prompt; empty: every rank was trained once


@dataclass(frozen=True)
class Pool:
    """Everything that studies are drawn from."""

    models: Mapping[str, ModelPool]  # the baseline first, then rank-N
    portraits: PoolFeatures
    per_prompt: int  # pictures
    neighbours: int = 3  # evaluate.neighbours
    trainings: tuple[
        int, ...
    ] = ()  # of the adapters that drew each prompt; empty: every rank was trained once

    @property
    def prompts(self) -> int:
        """How many prompts every model has."""
        return next(iter(self.models.values())).features.count // self.per_prompt

    @property
    def panel(self) -> dict[str, str]:
        """Judge => its KID, of all judges that have looked at the pool, the independent one first."""
        first = {} if self.portraits.imagenet is None else {"imagenet": "kid_imagenet"}
        return first | {"vision": "kid", "clip": "kid_clip"}

    @property
    def intervals(self) -> tuple[str, ...]:
        """The scores whose intervals are checked."""
        return tuple(dict.fromkeys([*INTERVALS, *self.panel.values()]))

    @property
    def pictures_of_trainings(self) -> tuple[Rows, ...]:
        """The rows of the pictures of each training; empty: every rank was trained once."""
        labels = np.repeat(np.asarray(self.trainings, dtype=np.intp), self.per_prompt)
        return scores.rows_by(labels.tolist())

    @property
    def drawable(self) -> int:
        """How many portraits a study can draw from: those that have an LPIPS, where it is computed."""
        lpips = next(iter(self.models.values())).lpips
        return self.portraits.count if lpips is None else int(lpips.shape[1])


def studies(pool: Pool, count: int, prompts: int, seeds: int, references: int, seed: int) -> Iterator[Study]:
    """`count` studies of so many prompts, pictures per prompt and references."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        chosen = rng.choice(pool.prompts, prompts, replace=False)
        yield Study(chosen, rng.choice(pool.drawable, references, replace=False), seeds)


def retrained_studies(
    pool: Pool, count: int, prompts: int, trainings: int, references: int, seed: int
) -> Iterator[Study]:
    """`count` studies whose prompts are shared out over so many trainings of the pool.

    Raises LaureateError for more trainings than the pool has, or more prompts than a training has drawn.
    """
    drawn_by = np.asarray(pool.trainings)
    known = np.unique(drawn_by)
    least = min(int(np.sum(drawn_by == training)) for training in known)
    share = prompts // trainings
    if trainings > len(known) or share > least:
        raise LaureateError(
            f"a study of {trainings} trainings with {share} prompts each cannot be drawn from a pool of "
            f"{len(known)} trainings with {least} prompts each"
        )
    rng = np.random.default_rng(seed)
    for _ in range(count):
        of = rng.choice(known, trainings, replace=False)
        chosen = [rng.choice(np.flatnonzero(drawn_by == training), share, replace=False) for training in of]
        portraits = rng.choice(pool.drawable, references, replace=False)
        labels = tuple(np.repeat(of, share).tolist()) if trainings > 1 else ()
        yield Study(np.concatenate(chosen), portraits, pool.per_prompt, labels)


def evidence_of(pool: Pool, model: str, study: Study) -> Evidence:
    """The evidence of one model in one study, as feature extraction would give it; training pictures left
    out."""
    of_model, real = pool.models[model], pool.portraits
    rows = (study.prompts[:, None] * pool.per_prompt + np.arange(study.seeds)).ravel()
    at, x = study.portraits, of_model.features
    trained = model != BASELINE and len(set(study.trainings)) > 1
    return Evidence(
        trainings=np.repeat(study.trainings, study.seeds).tolist() if trained else (),
        model=model,
        pictures=[str(row) for row in rows],
        clusters=clusters_of(study),
        sets={
            "looks": (x.features[rows], real.features[at]),
            "cmmd": (x.clip[rows], real.clip[at]),
            "style": (x.style[rows], real.style[at]),
            "panel_clip": (x.clip[rows], real.clip[at]),
        }
        | (
            {}
            if x.imagenet is None or real.imagenet is None
            else {"panel_imagenet": (x.imagenet[rows], real.imagenet[at])}
        ),
        values={
            "clip": of_model.clip[rows],
            "clip_content": of_model.clip_content[rows],
            "style_read": of_model.style_read[rows],
            "content": of_model.content[rows],
        },
        heads={name: p[rows] for name, p in x.probabilities.items() if name != "style"},
        arrays={} if of_model.lpips is None else {"lpips": of_model.lpips[np.ix_(rows, at)]},
        judges={},
    )


def scores_of(pool: Pool, model: str, study: Study, keys: Sequence[str] = INTERVALS) -> dict[str, Score]:
    """The study's own scores of one model in one study (`scoring.scores_of`), those of `keys` that have a
    value."""
    all_scores = scoring.scores_of(evidence_of(pool, model, study), pool.neighbours)
    return {key: score for key in keys if (score := all_scores[key]) is not None}


def clusters_of(study: Study) -> list[str]:
    """The prompt of each picture of a study."""
    return [str(prompt) for prompt in study.prompts for _ in range(study.seeds)]


def resamples_of(study: Study, draws: int, seed: int, model: str = "") -> scores.Resamples:
    """The bootstrap resamples that all models of a study share; those of the baseline have no trainings."""
    trainings = () if model == BASELINE else np.repeat(study.trainings, study.seeds).tolist()
    return scores.resample(clusters_of(study), len(study.portraits), draws, seed, trainings)


def true_values(pool: Pool) -> dict[str, dict[str, float]]:
    """The same scores of the whole pool against all portraits, which a study estimates => model => key =>
    value.

    LPIPS is a squared distance, so its mean over all pairs follows from the mean embeddings. FID and IS keep
    the small bias of the pool's own size.
    """
    real = pool.portraits
    spaces: dict[str, tuple[str, BlockKernel]] = {
        "kid": ("features", polynomial),
        "cmmd": ("clip", gaussian),
        "style": ("style", polynomial),
        "kid_clip": ("clip", polynomial),
    }
    if real.imagenet is not None:
        spaces["kid_imagenet"] = ("imagenet", polynomial)
    own = {key: _within(getattr(real, name), kernel) for key, (name, kernel) in spaces.items()}
    values = {}
    for model, of_model in progress(pool.models.items(), len(pool.models), "true values"):
        features = of_model.features
        heads = [p for name, p in features.probabilities.items() if name != "style"]
        values[model] = {
            "fid": scores.frechet_distance(features.features, real.features),
            "lpips": lpips_to_all(features, real),
            "clip": float(of_model.clip.mean()),
            "clip_content": float(of_model.clip_content.mean()),
            "is": scores.InceptionScore(heads)(),
            "style_read": float(of_model.style_read.mean()),
            "content": float(np.nanmean(of_model.content)),
        }
        for key, (name, kernel) in spaces.items():
            x, y = getattr(features, name), getattr(real, name)
            between = _total(x, y, kernel) / (len(x) * len(y))
            one_adapter = pool.pictures_of_trainings if model != BASELINE else ()
            among = [_within(x[rows], kernel) for rows in one_adapter] or [_within(x, kernel)]
            values[model][key] = float(np.mean(among)) + own[key] - 2 * between
    return values


def polynomial(a: Doubles, b: Doubles) -> Doubles:
    """The kernel of `scores.polynomial_kernel`, one block."""
    block: Doubles = (a @ b.T / a.shape[1] + 1) ** 3
    return block


def gaussian(a: Doubles, b: Doubles) -> Doubles:
    """The kernel of `scores.clip_kernel` on unit vectors, one block."""
    block: Doubles = SCALE * np.exp((a @ b.T - 1) / SIGMA**2)
    return block


def _total(x: Array, y: Array, kernel: BlockKernel) -> float:
    """The kernel summed over all pairs, block by block: 10,000 portraits have 100,000,000."""
    a, b = x.astype(np.float64), y.astype(np.float64)
    total = 0.0
    for start in range(0, len(a), BLOCK):
        total += float(kernel(a[start : start + BLOCK], b).sum())
    return total


def _within(x: Array, kernel: BlockKernel) -> float:
    """The kernel's mean over pairs of different pictures."""
    rows = np.asarray(x, dtype=np.float64)
    diagonal = sum(float(kernel(row[None], row[None])[0, 0]) for row in rows)
    return (_total(x, x, kernel) - diagonal) / (len(x) * (len(x) - 1))


def lpips_to_all(x: PoolFeatures, y: PoolFeatures) -> float:
    """Mean LPIPS over all pairs, as mean |a|² + mean |b|² − 2 ⟨mean a, mean b⟩ over the layers."""
    inner = sum(float(a @ b) for a, b in zip(x.embedding_sum, y.embedding_sum, strict=True))
    return x.embedding_squares / x.count + y.embedding_squares / y.count - 2 * inner / (x.count * y.count)
