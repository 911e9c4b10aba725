"""copies: which planted copies of training portraits are found, kind by kind, written into docs/scores.md.

Draws people with the simulator: training portraits, held-out portraits of other people, copies of the
training portraits, and portraits of more people, on which false alarms are counted. Thresholds come from the
first two alone, as in a study.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import harness
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.core.files import write_text
from laureate.evaluation import copies, scores
from laureate.evaluation.feature_extraction import lpips_of
from laureate.evaluation.judges.panel import Panel, PictureSet
from laureate.simulator.portraits import attributes, portrait

if TYPE_CHECKING:
    from PIL.Image import Image

PAGE = Path("docs/scores.md")
MARKS = re.compile(r"(<!-- copies -->\n).*?(<!-- /copies -->)", re.DOTALL)
LPIPS_QUANTILE = 0.01  # of the held-out portraits' distances, as in the score "memorised"
FALSE_ALARMS = 0.01  # at which LPIPS is shown too, with a threshold chosen on the very people it is tested on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--train, --holdout, --others, --seed, --page."""
    for name, default, text in (
        ("train", 82, "training portraits, each copied once in every way"),
        ("holdout", 34, "held-out portraits"),
        ("others", 1000, "portraits of other people, to count false alarms"),
        ("seed", 1, "of people and copies"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=text)
    parser.add_argument("--base", default="models/embedded/base", metavar="DIR")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")


def run(options: argparse.Namespace) -> None:
    """Measure, print the table and write it between the marks of the page."""
    if not MARKS.search(options.page.read_text(encoding="utf-8")):
        raise LaureateError(f"{options.page} has no part marked <!-- copies -->")
    people = People(options.seed, options.train, options.holdout)
    sets = {name: kind(people) for name, kind in KINDS.items()}
    sets["through the base's VAE"] = through_vae(people.train, Path(options.base))
    with tempfile.TemporaryDirectory() as folder:
        found = measured(people, sets, people.others(options.others), Path(folder))
    columns = {"kind": "pictures", "n": "n", "ours": "found", "lpips": "LPIPS", "lpips_at": "LPIPS at 1 %"}
    table = harness.table(found, columns, markdown=True)
    print(table)
    said = (
        f"{options.train} training portraits, {options.holdout} held out; `python -m benchmarks copies`. "
        "*LPIPS*: the score `memorisation`. *LPIPS at 1 %*: with the threshold that gives 1 % false alarms "
        "on these very people."
    )
    page = options.page.read_text(encoding="utf-8")  # as it is now: this took a while
    write_text(options.page, MARKS.sub(lambda m: f"{m[1]}{table}\n\n{said}\n{m[2]}", page))


class People:
    """Drawn people: those of the training portraits, and as many others as are asked for."""

    def __init__(self, seed: int, train: int, holdout: int) -> None:
        self.seed, self.count = seed, train
        self.train = [self.drawn(number) for number in range(train)]
        self.holdout = [self.drawn(train + number) for number in range(holdout)]

    def others(self, count: int) -> list[Image]:
        """Portraits of people that are in neither part."""
        return [self.drawn(100_000 + number) for number in range(count)]

    def who(self, number: int) -> attributes.Attributes:
        """What the person of that number looks like."""
        return attributes.random_attributes(np.random.default_rng([self.seed, number]))

    def drawn(self, number: int) -> Image:
        """The portrait of a person."""
        return portrait.draw(self.who(number), "laureate", number)

    def rng(self, kind: str) -> np.random.Generator:
        """For the copies of one kind."""
        return np.random.default_rng([self.seed, *kind.encode()])


def cropped(people: People) -> list[Image]:
    """70 to 90 % of a side, enlarged to the old size."""
    from PIL import Image

    rng, found = people.rng("cropped"), []
    for picture in people.train:
        width = picture.size[0]
        side = int(width * rng.uniform(0.7, 0.9))
        x, y = (int(place) for place in rng.integers(0, width - side + 1, 2))
        part = picture.crop((x, y, x + side, y + side))
        found.append(part.resize(picture.size, Image.Resampling.BICUBIC))
    return found


def mirrored(people: People) -> list[Image]:
    """Left and right exchanged."""
    from PIL import ImageOps

    return [ImageOps.mirror(picture) for picture in people.train]


def recoloured(people: People) -> list[Image]:
    """Another brightness of each channel, and another gamma."""
    from PIL import Image

    rng, found = people.rng("recoloured"), []
    for picture in people.train:
        gain, gamma = rng.uniform(0.75, 1.15, 3), rng.uniform(0.8, 1.25)
        levels = 255 * (np.asarray(picture) / 255) ** gamma * gain
        found.append(Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)))
    return found


