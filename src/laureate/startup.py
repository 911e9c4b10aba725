"""What a process does before its stage is imported: tune glibc's malloc, keep unneeded packages out.

diffusers and transformers import what they find installed: scipy, peft, one another. For a stage that uses
none of it, that is a quarter to a half of the time until its work begins.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    keep_freed_memory_beside(params.base.path)
    if alone:
        keep_out(unused(verb, params))


# of malloc.h; the numbers are part of the interface of glibc
MXFAST, TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = 1, -1, -2, -4
LARGE = 2**30  # bytes of weights


def keep_freed_memory() -> bool:
    """Have the C library keep freed memory for the next request; gives whether it could be told.

    By default glibc maps every large block anew and unmaps it when it is freed. A network frees its
    activations in every step, and the system clears each page of the next step's before it is used: a tenth
    to half of a training step. Nor are small blocks put by unmerged ("fast bins"): every request for a large
    one would merge them first, a hundredth of a step. With another C library nothing is changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    most = 2**31 - 1
    settings = {MXFAST: 0, MMAP_MAX: 0, TRIM_THRESHOLD: most, TOP_PAD: 64 * 2**20}
    return min(mallopt(name, value) for name, value in settings.items()) == 1  # all of them are set


def keep_freed_memory_beside(base: str | Path) -> bool:
    """`keep_freed_memory`, unless the networks in the folder `base` are LARGE; gives whether it is kept.

    Weights leave holes where they lay before they had their precision and layout, and what is kept is not
    given back: with Stable Diffusion 2.1 `train` took 9.7 GiB instead of 7.5, for little of a long step.
    """
    if sum(file.stat().st_size for file in Path(base).rglob("*.safetensors")) >= LARGE:
        return False
    return keep_freed_memory()


# where pictures are only read and written, and networks only run; `prepare` compares pictures with scipy
STAGES = ("encode", "train", "sample")
UNUSED = ["scipy", "peft", "torchvision"]


def unused(verb: str, params: Params) -> list[str]:
    """Names of packages that are installed for others than the stage `verb`."""
    if verb not in STAGES:
        return []
    if verb == "train" and params.train.compile == "none" and not params.train.text_encoder:
        return [*UNUSED, "transformers"]
    return UNUSED


def keep_out(names: list[str]) -> None:
    """Let packages that are not imported yet look as if they were not installed, for as long as the process
    lives: with None in their place Python finds no module of that name
    (https://docs.python.org/3/reference/import.html#the-module-cache)."""
    modules: dict[str, Any] = sys.modules
    for name in names:
        modules.setdefault(name, None)
