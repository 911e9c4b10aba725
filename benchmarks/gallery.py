"""gallery: the pictures of docs/gallery: a drawn person's photo, the portrait of it, and the poster of that.

Run it in the folder of a finished study. Photo and poster are checked by a test, byte for byte; the portrait
in between depends on the machine and is named by its hash.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np

FOLDER = Path("docs/gallery")
PERSON, SEED, SIDE, WIDTH = 2027, 5, 128, 360  # of the drawn person, of the noise; pixels
NAME, SUBJECT = "Ada Ångström", "The prize in drawn physics"
CONTRIBUTION = "“for showing which rank learns a line best, and how sure one can be of it”"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--out."""
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help=f"default: {FOLDER}")


def run(options: argparse.Namespace) -> None:
    """Write photo.png, portrait.png, portrait.json and poster.png anew."""
    from laureate.commands import portrait
    from laureate.config import params
    from laureate.core.files import fresh_folder, write_bytes

    with fresh_folder(options.out) as folder:
        write_bytes(folder / "photo.png", photo())
        portrait.run(params.load(), str(folder / "photo.png"), seed=SEED, out=str(folder / "portrait.png"))
        poster(folder)


def photo() -> bytes:
    """A drawn person as a photograph: a PNG, the same bytes every time."""
    from laureate.simulator.portraits import attributes, portrait

    who = attributes.random_attributes(np.random.default_rng([PERSON, SEED]))
    data = io.BytesIO()
    portrait.draw(who, "photograph", PERSON + SEED, (SIDE, SIDE)).save(data, "PNG")
    return data.getvalue()


def poster(folder: Path, out: str = "poster.png") -> None:
    """Write the poster of FOLDER/portrait.png beside it."""
    from laureate.commands import poster as command

    made, target = str(folder / "portrait.png"), str(folder / out)
    command.run(made, NAME, SUBJECT, CONTRIBUTION, width=WIDTH, out=target)
