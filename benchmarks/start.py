"""start: how long every stage of `laureate` takes before its work begins.

Each runs in a process of its own, set up as `laureate.cli.program` does: Python starts, checks the
parameters, keeps unneeded packages out, imports the stage and what it imports late, and ends. There is no
peer; the times of single imports are beside them.
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
# what a stage imports late: the classes that it makes or loads (a scheduler that is made
# imports all of its kind); tests compare this with stages that run
LATE = {
    "crawl": "import scrapy.crawler",
    "prepare": "import torch; from transformers import CLIPModel, CLIPTokenizer",
    "encode": "from diffusers import AutoencoderKL; from transformers import CLIPTextModel, CLIPTokenizer",
    "train": (
        "from diffusers import UNet2DConditionModel; from laureate.training import trainer; "
        "from laureate.networks.diffusion import noise_schedule; noise_schedule.from_config({})"
    ),
    "sample": (
        "from diffusers import UNet2DConditionModel, AutoencoderKL; "
        "from transformers import CLIPTextModel, CLIPTokenizer; from laureate.sampling import sampler; "
        "sampler.solver({}, 'dpm++'); "
        "from laureate.networks.lora import adapter_files"
    ),
    "evaluate": (
        "import torch, scipy.special; "
        "from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer"
    ),
    "compare": "import scipy.special",
    "report": "import jinja2; from matplotlib.figure import Figure",
}
STARTED = """from laureate import startup
from laureate.config import params
with startup.rare_collections():
    startup.set_up({verb!r}, params.load('params.yaml'), alone=True)
    from laureate.stages import {verb}; {late}"""
COLUMNS = {"name": "what", "seconds": "median s", "seconds_low": "from", "seconds_high": "to"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""
    harness.add_common(parser)


def run(options: argparse.Namespace) -> None:
    """One row per import and per verb."""
    code = {f"import: {name}": ["-c", text] for name, text in IMPORTS.items()}
    code |= {"laureate --help": ["-m", "laureate", "--help"]}
    code |= {f"{verb}: until its work": ["-c", started(verb)] for verb in LATE}
    if options.quick:
        code = {name: code[name] for name in ("import: python", "laureate --help")}
    work = {name: lambda words=words: _python(words) for name, words in code.items()}
    seconds = harness.interleaved(work, options.repeats)
    rows = [{"name": name, **harness.spread(taken, "seconds")} for name, taken in seconds.items()]
    harness.report("start", options, rows, COLUMNS)


def started(verb: str) -> str:
    """Python code that does what a process of the stage `verb` does before its work begins."""
    return STARTED.format(verb=verb, late=LATE[verb])


def _python(words: list[str]) -> None:
    """Run the interpreter and wait for its end."""
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
