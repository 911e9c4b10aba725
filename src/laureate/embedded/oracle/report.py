"""docs/oracle.md from the results of the simulation study, or from metrics/oracle.json, which holds them."""

from __future__ import annotations

from typing import Any

from laureate.embedded.oracle.coverage import ATTRIBUTES, PANEL
from laureate.evaluation import score_catalog

LABELS = {column.key: column.label for column in score_catalog.SCORES}


def page(results: dict[str, Any]) -> str:
    """The page. `results`: what `simulation_study.simulate` returns."""
    size = results["sizes"]
    n = size["study_prompts"] * size["per_prompt"]
    return f"""# Can a small table be believed?

Written by `laureate oracle`; do not edit.

A simulation study in the embedded world, which can draw any number of pictures. `laureate oracle` generated
{size["prompts"]} new prompts × {size["per_prompt"]} seeds with every model, and drew {size["references"]:,}
new portraits by the same artist, encoded and prepared as the study's are. The scores of this pool count as
true. From the pool {size["studies"]} small studies were drawn, each of {size["study_prompts"]} prompts
({n} pictures a model) and {size["study_references"]} portraits, with the study's own scores, intervals and
adviser. No model was trained again: the variance between trainings is not included.

## Intervals

How often does the 95 % interval cover the true value? Mean over all models, and the model with the least
coverage. *Bias*: the mean over studies less the true value, in standard deviations of a study.

{_intervals(results["scores"])}

- *interval* is the one in the table: a bootstrap of prompts and portraits, moved to the estimate, with
  tails as wide as Student's t asks for (expanded percentile). *plain* is the percentile interval without that
  last step. *jackknife* is the estimate ± t times the standard error from leaving out prompts and portraits
  in turn, which all tests of differences use.
- A study is drawn from the pool that counts as true, so its error is too small. It is enlarged by the
  finite-population correction before an interval is checked. With {results["intervals"]} intervals a model,
  a coverage has a standard deviation of {results["noise"]:.1f} % by chance.
- LPIPS is drawn from {size["drawable"]:,} of the portraits; its true value is against all of them.
- FID and IS are biased at any small n, FID upwards by more than its own interval: the interval says how much
  the value would vary, not where the true value is. Compare them only at equal n, and decide by an unbiased
  distance.

## The adviser

It recommends the smallest rank that is tied with the best: not significantly worse, and shown to lie within
{100 * results["margin"]:g} % of the way from the base to the best rank. It is *right* where it recommends the
rank that is truly best by the same score, or one that truly lies within that margin of it. It *cannot tell*
where not even the best rank is significantly better than the base. *Settled*: no smaller rank is undecided,
so the adviser does not ask for more pictures.

{_advice(results["advice"])}
{_panel(results.get("panel", {}))}
## How many pictures

The same by KID, for other designs. *Width*: of the 95 % interval of a rank's KID.

{_designs(results["designs"])}

## What the study takes from it

{_choices(results)}

## True values

{_true_values(results["scores"])}
"""


def table(head: list[str], rows: list[list[str]], left: int = 1) -> str:
    """A Markdown table; the first columns are aligned left, the rest right."""
    rule = [":--" if place < left else "--:" for place in range(len(head))]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *rows])


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _intervals(by_score: dict[str, dict[str, dict[str, float]]]) -> str:
    rows = []
    for key, by_model in in_order(by_score).items():
        each = list(by_model.values())
        row = [LABELS[key], str(each[0]["studies"])]
        row.append(
            f"{max((one['bias'] / one['spread'] for one in each if one['spread']), key=abs, default=0):+.2f}"
        )
        for kind in ("interval", "plain", "jackknife"):
            covered = [one[f"cover_{kind}"] for one in each]
            row.append(f"{percent(sum(covered) / len(covered))} (least {percent(min(covered))})")
        rows.append(row)
    return table(["score", "studies", "largest bias", "interval", "plain", "jackknife"], rows)


def _advice(by_score: dict[str, dict[str, Any]]) -> str:
    rows = [
        [
            LABELS[key],
            str(one["best"]),
            ", ".join(map(str, one["tied"])),
            percent(one["right"]),
            percent(one["cannot_tell"]),
            percent(one["settled"]),
            ", ".join(
                f"{rank if rank != 'None' else 'none'}: {one['named'][rank]}"
                for rank in sorted(one["named"], key=lambda rank: (len(rank), rank))
            ),
        ]
        for key, one in in_order(by_score).items()
    ]
    head = ["score", "true best", "truly tied", "right", "cannot tell", "settled", "recommended"]
    return table(head, rows, left=3)


