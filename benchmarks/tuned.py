"""tuned: the default study beside one with several rates, steps and strengths, as their results say.

Reads metrics/ of two finished studies and writes into docs/choosing.md what was chosen, what changes, what
the independent judge says of both, and whether held-out loss predicts the distances to the portraits.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.choosing import PAGE
from laureate.comparison import choices, results_table
from laureate.comparison.judge_agreement import kendall
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.core.files import write_text

MARKS = re.compile(r"(<!-- tuned: .*? -->\n).*?(<!-- /tuned -->)", re.DOTALL)
MARGINS = (0.02, 0.05, 0.1)  # values of choose.loss_margin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--default, --tuned, --page."""
    parser.add_argument("--default", type=Path, required=True, metavar="DIR", help="a finished study")
    parser.add_argument("--tuned", type=Path, required=True, metavar="DIR", help="with several candidates")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")


def run(options: argparse.Namespace) -> None:
    """Read both studies, print the section and write it between the marks of the page."""
    page = options.page.read_text(encoding="utf-8")
    if not MARKS.search(page):
        raise LaureateError(f"{options.page} has no part between <!-- tuned: … --> and <!-- /tuned -->")
    text = section(options.default, options.tuned)
    print(text)
    write_text(options.page, MARKS.sub(lambda match: f"{match[1]}{text}\n{match[2]}", page))


def section(default: Path, tuned: Path) -> str:
    """All that the page says of two studies."""
    settings = params.load(tuned / "params.yaml")
    found = {
        rank: json.loads((tuned / choices.CHOICES / f"rank-{rank}.json").read_text(encoding="utf-8"))
        for rank in settings.ranks
    }
    lead = settings.compare.judges[0]
    heads = {"KID, ImageNet": "kid_imagenet", "KID": "kid", "CMMD": "cmmd", "style distance": "style"}
    tables = [results_table.read_csv(folder / "metrics/comparison.csv") for folder in (default, tuned)]
    advice = [
        json.loads((folder / "metrics/adviser.json").read_text(encoding="utf-8"))
        for folder in (default, tuned)
    ]
    train, choose = settings.train, settings.choose
    rates = joined(list(dict.fromkeys(one["naive"]["learning_rate"] for one in found.values())))
    steps = [step for step in train.snapshots if step < train.steps]
    parts = [
        f"Ranks {joined(settings.ranks)}; learning rate {rates}, beside it "
        f"{joined(train.learning_rates)}; step {train.steps}, beside it {joined(steps)}; strength "
        f"{settings.sample.strength:g}, beside it {joined(choose.strengths)}; training seeds "
        f"{joined(train.seeds)}; batches of {train.batch} pictures; {settings.sample.steps} steps of "
        f"drawing; `choose.loss_margin` {choose.loss_margin:g}.",
        chosen_table(found),
        f"Scores of the table without choosing → with it (`{lead}` is the independent judge):",
        scores_table(settings.ranks, heads, tables),
        "The advice without choosing:",
        quoted(advice[0]["sentences"]),
        "The advice with it:",
        quoted(advice[1]["sentences"]),
        judges_say(lead, advice),
        *loss_section(found),
    ]
    return "\n\n".join(parts)


def chosen_table(found: Mapping[int, Mapping[str, Any]]) -> str:
    """What was chosen for every rank, as Markdown."""
    rows = []
    for rank, one in found.items():
        gain, drawn = one["gain"], sum(each["pictures"] for each in one["rounds"])
        rows.append({
            "rank": rank, "rate": f"{one['learning_rate']:g}", "step": one["step"],
            "strength": f"{one['strength']:g}", "candidates": one["candidates"], "pictures": drawn,
            "gain": "–" if gain is None else interval(gain), "apparent": interval(one["apparent_gain"]),
            "more": one["more_training"],
        })  # fmt: skip
    columns = {
        "rank": "rank", "rate": "learning rate", "step": "step", "strength": "strength",
        "candidates": "candidates", "pictures": "pictures", "gain": "gain, cross-fitted, %",
        "apparent": "gain, apparent, %", "more": "more training",
    }  # fmt: skip
    return harness.table(rows, columns, markdown=True)


