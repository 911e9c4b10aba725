"""recipe: memory and operations of the real recipes, as `laureate plan` counts them, in docs/recipe.md.

Everything is counted on the meta device for a GPU that computes in bfloat16, so the table is the same on
every machine. A test compares the page with it.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from laureate.commands import plan, world
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.core.files import write_text

WORLDS = ("nobel", "original")
MARKS = re.compile(r"(<!-- plan: [^\n]* -->\n).*?(<!-- /plan -->)", re.DOTALL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--page."""
    parser.add_argument("--page", type=Path, default=Path("docs/recipe.md"), metavar="FILE")


def run(options: argparse.Namespace) -> None:
    """Write the table between the page's marks. Raises LaureateError if there are none."""
    write_text(options.page, with_table(options.page.read_text(encoding="utf-8"), table(Path())))


def with_table(page: str, lines: str) -> str:
    """The page with `lines` between its marks. Raises LaureateError where the marks are missing."""
    if not MARKS.search(page):
        raise LaureateError("the page has no part between <!-- plan: … --> and <!-- /plan -->")
    return MARKS.sub(lambda match: match[1] + lines + match[2], page)


def table(project: Path) -> str:
    """A Markdown table, one row per recipe; `project` holds params.yaml and worlds/."""
    import torch

    text = (project / "params.yaml").read_text(encoding="utf-8")
    gpus = list(plan.GPUS.items())
    heads = ["recipe", "pixels", "batch", "one rank, GiB", "all ranks together, GiB", "10¹² operations"]
    lines = [
        "| " + " | ".join([*heads, *(name for name, _ in gpus)]) + " |",
        "|---|" + "--:|" * (len(heads) - 1 + len(gpus)),
    ]
    for name in WORLDS:
        file = project / "worlds" / f"{name}.yaml"
        values, _ = world.switched(text, file.read_text(encoding="utf-8"))
        settings = params.parse(values, file)
        counts = plan.pictures_of(settings, settings.prepare.min_train)  # whatever data set lies here
        made = plan.estimate(settings, plan.shape_of(settings), counts, torch.bfloat16, "fused")
        costs = (*made.alone.values(), made.pack)
        memory = [cost.memory("cuda", int(plan.CONTEXT)) / plan.GIB for cost in costs]
        cells = [
            f"`{name}`",
            str(settings.prepare.resolution),
            str(settings.train.batch),
            f"{min(memory[:-1]):.1f} to {max(memory[:-1]):.1f}",
            f"{memory[-1]:.1f}",
            f"{made.flops / plan.TERA:,.0f}",
            *(plan.duration(made.flops / (plan.SHARE * peak * plan.TERA)) for _, peak in gpus),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    lines.append(
        f"Durations of encode, train and sample at {plan.SHARE:.0%} of a card's matrix rate, which no card "
        "has confirmed yet."
    )
    return "\n".join(lines) + "\n"
