"""`python -m benchmarks NAME [options]`: run one benchmark, print its table, write its JSON."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from laureate import startup
from laureate.core.errors import LaureateError

NAMES = {
    "pack": "one warm training step of six ranks at once, against six PEFT models",
    "sweep": "training all ranks from a cold start, against the LoRA script of diffusers",
    "train": "one training step as a share of what the machine can multiply",
    "sample": "the pictures of seven models, against StableDiffusionPipeline with load_lora_weights",
    "guidance": "steps and interval of guidance, against seconds and what the judges see",
    "busy": "a training step and a drawing beside a process that takes one core, against alone",
    "stages": "seconds and peak memory of every stage of a study",
    "start": "how long every verb takes before its work begins",
    "app": "how soon `laureate app` answers, and how soon the first picture is in a browser",
    "fid": "the Fréchet distance from features, against clean-fid's formula",
    "suite": "all distances of seven models, against clean-fid and the lpips package",
    "memory": "what a training step holds, against the estimate of `laureate plan`",
    "repeat": "which settings make two trainings the same to the last byte",
    "gpu": "all that is to be known about a graphics card, in one file to be sent back",
    "cluster": "a study by `laureate cluster` against `dvc repro`, and a thousand studies simulated",
    "judges": "the table of a study as the independent judge and its own see it",
    "copies": "which planted copies of training portraits are found, written into docs/scores.md",
    "many": "memory and time of `laureate score` over 10,000 pictures, written into docs/score.md",
    "styles": "how often a style is named by cosines and by local scaling, written into docs/scores.md",
    "trainings": "a study with several training seeds beside one with one, written into docs/ranks.md",
    "budgets": "how much training a study needs: finished studies with more and less of it, by the judges",
    "shrink": "the largest rank cut to smaller ones, beside the trained ones, written into docs/ranks.md",
    "other_styles": "whether the best rank holds for other styles and sizes, written into docs/ranks.md",
    "additions": "a study's stages with and without the further judges, drift, copies and the VAE ceiling",
    "recipe": "what `laureate plan` counts for the real recipes, written into docs/recipe.md",
    "portrait": "photos of drawn people through `laureate portrait`, against their true portraits",
    "votes": "what `laureate votes` recovers of simulated raters, written into docs/votes.md",
    "choosing": "how often `laureate choose` is right on planted truths, written into docs/choosing.md",
    "tuned": "a study without and with choosing, as their results say, written into docs/choosing.md",
    "gallery": "draw the pictures of docs/gallery anew",
    "page": "put the results into docs/performance.md",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark; give the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, text in NAMES.items():
        command = commands.add_parser(name, help=text, description=text)
        if words[:1] == [name]:  # only the one that runs is imported
            import_module(f"benchmarks.{name}").add_arguments(command)
    options = parser.parse_args(words)
    startup.keep_freed_memory()  # for the peers as well
    try:
        import_module(f"benchmarks.{options.name}").run(options)
    except LaureateError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
