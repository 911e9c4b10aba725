"""Packages that a stage has no use for, kept out of its process.

diffusers and transformers import what they find installed: scipy, peft, one another. For a stage that asks
for none of it, that is a quarter to a half of the time until its work begins.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from laureate.params import Params


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
