"""budgets: how much training a study needs: seconds of training against what the judges see.

Reads finished studies that differ in their section `train` only, all trained on one kind of machine. What is
reported are the first study's scores, mean over its ranks, and the others' paired differences from it, prompt
by prompt, with 95 % intervals that hold the luck of prompts, portraits and trainings.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import guidance, harness, trainings
from laureate.core.errors import LaureateError
from laureate.core.paths import machine_file
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
    check(options.studies, params)
    first: dict[int, ScoredModel] = {}
    rows = []
    for folder, study, about in zip(options.studies, params, facts, strict=True):
        models = {rank: trainings.scored(folder, f"rank-{rank}", study) for rank in study.ranks}
        rows.append(about | {"loss": held_out_loss(folder, study)} | compared(models, first or None))
        first = first or models
    harness.report("budgets", options, rows, COLUMNS)


def check(folders: Sequence[Path], params: Sequence[Params]) -> None:
    """Raise LaureateError unless the studies differ in `train` only, and were trained on machines alike."""
    for folder, study in zip(folders[1:], params[1:], strict=True):
        for key in ("ranks", "prepare", "base", "sample", "evaluate"):
            if getattr(study, key) != getattr(params[0], key):
                raise LaureateError(f"{folder} and {folders[0]} differ in the parameters `{key}`")
        if study.train.seeds != params[0].train.seeds:
            raise LaureateError(f"{folder} and {folders[0]} differ in train.seeds, which must be the same")
    facts = [_machine(folder, study) for folder, study in zip(folders, params, strict=True)]
    for folder, of in zip(folders[1:], facts[1:], strict=True):
        if of != facts[0]:
            raise LaureateError(
                f"{folder} was trained on {of}, and {folders[0]} on {facts[0]}: do not compare their seconds"
            )


def _machine(folder: Path, study: Params) -> str:
    found = json.loads((folder / machine_file(study.ranks[0])).read_text(encoding="utf-8"))
    return f"{found['processor']}, {found['precision']}"


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
    own = mean_scores(models)
    resamples = next(iter(models.values())).resamples
    if first is None:
        return guidance.seen(own, None, resamples) | {"nearer": "–", "farther": "–"}
    theirs = mean_scores(first)
    tests = [
        test
        for rank, model in models.items()
        for test in trainings.rows_of({"several": model, "once": first[rank]}, rank)
    ]
    return guidance.seen(own, theirs, resamples) | {
        "nearer": f"{sum(test['high'] < 0 for test in tests)} of {len(tests)}",
        "farther": f"{sum(test['low'] > 0 for test in tests)} of {len(tests)}",
    }


def mean_scores(models: Mapping[int, ScoredModel]) -> dict[str, Score]:
    """Score => its mean over all ranks, for those of `SEEN` that every rank has."""
    found = [model.scores for model in models.values()]
    return {key: MeanScore([of[key] for of in found]) for key in SEEN if all(key in of for of in found)}
