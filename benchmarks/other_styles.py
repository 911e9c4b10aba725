"""other_styles: does the best rank of one style hold for other styles and numbers of portraits?

For each of five drawn styles and several numbers of training portraits, all ranks are trained in one pack,
draw the same fresh prompts, and are held against portraits that no training saw, by every judge of the panel.
From which rank is best where, rules of thumb are chosen and tried on the style that was left out; the part of
docs/ranks.md is written from the JSON. What is made is kept in .work/other-styles: a run goes on where
another one ended.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import drawn_styles, harness, rank_rules
from laureate.core.paths import DATASET, ENCODED, WORK
from laureate.embedded.oracle import ranks_page

if TYPE_CHECKING:
    from PIL.Image import Image

    from laureate.config.params import Params
    from laureate.embedded.oracle.picture_pool import Part
    from laureate.embedded.oracle.pool_features import Judges
    from laureate.simulator.portraits.attributes import Attributes

FOLDER = WORK / "other-styles"
HELD_OUT = 8  # portraits whose loss the training measures: it needs some
FIRST_REFERENCE = 500_000  # number of the first person that no training sees
SPACES = {"imagenet": "imagenet", "vision": "features", "clip": "clip"}  # judge => its features
COLUMNS = {"style": "style", "portraits": "portraits", "rank": "rank", "excess": "farther than the best"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every benchmark, and the sizes of the study."""
    harness.add_common(parser, repeats=1)
    parser.add_argument("--portraits", type=int, nargs="+", default=[15, 30, 60], metavar="N")
    parser.add_argument("--ranks", type=int, nargs="+", default=[4, 16, 64], metavar="N")
    parser.add_argument("--prompts", type=int, default=48, metavar="N", help="of each model (default: 48)")
    parser.add_argument("--references", type=int, default=200, metavar="N", help="default: 200")
    parser.add_argument("--steps", type=int, default=80, metavar="N", help="of a training (default: 80)")
    parser.add_argument("--batch", type=int, default=2, metavar="N", help="of a training (default: 2)")
    parser.add_argument("--learning-rate", type=float, default=2e-3, metavar="X")
    parser.add_argument("--styles", nargs="+", choices=drawn_styles.STYLES, default=[*drawn_styles.STYLES])
    parser.add_argument("--page", type=Path, default=ranks_page.PAGE, metavar="FILE")


def run(options: argparse.Namespace) -> None:
    """Train, draw and score every style and number of portraits; write the JSON, and its part of the page."""
    from laureate.config import params as config
    from laureate.core.progress import progress

    if options.quick:
        options.portraits, options.ranks, options.prompts = options.portraits[:2], options.ranks[:2], 4
        options.references, options.steps, options.styles = 6, 2, options.styles[:2]
    params = settings(config.load(), options)
    cells = [(style, portraits) for style in options.styles for portraits in options.portraits]
    rows: list[dict[str, Any]] = []
    for style, portraits in progress(cells, len(cells), "styles and numbers of portraits"):
        found = measured(params, style, portraits, options.prompts, options.references)
        rows += [{"style": style, "portraits": portraits, "rank": rank, **of} for rank, of in found.items()]
    path = harness.report("other-styles", options, rows, COLUMNS)
    ranks_page.write("styles", part(harness.read(path)), options.page)


