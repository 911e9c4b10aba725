"""All weights of a stack in a few tensors: what an optimiser does with many small tensors, it does with few
large ones at a fraction of the calls and of the traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from laureate.layers import Lent, Run, Stacked


@dataclass(frozen=True)
class Slot:
    """Where one part of one layer lies in the tensor of its run."""

    layer: str
    part: str
    run: int
    start: int
    shape: tuple[int, ...]  # of one adapter

    def of(self, tensors: Sequence[Tensor]) -> Tensor:
        """This slot's part of tensors that are laid out like `Flat.weights`, as a view: (k, *shape)."""
        size = torch.Size(self.shape).numel()
        return tensors[self.run][:, self.start : self.start + size].unflatten(1, self.shape)


class Flat:
    """Moves the weights of all layers into one tensor per run of adapters, a row per adapter, and their
    gradients into another. The layers keep views of their weights: what changes one changes the other.

    `weights`: per run (k, everything) float32, with `grad` in place, zero at first.
    """

    def __init__(self, layers: Mapping[str, Stacked], dtype: torch.dtype) -> None:
        """`dtype`: in which the layers multiply."""
        self.runs: list[Run] = next(iter(layers.values())).runs
        self.slots: list[Slot] = []
        lengths = [0] * len(self.runs)
        for name, layer in layers.items():
            for part in layer.parts:
                for run, weight in enumerate(getattr(layer, part)):
                    self.slots.append(Slot(name, part, run, lengths[run], tuple(weight.shape[1:])))
                    lengths[run] += weight[0].numel()
        device = next(iter(layers.values())).a[0].device
        self.weights = [
            nn.Parameter(torch.zeros(end - first, length, device=device))
            for (first, end, _), length in zip(self.runs, lengths, strict=True)
        ]
        for weight in self.weights:
            weight.grad = torch.zeros_like(weight)
        plain = [flat.detach() for flat in self.weights]
        low = [torch.empty_like(weight, dtype=dtype) for weight in plain]
        self.low = [] if dtype == torch.float32 else low
        # what a layer has, where its gradient belongs, whose that is
        self.owned: list[tuple[nn.Parameter, Tensor, Lent]] = []
        places = {(slot.layer, slot.part, slot.run): slot for slot in self.slots}
        for name, layer in layers.items():
            for run in range(len(self.runs)):
                a, b = places[name, "a", run], places[name, "b", run]
                there, to = self.low or plain, self.gradients
                layer.lent.append(Lent(a.of(there), b.of(there), a.of(to), b.of(to)))
        for slot in self.slots:
            layer = layers[slot.layer]
            weight, place = getattr(layer, slot.part)[slot.run], slot.of(plain)
            place.copy_(weight.detach())
            weight.data = place
            self.owned.append((weight, slot.of(self.gradients), layer.lent[slot.run]))

    @property
    def gradients(self) -> list[Tensor]:
        """Per run (k, everything) float32."""
        return [weight.grad for weight in self.weights if weight.grad is not None]

    def refresh(self) -> None:
        """Bring the copies in which the layers multiply up to date with the weights."""
        for low, weight in zip(self.low, self.weights, strict=bool(self.low)):
            low.copy_(weight.detach())

    def forget(self) -> None:
        """The next gradients replace those that are there."""
        for _, _, lent in self.owned:
            lent.stale = True

    def collect(self) -> None:
        """Take over the gradients that autograd has left with the layers' weights; 0 for what had none."""
        for weight, place, lent in self.owned:
            if weight.grad is not None:
                (place.copy_ if lent.stale else place.add_)(weight.grad)
                weight.grad = None
            elif lent.stale:
                place.zero_()
        for _, _, lent in self.owned:
            lent.stale = False

    def each(self, values: Tensor) -> list[Tensor]:
        """Per adapter values (R,) => per run (k, 1)."""
        return [values[first:end, None] for first, end, _ in self.runs]

    def norms(self) -> Tensor:
        """The norm of every adapter's gradient over all layers, (R,)."""
        return torch.cat([torch.linalg.vector_norm(gradient, dim=1) for gradient in self.gradients])
