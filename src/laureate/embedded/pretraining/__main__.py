"""Command line of the pre-training: one verb per stage, in the order of the flow."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from laureate.core.errors import LaureateError
from laureate.embedded.pretraining import config as configs

HERE = Path("models/embedded")
STAGES = {
    "draw": "draw the training pictures into the cache",
    "tokenizer": "train the tokenizer on captions, and write all captions as token ids",
    "vae": "train the autoencoder",
    "reader": "train the text model",
    "vision": "train the vision judge",
    "clip": "train the CLIP judge",
    "latents": "measure the latents' scale and encode the drawings",
    "unet": "train the UNet",
    "quality": "evaluate the models on new prompts and drawings, write quality.json",
    "card": "write README.md and plot the loss curves, from params, curves and quality.json",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m laureate.embedded.pretraining", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in STAGES.items():
        stage = verbs.add_parser(verb, help=text, description=text)
        stage.add_argument(
            "--models", type=Path, default=HERE, help="folder of the models (default: %(default)s)"
        )
        stage.add_argument("--cache", type=Path, help="scratch folder of some GB (default: MODELS/.cache)")
        stage.add_argument(
            "--processes", type=int, default=2, help="number of single-threaded processes (default: 2)"
        )
        stage.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    random = verbs.add_parser("random", help="write all models with random weights, for tests")
    random.add_argument("out", type=Path)
    random.add_argument("--seed", type=int, default=0)
    for each in verbs.choices.values():
        each.add_argument("--params", type=Path, default=HERE / "params.yaml")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        config = configs.load(options.params)
        from laureate.embedded.pretraining import steps  # late: torch, diffusers, transformers

        if options.verb == "random":
            steps.random(options.out, config, options.seed)
        else:
            folders = steps.Folders(options.models, options.cache or options.models / ".cache")
            getattr(steps, options.verb)(folders, config, options.processes, options.resume)
    except LaureateError as error:
        print(f"laureate: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
