"""choose: the learning rate, step and strength of one rank, for all its training seeds together.

Candidates race on prompts and noise of their own: held-out losses first, then pictures of those that may
still win (`laureate.sampling.choosing.race`). Every prompt is drawn by one training seed, as in sample. The
portraits that they are held against are those of the table, by the judges of `compare.judges`; what the
choice gains is therefore measured on the half of prompts and portraits that it was not made on.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from laureate.config.params import Params
from laureate.core.files import write_json
from laureate.core.paths import EVIDENCE, WORK, adapter_folder, choice_file, shared
from laureate.networks.diffusion import base_model
from laureate.sampling import seed_shares
from laureate.sampling.choosing import candidates, choice
from laureate.sampling.choosing.candidates import Candidate

Failures = Mapping[float, Mapping[int, str]]  # learning rate => training seed => why its training failed
CACHE = WORK / "choose"
PORTRAITS = "noise-floor"  # the model whose evidence has the held-out portraits' features


def run(params: Params, rank: int) -> None:
    """models/lora/rank-N, metrics/train/rank-N.csv, data/evidence/noise-floor.safetensors and choose.prompts
    => metrics/choices/rank-N.json.

    With one candidate the file names it and nothing is drawn. Says which trainings have failed. Raises
    LaureateError naming a file that is missing, a prompt that sample.prompts has too, and a rank of which
    every training has failed.
    """
    last = choice.last_step(rank)
    known = candidates.candidates_of(params.train, params.sample, params.choose, rank, last)
    failed = failures_of(params, rank, [one.learning_rate for one in known])
    for rate, reasons in failed.items():
        for seed, reason in reasons.items():
            print(
                f"rank {rank}: training seed {seed} has failed with learning rate {rate:g} ({reason})",
                file=sys.stderr,
            )
    if len(known) == 1:
        write_json(choice_file(rank), record(rank, known[0], known, last, failed))
        return
    write_json(choice_file(rank), raced(params, rank, known, last, failed))


def record(
    rank: int, chosen: Candidate, known: Sequence[Candidate], last: int, failed: Failures
) -> dict[str, Any]:
    """The choice among `known` candidates, the naive one first, as JSON; without the race."""
    return {
        "rank": rank,
        **vars(chosen),
        "last_step": last,
        "candidates": len(known),
        "naive": vars(known[0]),
        "failed": [
            {"learning_rate": rate, "seed": seed, "reason": reason}
            for rate, reasons in failed.items()
            for seed, reason in reasons.items()
        ],
        "gain": None,
        "apparent_gain": None,
        "more_training": "unknown",
        "steps": [],
        "base_loss": None,
        "rounds": [],
    }


def failures_of(params: Params, rank: int, rates: list[float]) -> dict[float, dict[int, str]]:
    """Learning rate => training seed => why that training failed, for those that did."""
    found = {}
    for rate in dict.fromkeys(rates):
        arms = candidates.arms_at(params.train, rank, rate)
        folders = {arm.seed: adapter_folder(rank) / arm.place for arm in arms}
        reasons = seed_shares.failures(folders)
        if reasons:
            found[rate] = reasons
    return found


def raced(
    params: Params,
    rank: int,
    known: list[Candidate],
    last: int,
    failed: Failures,
) -> dict[str, Any]:
    """Run the race of several candidates => its record."""
    from laureate.evaluation import evidence
    from laureate.formats import prompts
    from laureate.sampling.choosing import drawing, gain, race
    from laureate.sampling.pipeline import check_adapter

    asked = prompts.load([*params.sample.prompts, *params.choose.prompts])  # refuses one that both have
    asked = asked[len(prompts.load(params.sample.prompts)) :]
    judged = evidence.load(EVIDENCE / f"{PORTRAITS}.safetensors", PORTRAITS).sets
    portraits = evidence.features_of_portraits(params.evaluate, params.compare.judges, judged)
    base = base_model.expected(params.base)
    rates = list(dict.fromkeys(one.learning_rate for one in known))
    arms = {rate: candidates.arms_at(params.train, rank, rate) for rate in rates}
    left = {rate: [arm for arm in arms[rate] if arm.seed not in failed.get(rate, {})] for rate in rates}
    for arm in (arm for rate in rates for arm in left[rate]):
        check_adapter(adapter_folder(rank) / arm.place, base)
    curves = {rate: [candidates.curve_of(rank, arm) for arm in left[rate]] for rate in rates}
    trainings = {
        rate: seed_shares.share_out(len(asked), params.train.seeds, failed.get(rate, {}))
        for rate in rates
        if left[rate]
    }
    studio = drawing.Studio(params, base, shared(CACHE))
    seeds = params.choose.seeds

    def draw(one: Candidate | None, start: int, stop: int) -> dict[str, Any]:
        pairs = [(prompt, seed) for prompt in asked[start:stop] for seed in seeds]
        if one is None:
            return studio.features({None: None}, 0.0, pairs, [None] * len(pairs))
        folders: dict[int | None, Path | None] = {
            arm.seed: choice.weights_folder(rank, arm, one.step, last) for arm in left[one.learning_rate]
        }
        print(f"choose rank {rank}: {one.title}, prompts {start + 1} to {stop}", file=sys.stderr)
        shares = [s for s in trainings[one.learning_rate][start:stop] for _ in seeds]
        return studio.features(folders, one.strength, pairs, shares)

    first = next((curve for rate in rates for curve in curves[rate]), [(0, math.inf)])
    running = race.Race(
        race.Setting(
            candidates=known,
            losses=[candidates.loss_of(curves, one) for one in known],
            base_loss=first[0][1],
            trainings=trainings,
            failed=failed,
            portraits=portraits,
            prompts=len(asked),
            per_prompt=len(seeds),
            seeds=len(params.train.seeds),
            first=params.choose.first,
            loss_margin=params.choose.loss_margin,
        ),
        draw,
    )
    running.run()
    taken = studio.asked - studio.drawn
    print(
        f"choose rank {rank}: {studio.drawn} pictures drawn, {taken} taken from {CACHE}",
        file=sys.stderr,
    )
    chosen = gain.winner(running)
    found = gain.steps(running, chosen)
    return record(rank, known[chosen], known, last, failed) | {
        "gain": gain.as_json(gain.cross_fitted(running)) if gain.measurable(running) else None,
        "apparent_gain": gain.as_json(gain.apparent(running, chosen)) if gain.measurable(running) else None,
        "more_training": gain.about_steps(found, known[chosen].step, last),
        "steps": found,
        "base_loss": race.rounded(running.setting.base_loss),
        "rounds": running.rounds,
    }
