"""styles: how often the style of a picture is named rightly by cosines and by local scaling.

Pictures of many people in every style of the simulator, as style features of the early layers of the
independent judge. A picture is named after the style of the reference that it is most similar to, and after
the style whose references it is most similar to on average. Written into docs/scores.md.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import harness
from benchmarks.copies import through_vae
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.core.files import write_text
from laureate.evaluation.feature_extraction import role_features
from laureate.evaluation.judges import loading
from laureate.evaluation.scores import local_scaling
from laureate.simulator.portraits import attributes, portrait
from laureate.simulator.portraits.styles import STYLES

PAGE = Path("docs/scores.md")
MARKS = re.compile(r"(<!-- styles -->\n).*?(<!-- /styles -->)", re.DOTALL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--references, --pictures, --base, --page."""
    parser.add_argument("--references", type=int, default=20, metavar="N", help="per style")
    parser.add_argument("--pictures", type=int, default=20, metavar="N", help="per style, of other people")
    parser.add_argument("--base", default="models/embedded/base", metavar="DIR")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")


def run(options: argparse.Namespace) -> None:
    """Measure, print the table and write it between the marks of the page."""
    if not MARKS.search(options.page.read_text(encoding="utf-8")):
        raise LaureateError(f"{options.page} has no part marked <!-- styles -->")
    judge = loading.load(params.Evaluate().judges["imagenet"], 32)
    references, names = drawn(options.references, 0)
    pictures, truth = drawn(options.pictures, 10_000)
    known = role_features("style", judge.extract(references))
    rows = []
    for text, part in (
        ("as drawn", pictures),
        ("through the base's VAE", through_vae(pictures, Path(options.base))),
    ):
        cosines = local_scaling.cosines(role_features("style", judge.extract(part)), known)
        rows.append({"kind": text, "n": len(part), **shares(cosines, names, truth)})
    columns = {"kind": "pictures", "n": "n"}
    columns |= {key: key for key in list(rows[0])[2:]}
    table = harness.table(rows, columns, markdown=True)
    print(table)
    said = (
        f"{len(STYLES)} styles, {options.references} references of each; chance names "
        f"{100 / len(STYLES):.0f} % rightly; `python -m benchmarks styles`."
    )
    page = options.page.read_text(encoding="utf-8")
    write_text(options.page, MARKS.sub(lambda m: f"{m[1]}{table}\n\n{said}\n{m[2]}", page))


def drawn(count: int, first: int) -> tuple[list, list[str]]:
    """`count` pictures of every style, each of another person => (pictures, styles)."""
    pictures, names = [], []
    for place, style in enumerate(STYLES):
        for number in range(first + place * count, first + (place + 1) * count):
            who = attributes.random_attributes(np.random.default_rng(number))
            pictures.append(portrait.draw(who, style, number))
            names.append(style)
    return pictures, names


def shares(cosines: np.ndarray, names: list[str], truth: list[str]) -> dict[str, str]:
    """Per similarity and rule, the share of pictures that are named rightly, from (n, m) cosines."""
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "cosine": lambda s: s,
        "CSLS": local_scaling.locally_scaled,
    }
    known, right = np.array(names), np.array(truth)
    found = {}
    for rule in ("nearest", "mean"):
        for name, way in ways.items():
            similar = way(cosines)
            if rule == "nearest":
                named = known[similar.argmax(axis=1)]
            else:
                means = [similar[:, known == style].mean(axis=1) for style in STYLES]
                named = np.array(STYLES)[np.argmax(means, axis=0)]
            found[f"{name}, {rule}"] = f"{100 * float((named == right).mean()):.1f} %"
    return found
