"""Data-parallel training in several processes, started by `accelerate launch -m laureate train ...`.

Each process has its share of every batch. A single process is a team of one, which needs no torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from laureate.core.errors import LaureateError

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value")


@dataclass(frozen=True)
class Team:
    """This process's number among all of them; number 0 decides and writes."""

    index: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that decides and writes."""
        return self.index == 0

    def broadcast(self, value: Value) -> Value:
        """The first process's value, in every process; all of them must call this."""
        if self.size == 1:
            return value
        from accelerate.utils import broadcast_object_list

        values: list[Value] = [value]
        broadcast_object_list(values)
        return values[0]

    def sum_over_processes(self, tensors: Sequence[Tensor]) -> None:
        """All-reduce: put the sum over all processes into every tensor, in place, in one exchange."""
        if self.size == 1:
            return
        import torch

        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        torch.distributed.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def share(self, batch: int) -> slice:
        """This process's samples of a batch. Raises LaureateError if it cannot be shared evenly."""
        if batch % self.size:
            raise LaureateError(
                f"train.batch {batch} cannot be shared evenly by {self.size} processes; change one of the two"
            )
        count = batch // self.size
        return slice(self.index * count, (self.index + 1) * count)


@contextmanager
def joined() -> Iterator[Team]:
    """Give the team that `accelerate launch` or `torchrun` started this process in, else a team of one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Team()
        return
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    try:
        yield Team(state.process_index, state.num_processes)
    finally:
        state.destroy_process_group()
