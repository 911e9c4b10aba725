"""start: how long every verb of `laureate` takes before its work begins.

Each runs in a process of its own, as `laureate` does: Python starts, checks the parameters, keeps out what
the stage has no use for, imports the stage and what the stage imports late, and ends. There is no peer; the
times of single imports are beside them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks import harness

IMPORTS = {
    "python": "",
    "torch": "import torch",
    "the classes of diffusers": "from diffusers import UNet2DConditionModel, AutoencoderKL",
    "the text model of transformers": "from transformers import CLIPTextModel, CLIPTokenizer",
    "StableDiffusionPipeline": "from diffusers import StableDiffusionPipeline",
    "peft": "import peft",
}
# what a stage has imported when its work begins: its module, and the classes that it makes or loads
LATE = {
    "crawl": "import scrapy.crawler",
    "prepare": "import torch; from transformers import CLIPModel, CLIPTokenizer",
    "encode": "from diffusers import AutoencoderKL; from transformers import CLIPTextModel, CLIPTokenizer",
    "train": (
        "from diffusers import UNet2DConditionModel, DDIMScheduler; from laureate.training import trainer"
    ),
    "sample": (
        "from diffusers import UNet2DConditionModel, AutoencoderKL, DPMSolverMultistepScheduler; "
        "from transformers import CLIPTextModel, CLIPTokenizer; from laureate.sampling import sampler; "
        "from laureate.networks.lora import adapter_files"
    ),
    "evaluate": "import torch; from transformers import CLIPModel, CLIPTokenizer",
    "compare": "",
    "report": "import matplotlib.pyplot, jinja2, pandas",
}
# what `laureate.cli.program` does before and after
STARTED = """import gc; gc.set_threshold(10_000)
from laureate import startup; from laureate.config import params
startup.keep_out(startup.unused({verb!r}, params.load('params.yaml')))
from laureate.stages import {verb}; {late}
gc.freeze()"""
COLUMNS = {"name": "what", "seconds": "median s", "seconds_low": "from", "seconds_high": "to"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""
    harness.add_common(parser)


def run(options: argparse.Namespace) -> None:
    """One row per import and per verb."""
    code = {f"import: {name}": ["-c", text] for name, text in IMPORTS.items()}
    code |= {"laureate --help": ["-m", "laureate", "--help"]}
    code |= {
        f"{verb}: until its work": ["-c", STARTED.format(verb=verb, late=late)] for verb, late in LATE.items()
    }
    if options.quick:
        code = {name: code[name] for name in ("import: python", "laureate --help")}
    work = {name: lambda words=words: _python(words) for name, words in code.items()}
    seconds = harness.interleaved(work, options.repeats)
    rows = [{"name": name, **harness.spread(taken, "seconds")} for name, taken in seconds.items()]
    harness.report("start", options, rows, COLUMNS)


def _python(words: list[str]) -> None:
    """Run the interpreter and wait for its end."""
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
