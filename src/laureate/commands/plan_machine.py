"""The machine that `laureate plan` runs on: device, precision, speed of a matrix product, memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from laureate.commands import matrix_speed
from laureate.commands.plan_cache import PlanCache
from laureate.core import cores
from laureate.torch_utils import device

GIB = 2**30
CONTEXT = int(0.6 * GIB)  # bytes of GPU memory of a process before it loads a model


@dataclass(frozen=True)
class Machine:
    """What a study would run on."""

    kind: str  # of device: `cpu` or `cuda`
    dtype: str  # precision of training: `float32` or `bfloat16`
    speed: float  # operations a second of a square matrix product
    process: int  # bytes of a process with its libraries, before it loads a model

    @property
    def attention(self) -> str:
        """How torch computes attention in this precision: see `cost_model.training`."""
        return "plain" if self.kind == "cpu" and self.dtype == "bfloat16" else "fused"


def of_process(precision: str, cache: PlanCache) -> Machine:
    """The machine, as it was measured before if that was the same one. `precision`: `train.precision`."""
    depends = {"machine": device.machine(), "cores": cores.usable(), "precision": precision}
    return Machine(**cache.value("machine", depends, lambda: vars(_measured(precision))))


def _measured(precision: str) -> Machine:
    where = device.pick()
    dtype = device.precision(precision, where)
    speed = matrix_speed.measured(where, dtype)
    process = CONTEXT if where.type == "cuda" else resident_with_libraries()
    return Machine(where.type, device.name_of(dtype), speed, process)


def resident_with_libraries() -> int:
    """`resident`, with the libraries that a training imports."""
    from laureate.commands import cost_model

    cost_model.import_networks()
    return resident()


def resident() -> int:
    """Bytes of memory that this process uses now, with its libraries and without a model."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux: the usual value there
        return int(0.5 * GIB)
    return pages * 4096