def settings(params: Params, options: argparse.Namespace) -> Params:
    """The parameters of the small trainings."""
    changed: dict[str, Any] = {
        "steps": options.steps, "batch": options.batch, "learning_rate": options.learning_rate,
        "warmup": max(1, options.steps // 10), "seeds": params.train.seeds[:1], "learning_rates": [],
        "snapshots": [], "epochs": None,
    }  # fmt: skip
    sample: Any = params.sample.model_copy(update={"seeds": params.sample.seeds[:1]})
    train: Any = params.train.model_copy(update=changed)
    return params.model_copy(update={"train": train, "sample": sample, "ranks": sorted(options.ranks)})


def measured(
    params: Params, style: str, portraits: int, prompts: int, references: int
) -> dict[int, dict[str, Any]]:
    """Rank => its distance by every judge, and `excess`: see `excess_of`."""
    from laureate.embedded.oracle import picture_pool, retrained_pool
    from laureate.embedded.oracle.pool_features import Judges, pool_features
    from laureate.evaluation import scores

    root = Path.cwd()
    folder = root / FOLDER
    asked = picture_pool.fresh_prompts(prompts, [])
    with contextlib.chdir(written(params, root, style, portraits)):
        if not ENCODED.exists():
            from laureate.stages import encode

            encode.run(params)
        training = retrained_pool.trained(params, retrained_pool.FIRST_SEED, folder)
        drawn = {
            **retrained_pool.drawn(params, None, asked, folder),
            **retrained_pool.drawn(params, training, asked, folder),
        }
        judges = Judges(params)
        real = pool_features(
            [reference_part(params, folder, style, references)], judges, f"portraits, {style}"
        )
        distances: dict[str, dict[str, float]] = {}
        for model, parts in drawn.items():
            features = pool_features(parts, judges, model)
            distances[model] = {
                judge: scores.kernel_distance(getattr(features, name), getattr(real, name))
                for judge, name in spaces(judges).items()
            }
    excess = excess_of(distances)
    return {
        rank: {**distances[f"rank-{rank}"], "base": distances["baseline"], "excess": excess[rank]}
        for rank in params.ranks
    }


def spaces(judges: Judges) -> dict[str, str]:
    """Judge => the name of its features, of the judges that there are."""
    there = judges.imagenet_source is not None
    return {judge: name for judge, name in SPACES.items() if there or judge != "imagenet"}


def excess_of(distances: Mapping[str, Mapping[str, float]]) -> dict[int, float]:
    """Rank => how much farther it is than the best, as a share of the base's distance, mean over the judges,
    less the least of all ranks; 0 is the best rank.

    Not as a share of the way from the base to the best: of a style that a judge sees no rank come nearer to,
    that way is nothing or leads back."""
    base = distances["baseline"]
    ranks = {model: of for model, of in distances.items() if model != "baseline"}
    lost = dict.fromkeys(ranks, 0.0)
    for judge in base:
        best = min(of[judge] for of in ranks.values())
        for model, of in ranks.items():
            lost[model] += (of[judge] - best) / base[judge] / len(base)
    least = min(lost.values())
    return {int(model.removeprefix("rank-")): value - least for model, value in lost.items()}


def nearer_by(rows: Sequence[Mapping[str, Any]]) -> float:
    """How much nearer than the base the best of some ranks is, as a share of the base's distance, mean over
    the judges; below 0: farther."""
    base = rows[0]["base"]
    return sum(1 - min(row[judge] for row in rows) / base[judge] for judge in base) / len(base)


def written(params: Params, root: Path, style: str, portraits: int) -> Path:
    """The folder of a small study in a style: its data set, and links to the models of this one."""
    from laureate.formats.imagefolder import write_metadata
    from laureate.simulator.portraits import attributes, captions

    folder = root / FOLDER / f"{style}-{portraits}".replace(" ", "-")
    judges = [judge.source for judge in params.evaluate.judges.values()]
    for path in map(Path, (params.base.path, params.base.lock, *judges)):
        link = folder / path
        if (root / path).exists() and not path.is_absolute() and not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(root / path)
    first = 0
    for name, count in (("train", portraits), ("holdout", HELD_OUT)):
        place, rows = folder / DATASET / name, []
        place.mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            rng = np.random.default_rng(number)
            who = attributes.random_attributes(rng)
            file = f"person-{number:05d}.png"
            portrait(params, who, style, number).save(place / file)
            # the phrase that the base can read, and whose style it has never seen
            rows.append({"file_name": file, "text": captions.caption(who, "laureate", rng)})
        write_metadata(place, rows)
        first = 100_000
    return folder


def reference_part(params: Params, folder: Path, style: str, references: int) -> Part:
    """Portraits in a style that no training saw, as one part of the pool."""
    from laureate.embedded.oracle.picture_pool import Part
    from laureate.simulator.portraits import attributes

    part = Part(
        folder / "references" / f"{style}-{references}-{params.prepare.resolution}.npy", 0, references
    )
    if not part.file.exists():
        numbers = range(FIRST_REFERENCE, FIRST_REFERENCE + references)
        people = ((attributes.random_attributes(np.random.default_rng(number)), number) for number in numbers)
        part.file.parent.mkdir(parents=True, exist_ok=True)
        drawn = [np.asarray(portrait(params, who, style, number)) for who, number in people]
        np.save(part.file, np.stack(drawn))
    return part


def portrait(params: Params, who: Attributes, style: str, number: int) -> Image:
    """A portrait as `prepare` would leave it."""
    from PIL import Image as pillow

    from laureate.imaging import image_io

    picture = pillow.fromarray(drawn_styles.draw(who, style, number))
    return image_io.resized(picture, params.prepare.resolution, params.prepare.filter)


def part(result: Mapping[str, Any]) -> str:
    """The part of docs/ranks.md, from the JSON that `run` writes."""
    rows, options = result["rows"], result["options"]
    ranks, sizes = ([*dict.fromkeys(row[key] for row in rows)] for key in ("rank", "portraits"))
    styles = list(dict.fromkeys(row["style"] for row in rows))
    excess = {(row["style"], row["portraits"], row["rank"]): row["excess"] for row in rows}
    cells = {
        (style, size): [row for row in rows if (row["style"], row["portraits"]) == (style, size)]
        for style in styles
        for size in sizes
    }
    lines = [
        {"style": style, "n": size, "nearer": _percent(nearer_by(cells[style, size]))}
        | {str(rank): _percent(excess[style, size, rank]) for rank in ranks}
        | {"good": ", ".join(str(rank) for rank in ranks if excess[style, size, rank] <= rank_rules.MARGIN)}
        for style in styles
        for size in sizes
    ]  # fmt: skip
    titles = {"style": "style", "n": "portraits", "nearer": "nearer than the base"} | {
        str(rank): f"rank {rank}" for rank in ranks
    }
    table = harness.table(lines, titles | {"good": "good ranks"}, markdown=True)
    judges = _listed([judge for judge in SPACES if judge in rows[0]])
    text = f"""Written by `python -m benchmarks other_styles`. {len(styles)} drawn styles that the base has
never seen, each with {_listed(sizes)} training portraits; every rank was trained once, {options["steps"]}
steps of {options["batch"]} pictures with a learning rate of {options["learning_rate"]:g}, drew
{options["prompts"]} fresh prompts, and was held against {options["references"]} portraits that no training
saw. Shown is how much farther a rank is than the best, by KID, as a share of the base's distance, mean over
the judges {judges}. *Good*: within {100 * rank_rules.MARGIN:g} %. *Nearer than the base*: how much of the
base's distance the best rank takes away; where that is little, the style was hardly learnt in so few
steps."""
    return f"""## Does the rank hold for other styles and numbers of portraits?

{harness.paragraph(text)}

{table}

{rank_rules.said(excess, styles, sizes, ranks)}"""


def _listed(items: Sequence[Any]) -> str:
    texts = list(map(str, items))
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
