"""docs/oracle.md from what the oracle found. Pure: the same findings give the same page."""

from __future__ import annotations

from typing import Any

LABELS = {
    "kid": "KID", "cmmd": "CMMD", "style": "Style distance", "lpips": "LPIPS", "fid": "FID", "clip": "CLIP",
    "clip_content": "CLIP content", "is": "IS", "style_read": "Style read", "content": "Content",
}  # fmt: skip


def written(found: dict[str, Any]) -> str:
    """The page."""
    size = found["sizes"]
    n = size["study_prompts"] * size["per_prompt"]
    return f"""# Can a small table be believed?

Written by `laureate oracle`; do not edit.

The embedded world is drawn, so it can be asked for any number of pictures. The oracle drew
{size["prompts"]} fresh prompts × {size["per_prompt"]} seeds from every model, and {size["references"]:,}
portraits that hang in other museums of the same artist, received and prepared as the study's are. What
these many pictures say counts as true. From them {size["studies"]} small studies were drawn again, each
of {size["study_prompts"]} prompts ({n} pictures a model) and {size["study_references"]} portraits, with
the study's own scores, intervals and adviser. No model was trained again: the luck of a training is not
in here.

## Intervals

Does the 95 % interval hold the true value? Mean over all models, and the model where it does so least.
*Bias*: how far the mean over studies lies from the truth, in standard deviations of a study.

{_intervals(found["scores"])}

- *interval* is the one in the table: a bootstrap of prompts and portraits, moved to the estimate, with
  tails as far out as Student's t asks (expanded percentile). *plain* leaves that last step out.
  *jackknife* is the estimate ± t times the standard error from leaving out prompts and portraits in turn,
  behind every test of a difference.
- A study draws from the pool that counts as the truth, which would flatter it. So every interval is first
  narrowed by the finite-population correction. With {found["intervals"]} intervals a model, chance alone
  moves a coverage by {found["noise"]:.1f} % (one standard deviation).
- LPIPS is drawn from {size["drawable"]:,} of the portraits, and true against all of them.
- FID and IS are biased at any small n, FID upwards by more than its own interval: that says how much the
  value would vary, not where the truth is. Compare them only at equal n, and decide by a distance that is
  unbiased.

## The adviser

It names the smallest rank that is tied with the best: not significantly worse, and shown to lie within
{100 * found["margin"]:g} % of the way from the base to the best rank. It is *right* where it names the
rank that is truly best by the same score, or one that truly lies within that margin of it. *Settled*: no
smaller rank is left undecided, so it does not add that there are not enough pictures to tell.

{_advice(found["advice"])}

## How many pictures

The same question by KID, for other studies. *Width*: of the 95 % interval of a rank's KID.

{_designs(found["designs"])}

## What the study takes from it

{_choices(found)}

## True values

{_truths(found["scores"])}
"""


def _table(head: list[str], rows: list[list[str]], left: int = 1) -> str:
    """A Markdown table; the first columns are aligned left, the rest right."""
    rule = [":--" if place < left else "--:" for place in range(len(head))]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *rows])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _intervals(by_score: dict[str, dict[str, dict[str, float]]]) -> str:
    rows = []
    for key, by_model in by_score.items():
        each = list(by_model.values())
        row = [LABELS[key], str(each[0]["studies"])]
        row.append(
            f"{max((one['bias'] / one['spread'] for one in each if one['spread']), key=abs, default=0):+.2f}"
        )
        for kind in ("interval", "plain", "jackknife"):
            held = [one[f"cover_{kind}"] for one in each]
            row.append(f"{_percent(sum(held) / len(held))} (least {_percent(min(held))})")
        rows.append(row)
    return _table(["score", "studies", "largest bias", "interval", "plain", "jackknife"], rows)


def _advice(by_score: dict[str, dict[str, Any]]) -> str:
    rows = [
        [
            LABELS[key],
            str(one["best"]),
            ", ".join(map(str, one["tied"])),
            _percent(one["right"]),
            _percent(one["cannot_tell"]),
            _percent(one["settled"]),
            ", ".join(
                f"{rank if rank != 'None' else 'none'}: {times}" for rank, times in one["named"].items()
            ),
        ]
        for key, one in by_score.items()
    ]
    return _table(["by", "true best", "truly tied", "right", "cannot tell", "settled", "named"], rows, 3)


def _designs(designs: list[dict[str, Any]]) -> str:
    rows = [
        [
            str(one["prompts"]),
            str(one["seeds"]),
            str(one["prompts"] * one["seeds"]),
            f"{one['width']:.3f}",
            _percent(one["right"]),
            _percent(one["cannot_tell"]),
            _percent(one["settled"]),
        ]
        for one in designs
    ]
    return _table(["prompts", "per prompt", "pictures", "width", "right", "cannot tell", "settled"], rows, 0)


def _choices(found: dict[str, Any]) -> str:
    """The defaults, each with the numbers that speak for or against it."""
    size, by_score = found["sizes"], found["scores"]
    unbiased = ("kid", "cmmd", "lpips", "clip")

    def least(kind: str) -> float:
        return min(
            sum(one[f"cover_{kind}"] for one in by_score[key].values()) / len(by_score[key])
            for key in unbiased
        )

    lines = [
        "- **Bootstrap.** Of KID, CMMD, LPIPS and CLIP the interval covers least "
        f"{_percent(least('interval'))}, the plain one {_percent(least('plain'))}, the jackknife's "
        f"{_percent(least('jackknife'))}. The table has the first."
    ]
    advice = found["advice"]
    each = "; ".join(
        f"{LABELS[key]} {_percent(one['right'])} right, {_percent(one['settled'])} settled"
        for key, one in advice.items()
    )
    lines.append(f"- **Kernel.** The adviser by {each}. It goes by KID, which looks at the whole picture.")
    designs = {(one["prompts"], one["seeds"]): one for one in found["designs"]}
    k, per = size["study_prompts"], size["per_prompt"]
    now, spread = designs[(k, per)], designs.get((k * per, 1))
    if spread and per > 1:
        lines.append(
            f"- **Pictures per prompt.** The interval of KID from {k * per} pictures is {now['width']:.3f} "
            f"wide for {k} prompts × {per}, and {spread['width']:.3f} for {k * per} prompts × 1. Two per "
            "prompt are the least that show how varied the pictures of one prompt are."
        )
    return "\n".join(lines)


def _truths(by_score: dict[str, dict[str, dict[str, float]]]) -> str:
    models = list(next(iter(by_score.values())))
    rows = [
        [model.replace("-", " "), *(f"{by_score[key][model]['true']:.4g}" for key in by_score)]
        for model in models
    ]
    return _table(["model", *(LABELS[key] for key in by_score)], rows)
