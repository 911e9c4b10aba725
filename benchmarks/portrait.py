"""portrait: photos of drawn people through `laureate portrait`, held against their true portraits.

Photo and true portrait of a person are drawn by the same simulator from the same attributes and seed; prompts
are the captioner's. Run it in the folder of a finished study of the embedded world.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness

if TYPE_CHECKING:
    from PIL.Image import Image

    from laureate.evaluation.judges.vision import VisionOutput
    from laureate.img2img.generator import PortraitGenerator
    from laureate.img2img.photo import Photo
    from laureate.simulator.portraits.attributes import Attributes

COLUMNS = {
    "strength": "strength",
    "steps_run": "steps run",
    "style_read": "style read",
    "paper_off": "paper off by (levels)",
    "paper_worst": "worst",
    "right_photo": "right person, of the photos",
    "right_portrait": "right person, of the true portraits",
    "content": "content read",
    "content_photo": "content read in the photo",
}
BY_SKIN = {"skin": "skin", "people": "people"} | {
    key: COLUMNS[key]
    for key in ("style_read", "paper_off", "right_photo", "right_portrait", "content", "content_photo")
}
WAYS = {"way": "start, prompt, strength"} | {key: COLUMNS[key] for key in list(COLUMNS)[2:]}
UNSEEN = ("style", "skin", "light")  # what a portrait in ink does not show


@dataclass(frozen=True)
class People:
    """Drawn people, and what the judge reads in their photos and true portraits."""

    who: list[Attributes]
    photos: list[Image]
    seen_photos: VisionOutput
    seen_portraits: VisionOutput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--people, --strengths, --model, --seed, --quick, --out."""
    parser.add_argument("--people", type=int, default=48, metavar="N", help="default: 48")
    strengths = [0.3, 0.45, 0.6, 0.75, 0.9]
    parser.add_argument("--strengths", type=float, nargs="+", default=strengths, metavar="X")
    parser.add_argument("--usual", type=float, default=0.45, metavar="X", help="the strength of other tables")
    parser.add_argument("--model", metavar="NAME", help="default: params.selected")
    parser.add_argument("--seed", type=int, default=2027, metavar="N", help="of the people (default: 2027)")
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="portraits of each (default: 1)")
    parser.add_argument("--quick", action="store_true", help="four people, two strengths")
    parser.add_argument("--out", type=Path, metavar="FILE")


