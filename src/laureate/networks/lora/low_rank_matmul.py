"""Matrix products of low-rank updates, forwards and backwards, with the cheaper order of the products.

For x (n, in) and factors A (in, r), B (r, out) there are two ways to x @ A @ B:
- `FactoredUpdate`: (x @ A) @ B. 2 n r (in + out) operations, and twice that for the gradients.
- `MultipliedUpdate`: x @ (A @ B), where A @ B is multiplied out once per step for all layers of a shape
  together, and the gradients of A and B come from that of A @ B, again for all layers together. Three
  products of 2 n in out operations, whatever the rank: for narrow layers fewer operations, and a fraction of
  the calls.

In float32 A @ B takes the frozen weight in, which saves the product with that. In 16 bits it must not: an
update smaller than a weight's last bit would be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Run = tuple[int, int, int]  # first adapter, behind the last, largest rank


@dataclass(frozen=True)
class InputGroups:
    """Which of R adapters get the same inputs: those of one training seed, before the first adapted layer."""

    of: tuple[int, ...]  # per adapter the number of its group; there are groups 0 to max(of)

    @property
    def count(self) -> int:
        """Number of groups."""
        return max(self.of) + 1

    def once(self, stacked: Tensor) -> Tensor:
        """(R * n, ...), adapter by adapter => (G * n, ...): inputs of the first adapter of every group."""
        size = len(stacked) // len(self.of)
        if self.count == 1:
            return stacked[:size]
        parts = stacked.split(size)
        return torch.cat([parts[self.of.index(group)] for group in range(self.count)])

    def spread(self, values: Tensor) -> Tensor:
        """(G * n, ...), group by group => (R * n, ...): every adapter gets what belongs to its group."""
        parts = values.chunk(self.count)
        return torch.cat([parts[group] for group in self.of])  # unlike `repeat`, keeps channels last


@dataclass
class FactorBuffers:
    """Views that a run multiplies with and adds gradients to; `flat_parameters.FlatParameters` makes them."""

    a: Tensor  # (k, fan_in, r) in the base's precision
    b: Tensor  # (k, r, out)
    to_a: Tensor  # float32
    to_b: Tensor
    stale: bool = True  # the gradients are those of an earlier step

    def add(self, to_a: tuple[Tensor, Tensor], to_b: tuple[Tensor, Tensor]) -> None:
        """Add the products (k, m, n) and (k, n, p) to the gradients of A and of B."""
        for place, factors in ((self.to_a, to_a), (self.to_b, to_b)):
            _accumulate(place, factors, self.stale)
        self.stale = False


@dataclass
class Update:
    """One layer's part of an `UpdateGroup`."""

    value: Tensor  # (R, fan_in, out) in the base's precision
    gradient: Tensor  # the same
    complete: bool  # the frozen weight is in it
    stale: bool = True  # the gradient is that of an earlier step

    def add(self, x: Tensor, grad: Tensor) -> None:
        """Add the gradient of an input (R, n, in) and an output's gradient (R, n, out)."""
        _accumulate(self.gradient, (x.mT, grad), self.stale)
        self.stale = False


