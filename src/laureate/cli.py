"""The command line: one verb per stage, in the order of the flow, and a few commands beside it.

Every verb reads and checks the parameters before it does anything, and imports its stage only then.
"""

import argparse
import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from inspect import signature

from laureate import __version__, startup
from laureate.core.errors import LaureateError

STAGES = {
    "crawl": "fetch the portraits and who they show, over HTTP",
    "prepare": "crop, caption and split them into a data set",
    "encode": "compute VAE moments and text embeddings once",
    "train": "train the LoRA adapter of one rank",
    "sample": "draw every prompt with every seed from one model",
    "evaluate": "score one model's pictures against the held-out portraits",
    "compare": "put all models into one table",
    "report": "write the page that shows it all",
}
BESIDE = {
    "world": "say which world params.yaml describes, or set its values for another",
    "fetch": "bring the base model to base.path from the first of base.sources that has it",
    "plan": "say what a study will do and cost, before anything is fetched or trained",
    "museum": "serve the museum of invented laureates to a browser",
    "doctor": "say what ails a folder of pictures, and what to do about it",
    "export": "write an adapter as one file in the form of another program",
    "card": "put an adapter and its model card into a folder",
    "push": "send that folder to a hub of models; without --yes, say what would be sent",
    "images": "fetch the pictures of a model that is drawn elsewhere",
    "serve": "draw with the base and the adapters behind OpenAI's images API",
    "portrait": "redraw a photo of a person in the style of the study",
    "poster": "lay out a portrait and texts as a poster",
    "oracle": "ask the embedded world how far the study's intervals and advice can be believed",
}
ELSEWHERE = {"oracle": "laureate.embedded.oracle.simulation_study"}  # commands of the embedded world


def program() -> int:
    """`main` in a process of its own. torch and diffusers fill it with objects that stay: the collector of
    garbage looks through them less often, and not at the end, which saves a stage more than a second. What a
    stage has no use for is kept out."""
    gc.set_threshold(10_000, *gc.get_threshold()[1:])
    status = main(alone=True)
    gc.freeze()
    return status


def main(arguments: Sequence[str] | None = None, alone: bool = False) -> int:
    """Run one command; give the exit status: 0 well, 1 failed, 2 bad parameters, 130 interrupted.

    `alone`: nothing else runs in this process, before or after.
    """
    options = vars(_parser().parse_args(arguments))
    verb, file = options.pop("verb"), options.pop("params")
    try:
        if verb in BESIDE:
            _beside(verb, file, options)
        else:
            _stage(verb, file, options, alone)
    except LaureateError as error:
        print(f"laureate: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"laureate: {verb} was interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


def _stage(verb: str, file: str, options: dict[str, object], alone: bool) -> None:
    """Check the parameters, then import and run `laureate.stages.<verb>`."""
    from laureate.config import params

    loaded = params.load(file)
    startup.keep_freed_memory_beside(loaded.base.path)
    if alone:
        startup.keep_out(startup.unused(verb, loaded))
    if verb == "train":
        params.check_rank(loaded, int(str(options["rank"])))
    if verb in ("sample", "evaluate"):
        known = loaded.models if verb == "evaluate" else ["baseline", *loaded.adapters]
        params.check_model(str(options["model"]), known)
    import_module(f"laureate.stages.{verb}").run(loaded, **options)


def _beside(verb: str, file: str, options: dict[str, object]) -> None:
    """Run a command that is no stage; it gets `params` or their `file` where it asks for them."""
    command = import_module(ELSEWHERE.get(verb, f"laureate.commands.{verb}")).run
    wanted = signature(command).parameters
    if "params" in wanted:
        from laureate.config import params

        options["params"] = loaded = params.load(file)
        if "rank" in options:
            params.check_rank(loaded, int(str(options["rank"])))
    if "file" in wanted:
        options["file"] = file
    command(**options)


def _parser() -> argparse.ArgumentParser:
    """The verbs, in the order of the flow."""
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
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    commands = {
        name: verbs.add_parser(name, help=text, description=text) for name, text in (STAGES | BESIDE).items()
    }
    crawl = commands["crawl"].add_argument
    crawl("--site", metavar="URL", help="museum or an address, instead of params.crawl.site")
    crawl("--api", metavar="URL", help="the part before /laureates, instead of params.crawl.api")
    crawl("--out", metavar="DIR", help="where to (default: data/raw)")
    crawl("--dry-run", action="store_true", help="say what would be asked first, and ask nothing")
    commands["train"].add_argument("--rank", type=int, required=True, metavar="N", help="one of params.ranks")
    for verb in ("sample", "evaluate"):
        names = "baseline or rank-N" if verb == "sample" else "noise-floor, baseline, rank-N or external"
        commands[verb].add_argument("--model", required=True, metavar="NAME", help=names)
    commands["world"].add_argument("name", nargs="?", metavar="NAME", help="a file of worlds/, such as nobel")
    commands["doctor"].add_argument("path", metavar="PATH", help="the folder, with or without captions")
    for verb in ("export", "card", "push"):
        commands[verb].add_argument(
            "--rank", type=int, required=True, metavar="N", help="one of params.ranks"
        )
    for verb in ("card", "push"):
        words = "who allows the training pictures to be used"
        commands[verb].add_argument("--rights", default="", metavar="TEXT", help=words)
    send = commands["push"].add_argument
    send("--repo", required=True, metavar="OWNER/NAME", help="the repository on the hub")
    send("--yes", action="store_true", help="really send it")
    send("--public", action="store_true", help="a new repository is public (default: private)")
    give = commands["export"].add_argument
    give("--to", required=True, choices=("diffusers", "kohya", "comfyui"), help="who is to load it")
    give("--out", metavar="FILE", help="where to (default: exports/rank-N-FORM.safetensors)")
    commands["images"].add_argument("--model", required=True, metavar="NAME", help="one of params.external")
    serve = commands["serve"].add_argument
    serve("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    serve("--port", type=int, default=8765, help="the port, 0 for any that is free (default: 8765)")
    commands["plan"].add_argument(
        "--pictures", type=int, metavar="N", help="to train on, where there is no data set yet"
    )
    _portrait(commands["portrait"])
    _poster(commands["poster"])
    sizes = commands["oracle"].add_argument
    for name, default, text in (
        ("prompts", 500, "fresh prompts, drawn by every model with every seed of the study"),
        ("references", 10_000, "portraits drawn anew"),
        ("studies", 400, "small studies drawn from these"),
        ("study-prompts", 49, "prompts of a small study"),
        ("study-references", 34, "portraits of a small study"),
        ("draws", 500, "resamples behind an interval"),
        ("seed", 7, "of the small studies"),
    ):
        sizes(f"--{name}", type=int, default=default, metavar="N", help=f"{text} (default: {default})")
    commands["museum"].add_argument(
        "--port", type=int, default=8000, help="the port on loopback (default: 8000)"
    )
    return parser


def _portrait(parser: argparse.ArgumentParser) -> None:
    """The options of `laureate portrait`."""
    add = parser.add_argument
    add("photo", metavar="PHOTO", help="a picture of one person: JPEG, PNG, WebP, TIFF or GIF")
    add("--model", metavar="NAME", help="baseline or rank-N (default: params.selected)")
    add("--prompt", metavar="TEXT", help="instead of the captioner's sentence")
    strength = "in (0, 1]; less keeps more (default: 0.6, from the photo 0.75)"
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
