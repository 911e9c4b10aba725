"""Paired tests: differences of every score between models, with intervals and corrected p-values.

All models draw the same prompts from the same starting noise, so they are compared picture by picture: the
effect of a prompt on both models cancels out, and far fewer pictures tell two models apart than two separate
intervals would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.comparison import results_table, table_io
from laureate.core.errors import LaureateError
from laureate.evaluation import score_catalog, scores, scoring

if TYPE_CHECKING:
    import pandas as pd

    from laureate.config import params
    from laureate.evaluation.evidence import Evidence

LEVEL = 0.05  # p-values up to this are significant
KERNELS = {  # score => role of its features, kernel
    "kid": ("looks", scores.polynomial_kernel),
    "cmmd": ("cmmd", scores.clip_kernel),
    "dino": ("dino", scores.polynomial_kernel),
    "style": ("style", scores.polynomial_kernel),
    "kid_imagenet": ("panel_imagenet", scores.polynomial_kernel),
    "kid_clip": ("panel_clip", scores.polynomial_kernel),
    "style_imagenet": ("panel_imagenet_style", scores.polynomial_kernel),
}


DTYPES = {  # column of differences.csv => dtype
    "score": "string",
    "model": "string",
    "against": "string",  # the other model, whose score is subtracted
    "role": "string",  # what the other one is: "baseline", or "best": the model with the best value
    "n": "Int64",  # pictures that both have
    "value": "Float64",
    "low": "Float64",  # of the 95 % interval
    "high": "Float64",
    "p": "Float64",  # of "there is no difference", for this pair alone
    "p_holm": "Float64",  # the same, corrected for all models compared with this one
}
MISSING = "nan"  # a number that could not be computed, in differences.csv


def marks(differences: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(score, model) => results_table.BEST where the model with the best value differs from every other.

    Else it and all that do not differ from it are results_table.TIED. A score without tests has no mark.
    """
    by_score: dict[tuple[str, str], str] = {}
    for key, tests in differences[differences["role"] == "best"].groupby("score", sort=False):
        tied = tests.loc[tests["p_holm"] > LEVEL, "model"]
        by_score[key, tests["against"].iloc[0]] = results_table.TIED if len(tied) else results_table.BEST
        by_score |= {(key, model): results_table.TIED for model in tied}
    return by_score


class ScoredModel:
    """One model's evidence, and its scores as functions of resamples.

    Raises LaureateError where the evidence was scored with other parameters than `evaluate`.
    """

    def __init__(self, evidence: Evidence, references: int, evaluate: params.Evaluate) -> None:
        self.evidence, self.evaluate, self.references = evidence, evaluate, references
        if list(evidence.settings) != scoring.settings_of(evaluate):
            raise LaureateError(
                f"{evidence.model} was scored with other parameters of evaluate; "
                f"run `laureate evaluate --model {evidence.model}` again"
            )
        self.resamples = scoring.resamples_of(evidence, references, evaluate)
        self.scores = {
            key: scoring.PrecomputedScore(score, evidence.draws[key], self.resamples)
            for key, score in scoring.scores_of(evidence, evaluate.neighbours).items()
            if score is not None
        }

    def only(self, names: Sequence[str]) -> ScoredModel:
        """The same model with the pictures of these names, in this order."""
        rows = {name: row for row, name in enumerate(self.evidence.pictures)}
        some = self.evidence.only([rows[name] for name in names])
        return ScoredModel(
            scoring.drawn(some, self.references, self.evaluate), self.references, self.evaluate
        )


def compare(
    score: score_catalog.ScoreColumn, table: pd.DataFrame, models: Mapping[str, ScoredModel]
) -> list[dict[str, Any]]:
    """Every model against the baseline, and against the model with the best value of one score.

    `table`: as in results_table; `models`: those of it that compete; the noise floor does not, as it is no
    model. Two models are compared over the pictures that both have. p-values are corrected over all models
    compared with one (Holm 1979). => rows of the columns of `DTYPES`, one per pair
    """
    values = table.loc[[name for name in table.index if name in models], score.key].dropna()
    rows: list[dict[str, Any]] = []
    if len(values) > 1:
        best = values.idxmin() if score.direction == "lower" else values.idxmax()
        for role, against in (("baseline", results_table.BASELINE), ("best", best)):
            others = [name for name in values.index if name != against] if against in values else []
            tests = [paired_test(score.key, name, against, models) for name in others]
            done = [test | {"role": role} for test in tests if test is not None]
            corrected = scores.holm([test["p"] for test in done])
            rows += [test | {"p_holm": p} for test, p in zip(done, corrected, strict=True)]
    return rows


def differences_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of `compare` => the table of differences, with the columns and dtypes of `DTYPES`."""
    return table_io.from_rows(rows, DTYPES)


def paired_test(
    key: str, model: str, against: str, models: Mapping[str, ScoredModel]
) -> dict[str, Any] | None:
    """One model's score less another's, over the prompts and seeds that both have; None where these are few.

    p-values of kernel distances are from permutations within prompts, unless there are several trainings,
    whose luck no permutation of pictures shows; others are from Student's t.
    => a row of `DTYPES` without role and p_holm
    """
    one, other = models[model], models[against]
    if list(one.evidence.pictures) != list(other.evidence.pictures):
        others = set(other.evidence.pictures)
        names = [name for name in one.evidence.pictures if name in others]
        if len({name.rpartition("_")[0] for name in names}) < 2:
            return None
        one, other = one.only(names), other.only(names)
    if key not in one.scores or key not in other.scores:
        return None
    # the trainings of adapters are a source of variance, also against a model that has none
    resamples = max(one.resamples, other.resamples, key=lambda of: len(of.trainings))
    difference = scores.estimate(scores.PairedDifference(one.scores[key], other.scores[key]), resamples)
    p = difference.p
    if key in KERNELS and not resamples.trainings:
        role_of, kernel = KERNELS[key]
        (x, y), (z, _) = one.evidence.sets[role_of], other.evidence.sets[role_of]
        evaluate = one.evaluate
        p = scores.swap_test(kernel, x, z, y, one.evidence.clusters, evaluate.bootstrap, evaluate.seed)
    row = {"score": key, "model": model, "against": against, "n": len(one.evidence.pictures)}
    numbers = {"value": difference.value, "low": difference.low, "high": difference.high, "p": p}
    return row | {name: scoring.rounded(float(number)) for name, number in numbers.items()}


def to_csv(differences: pd.DataFrame) -> str:
    """Differences => CSV text with a header."""
    return table_io.to_csv(differences, MISSING)


def read_csv(path: str | Path) -> pd.DataFrame:
    """Differences written by `laureate compare`. Raises LaureateError naming the file."""
    return table_io.read_csv(path, DTYPES, "compare", MISSING)
