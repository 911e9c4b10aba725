"""From what judges see to every score: which features, distances and shares go into which."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from laureate.evaluation import scores
from laureate.evaluation.evidence import Evidence
from laureate.evaluation.scores import Resamples, Score
from laureate.evaluation.scores.base import Array

if TYPE_CHECKING:
    from laureate.config.params import Evaluate

SHARES = ("precision", "recall", "memorisation", "style_read", "content")  # between 0 and 1
KEYS = (
    "fid", "kid", "cmmd", "dino", "precision", "recall", "is", "lpips", "lpips_diversity", "memorisation",
    "style", "style_read", "content", "clip", "clip_content",
)  # fmt: skip


def scores_of(evidence: Evidence, neighbours: int) -> dict[str, Score | None]:
    """Every score, ready to be taken over any resample. None: no judge for it, or it has no meaning here.

    `neighbours`: to which nearest neighbour a picture's surroundings reach, in precision and recall.
    """
    found: dict[str, Score | None] = dict.fromkeys(KEYS)
    sets = evidence.sets
    if "looks" in sets:
        found["fid"] = scores.Frechet(*sets["looks"])
        found["kid"] = scores.polynomial_kernel(*sets["looks"])
        if min(len(part) for part in sets["looks"]) > neighbours:  # else nobody has so many neighbours
            found["precision"] = scores.Manifold(*sets["looks"], "precision", neighbours)
            found["recall"] = scores.Manifold(*sets["looks"], "recall", neighbours)
    if "cmmd" in sets:
        found["cmmd"] = scores.clip_kernel(*sets["cmmd"])
    if "dino" in sets:
        found["dino"] = scores.polynomial_kernel(*sets["dino"])
    if "style" in sets:
        found["style"] = scores.polynomial_kernel(*sets["style"])
    if evidence.heads:
        found["is"] = scores.Inception(list(evidence.heads.values()))
    if "lpips" in evidence.arrays:
        found["lpips"] = scores.mean_over_pairs(evidence.arrays["lpips"])
    if "train" in evidence.arrays:
        nearest = evidence.arrays["train"].min(axis=1)
        found["memorisation"] = scores.Memorisation.of_distances(nearest, evidence.arrays["chance"])
    for key, values in evidence.values.items():
        if np.isfinite(values).any():  # real portraits were asked for nothing
            found[key] = scores.mean_over_pictures(values)
    return found


def original(
    evidence: Evidence, rows: Sequence[int], looks: tuple[Array, Array] | None
) -> dict[str, float | int | None]:
    """The protocol of the study that this one follows: one picture per prompt of the set "seed", no interval.

    `rows`: those pictures, by file name; `looks`: features of all pictures and of the training pictures. Its
    FID is to the training pictures, its LPIPS between two sorted listings of files that have nothing to do
    with each other. It is here so that both tables can be put side by side, not because it should be
    believed.
    """
    found: dict[str, float | int | None] = dict.fromkeys(("seed_fid", "seed_lpips", "seed_clip", "seed_is"))
    found["seed_n"] = len(rows)
    if len(rows) < 2:
        return found
    if looks is not None:
        found["seed_fid"] = scores.frechet_distance(looks[0][list(rows)], looks[1])
    if "train" in evidence.arrays:
        pairs = zip(rows, range(evidence.arrays["train"].shape[1]), strict=False)
        found["seed_lpips"] = float(np.mean([evidence.arrays["train"][row, other] for row, other in pairs]))
    if "clip" in evidence.values:
        found["seed_clip"] = float(evidence.values["clip"][list(rows)].mean())
    if evidence.heads:
        found["seed_is"] = scores.Inception([p[list(rows)] for p in evidence.heads.values()])()
    return {key: value if value is None else rounded(value) for key, value in found.items()}


def rounded(value: float) -> float:
    """Six digits: what the arithmetic of another machine would agree with."""
    return value if isinstance(value, int) else float(f"{value:.6g}")


def drawn(evidence: Evidence, references: int, evaluate: Evaluate) -> Evidence:
    """The evidence with its scores drawn over all `designs`."""
    resamples = scores.resample(evidence.clusters, references, evaluate.bootstrap, evaluate.seed)
    chosen = scores_of(evidence, evaluate.neighbours)
    draws = {key: draw(score, resamples) for key, score in chosen.items() if score is not None}
    return replace(evidence, draws=draws, settings=settings_of(evaluate))


def settings_of(evaluate: Evaluate) -> list[int]:
    """What draws depend on, beside the evidence."""
    return [evaluate.bootstrap, evaluate.seed, evaluate.neighbours]


def draw(score: Score, resamples: Resamples) -> NDArray[np.float64]:
    """A score over all `designs`, one after the other."""
    return np.concatenate([score.resampled(u, v) for u, v in designs(resamples)])


def with_interval(
    key: str, score: Score | None, resamples: Resamples
) -> tuple[dict[str, float | None], NDArray[np.float64] | None]:
    """One score over all pictures with its 95 % interval => ({KEY, KEY_low, KEY_high}, its draws).

    The draws are the score over all `designs`, for `Kept`.
    """
    if score is None:
        return {key: None, f"{key}_low": None, f"{key}_high": None}, None
    draws = draw(score, resamples)
    found = scores.estimate(Kept(score, draws, resamples), resamples)
    low, high = found.low, found.high
    if key in SHARES:
        if high - low < 1e-9:  # all pictures agree: resampling them shows no spread
            low, high = scores.wilson_interval(min(1.0, max(0.0, found.value)), len(resamples.groups))
        low, high = max(0.0, low), min(1.0, high)
    values = {key: found.value, f"{key}_low": low, f"{key}_high": high}
    return {name: rounded(value) for name, value in values.items()}, draws


def designs(resamples: Resamples) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """How often each picture and each reference counts, in everything an estimate asks of a score.

    All of them once; the bootstrap's draws; all but one prompt; all but one reference.
    """
    g, m, n = len(resamples.groups), resamples.references, resamples.pictures
    return [
        (np.ones((1, n)), np.ones((1, m))),
        (resamples.of_pictures(resamples.prompt_counts), resamples.reference_counts),
        (resamples.of_pictures(1 - np.eye(g)), np.ones((g, m))),
        (np.ones((m, n)), 1 - np.eye(m)),
    ]


class Kept(scores.Score):
    """A score whose draws are known: two models are compared without drawing either again."""

    def __init__(self, score: Score, draws: NDArray[np.float64], resamples: Resamples) -> None:
        self.score, self.pictures, self.references = score, resamples.pictures, resamples.references
        self.known: dict[bytes, NDArray[np.float64]] = {}
        start = 0
        for u, v in designs(resamples):
            self.known[_key(u, v)] = draws[start : start + len(u)]
            start += len(u)

    def resampled(self, u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Score.resampled`."""
        found = self.known.get(_key(u, v))
        return self.score.resampled(u, v) if found is None else found


def _key(u: NDArray[np.float64], v: NDArray[np.float64]) -> bytes:
    return hashlib.sha256(u.tobytes() + b"/" + v.tobytes()).digest()
