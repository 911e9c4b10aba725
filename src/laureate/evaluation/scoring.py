"""From evidence to scores: which features go into which score, and each score with its 95 % interval."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from laureate.evaluation import score_catalog, scores
from laureate.evaluation.evidence import Evidence
from laureate.evaluation.scores import Estimate, Resamples, Score
from laureate.evaluation.scores.base import Array

if TYPE_CHECKING:
    from laureate.config.params import Evaluate

KEYS = tuple(column.key for column in score_catalog.SCORES)
SHARES = frozenset(column.key for column in score_catalog.SCORES if column.percent)  # between 0 and 1
NO_SPREAD = 1e-9  # an interval of a share that is narrower has no spread but rounding


def scores_of(evidence: Evidence, neighbours: int) -> dict[str, Score | None]:
    """Every score of `KEYS`, to be computed over any resample. None: no judge for it, or no meaning here.

    `neighbours`: the k of the k-th nearest neighbour whose distance is a ball's radius, in precision and
    recall.
    """
    chosen: dict[str, Score | None] = dict.fromkeys(KEYS)
    sets, trainings = evidence.sets, scores.rows_by(evidence.trainings)
    if "looks" in sets:
        chosen["fid"] = scores.Frechet(*sets["looks"])
        chosen["kid"] = scores.polynomial_kernel(*sets["looks"], trainings)
        if min(len(part) for part in sets["looks"]) > neighbours:  # else no picture has k neighbours
            chosen["precision"] = scores.Manifold(*sets["looks"], "precision", neighbours)
            chosen["recall"] = scores.Manifold(*sets["looks"], "recall", neighbours)
    if "cmmd" in sets:
        chosen["cmmd"] = scores.clip_kernel(*sets["cmmd"], trainings)
    if "dino" in sets:
        chosen["dino"] = scores.polynomial_kernel(*sets["dino"], trainings)
    if "style" in sets:
        chosen["style"] = scores.polynomial_kernel(*sets["style"], trainings)
    for kind in ("imagenet", "clip", "dino"):
        if f"panel_{kind}" in sets:
            chosen[f"fid_{kind}"] = scores.Frechet(*sets[f"panel_{kind}"])
            if kind != "dino":  # its kernel distance is "dino"
                chosen[f"kid_{kind}"] = scores.polynomial_kernel(*sets[f"panel_{kind}"], trainings)
    if "panel_imagenet_style" in sets:
        chosen["style_imagenet"] = scores.polynomial_kernel(*sets["panel_imagenet_style"], trainings)
    if evidence.heads:
        chosen["is"] = scores.InceptionScore(list(evidence.heads.values()))
    if "lpips" in evidence.arrays:
        chosen["lpips"] = scores.mean_over_pairs(evidence.arrays["lpips"])
    if "train" in evidence.arrays:
        nearest = evidence.arrays["train"].min(axis=1)
        chosen["memorisation"] = scores.Memorisation.of_distances(nearest, evidence.arrays["chance"])
    for key, values in evidence.values.items():
        if np.isfinite(values).any():  # real portraits have no prompt to be compared with
            chosen[key] = scores.mean_over_pictures(values)
    return chosen


def original(
    evidence: Evidence, rows: Sequence[int], looks: tuple[Array, Array] | None
) -> dict[str, float | int | None]:
    """Scores by the protocol of the original study: one picture per prompt of the set "seed", no interval.

    `rows`: those pictures, sorted by file name; `looks`: features of all pictures and of the training
    pictures. The protocol's FID is to the training pictures; its LPIPS pairs two sorted listings of unrelated
    files. These values only allow a comparison with the published table.
    """
    values: dict[str, float | int | None] = dict.fromkeys(("seed_fid", "seed_lpips", "seed_clip", "seed_is"))
    values["seed_n"] = len(rows)
    if len(rows) < 2:
        return values
    if looks is not None:
        values["seed_fid"] = scores.frechet_distance(looks[0][list(rows)], looks[1])
    if "train" in evidence.arrays:
        pairs = zip(rows, range(evidence.arrays["train"].shape[1]), strict=False)
        values["seed_lpips"] = float(np.mean([evidence.arrays["train"][row, other] for row, other in pairs]))
    if "clip" in evidence.values:
        values["seed_clip"] = float(evidence.values["clip"][list(rows)].mean())
    if evidence.heads:
        values["seed_is"] = scores.InceptionScore([p[list(rows)] for p in evidence.heads.values()])()
    return {key: value if value is None else rounded(value) for key, value in values.items()}


def rounded(value: float) -> float:
    """Six significant digits: those that do not depend on the machine."""
    return value if isinstance(value, int) else float(f"{value:.6g}")


def resamples_of(evidence: Evidence, references: int, evaluate: Evaluate) -> Resamples:
    """The resamples of a model's pictures and references, with the trainings that drew the pictures."""
    return scores.resample(
        evidence.clusters, references, evaluate.bootstrap, evaluate.seed, evidence.trainings
    )


