"""The command line: one verb per stage of dvc.yaml, in pipeline order, and further commands.

A verb validates the parameters first and imports the module that does its work only then.
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
    "crawl": "download the portraits and their metadata from the site",
    "prepare": "crop, caption and split the portraits into a data set",
    "encode": "compute VAE moments and text embeddings of the data set",
    "train": "train the LoRA adapter of one rank",
    "sample": "draw every prompt with every seed with one model",
    "evaluate": "score one model's pictures against the held-out portraits",
    "compare": "test differences between the models and write the table",
    "report": "write the HTML report",
}
BESIDE = {
    "world": "list the parameter presets of worlds/, or write one into params.yaml",
    "fetch": "get the base model from the first of base.sources that has it",
    "plan": "estimate time, memory and disk of a study before it is run",
    "cluster": "run the stages that are out of date on a Ray cluster, through the DVC remote",
    "museum": "serve the simulated museum site on loopback",
    "doctor": "check an image folder and print what to fix",
    "export": "write an adapter as one file in the format of another program",
    "card": "write an adapter and its model card into one folder",
    "push": "upload that folder to a model hub; without --yes, print what would be sent",
    "images": "fetch the pictures of an external model from its endpoint",
    "serve": "serve the base and the adapters behind OpenAI's images API",
    "oracle": "measure on simulated studies how often intervals and rank advice are right",
}
MODULES = {"oracle": "laureate.embedded.oracle.simulation_study"}  # not in laureate.commands


def program() -> int:
    """Run `main` as the only code of this process => exit status.

    The garbage collector runs less often and not at exit: torch and diffusers create many objects that live
    as long as the process, and scanning them takes a stage more than a second.
    """
    gc.set_threshold(10_000, *gc.get_threshold()[1:])
    status = main(alone=True)
    gc.freeze()
    return status


def main(arguments: Sequence[str] | None = None, alone: bool = False) -> int:
    """Run one command => exit status: 0 success, 1 failed, 2 bad parameters, 130 interrupted.

    `alone`: nothing else runs in this process, so packages that the stage does not need may be blocked.
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
    """Run a command that is not a stage; it gets `params` or their `file` if its `run` takes them."""
    command = import_module(MODULES.get(verb, f"laureate.commands.{verb}")).run
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
        names = "baseline or rank-N" if verb == "sample" else "noise-floor, baseline, rank-N or external"
        commands[verb].add_argument("--model", required=True, metavar="NAME", help=names)
    commands["world"].add_argument("name", nargs="?", metavar="NAME", help="a file of worlds/, such as nobel")
    commands["doctor"].add_argument("path", metavar="PATH", help="an image folder, with or without captions")
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
    serve("--port", type=int, default=8765, help="the port, 0 for any free one (default: 8765)")
    commands["plan"].add_argument(
        "--pictures", type=int, metavar="N", help="training pictures, if there is no data set yet"
    )
    cluster = commands["cluster"].add_argument
    cluster("--address", default="", help="a Ray cluster, such as auto or HOST:6379 (default: this host)")
    cluster("--plan", action="store_true", help="say what would run where and how long, and run nothing")
    cluster("--setup", default="", metavar="COMMAND", help="a shell command to run in every clone first")
    cluster("--cpus", type=int, default=0, metavar="N", help="cores of a task that uses a model")
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
    commands["museum"].add_argument(
        "--port", type=int, default=8000, help="the port on loopback (default: 8000)"
    )
    return parser