class UpdateGroup:
    """The updates A @ B of L layers of one shape under R adapters, multiplied out."""

    def __init__(
        self, parts: Sequence[FactorBuffers], scales: Sequence[float], weights: Sequence[Tensor]
    ) -> None:
        """`parts`: per adapter a (L, fan_in, r), b (L, r, out) and where their gradients go. `weights`: L
        frozen weights (out, fan_in), which the products take in where they are float32."""
        (count, fan_in, _), out = parts[0].a.shape, parts[0].b.shape[2]
        self.parts, self.scales = list(parts), list(scales)
        self.complete = parts[0].a.dtype == torch.float32
        self.weights = torch.stack([weight.detach().T for weight in weights]) if self.complete else None
        adapters = len(parts)
        # layer by layer and adapter by adapter; which way round the numbers lie was chosen by measurement
        if self.complete:
            self.value = parts[0].a.new_empty(adapters, count, fan_in, out).transpose(0, 1)
        else:
            self.value = parts[0].a.new_empty(count, adapters, fan_in, out)
        self.gradient = parts[0].a.new_zeros(adapters, count, fan_in, out).transpose(0, 1)
        self.updates = [
            Update(value, gradient, self.complete)
            for value, gradient in zip(self.value, self.gradient, strict=True)
        ]

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors that the group holds."""
        return [self.value, self.gradient, *([] if self.weights is None else [self.weights])]

    def multiply(self) -> None:
        """Make the products A @ B anew from the factors."""
        for index, (part, scale) in enumerate(zip(self.parts, self.scales, strict=True)):
            value = self.value[:, index]
            if self.weights is not None:
                torch.baddbmm(self.weights, part.a, part.b, alpha=scale, out=value)
            else:
                torch.bmm(part.a, part.b, out=value)
                if scale != 1:
                    value.mul_(scale)

    def mark_gradients_stale(self) -> None:
        """The next gradients replace those that are there."""
        for update in self.updates:
            update.stale = True

    def spread_gradients(self) -> None:
        """Compute the gradients of the factors from those of the products."""
        for update in self.updates:
            if update.stale:
                update.gradient.zero_()
                update.stale = False
        for index, (part, scale) in enumerate(zip(self.parts, self.scales, strict=True)):
            gradient = self.gradient[:, index]
            _accumulate(part.to_a, (gradient, part.b.mT), replace=True)
            _accumulate(part.to_b, (part.a.mT, gradient), replace=True)
            if scale != 1:
                part.to_a.mul_(scale)
                part.to_b.mul_(scale)


def _accumulate(place: Tensor, factors: tuple[Tensor, Tensor], replace: bool) -> None:
    """Set a gradient to a batched product, or add the product to it, in place."""
    if place.dtype != factors[0].dtype:
        product = torch.bmm(*factors)
        (place.copy_ if replace else place.add_)(product)
    elif replace:
        torch.bmm(*factors, out=place)
    else:
        place.baddbmm_(*factors)


def apply_update(x: Tensor, base: nn.Linear, update: Update, groups: InputGroups | None) -> Tensor:
    """y[r] = x[r] @ W.T + bias + x[r] @ value[r] for a frozen W, or without the first product where the value
    has W in it.

    x: (R, n, in) => (R, n, out). groups: adapters with the same x, which W serves once; None: all differ.
    """
    if update.complete:
        y = torch.bmm(x, update.value)
        return y if base.bias is None else y.add_(base.bias)
    if groups and groups.count == 1:
        y = functional.linear(x[:1], base.weight, base.bias)
        return torch.baddbmm(y.expand(len(x), -1, -1), x, update.value)
    return frozen_product(x, base, groups).baddbmm_(x, update.value)


def frozen_product(x: Tensor, base: nn.Linear, groups: InputGroups | None) -> Tensor:
    """x[r] @ W.T + bias, (R, n, in) => (R, n, out), once for adapters with the same x."""
    if groups is None:
        return functional.linear(x, base.weight, base.bias)
    return groups.spread(functional.linear(groups.once(x), base.weight, base.bias))


def input_gradient(grad: Tensor, base: nn.Linear, update: Update, onto: Tensor | None = None) -> Tensor:
    """The gradient of x in `apply_update`, (R, n, out) => (R, n, in).

    `onto`: the gradient of another layer with the same x, to which this one is added in place."""
    if not update.complete:
        if onto is None:
            onto = grad @ base.weight
        else:
            onto.view(-1, onto.shape[-1]).addmm_(grad.flatten(0, 1), base.weight)
    elif onto is None:
        return torch.bmm(grad, update.value.mT)
    return onto.baddbmm_(grad, update.value.mT)


class MultipliedUpdate(torch.autograd.Function):
    """`apply_update`, with the gradient of the value where `update` keeps it.

    anchor: a weight that is trained, for autograd to come back here.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, base: nn.Linear, update: Update, groups: InputGroups | None, anchor: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.base, ctx.update = base, update
        return apply_update(x, base, update, groups)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (x,) = grads, ctx.saved_tensors
        ctx.update.add(x, grad)
        to_x = input_gradient(grad, ctx.base, ctx.update) if ctx.needs_input_grad[0] else None
        return to_x, None, None, None, None


class FactoredUpdate(torch.autograd.Function):
    """y[r] = x[r] @ W.T + bias + scale[r] * x[r] @ A[r] @ B[r] for a frozen W, in one pass over y and one
    over the gradient of x, run by run.

    x: (R, n, in); factors: per run (k, in, r) and (k, r, out) in x's dtype; scale: (R, 1, 1) or None;
    buffers: per run where to add the gradients of A and B, or nothing: then autograd hands them to
    `weights`, the parameters behind the factors, a and b of every run. groups: as in `apply_update`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        base: nn.Linear,
        runs: list[Run],
        factors: list[tuple[Tensor, Tensor]],
        scale: Tensor | None,
        buffers: list[FactorBuffers],
        groups: InputGroups | None,
        *weights: Tensor,
    ) -> Tensor:
        y = frozen_product(x, base, groups)
        parts, narrow = [end - first for first, end, _ in runs], []
        scales = [None] * len(parts) if scale is None else scale.split(parts)
        for of_x, of_y, (a, b), of_scale in zip(x.split(parts), y.split(parts), factors, scales, strict=True):
            within = torch.bmm(of_x, a)
            narrow.append(within if of_scale is None else within.mul_(of_scale))
            of_y.baddbmm_(within, b)
        ctx.save_for_backward(x, base.weight, *narrow)
        ctx.parts, ctx.factors, ctx.scales, ctx.buffers = parts, factors, scales, buffers
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (x, weight, *narrow) = grads, ctx.saved_tensors
        to_x = grad @ weight if ctx.needs_input_grad[0] else None
        of_x, of_grad = x.mT.split(ctx.parts), grad.split(ctx.parts)
        of_to_x = () if to_x is None else to_x.split(ctx.parts)
        to_weights: list[Tensor | None] = []
        for run, (a, b) in enumerate(ctx.factors):
            to_narrow = torch.bmm(of_grad[run], b.mT)
            if ctx.scales[run] is not None:
                to_narrow.mul_(ctx.scales[run])
            to_a, to_b = (of_x[run], to_narrow), (narrow[run].mT, of_grad[run])
            if ctx.buffers:
                ctx.buffers[run].add(to_a, to_b)
                to_weights += [None, None]
            else:
                to_weights += [torch.bmm(*to_a), torch.bmm(*to_b)]
            if of_to_x:
                of_to_x[run].baddbmm_(to_narrow, a.mT)
        return to_x, None, None, None, None, None, None, *to_weights