def run(options: argparse.Namespace) -> None:
    """Measure the curve over strengths, each skin tone, and what ground and caption are worth."""
    from laureate.config import params
    from laureate.core.progress import progress
    from laureate.evaluation.judges.vision import VisionJudge
    from laureate.img2img import pipeline
    from laureate.img2img.generator import PortraitGenerator

    if options.quick:
        options.people, options.strengths = min(options.people, 4), [options.usual, 1.0]
    loaded = params.load()
    model = options.model = options.model or loaded.selected
    generator = PortraitGenerator(loaded)
    judge = VisionJudge.load(loaded.evaluate.judges[str(loaded.evaluate.roles.attributes)].source)
    people = drawn_people(options.people, options.seed, loaded.drawn_at, judge)
    inked = [prepared(photo, generator, "paper", True) for photo in people.photos]
    on_paper = [prepared(photo, generator, "paper", False) for photo in people.photos]
    kept = [prepared(photo, generator, "keep", False) for photo in people.photos]
    prompts = [generator.caption(photo) for photo in progress(on_paper, len(on_paper), "captions")]
    alone = [f"A portrait, {loaded.prepare.style}."] * len(prompts)
    seeds = list(range(1, options.repeats + 1))

    def measured(photos: Sequence[Photo], texts: Sequence[str], strength: float) -> list[dict[str, Any]]:
        found = []
        pairs = list(zip(photos, texts, strict=True))
        for photo, text in progress(pairs, len(pairs), f"strength {strength:g}"):
            settings = generator.settings(text, strength=strength)
            found.append(generator.draw(photo, model, settings, seeds))
        steps = found[0][0].record["steps_run"]
        pictures = [portrait.picture for drawn in found for portrait in drawn]
        off = [portrait.record["paper"]["distance"] for drawn in found for portrait in drawn]
        values = scores(judge.read(pictures), people, options.repeats, judge.classes, loaded.evaluate.style)
        return [
            {"steps_run": steps, "paper_off": off[row]}
            | {key: float(each[row]) for key, each in values.items()}
            for row in range(len(pictures))
        ]

    curve = {strength: measured(inked, prompts, strength) for strength in options.strengths}
    usual = curve.get(options.usual) or measured(inked, prompts, options.usual)
    more = pipeline.STRENGTHS["photo"]
    ways = {
        f"tones of ink, captioner's sentence, {options.usual:g}": usual,
        f"tones of ink, style phrase alone, {options.usual:g}": measured(inked, alone, options.usual),
        f"the photo on paper, captioner's sentence, {more:g}": measured(on_paper, prompts, more),
        f"the photo with its ground, captioner's sentence, {more:g}": measured(kept, prompts, more),
    }
    skins = [who.skin for who in people.who for _ in seeds]
    by_skin = [
        {"skin": skin, "people": skins.count(skin) // len(seeds)}
        | mean([row for row, tone in zip(usual, skins, strict=True) if tone == skin])
        for skin in dict.fromkeys(sorted(skins))
    ]
    harness.report(
        "portrait",
        options,
        [{"strength": strength} | mean(rows) for strength, rows in curve.items()],
        COLUMNS,
        beside={
            "skin": (by_skin, BY_SKIN),
            "ways": ([{"way": way} | mean(rows) for way, rows in ways.items()], WAYS),
        },
        prompts=sorted(set(prompts)),
    )


def drawn_people(count: int, seed: int, side: int, judge: Any) -> People:
    """`count` people, each drawn twice with the same proportions: as a photograph and in the true style."""
    from laureate.simulator.portraits import attributes, portrait

    who = [attributes.random_attributes(np.random.default_rng([seed, index])) for index in range(count)]
    drawn = {
        style: [portrait.draw(person, style, seed + i, (side, side)) for i, person in enumerate(who)]
        for style in ("photograph", "laureate")
    }
    photos = drawn["photograph"]
    return People(who, photos, judge.read(photos), judge.read(drawn["laureate"]))


def prepared(photo: Image, generator: PortraitGenerator, background: Any, ink: bool) -> Photo:
    """A picture on its way as if it came as a file."""
    from laureate.img2img import photo as photos

    data = io.BytesIO()
    photo.save(data, "PNG")
    params = generator.params
    sheet = generator.paper_colour
    return photos.load(
        data.getvalue(),
        params.prepare,
        params.drawn_at,
        params.crawl.megapixels,
        sheet,
        background=background,
        find_face=False,  # drawn people stand where portraits have them
        ink=ink,
    )


def scores(
    seen: VisionOutput, people: People, repeats: int, classes: Mapping[str, tuple[str, ...]], style: str
) -> dict[str, NDArray[Any]]:
    """Per portrait, of `repeats` for each person in turn: each value (n,), shares 0..1.

    style_read: the judge names the style. content: share of the attributes that a portrait in ink shows and
    that are read as the person has them; content_photo: the same attributes in the photo. right_photo and
    right_portrait: of all people's photos (true portraits), the person's own is nearest by the judge's class
    probabilities of what a portrait shows.
    """
    from laureate.simulator.portraits import styles

    mine = np.repeat(np.arange(len(people.who)), repeats)
    names = [name for name in classes if name not in UNSEEN]

    def vectors(reading: VisionOutput) -> NDArray[Any]:
        return np.concatenate([reading.probabilities[name] for name in names], axis=1)

    def nearest(reading: VisionOutput) -> NDArray[Any]:
        far = ((vectors(seen)[:, None] - vectors(reading)[None]) ** 2).sum(axis=2)
        return far.argmin(axis=1) == mine

    def right(reading: VisionOutput, row: int, person: int) -> float:
        who = people.who[person]
        shown = sorted(styles.readable(who, style) - set(UNSEEN))
        said = [classes[name][int(reading.probabilities[name][row].argmax())] for name in shown]
        return float(np.mean([word == getattr(who, name) for word, name in zip(said, shown, strict=True)]))

    read = seen.probabilities["style"].argmax(axis=1)
    return {
        "style_read": read == classes["style"].index(style),
        "content": np.array([right(seen, row, person) for row, person in enumerate(mine.tolist())]),
        "content_photo": np.array([right(people.seen_photos, person, person) for person in mine.tolist()]),
        "right_photo": nearest(people.seen_photos),
        "right_portrait": nearest(people.seen_portraits),
    }


def mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means of all values; `paper_worst` is the largest `paper_off`, `steps_run` that of the first."""
    values: dict[str, Any] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return values | {
        "steps_run": rows[0]["steps_run"],
        "paper_worst": float(max(row["paper_off"] for row in rows)),
    }
