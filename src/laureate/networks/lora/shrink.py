"""Cut an adapter to a smaller rank by the singular values of its update, exact on the product of its factors.

For one layer's update scale * B @ A, with B (out, r) and A (r, in), QR of B and of A.T leaves a core of r x r
whose singular values are those of the update. Its largest k, with their vectors, are the best update of rank
k in the Frobenius norm (Eckart and Young 1936); the full matrix is never made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from laureate.core.errors import LaureateError
from laureate.networks.lora.adapter import MAGNITUDE, Adapter

Budget = Literal["layer", "global"]
HALVES = (".lora_A.weight", ".lora_B.weight")


@dataclass(frozen=True)
class Update:
    """One layer's update as left @ diag(values) @ right, float64."""

    left: Tensor  # (out, r), orthonormal columns
    values: Tensor  # (r,), falling
    right: Tensor  # (r, in), orthonormal rows; in counts the kernel of a convolution
    kernel: tuple[int, ...]  # of A behind its first two sizes: () for a linear layer

    @property
    def cost(self) -> int:
        """Numbers that one rank of this layer takes in a file."""
        return len(self.left) + self.right.shape[1]

    def factors(self, rank: int) -> tuple[Tensor, Tensor]:
        """A (rank, in) and B (out, rank) of the best update of a rank, float32, in the shapes of a file; each
        takes the roots of the values. Ranks that the layer does not have are zero."""
        known = min(rank, len(self.values))
        root = self.values[:known].sqrt()
        a = torch.zeros(rank, self.right.shape[1])
        b = torch.zeros(len(self.left), rank)
        a[:known] = (root[:, None] * self.right[:known]).float()
        b[:, :known] = (self.left[:, :known] * root).float()
        if not self.kernel:
            return a, b
        channels = self.right.shape[1] // torch.Size(self.kernel).numel()
        return a.view(rank, channels, *self.kernel), b[:, :, None, None]


def updates_of(state: Mapping[str, Tensor], adapter: Adapter) -> dict[str, Update]:
    """The singular values and vectors of every layer's update, by the layer's name in the file.

    Raises LaureateError for an adapter with lengths (DoRA), whose update is no product.
    """
    if any(MAGNITUDE in name for name in state):
        raise LaureateError("an adapter trained with DoRA cannot be cut: its lengths belong to its full rank")
    names = sorted(name.removesuffix(HALVES[0]) for name in state if name.endswith(HALVES[0]))
    a, b = HALVES
    return {name: _update(state[name + a], state[name + b], adapter.scale) for name in names}


def ranks_of(updates: Mapping[str, Update], rank: int, budget: Budget) -> dict[str, int]:
    """How many singular values every layer keeps, none in no layer counts as 0.

    `layer`: `rank` of each. `global`: those that add most to the squared Frobenius norm for the numbers that
    they take, until all layers together take as many as with `rank` each.
    """
    if budget == "layer":
        return dict.fromkeys(updates, rank)
    left = rank * sum(update.cost for update in updates.values())
    worth = sorted(
        (
            (float(value) ** 2 / update.cost, name)
            for name, update in updates.items()
            for value in update.values
        ),
        key=lambda item: (-item[0], item[1]),
    )
    kept = dict.fromkeys(updates, 0)
    for value, name in worth:
        if value > 0 and updates[name].cost <= left:
            kept[name] += 1
            left -= updates[name].cost
    return kept


def cut(updates: Mapping[str, Update], ranks: Mapping[str, int]) -> dict[str, Tensor]:
    """The tensors of the cut adapter, whose scale is 1; layers that keep nothing are left out."""
    state = {}
    for name, update in updates.items():
        if ranks[name]:
            for half, factor in zip(HALVES, update.factors(ranks[name]), strict=True):
                state[name + half] = factor.contiguous()
    return state


def kept_share(updates: Mapping[str, Update], ranks: Mapping[str, int]) -> float:
    """Share of the squared Frobenius norm of all updates that is kept, in [0, 1]."""
    total = sum(float(update.values.square().sum()) for update in updates.values())
    kept = sum(float(update.values[: ranks[name]].square().sum()) for name, update in updates.items())
    return kept / total if total else 1.0


def _update(a: Tensor, b: Tensor, scale: float) -> Update:
    kernel = tuple(a.shape[2:])
    left, of_left = torch.linalg.qr(b.flatten(1).double())
    right, of_right = torch.linalg.qr(a.flatten(1).double().T)
    u, values, v = torch.linalg.svd(scale * of_left @ of_right.T, full_matrices=False)
    return Update(left @ u, values, v @ right.T, kernel)