def _panel(by_judge: dict[str, dict[str, Any]]) -> str:
    """Each judge alone and all together; empty for results that have no panel."""
    if not by_judge:
        return ""
    names = sorted(by_judge, key=lambda name: (name == PANEL, name))  # JSON keeps no order of its own
    truths = [*names, ATTRIBUTES]
    rows = [
        [name, *(percent(one["right_by"][truth]) for truth in truths), percent(one["cannot_tell"]),
         percent(one["settled"]),
         *("–" if one[key] is None else percent(one[key]) for key in ("style_read", "content"))]
        for name, one in ((name, by_judge[name]) for name in names)
    ]  # fmt: skip
    head = ["who recommends", *(f"right to {truth}" for truth in truths), "cannot tell", "settled"]
    lines = table([*head, "true style", "true content"], rows)
    return f"""
By KID, each judge alone and all of them together. *Right to* a judge: the rank is truly best by that judge's
KID, or within the margin of it. *Right to style and content*: its true style lies within the margin of the
best, of the way from the base to it, and its true content within the margin of the best content. *True style*
and *content*: shares read back in the pool's pictures of the recommended ranks, mean over studies.

{lines}
"""


def _designs(designs: list[dict[str, Any]]) -> str:
    rows = [
        [
            str(one["prompts"]),
            str(one["seeds"]),
            str(one["prompts"] * one["seeds"]),
            f"{one['width']:.3f}",
            percent(one["right"]),
            percent(one["cannot_tell"]),
            percent(one["settled"]),
        ]
        for one in designs
    ]
    return table(["prompts", "per prompt", "pictures", "width", "right", "cannot tell", "settled"], rows, 0)


def _choices(results: dict[str, Any]) -> str:
    """The defaults of the study, each with its numbers."""
    size, by_score = results["sizes"], results["scores"]
    unbiased = ("kid", "cmmd", "lpips", "clip")

    def least(kind: str) -> float:
        return min(
            sum(one[f"cover_{kind}"] for one in by_score[key].values()) / len(by_score[key])
            for key in unbiased
        )

    lines = [
        "- **Interval.** The least coverage among KID, CMMD, LPIPS and CLIP: the expanded percentile "
        f"interval {percent(least('interval'))}, the plain one {percent(least('plain'))}, "
        f"the jackknife's {percent(least('jackknife'))}. The table has the expanded one."
    ]
    each = "; ".join(
        f"{LABELS[key]} {percent(one['right'])} right, {percent(one['settled'])} settled"
        for key, one in in_order(results["advice"]).items()
    )
    lines.append(f"- **Score of the adviser.** {each}. The study uses KID, which covers the whole picture.")
    if results.get("panel"):
        lines.append(_who_recommends(results["panel"]))
    designs = {(one["prompts"], one["seeds"]): one for one in results["designs"]}
    k, per = size["study_prompts"], size["per_prompt"]
    current, spread = designs[(k, per)], designs.get((k * per, 1))
    if spread and per > 1:
        lines.append(
            f"- **Pictures per prompt.** The interval of KID from {k * per} pictures is "
            f"{current['width']:.3f} wide for {k} prompts × {per}, and {spread['width']:.3f} for {k * per} "
            "prompts × 1. Two per prompt are the least from which the diversity within a prompt can be "
            "measured."
        )
    return "\n".join(lines)


def _who_recommends(by_judge: dict[str, dict[str, Any]]) -> str:
    """Why the whole panel is asked, or that it would be better not to."""
    right = {name: one["right_by"][PANEL] for name, one in by_judge.items()}
    alone = {name: share for name, share in right.items() if name != PANEL}
    each = ", ".join(f"{name} {percent(alone[name])}" for name in sorted(alone))
    best = max(sorted(alone), key=alone.__getitem__)
    default = "The study asks the whole panel"
    if right[PANEL] < alone[best]:
        default += f", although {best} alone is right more often: of a new style nobody knows that beforehand"
    return (
        "- **Who recommends.** A rank that is truly best or tied for every judge is named by one judge alone "
        f"in {each} of the studies, by all together in {percent(right[PANEL])}. {default}."
    )


def _true_values(by_score: dict[str, dict[str, dict[str, float]]]) -> str:
    ordered = in_order(by_score)
    models = sorted(next(iter(ordered.values())), key=lambda name: (name != "baseline", len(name), name))
    rows = [
        [model.replace("-", " "), *(f"{by_model[model]['true']:.4g}" for by_model in ordered.values())]
        for model in models
    ]
    return table(["model", *(LABELS[key] for key in ordered)], rows)


def in_order(by_score: dict[str, Any]) -> dict[str, Any]:
    """The same in the order of the score catalogue: the metrics' JSON is sorted by key."""
    return {key: by_score[key] for key in LABELS if key in by_score}
