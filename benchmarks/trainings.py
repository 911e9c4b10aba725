"""trainings: a study whose ranks are trained several times, beside one that trains each once for as long.

Reads two finished studies with the same prompts, noise and portraits; every judge of the panel compares their
pictures prompt by prompt. The table is in docs/ranks.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import harness
from laureate.core.errors import LaureateError
from laureate.core.paths import EVIDENCE, machine_file
from laureate.embedded.oracle import ranks_page

if TYPE_CHECKING:
    from laureate.comparison.paired_tests import ScoredModel
    from laureate.config.params import Params

KEYS = ("kid_imagenet", "kid", "kid_clip")  # KID by each judge of the panel
LEVEL = 0.05
COLUMNS = {"rank": "rank", "score": "score", "once": "once", "several": "several",
           "difference": "several − once", "p_holm": "p"}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every benchmark, --once, --several and --page."""
    harness.add_common(parser, repeats=1)
    parser.add_argument("--once", type=Path, required=True, metavar="DIR", help="a study with one seed")
    parser.add_argument("--several", type=Path, required=True, metavar="DIR", help="one with several seeds")
    parser.add_argument("--page", type=Path, default=ranks_page.PAGE, metavar="FILE")


def run(options: argparse.Namespace) -> None:
    """Compare both studies; write the JSON, and its table into the page."""
    from laureate.config import params as config

    studies = {title: getattr(options, title) for title in ("once", "several")}
    params = {title: config.load(folder / "params.yaml") for title, folder in studies.items()}
    check(params)
    rows: list[dict[str, Any]] = []
    for rank in params["several"].ranks:
        models = {title: scored(folder, f"rank-{rank}", params[title]) for title, folder in studies.items()}
        rows += rows_of(models, rank)
    path = harness.report(
        "trainings",
        options,
        [row | {"difference": _interval(row)} for row in corrected(rows)],
        COLUMNS,
        pictures=len(models["several"].evidence.pictures),
        portraits=models["several"].references,
        studies={title: about(studies[title], params[title]) for title in studies},
        measured=corrected(rows),
    )
    ranks_page.write("trainings", part(harness.read(path)), options.page)


def check(params: Mapping[str, Params]) -> None:
    """Raise LaureateError unless one study has a single training seed, the other several, and all that both
    draw is alike."""
    seeds = [len(params[title].train.seeds) for title in ("once", "several")]
    if seeds[0] != 1 or seeds[1] < 2:
        raise LaureateError(
            f"--once names a study with {seeds[0]} training seeds and --several one with {seeds[1]}: they "
            "must have one and several"
        )
    for key in ("ranks", "sample", "evaluate"):
        if getattr(params["once"], key) != getattr(params["several"], key):
            raise LaureateError(f"the two studies differ in the parameters `{key}`, which must be the same")


def scored(folder: Path, model: str, params: Params) -> ScoredModel:
    """A model of a study, from its evidence."""
    from laureate.comparison.paired_tests import ScoredModel
    from laureate.evaluation import evidence

    found = evidence.load(folder / EVIDENCE / f"{model}.safetensors", model)
    return ScoredModel(found, len(found.sets["looks"][1]), params.evaluate)


def rows_of(models: Mapping[str, ScoredModel], rank: int) -> list[dict[str, Any]]:
    """One row per judge: both values and their paired difference, with 95 % interval and p-value.

    The interval contains the luck of the several trainings, not that of the one."""
    from laureate.comparison.paired_tests import paired_test
    from laureate.evaluation import score_catalog

    labels = {column.key: column.label for column in score_catalog.SCORES}
    rows = []
    for key in KEYS:
        test = paired_test(key, "several", "once", models)
        if test is not None:
            values = {title: float(models[title].scores[key]()) for title in ("once", "several")}
            found = {"difference": test["value"], "low": test["low"], "high": test["high"], "p": test["p"]}
            rows.append({"rank": rank, "key": key, "score": labels[key], **values, **found})
    return rows


def corrected(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with `p_holm`, corrected over all ranks and judges."""
    from laureate.evaluation.scores import holm

    adjusted = holm([row["p"] for row in rows])
    return [{**row, "p_holm": p} for row, p in zip(rows, adjusted, strict=True)]


def about(folder: Path, params: Params) -> dict[str, Any]:
    """What a study trained: seeds, steps, batch, rate, samples per rank, the seconds of the run and the
    machine that it ran on."""
    machine = json.loads((folder / machine_file(params.ranks[0])).read_text(encoding="utf-8"))
    train = params.train
    return {
        "seeds": len(train.seeds),
        "steps": train.steps,
        "batch": train.batch,
        "learning_rate": train.learning_rate,
        "samples": len(train.seeds) * train.steps * train.batch,
        "seconds": machine["training"]["seconds"],
        "machine": f"{machine['processor']}, {machine['precision']}",
    }


def part(result: Mapping[str, Any]) -> str:
    """The part of docs/ranks.md, from the JSON that `run` writes."""
    rows, once, several = result["measured"], result["studies"]["once"], result["studies"]["several"]
    lines = [
        {
            "rank": row["rank"],
            "score": row["score"],
            "once": f"{row['once']:.4f}",
            "several": f"{row['several']:.4f}",
            "difference": _interval(row),
            "p": "< 0.001" if row["p_holm"] < 0.001 else f"{row['p_holm']:.3f}",
        }
        for row in rows
    ]
    titles = {"rank": "rank", "score": "score", "once": "once", "several": f"{several['seeds']} times",
              "difference": "difference", "p": "p"}  # fmt: skip
    beyond = [row for row in rows if row["p_holm"] <= LEVEL]
    better = [f"rank {row['rank']} by {row['score']}" for row in beyond if row["difference"] < 0]
    worse = [f"rank {row['rank']} by {row['score']}" for row in beyond if row["difference"] > 0]
    listed = [f" ({', '.join(names)})" if names else "" for names in (better, worse)]
    count = several["seeds"]
    text = f"""Written by `python -m benchmarks trainings` from two finished studies. One trains every rank
once: {_recipe(once)}. The other trains every rank with {count} seeds: {_recipe(several)}. Both draw
{result["pictures"]} pictures of every rank from the same prompts and noise, in the second each prompt by
one of the trainings, and are scored against the same {result["portraits"]} held-out portraits. Differences
are paired prompt by prompt, with 95 % intervals that contain the luck of the {count} trainings; below 0 the
{count} trainings are nearer to the portraits. *p* is corrected by Holm over all rows."""
    return f"""## What do several trainings cost?

{harness.paragraph(text)}

{harness.table(lines, titles, markdown=True)}

Beyond chance the {count} trainings are nearer in {len(better)} of {len(rows)} rows{listed[0]}, and farther in
{len(worse)}{listed[1]}."""


def _recipe(study: Mapping[str, Any]) -> str:
    each = " each" if study["seeds"] > 1 else ""
    return (
        f"{study['steps']} steps of {study['batch']} pictures{each} at a learning rate of "
        f"{study['learning_rate']:g}, {study['samples']} pictures per rank in all"
    )


def _interval(row: Mapping[str, Any]) -> str:
    """A difference with its interval: +0.012 (+0.003 to +0.021)."""
    return harness.interval(row["difference"], row["low"], row["high"])