def shifted(people: People) -> list[Image]:
    """Moved by up to a tenth of a side; the paper goes on where nothing was."""
    from PIL import Image

    rng, found = people.rng("shifted"), []
    for picture in people.train:
        reach = picture.size[0] // 10
        moved = Image.new("RGB", picture.size, picture.getpixel((2, 2)))
        across, down = (int(place) for place in rng.integers(-reach, reach + 1, 2))
        moved.paste(picture, (across, down))
        found.append(moved)
    return found


def posed_anew(people: People) -> list[Image]:
    """The same person drawn again: turned another way, with the light from any side."""
    rng, found = people.rng("posed anew"), []
    for number in range(people.count):
        who = people.who(number)
        pose = str(rng.choice([pose for pose in ("facing", "left", "right") if pose != who.pose]))
        who = replace(who, pose=pose, light=str(rng.choice(["left", "right"])))
        found.append(portrait.draw(who, "laureate", int(rng.integers(2**31))))
    return found


KINDS: dict[str, Callable[[People], list[Image]]] = {
    "cropped": cropped,
    "mirrored": mirrored,
    "recoloured": recoloured,
    "shifted": shifted,
    "posed anew": posed_anew,
}


def through_vae(pictures: Sequence[Image], base: Path) -> list[Image]:
    """Encoded and decoded again, as an adapter that has learnt a portrait by heart would draw it."""
    from benchmarks.judges import round_trip
    from laureate.imaging.image_io import decode

    with tempfile.TemporaryDirectory() as folder:
        plain, back = (Path(folder) / name for name in ("plain", "back"))
        for place in (plain, back):
            place.mkdir()
        for number, picture in enumerate(pictures):
            picture.save(plain / f"{number:04d}.png")
        round_trip(base, plain, back)
        return [decode(file.read_bytes()) for file in sorted(back.iterdir())]


def measured(
    people: People, sets: Mapping[str, Sequence[Image]], others: Sequence[Image], cache: Path
) -> list[dict[str, object]]:
    """A row per set: the share that is called a copy, by ours, by LPIPS, and by LPIPS at 1 % false alarms."""
    panel = Panel(params.Evaluate(roles=params.Roles(text=None, cmmd=None)), cache)
    train, holdout = (picture_set(part) for part in (people.train, people.holdout))
    near = {name: nearest_lpips(panel, picture_set(part), train) for name, part in sets.items()}
    of_others = nearest_lpips(panel, picture_set(others), train)
    limit = np.quantile(np.sqrt(nearest_lpips(panel, holdout, train)), LPIPS_QUANTILE)
    rows: list[dict[str, object]] = []
    for name, part, distances in [
        *((name, part, near[name]) for name, part in sets.items()),
        ("other people (false alarms)", others, of_others),
    ]:
        ours = copies.copied(panel, picture_set(part), train, holdout)
        lpips = np.sqrt(distances)
        at = lpips < np.quantile(np.sqrt(of_others), FALSE_ALARMS)
        row = {"kind": name, "n": len(part)}
        for key, share in (("ours", ours.mean()), ("lpips", (lpips < limit).mean()), ("lpips_at", at.mean())):
            row[key] = f"{100 * share:.1f} %"
        rows.append(row)
    return rows


def picture_set(pictures: Sequence[Image]) -> PictureSet:
    """Pictures as a panel takes them."""
    return PictureSet([Path(f"{number}.png") for number in range(len(pictures))], list(pictures))


def nearest_lpips(panel: Panel, pictures: PictureSet, train: PictureSet) -> np.ndarray:
    """LPIPS of each picture to the nearest training portrait => (n,)."""
    found = [panel.extract("lpips", part) for part in (pictures, train)]
    x, y = (lpips_of(output) for output in found if output is not None)
    return scores.lpips(x, y).min(axis=1)
