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
from laureate.commands import command_options
from laureate.core import console, failures

STAGES = {
    "crawl": "download the portraits and their metadata from the site",
    "prepare": "crop, caption and split the portraits into a data set",
    "encode": "compute VAE moments and text embeddings of the data set",
    "train": "train the LoRA adapter of one rank",
    "choose": "choose the learning rate, step and strength of one rank",
    "sample": "draw every prompt with every seed with one model",
    "evaluate": "score one model's pictures against the held-out portraits",
    "compare": "test differences between the models and write the table",
    "select": "copy the scores of one row of the table, which `dvc exp show` shows",
    "report": "write the HTML report",
}
BESIDE = {
    "study": "run every stage that is out of date, and print the results",
    "world": "list the parameter presets of worlds/, or write one into params.yaml",
    "fetch": "get the base model from the first of base.sources that has it",
    "plan": "estimate time, memory and disk of a study before it is run",
    "cluster": "run the stages that are out of date on a Ray cluster, through the DVC remote",
    "museum": "serve the simulated museum site on loopback",
    "score": "score any folders of pictures against a folder of references",
    "votes": "say what people prefer, from files of the report's blind vote",
    "doctor": "check an image folder and print what to fix",
    "export": "write an adapter as one file in the format of another program",
    "shrink": "cut an adapter to a smaller rank by its singular values",
    "card": "write an adapter and its model card into one folder",
    "push": "upload that folder to a model hub; without --yes, print what would be sent",
    "images": "fetch the pictures of an external model from its endpoint",
    "serve": "serve the base and the adapters behind OpenAI's images API",
    "ranks": "keep one DVC experiment per rank of a finished study",
    "price": "print what every rank costs: file, training, memory, seconds a picture",
    "replicate": "compare the results with those of a git revision",
    "draw": "draw a prompt with the base and with adapters, from the same noise",
    "app": "open one page where all of it is at hand, in a browser on this machine",
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
                status = _beside(verb, file, options, alone)
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
    if verb in ("train", "choose"):
        params.check_rank(loaded, int(str(options["rank"])))
    if verb in ("sample", "evaluate"):
        known = loaded.models if verb == "evaluate" else ["baseline", *loaded.adapters]
        params.check_model(str(options["model"]), known)
    import_module(f"laureate.stages.{verb}").run(loaded, **options)


def _beside(verb: str, file: str, options: dict[str, object], alone: bool) -> int:
    """Run a command that is not a stage; it gets `params` or their `file` if its `run` takes them. Gives the
    exit status that `run` gives, or 0."""
    startup.set_up_command(verb, alone)
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
    for verb in ("train", "choose"):
        commands[verb].add_argument("--rank", type=int, required=True, metavar="N", help="one of ranks")
    for verb in ("sample", "evaluate"):
        names = "baseline or rank-N"
        if verb == "evaluate":
            names = "noise-floor, vae-ceiling, baseline, rank-N or external"
        commands[verb].add_argument("--model", required=True, metavar="NAME", help=names)
    command_options.add(commands)
    return parser
