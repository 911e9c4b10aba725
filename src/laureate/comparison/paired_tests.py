"""Which models differ: paired differences of every score, with intervals and p-values that count all tests.

Two models were asked the same prompts from the same noise, so their scores are compared picture by picture:
what a prompt does to both of them cancels out, and far fewer pictures tell them apart than two separate
intervals would.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.comparison import results_table
from laureate.core.errors import LaureateError
from laureate.evaluation import score_catalog, scores, scoring

if TYPE_CHECKING:
    from laureate.config import params
    from laureate.evaluation.evidence import Evidence

LEVEL = 0.05  # p-values up to this are called a difference
KERNELS = {  # score => role of its features, kernel
    "kid": ("looks", scores.polynomial_kernel),
    "cmmd": ("cmmd", scores.clip_kernel),
    "dino": ("dino", scores.polynomial_kernel),
    "style": ("style", scores.polynomial_kernel),
}


@dataclass(frozen=True)
class Difference:
    """One model's score less another's."""

    score: str
    model: str
    against: str  # the other model
    role: str  # what the other one is: "baseline" or "best"
    n: int  # pictures that both have
    value: float
    low: float  # of the 95 % interval
    high: float
    p: float  # of "there is no difference", for this pair alone
    p_holm: float  # the same, corrected for all models held against this one


COLUMNS = tuple(field.name for field in fields(Difference))


def marks(differences: Sequence[Difference]) -> dict[tuple[str, str], str]:
    """(score, model) => table.BEST where the model with the best value differs from every other.

    Else it and all that do not differ from it are table.TIED. A score without tests has no mark.
    """
    found: dict[tuple[str, str], str] = {}
    for score in score_catalog.SCORES:
        others = [d for d in differences if d.score == score.key and d.role == "best"]
        if not others:
            continue
        tied = [d.model for d in others if d.p_holm > LEVEL]
        found[score.key, others[0].against] = results_table.TIED if tied else results_table.BEST
        found |= {(score.key, model): results_table.TIED for model in tied}
    return found


class Model:
    """One model's evidence, with its scores ready to be subtracted from another's."""

    def __init__(self, evidence: Evidence, references: int, evaluate: params.Evaluate) -> None:
        self.evidence, self.evaluate, self.references = evidence, evaluate, references
        if list(evidence.settings) != scoring.settings_of(evaluate):
            raise LaureateError(
                f"{evidence.model} was scored with other parameters of evaluate; "
                f"run `laureate evaluate --model {evidence.model}` again"
            )
        self.resamples = scores.resample(evidence.clusters, references, evaluate.bootstrap, evaluate.seed)
        self.scores = {
            key: scoring.PrecomputedScore(score, evidence.draws[key], self.resamples)
            for key, score in scoring.scores_of(evidence, evaluate.neighbours).items()
            if score is not None
        }

    def only(self, names: Sequence[str]) -> Model:
        """The same model with the pictures of these names, in this order."""
        place = {name: row for row, name in enumerate(self.evidence.pictures)}
        some = self.evidence.only([place[name] for name in names])
        return Model(scoring.drawn(some, self.references, self.evaluate), self.references, self.evaluate)


def compare(
    score: score_catalog.ScoreColumn, rows: Sequence[results_table.Row], models: Mapping[str, Model]
) -> list[Difference]:
    """Every model against the baseline, and against the model with the best value of one score.

    `models`: those of `rows` that compete; the noise floor does not, as it is no model. Two models are
    compared over the pictures that both have. p-values are corrected over all models held against one.
    """
    names = [str(row["model"]) for row in rows if row[score.key] is not None and row["model"] in models]
    if len(names) < 2:
        return []
    sign = 1 if score.direction == "lower" else -1
    value = {str(row["model"]): sign * results_table.number(row, score.key) for row in rows}
    found = []
    for role, other in (("baseline", "baseline"), ("best", min(names, key=lambda name: value[name]))):
        if other not in names:
            continue
        family = [subtract(score.key, name, other, role, models) for name in names if name != other]
        known = [difference for difference in family if difference is not None]
        corrected = scores.holm([difference.p for difference in known])
        found += [replace(d, p_holm=p) for d, p in zip(known, corrected, strict=True)]
    return found


def subtract(key: str, model: str, against: str, role: str, models: Mapping[str, Model]) -> Difference | None:
    """One model's score less another's, over the prompts and seeds that both have; None where these are few.

    p-values of kernel distances are from permutations within prompts, others from Student's t.
    """
    one, other = models[model], models[against]
    if list(one.evidence.pictures) != list(other.evidence.pictures):
        both = set(other.evidence.pictures)
        names = [name for name in one.evidence.pictures if name in both]
        if len({name.rpartition("_")[0] for name in names}) < 2:
            return None
        one, other = one.only(names), other.only(names)
    if key not in one.scores or key not in other.scores:
        return None
    difference = scores.estimate(scores.PairedDifference(one.scores[key], other.scores[key]), one.resamples)
    p = difference.p
    if key in KERNELS:
        role_of, kernel = KERNELS[key]
        (x, y), (z, _) = one.evidence.sets[role_of], other.evidence.sets[role_of]
        evaluate = one.evaluate
        p = scores.swap_test(kernel, x, z, y, one.evidence.clusters, evaluate.bootstrap, evaluate.seed)
    numbers = (difference.value, difference.low, difference.high, p, p)
    count = len(one.evidence.pictures)
    return Difference(key, model, against, role, count, *(scoring.rounded(float(v)) for v in numbers))


def to_csv(differences: Sequence[Difference]) -> str:
    """Differences => CSV text with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(difference) for difference in differences)
    return text.getvalue()


def read_csv(path: str | Path) -> list[Difference]:
    """Differences written by `laureate compare`. Raises LaureateError naming the file."""
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [_of_text(row) for row in rows]
    except FileNotFoundError:
        raise LaureateError(f"{path} does not exist; run `laureate compare` first") from None
    except (KeyError, TypeError, ValueError):
        raise LaureateError(f"{path} is not what this version writes; run `laureate compare` again") from None


def _of_text(row: Mapping[str, str]) -> Difference:
    """A line of the file; whole numbers and numbers by the kind of the field."""
    kinds = {"str": str, "int": int, "float": float}
    values: dict[str, Any] = {
        field.name: kinds[str(field.type)](row[field.name]) for field in fields(Difference)
    }
    return Difference(**values)
