"""budgets: how much training a study needs: seconds of training against what the judges see.

Reads finished studies that differ in their section `train` only, all trained on one kind of machine. What is
reported are the first study's scores, mean over its ranks, and the others' paired differences from it, prompt
by prompt, with 95 % intervals that hold the luck of prompts, portraits and trainings.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import guidance, harness, trainings
from laureate.core.errors import LaureateError
from laureate.evaluation.scores.base import Doubles, Score

if TYPE_CHECKING:
    from laureate.comparison.paired_tests import ScoredModel
    from laureate.config.params import Params

SEEN = {key: title for key, title in guidance.SEEN.items() if key != "lpips_diversity"}
COLUMNS = {
    "seeds": "trainings",
    "steps": "steps",
    "batch": "batch",
    "learning_rate": "rate",
    "seconds": "s of training",
    "loss": "held-out loss",
    **SEEN,
    "nearer": "nearer",
    "farther": "farther",
}


class MeanScore(Score):
    """The mean of several scores of the same pictures and references, such as those of all ranks."""

    def __init__(self, parts: Sequence[Score]) -> None:
        self.parts = list(parts)
        self.pictures, self.references = parts[0].pictures, parts[0].references

    def resampled(self, u: Doubles, v: Doubles) -> Doubles:
        """See `Score.resampled`."""
        return np.mean([part.resampled(u, v) for part in self.parts], axis=0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every benchmark, and --studies."""
    harness.add_common(parser, repeats=1)
    parser.add_argument(
        "--studies", type=Path, nargs="+", required=True, metavar="DIR", help="the first is the reference"
    )


def run(options: argparse.Namespace) -> None:
    """Compare every study with the first; a row for each."""
    from laureate.config import params as config

    params = [config.load(folder / "params.yaml") for folder in options.studies]
    facts = [trainings.about(*each) for each in zip(options.studies, params, strict=True)]
    check(options.studies, params, facts)
    models = [
        {rank: trainings.scored(folder, f"rank-{rank}", study) for rank in study.ranks}
        for folder, study in zip(options.studies, params, strict=True)
    ]
    rows = [
        about | {"loss": held_out_loss(folder, study)} | compared(of, None if of is models[0] else models[0])
        for folder, study, about, of in zip(options.studies, params, facts, models, strict=True)
    ]
    harness.report("budgets", options, rows, COLUMNS)


def check(folders: Sequence[Path], params: Sequence[Params], facts: Sequence[Mapping[str, Any]]) -> None:
    """Raise LaureateError unless the studies differ in `train` only, and were trained on machines alike.

    `facts`: what `trainings.about` says of each."""
    first, of_first = params[0], facts[0]["machine"]
    for folder, study, about in zip(folders[1:], params[1:], facts[1:], strict=True):
        for key in ("ranks", "prepare", "base", "sample", "evaluate"):
            if getattr(study, key) != getattr(first, key):
                raise LaureateError(f"{folder} and {folders[0]} differ in the parameters `{key}`")
        if study.train.seeds != first.train.seeds:
            raise LaureateError(f"{folder} and {folders[0]} differ in train.seeds, which must be the same")
        if about["machine"] != of_first:
            raise LaureateError(
                f"{folder} was trained on {about['machine']}, and {folders[0]} on {of_first}: "
                "do not compare their seconds"
            )


def held_out_loss(folder: Path, study: Params) -> float:
    """The last held-out loss of a study's trainings, mean over ranks and seeds."""
    from laureate.networks.lora.arm import arms_of_seeds
    from laureate.sampling.choosing.candidates import curve_of

    arms = [(rank, arm) for rank in study.ranks for arm in arms_of_seeds(study.train, rank)]
    with contextlib.chdir(folder):
        return fmean(curve_of(rank, arm)[-1][1] for rank, arm in arms)


def compared(models: Mapping[int, ScoredModel], first: Mapping[int, ScoredModel] | None) -> dict[str, Any]:
    """The scores of `SEEN`, mean over ranks, or their differences from the first study's (`guidance.seen`);
    `nearer` and `farther`: by how many of the panel's judges, over all ranks, the interval of one rank's
    difference lies wholly below 0, and above it."""
    from laureate.comparison.paired_tests import paired_test

    own = mean_scores(models)
    resamples = next(iter(models.values())).resamples
    if first is None:
        return guidance.seen(own, None, resamples) | {"nearer": "–", "farther": "–"}
    theirs = mean_scores(first)
    tests = [
        paired_test(key, "this", "first", {"this": model, "first": first[rank]})
        for rank, model in models.items()
        for key in trainings.KEYS
    ]
    found = [test for test in tests if test is not None]
    return guidance.seen(own, theirs, resamples) | {
        "nearer": f"{sum(test['high'] < 0 for test in found)} of {len(found)}",
        "farther": f"{sum(test['low'] > 0 for test in found)} of {len(found)}",
    }


def mean_scores(models: Mapping[int, ScoredModel]) -> dict[str, Score]:
    """Score => its mean over all ranks, for those of `SEEN` that every rank has."""
    found = [model.scores for model in models.values()]
    return {key: MeanScore([of[key] for of in found]) for key in SEEN if all(key in of for of in found)}
