"""The options of the commands that are not stages. Imports nothing that a command needs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping


def add(commands: Mapping[str, argparse.ArgumentParser]) -> None:
    """Add the options of every command to its parser; `commands`: verb => parser."""
    commands["world"].add_argument("name", nargs="?", metavar="NAME", help="a file of worlds/, such as nobel")
    commands["doctor"].add_argument("path", metavar="PATH", help="an image folder, with or without captions")
    commands["doctor"].add_argument("--fix", metavar="DIR", help="write a mended copy into this new folder")
    _score(commands["score"])
    _votes(commands["votes"])
    for verb in ("export", "shrink", "card", "push"):
        commands[verb].add_argument("--rank", type=int, required=True, metavar="N", help="one of ranks")
    for verb in ("export", "card", "push"):
        which = commands[verb].add_argument
        which(
            "--arm",
            metavar="NAME",
            help="another training of the rank, such as seed-43, or main (default: the chosen one)",
        )
        which(
            "--step",
            type=int,
            metavar="N",
            help="one of train.snapshots (default: the chosen step; with --arm the last)",
        )
        words = "merged into the weights' alpha (default: the chosen one)"
        which("--strength", type=float, metavar="X", help=words)
    for verb in ("card", "push"):
        words = "who permits the use of the training pictures"
        commands[verb].add_argument("--rights", default="", metavar="TEXT", help=words)
    send = commands["push"].add_argument
    send("--repo", required=True, metavar="OWNER/NAME", help="the repository on the hub")
    send("--yes", action="store_true", help="upload it")
    send("--public", action="store_true", help="make a new repository public (default: private)")
    give = commands["export"].add_argument
    give(
        "--to",
        required=True,
        choices=("diffusers", "kohya", "comfyui"),
        help="the program that loads the file",
    )
    give("--out", metavar="FILE", help="output file (default: exports/rank-N-FORMAT.safetensors)")
    smaller = commands["shrink"].add_argument
    smaller("--to", type=int, required=True, metavar="N", help="the rank to cut it to")
    share = "the same rank for every layer, or one sum of ranks for all (default: layer)"
    smaller("--budget", choices=("layer", "global"), default="layer", help=share)
    smaller("--out", metavar="DIR", help="output folder (default: exports/rank-N-to-M)")
    commands["images"].add_argument("--model", required=True, metavar="NAME", help="one of external")
    serve = commands["serve"].add_argument
    serve("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    serve("--port", type=_port, default=8765, help="the port, 0 for any free one (default: 8765)")
    commands["plan"].add_argument(
        "--pictures", type=int, metavar="N", help="training pictures, if there is no data set yet"
    )
    card = "print the settings that fit a graphics card of so many GiB, and what they cost"
    commands["plan"].add_argument("--card", type=_gib, metavar="GIB", help=card)
    cluster = commands["cluster"].add_argument
    cluster("--address", default="", help="a Ray cluster, such as auto or HOST:6379 (default: this host)")
    cluster("--plan", action="store_true", help="say what would run where and how long, and run nothing")
    cluster("--setup", default="", metavar="COMMAND", help="a shell command to run in every clone first")
    cluster("--cpus", type=int, default=0, metavar="N", help="cores of a task that uses a model")
    price = commands["price"].add_argument
    price("--pictures", type=int, metavar="N", help="drawn per rank to take the time (default: one batch)")
    price("--json", dest="json_file", metavar="FILE", help="write it as JSON too")
    against = commands["replicate"].add_argument
    against("--rev", default="HEAD", metavar="REV", help="the git revision (default: HEAD)")
    against("--restore", action="store_true", help="then restore metrics/ and dvc.lock from that revision")
    _draw(commands["draw"])
    page = commands["app"].add_argument
    page("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    page("--port", type=_port, default=7860, help="the port, 0 for any free one (default: 7860)")
    page("--token", metavar="TEXT", help="what a browser must show; any host but loopback needs one")
    kept = "keep photos and what is made of them in this folder (default: nothing is kept)"
    page("--keep", metavar="DIR", help=kept)
    _portrait(commands["portrait"])
    _poster(commands["poster"])
    sizes = commands["oracle"].add_argument
    for name, default, text in (
        ("prompts", 500, "new prompts, drawn by every model with every seed of the study"),
        ("references", 10_000, "new portraits"),
        ("studies", 400, "small studies resampled from these"),
        ("study-prompts", 49, "prompts of a small study"),
        ("study-references", 34, "portraits of a small study"),
        ("draws", 500, "bootstrap resamples of an interval"),
        ("seed", 7, "random seed of the small studies"),
    ):
        sizes(f"--{name}", type=int, default=default, metavar="N", help=f"{text} (default: {default})")
    words = "train every rank N times and study the luck of a training instead"
    sizes("--trainings", type=int, default=0, metavar="N", help=words)
    commands["museum"].add_argument(
        "--port", type=_port, default=8000, help="the port on loopback (default: 8000)"
    )


def _port(text: str) -> int:
    """A port number of TCP. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: choose a whole number from 0 to 65535")
    return int(text)