def drawn(evidence: Evidence, references: int, evaluate: Evaluate) -> Evidence:
    """The evidence with the draws of all its scores over all `designs`."""
    resamples = resamples_of(evidence, references, evaluate)
    chosen = scores_of(evidence, evaluate.neighbours)
    draws = {key: draw(score, resamples) for key, score in chosen.items() if score is not None}
    return replace(evidence, draws=draws, settings=settings_of(evaluate))


def settings_of(evaluate: Evaluate) -> list[int]:
    """The parameters of `evaluate` that the draws depend on."""
    return [evaluate.bootstrap, evaluate.seed, evaluate.neighbours]


def draw(score: Score, resamples: Resamples) -> NDArray[np.float64]:
    """The score's value in each row of all `designs`, concatenated."""
    return np.concatenate([score.resampled(u, v) for u, v in designs(resamples)])


def estimate(key: str, score: Score, resamples: Resamples) -> tuple[Estimate, NDArray[np.float64]]:
    """One score over all pictures with its 95 % interval, as the study reports it => (estimate, draws).

    The interval is that of `scores.estimate`. For a share it is cut to [0, 1], and is Wilson's where the
    resamples have no spread. Value, low and high have six significant digits. The draws are the score over
    all `designs`, for `PrecomputedScore`.
    """
    draws = draw(score, resamples)
    result = scores.estimate(PrecomputedScore(score, draws, resamples), resamples)
    low, high = result.low, result.high
    if key in SHARES:
        if high - low < NO_SPREAD:  # all pictures agree: resampling them shows no spread
            low, high = scores.wilson_interval(min(1.0, max(0.0, result.value)), len(resamples.groups))
        low, high = max(0.0, low), min(1.0, high)
    return replace(result, value=rounded(result.value), low=rounded(low), high=rounded(high)), draws


def columns(key: str, estimate: Estimate | None) -> dict[str, float | None]:
    """A score's columns KEY, KEY_low and KEY_high in metrics/models; None: it has no value."""
    if estimate is None:
        return {key: None, f"{key}_low": None, f"{key}_high": None}
    return {key: estimate.value, f"{key}_low": estimate.low, f"{key}_high": estimate.high}


def designs(resamples: Resamples) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Every weighting of the pictures and references for which an estimate needs the score => [(u, v), …].

    `u` (b, n), `v` (b, m) as in `Score.resampled`: all of them once; the bootstrap's draws; all but one
    prompt; all but one reference; where there are several trainings, all but one.
    """
    g, m, n = len(resamples.groups), resamples.references, resamples.pictures
    found = [
        (np.ones((1, n)), np.ones((1, m))),
        (resamples.of_pictures(resamples.prompt_counts), resamples.reference_counts),
        (resamples.of_pictures(1 - np.eye(g)), np.ones((g, m))),
        (np.ones((m, n)), 1 - np.eye(m)),
    ]
    if len(resamples.trainings) > 1:
        found.append((resamples.without_training, np.ones((len(resamples.trainings), m))))
    return found


class PrecomputedScore(scores.Score):
    """A score whose draws are stored: two models are compared without computing them again."""

    def __init__(self, score: Score, draws: NDArray[np.float64], resamples: Resamples) -> None:
        self.score, self.pictures, self.references = score, resamples.pictures, resamples.references
        self.known: dict[bytes, NDArray[np.float64]] = {}
        start = 0
        for u, v in designs(resamples):
            self.known[_key(u, v)] = draws[start : start + len(u)]
            start += len(u)

    def resampled(self, u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Score.resampled`."""
        known = self.known.get(_key(u, v))
        return self.score.resampled(u, v) if known is None else known


def _key(u: NDArray[np.float64], v: NDArray[np.float64]) -> bytes:
    return hashlib.sha256(u.tobytes() + b"/" + v.tobytes()).digest()
