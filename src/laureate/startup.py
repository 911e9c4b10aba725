"""Prepare a process before its stage is imported: threads, glibc's malloc, packages it does not need.

diffusers and transformers import every optional package that is installed: scipy, peft, each other; and for
one network all networks that they have. Without these imports a stage's work begins in half the time.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core import cores
from laureate.core.lazy_packages import From, Names, make_lazy

if TYPE_CHECKING:
    from laureate.config.params import Params


@contextmanager
def rare_collections() -> Iterator[None]:
    """Run the garbage collector less often, and not at the end, in a process that ends with the block.

    torch and diffusers create many objects that live as long as the process: scanning them takes a stage more
    than a second.
    """
    gc.set_threshold(10_000, *gc.get_threshold()[1:])
    yield
    gc.freeze()


def set_up(verb: str, params: Params, alone: bool) -> None:
    """What a process does before it imports the stage `verb`. `alone`: nothing else runs in this process, so
    that packages which the stage does not need can be kept out."""
    cores.share_cores(params.threads, os.environ)
    keep_freed_memory_beside(params.base.path)
    if alone and verb not in WITHOUT_NETWORKS:
        keep_out(unused(verb, params))
        import_single_networks(verb == "train" and params.train.compile != "none")


def set_up_command(verb: str, alone: bool) -> None:
    """What a process does before it imports the command `verb`, which is not a stage."""
    if alone and verb in COMMANDS:
        keep_out(UNUSED if verb in ("plan", "draw") else [])
        import_single_networks(compiles=verb in PIPELINES)


# of malloc.h; the numbers are part of the interface of glibc
MXFAST, TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = 1, -1, -2, -4
LARGE = 2**30  # bytes of weights


def keep_freed_memory() -> bool:
    """Make glibc keep freed memory for the next allocation => whether all settings were accepted.

    By default glibc maps every large block anew and unmaps it when it is freed. A network frees its
    activations in every step, and the system clears each page of the next step's before it is used: a tenth
    to half of a training step. "Fast bins" of small blocks are switched off too: every large allocation would
    merge them first, a hundredth of a step. With another C library nothing is changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    most = 2**31 - 1
    settings = {MXFAST: 0, MMAP_MAX: 0, TRIM_THRESHOLD: most, TOP_PAD: 64 * 2**20}
    return min(mallopt(name, value) for name, value in settings.items()) == 1


def keep_freed_memory_beside(base: str | Path) -> bool:
    """`keep_freed_memory`, unless the weights in the folder `base` are LARGE => whether it was done.

    Converting weights to their precision and layout frees large blocks, which would then never be returned:
    with Stable Diffusion 2.1 `train` took 9.7 GiB instead of 7.5, and saved little of a long step.
    """
    if sum(file.stat().st_size for file in Path(base).rglob("*.safetensors")) >= LARGE:
        return False
    return keep_freed_memory()


# these read and write pictures and run networks; `prepare` and `evaluate` need scipy
STAGES = ("encode", "train", "sample")
WITHOUT_NETWORKS = ("crawl", "compare", "select", "report")
PIPELINES = {"app", "fetch", "portrait", "serve"}  # with pipelines of diffusers, which ask torch's compiler
COMMANDS = (
    "plan",
    "draw",
    "cluster",
    "score",
    "serve",
    "app",
    "portrait",
    "price",
    "doctor",
)  # have networks
UNUSED = ["scipy", "peft", "torchvision", "boto3"]
TORCHVISION_JUDGES = ("inception", "lpips-alex", "lpips-vgg")


def unused(verb: str, params: Params) -> list[str]:
    """Names of installed packages that the stage `verb` does not need."""
    train = params.train
    needs = train.compile != "none" or train.text_encoder or train.optimizer == "adafactor"
    if verb == "train" and not needs:
        return [*UNUSED, "transformers"]
    if verb in STAGES:
        return UNUSED
    kinds = {judge.kind for judge in params.evaluate.judges.values()}
    needs_torchvision = {
        "prepare": params.prepare.captioner == "blip",
        "evaluate": not kinds.isdisjoint(TORCHVISION_JUDGES),
    }
    if verb not in needs_torchvision:
        return []
    return ["peft", "boto3", *([] if needs_torchvision[verb] else ["torchvision"])]


def _as_it_is(function: Callable[..., Any] | None = None, *_: object, **__: object) -> Any:
    """A decorator, with or without parameters, that leaves its function as it is."""
    return _as_it_is if function is None else function


CLIP = "models.clip"
# packages whose __init__ imports, or looks through, all networks of a library; and the names in them that
# the networks of a study need
LAZY: dict[str, Names] = {
    "diffusers.models.autoencoders": {},
    "diffusers.models.controlnets": {},
    "diffusers.models.transformers": {},
    "diffusers.models.unets": {},
    "transformers.models": {},
    "transformers": {
        "AutoImageProcessor": From("models.auto.image_processing_auto"),
        "BitImageProcessorPil": From("models.bit.image_processing_pil_bit"),
        "CLIPConfig": From(f"{CLIP}.configuration_clip"),
        "CLIPImageProcessorPil": From(f"{CLIP}.image_processing_pil_clip"),
        "CLIPModel": From(f"{CLIP}.modeling_clip"),
        "CLIPTextConfig": From(f"{CLIP}.configuration_clip"),
        "CLIPTextModel": From(f"{CLIP}.modeling_clip"),
        "CLIPTextModelWithProjection": From(f"{CLIP}.modeling_clip"),
        "CLIPTokenizer": From(f"{CLIP}.tokenization_clip"),
        "Dinov2Model": From("models.dinov2.modeling_dinov2"),
        "PreTrainedModel": From("modeling_utils"),
        "PreTrainedTokenizer": From("tokenization_python"),
    },
}
# torch's compiler: what its decorators and marks say to it means nothing where nothing is compiled
MARKS = ("allow_in_graph", "assume_constant_result", "disable", "graph_break")
COMPILER: dict[str, Names] = {"torch._dynamo": dict.fromkeys(MARKS, _as_it_is)}


def import_single_networks(compiles: bool) -> None:
    """Let diffusers and transformers import the networks that are used, and torch its compiler if one
    `compiles`. Whatever is left out is imported when it is asked for."""
    from importlib import metadata

    make_lazy(LAZY if compiles else LAZY | COMPILER)
    # both libraries look through all installed packages: once is enough
    metadata.packages_distributions = functools.cache(metadata.packages_distributions)


def keep_out(names: list[str]) -> None:
    """Make packages that are not imported yet look as if they were not installed, until the process ends.

    With None as its entry in `sys.modules`, importing a name raises ModuleNotFoundError
    (https://docs.python.org/3/reference/import.html#the-module-cache).
    """
    modules: dict[str, Any] = sys.modules
    for name in names:
        modules.setdefault(name, None)