def _gib(text: str) -> float:
    """An amount of memory above 0. Raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory: give it in GiB, such as 12")
    return number


def _score(parser: argparse.ArgumentParser) -> None:
    """Options of `laureate score`."""
    option = parser.add_argument
    option("--reference", required=True, metavar="DIR", help="pictures of the style that is wanted")
    option("folders", nargs="+", metavar="NAME=DIR", help="a model and its pictures; the first is the base")
    words = "pictures to show but not to compare, such as other real ones; again for each"
    option("--beside", action="append", default=[], metavar="NAME=DIR", help=words)
    option("--by", metavar="KEY", help="split the one folder by a setting, such as lora_weight or steps")
    words = "NAME or KIND=SOURCE, again for each: who looks (default: all judges that are there)"
    option("--judge", action="append", default=[], metavar="JUDGE", help=words)
    option("--html", metavar="FILE", help="write a page")
    option("--json", dest="json_file", metavar="FILE", help="write everything that was found")
    option("--csv", dest="csv_file", metavar="FILE", help="write a row per model and judge")
    words = "exit with 1 where it holds for a model, such as 'kid > 0.05'; again for each"
    option("--fail-if", action="append", default=[], metavar="CONDITION", help=words)


def _draw(parser: argparse.ArgumentParser) -> None:
    """The options of `laureate draw`."""
    add = parser.add_argument
    add("prompt", metavar="PROMPT", help="what the picture shows, such as 'A woman with a bun.'")
    model = "baseline, rank-N or a folder below models/lora/rank-N; again for each (default: params.selected)"
    add("--model", action="append", default=[], metavar="NAME", dest="models", help=model)
    add("--strength", type=float, metavar="X", help="of the adapter, from 0 to 2 (default: the chosen one)")
    add("--guidance", type=float, metavar="X", help="default: params.sample.guidance")
    add("--steps", type=int, metavar="N", help="default: params.sample.steps")
    add("--seed", type=int, default=1, metavar="N", help="of the first picture's noise (default: 1)")
    add(
        "--n",
        type=int,
        default=1,
        metavar="N",
        help="pictures per model, each with the next seed",
    )
    add("--out", default="drawings", metavar="DIR", help="output folder (default: drawings)")


def _votes(parser: argparse.ArgumentParser) -> None:
    """The options of `laureate votes`."""
    option = parser.add_argument
    option("files", nargs="+", metavar="FILE", help="saved by the section Blind vote of the report page")
    words = "whose scores to hold against the people (default: metrics/comparison.csv, where it is)"
    option("--table", metavar="FILE", help=words)
    option("--json", dest="json_file", metavar="FILE", help="write everything that was found")


def _portrait(parser: argparse.ArgumentParser) -> None:
    """The options of `laureate portrait`."""
    add = parser.add_argument
    add("photo", metavar="PHOTO", help="a picture of one person: JPEG, PNG, WebP, TIFF or GIF")
    add("--model", metavar="NAME", help="baseline or rank-N (default: params.selected)")
    add("--prompt", metavar="TEXT", help="instead of the captioner's sentence")
    strength = "in (0, 1]; less keeps more (default: 0.45, from the photo 0.75)"
    add("--strength", type=float, metavar="X", help=strength)
    add("--guidance", type=float, metavar="X", help="default: params.sample.guidance")
    add("--steps", type=int, metavar="N", help="of which N x strength run (default: params.sample.steps)")
    add("--seed", type=int, default=1, metavar="N", help="of the first portrait (default: 1)")
    add("--n", type=int, default=1, metavar="N", help="portraits, each with the next seed (default: 1)")
    ground = "make the ground paper or keep it (default: paper)"
    add("--background", choices=("paper", "keep"), default="paper", help=ground)
    tones = "draw from the photo in tones of ink, or as it is (default: ink)"
    add("--start", choices=("ink", "photo"), default="ink", help=tones)
    add("--mask", metavar="FILE", help="a picture of the photo's size, white where the person is")
    add("--box", metavar="X,Y,W,H", help="the part of the photo to draw, in pixels")
    add("--control", metavar="DIR", help="a line-art ControlNet for the base, in the layout of diffusers")
    add(
        "--control-end", type=float, default=0.3, metavar="X", help="when it ends (default: 0.3 of the steps)"
    )
    add("--out", metavar="FILE", help="a PNG (default: portraits/PHOTO-MODEL-SEED.png)")


def _poster(parser: argparse.ArgumentParser) -> None:
    """The options of `laureate poster`."""
    add = parser.add_argument
    add("portrait", metavar="PORTRAIT", help="a picture, such as what `laureate portrait` wrote")
    add("--name", required=True, metavar="TEXT", help="who is shown")
    add("--subject", required=True, metavar="TEXT", help="the head of the poster")
    add("--contribution", default="", metavar="TEXT", help="what for, under the name")
    add("--footer", default="", metavar="TEXT", help="the last line (default: none)")
    add("--second", metavar="PORTRAIT", help="the portrait of a second person")
    add("--second-name", metavar="TEXT", help="who is shown there")
    fonts = "a font that is tried before DejaVu and STIX; may be given more than once"
    add("--font", action="append", default=[], metavar="FILE", dest="fonts", help=fonts)
    template = "one, two or a YAML file (default: by the number of people)"
    add("--template", metavar="NAME", help=template)
    add("--width", type=int, default=1080, metavar="N", help="of the poster in pixels (default: 1080)")
    add("--no-note", action="store_false", dest="note", help="the note on awards in the metadata only")
    add("--out", metavar="FILE", help="a PNG (default: PORTRAIT-poster.png beside the portrait)")
