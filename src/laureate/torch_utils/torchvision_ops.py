"""Declare the torchvision operators that a CPU build of torch cannot load.

The index's torchvision is compiled for CUDA. Under a CPU build of torch its compiled operators cannot be
loaded, and `import torchvision` stops at "operator torchvision::nms does not exist": it describes two
operators that nothing declared. Declaring them is enough for everything that is written in Python, which is
all that diffusers, lpips and clean-fid use here.

The function below is registered as a torch extension in pyproject.toml (entry point "torch.backends"), so
that `import torch` runs it in every script of the environment: nobody has to remember to call it.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@functools.cache  # torch drops the declaration with the object that made it: the cache keeps it
def declare_missing_operators() -> Any:
    """Declare `nms` and `qnms` where torchvision's compiled operators cannot be loaded; else do nothing.

    Returns the `torch.library.Library` that holds the declaration, or None where none was needed: on a
    CUDA or ROCm build of torch, without torchvision, or where torchvision's operators load.
    """
    import torch

    if torch.version.cuda or torch.version.hip or _torchvision_operators_load(torch):
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        library.define(schema)
    return library


def _torchvision_operators_load(torch: Any) -> bool:
    """True where torchvision is absent, or its compiled operators load (as importing it would do)."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True
    for compiled in sorted(Path(spec.origin).parent.glob("_C.*")):
        try:
            torch.ops.load_library(str(compiled))
        except OSError:
            return False
        return True
    return False
