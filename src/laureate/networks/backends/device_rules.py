"""What depends on the type of a device: thresholds that were measured on a CPU hold on a CPU alone.

Every function takes a device type as `torch.device.type` gives it. The costs of a step are counted on `meta`,
which stands for the CPU where its layers are laid out (`MEASURED_ON`). Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laureate.config.schema import Kernels

MEASURED_ON = ("cpu", "meta")
WIDEST_MULTIPLIED = 128  # in * out / (in + out) of the widest layer whose update is better multiplied out
LARGEST_PACKED = 2**20  # numbers in the weight of a convolution that is kept packed
PACKED_SHARE = 0.25  # the weight's numbers to those that go in and come out, from which packing pays
LARGE = 2**30  # bytes of weights of a network whose batches are worked on one by one
MOST_WORKERS = 8
LEAST_ROWS = 4  # of a batch: for fewer, a CPU's libraries choose other kernels, which round differently
HELD_OUT_POSITIONS = (
    2048  # of the latents in one call, at least: small ones in small batches leave cores idle
)


def multiplies_out(device_type: str, fan_in: int, out: int, kernels: Kernels = "auto") -> bool:
    """Whether a layer's update A @ B is multiplied out, once a step for all inputs.

    It depends on device and layer only, so that a rank is trained with the same products alone and in any
    pack. Measured on CPUs with layers of 128 to 256.
    """
    if device_type not in MEASURED_ON or kernels == "reference":
        return False
    return fan_in * out <= WIDEST_MULTIPLIED * (fan_in + out)


def adapter_runs(device_type: str, ranks: Sequence[int]) -> list[tuple[int, int, int]]:
    """Which adapters share one batched product: (first adapter, behind the last, largest rank) per run.

    On a graphics card all do, as a call costs more there than padding. Elsewhere those do that stand side by
    side and have the same rank, such as the seeds of one rank, which need no padding.
    """
    if device_type == "cuda":
        return [(0, len(ranks), max(ranks))]
    runs, first = [], 0
    for rank, alike in groupby(ranks):
        runs.append((first, first + len(list(alike)), rank))
        first = runs[-1][1]
    return runs


def packs_convolution(device_type: str, weight: int, passing: int) -> bool:
    """Whether a 3 x 3 convolution is faster with its weight in oneDNN's order.

    weight: numbers in the weight; passing: numbers that go in and come out.
    """
    return device_type == "cpu" and LARGEST_PACKED >= weight >= PACKED_SHARE * passing


def least_rows(device_type: str) -> int:
    """Rows that a batch of the UNet has at least when pictures are drawn."""
    return LEAST_ROWS if device_type == "cpu" else 1


def workers(device_type: str, threads: int, weights: int) -> int:
    """How many batches are worked on side by side, each with its share of the threads.

    weights: bytes of the network's. Every worker has activations of its own, and a large network's products
    divide well. More than MOST_WORKERS would wait for Python's lock; neither was measured.
    """
    if device_type != "cpu" or weights >= LARGE:
        return 1
    return max(1, min(threads, MOST_WORKERS))


def held_out_batch(device_type: str, batch: int, positions: int) -> int:
    """Samples in one call when the held-out loss is taken; `positions` (h * w) of each latent."""
    return max(batch, HELD_OUT_POSITIONS // positions) if device_type == "cpu" else batch


def channels_last(device_type: str) -> bool:
    """Whether a UNet lies channels last: torch 2.13's group norm on a CPU takes 3 to 15 times as long there,
    more than convolutions save."""
    return device_type != "cpu"


def attention_as_products(device_type: str, bits: int) -> bool:
    """Whether attention is faster as two products and a softmax than fused: on a CPU, torch 2.13's fused
    attention takes 2 to 4 times as long in 16 bits."""
    return device_type == "cpu" and bits == 16
