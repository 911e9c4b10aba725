"""Scores: pure functions from features to numbers, with intervals and tests.

Notation: `x` are features of generated pictures, shape (n, d); `y` those of reference pictures, shape (m, d).
A score first reduces features to a matrix of inner products or distances between pictures. Its value and its
bootstrap interval are both computed from that matrix, so the cost of an interval does not depend on d.
"""

from laureate.evaluation.scores.base import Score
from laureate.evaluation.scores.bootstrap import (
    Estimate,
    PairedDifference,
    Resamples,
    VarianceParts,
    bootstrap,
    estimate,
    jackknife,
    resample,
    rows_by,
)
from laureate.evaluation.scores.frechet import Frechet, frechet_distance
from laureate.evaluation.scores.kernel_distances import (
    Kernel,
    clip_kernel,
    cmmd,
    gaussian_kernel,
    kernel_distance,
    polynomial_kernel,
    style_distance,
    style_features,
)
from laureate.evaluation.scores.lpips import (
    PairMean,
    lpips,
    lpips_diversity,
    lpips_embedding,
    mean_over_pairs,
)
from laureate.evaluation.scores.nearest_neighbours import (
    Manifold,
    Memorisation,
    density_coverage,
    memorisation,
    precision_recall,
)
from laureate.evaluation.scores.per_image import (
    InceptionScore,
    PictureMean,
    clip_content,
    clip_score,
    inception_score,
    mean_over_pictures,
)
from laureate.evaluation.scores.significance import holm, swap_test, wilson_interval

__all__ = [
    "Estimate",
    "Frechet",
    "InceptionScore",
    "Kernel",
    "Manifold",
    "Memorisation",
    "PairMean",
    "PairedDifference",
    "PictureMean",
    "Resamples",
    "Score",
    "VarianceParts",
    "bootstrap",
    "clip_content",
    "clip_kernel",
    "clip_score",
    "cmmd",
    "density_coverage",
    "estimate",
    "frechet_distance",
    "gaussian_kernel",
    "holm",
    "inception_score",
    "jackknife",
    "kernel_distance",
    "lpips",
    "lpips_diversity",
    "lpips_embedding",
    "mean_over_pairs",
    "mean_over_pictures",
    "memorisation",
    "polynomial_kernel",
    "precision_recall",
    "resample",
    "rows_by",
    "style_distance",
    "style_features",
    "swap_test",
    "wilson_interval",
]
