"""All weights of a stack of adapters in a few flat tensors, so that an optimiser step takes few calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from laureate.networks.lora.layers import LoraLinear, Stacked, unpadded
from laureate.networks.lora.low_rank_matmul import FactorBuffers, UpdateGroup


@dataclass(frozen=True)
class Slot:
    """Where one part of one layer lies in the tensor of its run."""

    layer: str
    part: str
    run: int
    start: int
    shape: tuple[int, ...]  # of one adapter

    def of(self, tensors: Sequence[Tensor]) -> Tensor:
        """This slot's part of tensors laid out like `FlatParameters.weights`, as a view: (k, *shape)."""
        return self.several(tensors, 1)[:, 0]

    def several(self, tensors: Sequence[Tensor], layers: int) -> Tensor:
        """The same of this layer and those behind it, which have its shape: (k, layers, *shape)."""
        size = layers * torch.Size(self.shape).numel()
        return tensors[self.run][:, self.start : self.start + size].unflatten(1, (layers, *self.shape))


class FlatParameters:
    """Moves the weights of all layers into one tensor per run of adapters, a row per adapter, and their
    gradients into another. The layers keep views of their weights: what changes one changes the other.

    `weights`: per run (k, everything) float32, with `grad` in place, zero at first. Layers of one shape lie
    side by side, so that their updates can be multiplied out together.
    """

    def __init__(
        self, layers: Mapping[str, Stacked], dtype: torch.dtype, multiplies_out: Callable[[int, int], bool]
    ) -> None:
        """`dtype`: in which the layers multiply. `multiplies_out`: (fan_in, out) => whether the product of a
        layer's factors is made once for all inputs; the layers need `refresh` when their weights have
        changed."""
        self.layers = dict(sorted(layers.items(), key=lambda item: kind(item[1])))
        one = next(iter(layers.values()))
        self.runs, device = one.runs, one.a[0].device
        self.slots, lengths = self._slots()
        self.places = {(slot.layer, slot.part, slot.run): slot for slot in self.slots}
        self.weights = [
            nn.Parameter(torch.zeros(end - first, length, device=device))
            for (first, end, _), length in zip(self.runs, lengths, strict=True)
        ]
        for weight in self.weights:
            weight.grad = torch.zeros_like(weight)
        plain = [flat.detach() for flat in self.weights]
        self.copies = (
            [] if dtype == torch.float32 else [torch.empty_like(flat, dtype=dtype) for flat in plain]
        )
        self.groups: list[UpdateGroup] = []
        # of layers by themselves: a weight, where its gradient belongs, whose that is
        self.single: list[tuple[nn.Parameter, Tensor, FactorBuffers]] = []
        self._move_weights(plain)
        for (fits, shape), members in groupby(self.layers.items(), key=lambda item: kind(item[1])):
            alike = dict(members)
            if fits and multiplies_out(*shape):
                self.groups.append(self._group(alike))
            else:
                self.single += self._singles(alike)

    @property
    def gradients(self) -> list[Tensor]:
        """Per run (k, everything) float32."""
        return [weight.grad for weight in self.weights if weight.grad is not None]

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors held beside weights: gradients, copies, products."""
        return [*self.gradients, *self.copies, *(tensor for group in self.groups for tensor in group.tensors)]

    def refresh(self) -> None:
        """Make the copies in which the layers multiply, and their products, anew from the weights."""
        for copy, weight in zip(self.copies, self.weights, strict=bool(self.copies)):
            copy.copy_(weight.detach())
        with torch.no_grad():
            for group in self.groups:
                group.multiply()

    def mark_gradients_stale(self) -> None:
        """The next gradients replace those that are there."""
        for _, _, buffers in self.single:
            buffers.stale = True
        for group in self.groups:
            group.mark_gradients_stale()

    def gather_gradients(self) -> None:
        """Complete `gradients`: add those of products and those that autograd left with the layers' weights;
        0 for what had none."""
        with torch.no_grad():
            for group in self.groups:
                group.spread_gradients()
        for weight, place, buffers in self.single:
            if weight.grad is not None:
                (place.copy_ if buffers.stale else place.add_)(weight.grad)
                weight.grad = None
            elif buffers.stale:
                place.zero_()
        for _, _, buffers in self.single:
            buffers.stale = False

    def per_run(self, values: Tensor) -> list[Tensor]:
        """Per adapter values (R,) => per run (k, 1)."""
        return [values[first:end, None] for first, end, _ in self.runs]

    def norms(self) -> Tensor:
        """The norm of every adapter's gradient over all layers, (R,)."""
        rows = [row for gradient in self.gradients for row in gradient]
        return torch.stack([torch.dot(row, row) for row in rows]).sqrt()  # half the time of `vector_norm`

    def own(self, tensors: Sequence[Tensor]) -> Iterator[tuple[str, str, int, Tensor]]:
        """Layer, part and adapter, and what is its own of tensors laid out like `weights`, as a view."""
        for slot in self.slots:
            first, end, _ = self.runs[slot.run]
            for index, values in zip(range(first, end), slot.of(tensors), strict=True):
                rank = self.layers[slot.layer].adapters[index].rank
                yield slot.layer, slot.part, index, unpadded(slot.part, values, rank)

    def _slots(self) -> tuple[list[Slot], list[int]]:
        """Where everything lies, and how long every run's tensor is: layers of one kind side by side."""
        slots, lengths = [], [0] * len(self.runs)
        for part in ("a", "b", "m"):
            for name, layer in self.layers.items():
                for run, weight in enumerate(getattr(layer, part)):
                    slots.append(Slot(name, part, run, lengths[run], tuple(weight.shape[1:])))
                    lengths[run] += weight[0].numel()
        return slots, lengths

    def _move_weights(self, weights: Sequence[Tensor]) -> None:
        """Make the layers' weights, and the factors that they multiply with, views of the flat tensors."""
        for slot in self.slots:
            weight, place = getattr(self.layers[slot.layer], slot.part)[slot.run], slot.of(weights)
            place.copy_(weight.detach())
            weight.data = place
        for name, layer in self.layers.items():
            for run in range(len(self.runs)):
                a, b, to_a, to_b = (tensor[:, 0] for tensor in self._factor_views(name, run, 1))
                layer.factor_buffers.append(FactorBuffers(a, b, to_a, to_b))

    def _factor_views(self, layer: str, run: int, layers: int) -> list[Tensor]:
        """a, b and their gradients of a layer and those behind it under a run, (k, layers, ...) each."""
        factors = self.copies or [weight.detach() for weight in self.weights]
        return [
            self.places[layer, part, run].several(tensors, layers)
            for tensors in (factors, self.gradients)
            for part in ("a", "b")
        ]

    def _singles(self, alike: Mapping[str, Stacked]) -> Iterator[tuple[nn.Parameter, Tensor, FactorBuffers]]:
        """The weights of layers that multiply by themselves."""
        for slot in self.slots:
            if slot.layer in alike:
                layer = alike[slot.layer]
                yield (
                    getattr(layer, slot.part)[slot.run],
                    slot.of(self.gradients),
                    layer.factor_buffers[slot.run],
                )

    def _group(self, alike: Mapping[str, Stacked]) -> UpdateGroup:
        """Let layers of one shape have their updates multiplied out."""
        first, layers = next(iter(alike)), list(alike.values())
        parts = []
        for run in range(len(self.runs)):
            parts += [
                FactorBuffers(*row) for row in zip(*self._factor_views(first, run, len(layers)), strict=True)
            ]
        scales = [adapter.scale for adapter in layers[0].adapters]
        group = UpdateGroup(parts, scales, [layer.base.weight for layer in layers])
        for layer, update in zip(layers, group.updates, strict=True):
            layer.update = update
        return group


def kind(layer: Stacked) -> tuple[bool, tuple[int, int]]:
    """Whether a layer's update is a product of two factors and nothing else, and its shape."""
    return isinstance(layer, LoraLinear) and layer.plain, layer.shape
