"""The command line: one verb per stage of dvc.yaml, in pipeline order, and further commands.

A verb validates the parameters first and imports the module that does its work only then.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from inspect import signature
from typing import Any

from laureate import __version__, startup
from laureate.core import console, failures

STAGES = {
    "crawl": "download the portraits and their metadata from the site",
    "prepare": "crop, caption and split the portraits into a data set",
    "encode": "compute VAE moments and text embeddings of the data set",
    "train": "train the LoRA adapter of one rank",
    "sample": "draw every prompt with every seed with one model",
    "evaluate": "score one model's pictures against the held-out portraits",
    "compare": "test differences between the models and write the table",
    "select": "copy the scores of one row of the table, which `dvc exp show` shows",
    "report": "write the HTML report",
}
BESIDE = {
    "world": "list the parameter presets of worlds/, or write one into params.yaml",
    "fetch": "get the base model from the first of base.sources that has it",
    "plan": "estimate time, memory and disk of a study before it is run",
    "cluster": "run the stages that are out of date on a Ray cluster, through the DVC remote",
    "museum": "serve the simulated museum site on loopback",
    "score": "score any folders of pictures against a folder of references",
    "doctor": "check an image folder and print what to fix",
    "export": "write an adapter as one file in the format of another program",
    "card": "write an adapter and its model card into one folder",
    "push": "upload that folder to a model hub; without --yes, print what would be sent",
    "images": "fetch the pictures of an external model from its endpoint",
    "serve": "serve the base and the adapters behind OpenAI's images API",
    "ranks": "keep one DVC experiment per rank of a finished study",
    "replicate": "compare the results with those of a git revision",
    "portrait": "redraw a photo of a person in the style of the study",
    "poster": "lay out a portrait and texts as a poster",
    "oracle": "measure on simulated studies how often intervals and rank advice are right",
}
MODULES = {"oracle": "laureate.embedded.oracle.simulation_study"}  # not in laureate.commands


def program() -> int:
    """Run `main` as the only code of this process => exit status."""
    with failures.sigterm_raises(), startup.rare_collections():
        return main(alone=True)


def main(arguments: Sequence[str] | None = None, alone: bool = False) -> int:
    """Run one command => exit status: 0 done, 1 failed, 2 bad parameters, 130 interrupted, 141 closed pipe,
    143 ended by SIGTERM.

    Every error ends in one sentence on stderr: see `laureate.core.failures`. `alone`: nothing else runs in
    this process, so packages that the stage does not need may be blocked.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    verb, debug, status = "laureate", False, 0
    with console.guarded():
        try:
            options = _options(words)
            verb, file, debug = options.pop("verb"), options.pop("params"), options.pop("debug")
            if verb in BESIDE:
                status = _beside(verb, file, options)
            else:
                _stage(verb, file, options, alone)
            sys.stdout.flush()
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001
            return failures.report(error, verb, words, debug)
    return status


def _options(words: Sequence[str]) -> dict[str, Any]:
    """The options of a command line. Raises SystemExit after --help and for a wrong one, as argparse does."""
    try:
        return vars(_parser().parse_args(words))
    except SystemExit:
        sys.stdout.flush()
        raise


def _stage(verb: str, file: str, options: dict[str, object], alone: bool) -> None:
    """Check the parameters, then import and run `laureate.stages.<verb>`."""
    from laureate.config import params

    loaded = params.load(file)
    startup.set_up(verb, loaded, alone)
    if verb == "train":
        params.check_rank(loaded, int(str(options["rank"])))
    if verb in ("sample", "evaluate"):
        known = loaded.models if verb == "evaluate" else ["baseline", *loaded.adapters]
        params.check_model(str(options["model"]), known)
    import_module(f"laureate.stages.{verb}").run(loaded, **options)


def _beside(verb: str, file: str, options: dict[str, object]) -> int:
    """Run a command that is not a stage; it gets `params` or their `file` if its `run` takes them. Gives the
    exit status that `run` gives, or 0."""
    command = import_module(MODULES.get(verb, f"laureate.commands.{verb}")).run
    wanted = signature(command).parameters
    if "params" in wanted:
        from laureate.config import params

        options["params"] = loaded = params.load(file)
        if "rank" in options:
            params.check_rank(loaded, int(str(options["rank"])))
    if "file" in wanted:
        options["file"] = file
    status = command(**options)
    return status if isinstance(status, int) else 0  # some give what they wrote


def _port(text: str) -> int:
    """A port number of TCP. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: choose a whole number from 0 to 65535")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    """The parser of all verbs and their options."""
    parser = argparse.ArgumentParser(
        prog="laureate",
        description="Which LoRA rank learns a style best, and how sure are we?",
        epilog="The verbs are the stages of dvc.yaml, in order; `dvc repro` runs those that are out of date.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=20, width=100),
    )
    parser.add_argument("--version", action="version", version=f"laureate {__version__}")
    parser.add_argument(
        "--params", default="params.yaml", metavar="FILE", help="the parameters (default: params.yaml)"
    )
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    commands = {
        name: verbs.add_parser(name, help=text, description=text) for name, text in (STAGES | BESIDE).items()
    }
    crawl = commands["crawl"].add_argument
    crawl("--site", metavar="URL", help="museum or a URL, instead of crawl.site")
    crawl("--api", metavar="URL", help="URL before /laureates, instead of crawl.api")
    crawl("--out", metavar="DIR", help="output folder (default: data/raw)")
    crawl("--dry-run", action="store_true", help="print the first requests and send none")
    commands["train"].add_argument("--rank", type=int, required=True, metavar="N", help="one of ranks")
    for verb in ("sample", "evaluate"):
        names = "baseline or rank-N"
        if verb == "evaluate":
            names = "noise-floor, vae-ceiling, baseline, rank-N or external"
        commands[verb].add_argument("--model", required=True, metavar="NAME", help=names)
    commands["world"].add_argument("name", nargs="?", metavar="NAME", help="a file of worlds/, such as nobel")
    commands["doctor"].add_argument("path", metavar="PATH", help="an image folder, with or without captions")
    commands["doctor"].add_argument("--fix", metavar="DIR", help="write a mended copy into this new folder")
    _score_options(commands["score"])
    for verb in ("export", "card", "push"):
        commands[verb].add_argument("--rank", type=int, required=True, metavar="N", help="one of ranks")
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
    commands["images"].add_argument("--model", required=True, metavar="NAME", help="one of external")
    serve = commands["serve"].add_argument
    serve("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    serve("--port", type=_port, default=8765, help="the port, 0 for any free one (default: 8765)")
    commands["plan"].add_argument(
        "--pictures", type=int, metavar="N", help="training pictures, if there is no data set yet"
    )
    cluster = commands["cluster"].add_argument
    cluster("--address", default="", help="a Ray cluster, such as auto or HOST:6379 (default: this host)")
    cluster("--plan", action="store_true", help="say what would run where and how long, and run nothing")
    cluster("--setup", default="", metavar="COMMAND", help="a shell command to run in every clone first")
    cluster("--cpus", type=int, default=0, metavar="N", help="cores of a task that uses a model")
    against = commands["replicate"].add_argument
    against("--rev", default="HEAD", metavar="REV", help="the git revision (default: HEAD)")
    against("--restore", action="store_true", help="then restore metrics/ and dvc.lock from that revision")
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
    return parser


def _score_options(parser: argparse.ArgumentParser) -> None:
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
