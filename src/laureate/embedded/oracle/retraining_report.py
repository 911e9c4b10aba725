"""A part of docs/ranks.md from the results of `laureate oracle --trainings N`."""

from __future__ import annotations

from typing import Any

from laureate.comparison.results_table import rank_of
from laureate.embedded.oracle.coverage import PANEL
from laureate.embedded.oracle.report import LABELS, in_order, percent, table


def part(results: dict[str, Any]) -> str:
    """The part. `results`: what `retraining_study.simulate` returns, and the parameters of training."""
    size, train = results["sizes"], results["train"]
    kinds = sorted(results["kinds"], key=lambda name: (name != "one training", name))
    return f"""## How much is luck?

Written by the command below, with `train.steps={train["steps"]}`, `train.batch={train["batch"]}`,
`train.learning_rate={train["learning_rate"]:g}` and `train.warmup={train["warmup"]}` in params.yaml.

    {_command(size)}

In the embedded world every rank was trained {size["trainings"]} times, each with another seed: another
initialisation, order of pictures, noise and time steps ({train["steps"]} steps of {train["batch"]} pictures,
learning rate {train["learning_rate"]:g}). Each training drew {size["prompts"]} prompts of its own, one
picture each, and was scored against {size["references"]:,} new portraits. What all trainings of a rank
score on average counts as the truth about that rank.

### One training against the next

Standard deviation of a score in a study of one training with {size["prompts"]} pictures and
{size["study_references"]} portraits, by what it comes from; mean over ranks. *Training*: with the 95 %
intervals' ends, mean over ranks. *Ratio*: trainings to prompts and portraits together.

{_luck(results["luck"])}

### Do the intervals know it?

{size["studies"]} studies of each kind were drawn from the pool, of {size["prompts"]} pictures a rank, where
no other number is said, and {size["study_references"]} portraits: of one training, and of several that share
the prompts. How often does the 95 % interval cover the truth about the rank? Mean over ranks, and the rank
with the least coverage.

{_coverage(results["kinds"], kinds)}

### Is the recommended rank right?

Right: truly best by that judge, or truly within {100 * results["margin"]:g} % of the way from the base to the
best; for all judges together, by every judge. Truly tied: {_tied(results["tied"])}.

{_advice(results["kinds"], kinds)}

### True values

{_true(results["true"])}
"""


def _command(size: dict[str, int]) -> str:
    """The command that made the results, with all its options."""
    options = [f"--{name.replace('_', '-')} {value}" for name, value in size.items() if name != "prompts"]
    return f"laureate oracle --study-prompts {size['prompts']} {' '.join(sorted(options))}"


def _luck(by_score: dict[str, dict[str, dict[str, float]]]) -> str:
    rows = []
    for key, by_rank in in_order(by_score).items():
        each = list(by_rank.values())
        mean = {name: sum(one[name] for one in each) / len(each) for name in each[0]}
        rest = (mean["prompts"] ** 2 + mean["portraits"] ** 2) ** 0.5
        rows.append([
            LABELS[key],
            f"{mean['training']:.3g} ({mean['training_low']:.3g}–{mean['training_high']:.3g})",
            f"{mean['prompts']:.3g}",
            f"{mean['portraits']:.3g}" if mean["portraits"] > 1e-9 * mean["prompts"] else "–",
            f"{mean['training'] / rest:.2f}" if rest > 0 else "–",
        ])  # fmt: skip
    return table(["score", "training", "prompts", "portraits", "ratio"], rows)


def _coverage(by_kind: dict[str, Any], kinds: list[str]) -> str:
    rows = []
    for key in in_order(by_kind[kinds[0]]["scores"]):
        row = [LABELS[key]]
        for kind in kinds:
            of_ranks = [
                one for model, one in by_kind[kind]["scores"][key].items() if model.startswith("rank-")
            ]
            covered = [one["cover_interval"] for one in of_ranks]
            row.append(f"{percent(sum(covered) / len(covered))} (least {percent(min(covered))})")
            row.append(f"{sum(one['width'] for one in of_ranks) / len(of_ranks):.3g}")
        rows.append(row)
    return table(["score", *(name for kind in kinds for name in (kind, "width"))], rows)


def _advice(by_kind: dict[str, Any], kinds: list[str]) -> str:
    rows = []
    for judge in sorted(by_kind[kinds[0]]["advice"], key=lambda name: (name == PANEL, name)):
        row = [judge if judge != PANEL else "all judges together"]
        for kind in kinds:
            one = by_kind[kind]["advice"][judge]
            row += [percent(one["right"]), percent(one["cannot_tell"]), percent(one["settled"])]
        rows.append(row)
    head = ["judge"]
    for kind in kinds:
        head += [f"{kind}: right", "cannot tell", "settled"]
    return table(head, rows)


def _tied(by_judge: dict[str, list[int]]) -> str:
    return "; ".join(
        f"by {judge} rank {', '.join(map(str, ranks))}" for judge, ranks in sorted(by_judge.items())
    )


def _true(by_model: dict[str, dict[str, float]]) -> str:
    keys = list(in_order(next(iter(by_model.values()))))
    rows = [
        [model, *(f"{values[key]:.4g}" for key in keys)]
        for model, values in sorted(by_model.items(), key=lambda item: rank_of(item[0]) or 0)
    ]
    return table(["model", *(LABELS[key] for key in keys)], rows)