def scores_table(ranks: Sequence[int], heads: Mapping[str, str], tables: Sequence[Any]) -> str:
    """Scores of every rank in both studies, as Markdown."""
    rows = []
    for rank in ranks:
        values = {
            head: " → ".join(f"{float(table.loc[f'rank-{rank}', key]):.3f}" for table in tables)
            for head, key in heads.items()
            if key in tables[0].columns
        }
        rows.append({"rank": rank, **values})
    return harness.table(rows, {key: key for key in rows[0]}, markdown=True)


def judges_say(lead: str, advice: Sequence[Mapping[str, Any]]) -> str:
    """What the independent judge finds best in both studies."""
    best = [one["judges"][lead]["best"] for one in advice]
    ranks = [one["rank"] for one in advice]
    found = [{row["rank"]: row["verdict"] for row in one["judges"][lead]["findings"]} for one in advice]
    same = "The advice is the same" if ranks[0] == ranks[1] else "The advice changes"
    return (
        f"{same}: rank {ranks[0]} without choosing, rank {ranks[1]} with it. The judge `{lead}` finds rank "
        f"{best[0]} best and calls rank {ranks[0]} {found[0].get(ranks[0], 'nothing')} without choosing; "
        f"with it, rank {best[1]} best and rank {ranks[1]} {found[1].get(ranks[1], 'nothing')}."
    )


def loss_section(found: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """Whether held-out loss predicts the panel's score in the first round of pictures."""
    rows, taus, lost = [], [], dict.fromkeys(MARGINS, 0)
    for rank, one in found.items():
        known = [row for row in one["rounds"][1]["candidates"] if row["score"] is not None]
        usual = [row for row in known if row["strength"] == one["naive"]["strength"]]
        loss, score = (np.array([[row[key] for row in usual]]) for key in ("loss", "score"))
        taus.append(float(kendall(loss, score)[0]))
        best, lowest = min(usual, key=lambda row: row["score"]), min(usual, key=lambda row: row["loss"])
        rows.append({
            "rank": rank, "n": len(usual), "tau": f"{taus[-1]:+.2f}".replace("-", "−"),
            "best": _short(best), "lowest": _short(lowest),
            "cost": f"{100 * (lowest['score'] - best['score']):.1f}",
        })  # fmt: skip
        base = one["base_loss"]
        low = min(row["loss"] for row in one["rounds"][0]["candidates"])
        own = next(row["loss"] for row in one["rounds"][0]["candidates"] if _same(row, one))
        for margin in MARGINS:
            lost[margin] += own > low + margin * (base - low)
    columns = {
        "rank": "rank", "n": "rates × steps", "tau": "Kendall's τ", "best": "best by the panel",
        "lowest": "lowest loss", "cost": "behind by, %",
    }  # fmt: skip
    said = ", ".join(f"{count} with {margin:g}" for margin, count in lost.items())
    return [
        "Held-out loss against the panel's score of the first round of pictures, at one strength. *Behind "
        "by*: how much farther from the portraits the candidate with the lowest loss is than the best one.",
        harness.table(rows, columns, markdown=True),
        f"Mean τ {np.mean(taus):+.2f}. Of the {len(found)} choices, `choose.loss_margin` would have stopped "
        f"before a picture was drawn: {said}.".replace("τ -", "τ −"),
    ]


def joined(values: Sequence[float]) -> str:
    """`4, 16`; `nothing` without any."""
    return ", ".join(f"{value:g}" for value in values) or "nothing"


def interval(gain: Mapping[str, float]) -> str:
    """`3.1 (1.2 to 5.0)`, in percent."""
    value, low, high = (100 * gain[key] for key in ("value", "low", "high"))
    return harness.interval(value, low, high, ".1f")


def quoted(sentences: Sequence[str]) -> str:
    """Sentences as a quotation of Markdown."""
    return "\n".join(f"> {sentence}" for sentence in sentences)


def _short(row: Mapping[str, Any]) -> str:
    return f"{row['learning_rate']:g}, step {row['step']}"


def _same(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(row[key] == other[key] for key in ("learning_rate", "step", "strength"))
