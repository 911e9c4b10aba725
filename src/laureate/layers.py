"""Frozen layers with a stack of R trainable updates each.

The batch is [adapter x sample], and one batched product serves all adapters. An adapter whose rank is below
the stack's largest is padded with zeros, which stay zero: the gradient of a padded column of A is a multiple
of the padded row of B, and the other way round.

Low-rank updates are those of Hu et al. 2021 (arXiv:2106.09685). Two ways to change them:
- DoRA (Liu et al. 2024, arXiv:2402.09353) trains the length of every row of the weight on its own.
- PiSSA (Meng et al. 2024, arXiv:2404.02948) starts at the largest singular values of the weight, and takes
  them out of the frozen part. As the frozen part is shared here, the start is subtracted from the update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Run = tuple[int, int, int]


@dataclass(frozen=True)
class Adapter:
    """One adapter: the update of a weight is `scale * (A @ B).T`."""

    rank: int
    alpha: float
    dropout: float = 0.0  # share of an update's inputs that is left out in training
    variant: str = "lora"
    init: str = "random"  # or "pissa"

    @property
    def scale(self) -> float:
        """alpha / rank; alpha / sqrt(rank) with rsLoRA (Kalajdzievski 2023, arXiv:2312.03732)."""
        return self.alpha / (self.rank**0.5 if self.variant == "rslora" else self.rank)


class Stacked(nn.Module):
    """What linear layers and convolutions share: the factors of R updates and what is done with them.

    `a`: (R, fan_in, r_max) and `b`: (R, r_max, out), float32; with DoRA `m`: (R, 1, out), the lengths.
    """

    def __init__(self, base: nn.Linear | nn.Conv2d, adapters: Sequence[Adapter], start: Tensor) -> None:
        """`start`: (r_max, fan_in) float32, the rows from which every adapter takes its first `rank`."""
        super().__init__()
        weight = base.weight.detach().flatten(1).float()  # (out, fan_in)
        count, width, device = len(adapters), max(adapter.rank for adapter in adapters), weight.device
        self.base, self.adapters = base, tuple(adapters)
        a, b = (
            torch.zeros(count, *shape, device=device)
            for shape in ((weight.shape[1], width), (width, len(weight)))
        )
        for index, adapter in enumerate(adapters):
            if adapter.init == "pissa":
                first, second = principal(weight, adapter)
                a[index, :, : first.shape[1]], b[index, : len(second)] = first, second
            else:
                a[index, :, : adapter.rank] = start[: adapter.rank].T
        self.a, self.b = nn.Parameter(a), nn.Parameter(b)
        self.parts = ["a", "b"]
        if adapters[0].variant == "dora":
            self.m = nn.Parameter(weight.norm(dim=1).expand(count, 1, -1).clone())
            self.parts.append("m")
        self.scale: Tensor
        scales = torch.tensor([adapter.scale for adapter in adapters], device=device).view(count, 1, 1)
        self.register_buffer("scale", scales, persistent=False)
        self.scaled = any(adapter.scale != 1 for adapter in adapters)
        # what PiSSA starts with, to be subtracted: float32 as well, so that it cancels exactly at the start
        self.start = (a.clone(), b.clone()) if adapters[0].init == "pissa" else None
        self.keep = 1 - torch.tensor([adapter.dropout for adapter in adapters], device=device)
        self.drops = any(adapter.dropout for adapter in adapters)
        self.runs = runs_of([adapter.rank for adapter in adapters], device)
        self.generator: torch.Generator | None = None  # set for a training step; None: nothing is left out
        self.share = (0, 1)  # which part of the samples this process has, of how many

    def factors(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """(R, fan_in, k) and (R, k, out) whose product, scaled, is the update."""
        if self.start is None:
            return self.a.to(dtype), self.b.to(dtype)
        a, b = torch.cat([self.a, self.start[0]], dim=2), torch.cat([self.b, -self.start[1]], dim=1)
        return a.to(dtype), b.to(dtype)

    def gain(self, dtype: torch.dtype) -> Tensor:
        """DoRA's factor on every output, (R, 1, out): wanted length over the length that the weight has."""
        with torch.no_grad():  # section 4.3: the length counts as a constant
            update = torch.bmm(*self.factors(torch.float32)) * self.scale
            length = (self.base.weight.flatten(1).float().T + update).norm(dim=1, keepdim=True)
        return (self.m / length).to(dtype)

    def drop(self, x: Tensor) -> Tensor:
        """Leave out inputs, x: (R, n, ...), n in the order of samples; more dropout leaves out the same and
        more. Every process draws for the samples of all of them."""
        if self.generator is None or not self.drops:
            return x
        index, count = self.share
        everywhere = (count * x.shape[1], *x.shape[2:])
        drawn = torch.rand(everywhere, device=x.device, generator=self.generator).chunk(count)[index]
        keep = self.keep.view(-1, *[1] * (x.dim() - 1))
        return x * ((drawn < keep) / keep).to(x.dtype)

    def weights_of(self, index: int) -> tuple[Tensor, Tensor]:
        """A (rank, fan_in) and B (out, rank) of one adapter, without the stack's padding.

        With PiSSA twice the rank: the trained factors, and those of the start with their sign turned.
        """
        rank = self.adapters[index].rank
        a, b = self.a[index, :, :rank].T, self.b[index, :rank].T
        if self.start is not None:
            a = torch.cat([a, self.start[0][index, :, :rank].T])
            b = torch.cat([b, -self.start[1][index, :rank].T], dim=1)
        return a.detach(), b.detach()


class Ragged(torch.autograd.Function):
    """y[r] = x[r] @ W.T + bias + x[r] @ A[r] @ B[r] for a frozen W, in one pass over y and one over the
    gradient of x, and by runs of adapters of similar rank instead of all at the largest rank.

    x: (R, n, in), a: (R, in, r_max), b: (R, r_max, out); runs: (first, behind the last, largest rank).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, runs: list[Run]
    ) -> Tensor:
        y = functional.linear(x, weight, bias)
        narrow = []
        for first, end, rank in runs:
            narrow.append(torch.bmm(x[first:end], a[first:end, :, :rank]))
            y[first:end].baddbmm_(narrow[-1], b[first:end, :rank])
        ctx.save_for_backward(x, weight, a, b, *narrow)
        ctx.runs = runs
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (x, weight, a, b, *narrow) = grads, ctx.saved_tensors
        to_x = grad @ weight if ctx.needs_input_grad[0] else None
        to_a, to_b = torch.zeros_like(a), torch.zeros_like(b)
        for (first, end, rank), within in zip(ctx.runs, narrow, strict=True):
            part = grad[first:end]
            to_narrow = torch.bmm(part, b[first:end, :rank].mT)
            to_b[first:end, :rank] = torch.bmm(within.mT, part)
            to_a[first:end, :, :rank] = torch.bmm(x[first:end].mT, to_narrow)
            if to_x is not None:
                to_x[first:end].baddbmm_(to_narrow, a[first:end, :, :rank].mT)
        return to_x, None, None, to_a, to_b, None


def runs_of(ranks: Sequence[int], device: torch.device) -> list[Run]:
    """Runs of neighbours in a stack whose ranks differ by a factor of two at most: so padding costs at most
    as much as what it pads. On a graphics card one run: there a product costs more than its padding."""
    if device.type == "cuda":
        return [(0, len(ranks), max(ranks))]
    runs: list[Run] = []
    first = 0
    for end in range(1, len(ranks) + 1):
        if end == len(ranks) or max(ranks[first : end + 1]) > 2 * min(ranks[first : end + 1]):
            runs.append((first, end, max(ranks[first:end])))
            first = end
    return runs


class LoraLinear(Stacked):
    """A linear layer: y[r] = base(x[r]) + scale[r] * x[r] @ A[r] @ B[r]."""

    base: nn.Linear

    def forward(self, x: Tensor) -> Tensor:
        """x: (R * n, ..., in) in the base's dtype => (R * n, ..., out) in the same dtype."""
        a, b = self.factors(x.dtype)
        stacked = x.reshape(len(a), -1, x.shape[-1])
        dropped = self.drops and self.generator is not None
        if not (self.start or "m" in self.parts or dropped or torch.compiler.is_compiling()):
            b = b * self.scale.to(b.dtype) if self.scaled else b
            y = Ragged.apply(stacked, self.base.weight, self.base.bias, a, b, self.runs)
            return y.reshape(*x.shape[:-1], y.shape[-1])
        y = self.base(x)
        narrow = torch.bmm(self.drop(stacked), a)
        if self.scaled:  # on the narrow product: it is the cheapest place
            narrow = narrow * self.scale.to(x.dtype)
        update = torch.bmm(narrow, b)
        if len(self.parts) == 2:
            return y + update.reshape(y.shape)
        bias = 0 if self.base.bias is None else self.base.bias
        return (bias + self.gain(x.dtype) * (y.reshape(update.shape) - bias + update)).reshape(y.shape)


class LoraConv2d(Stacked):
    """A convolution: A is one of the same kernel, stride and padding, B one of 1 x 1."""

    base: nn.Conv2d

    def forward(self, x: Tensor) -> Tensor:
        """x: (R * n, in, h, w) in the base's dtype => (R * n, out, h', w') in the same dtype."""
        y: Tensor = self.base(x)
        a, b = self.factors(x.dtype)
        count, width = len(a), a.shape[2]
        kernel = a.mT.reshape(count * width, self.base.in_channels, *self.base.kernel_size)
        beside = self.drop(x.unflatten(0, (count, -1))).transpose(0, 1).flatten(1, 2)  # (n, R * in, h, w)
        narrow = functional.conv2d(beside, kernel, None, self.base.stride, self.base.padding, groups=count)
        if self.scaled:
            narrow = narrow * self.scale.to(x.dtype).expand(-1, width, 1).reshape(1, -1, 1, 1)
        update = functional.conv2d(narrow, b.mT.reshape(-1, width, 1, 1), groups=count)
        return y + update.unflatten(1, (count, -1)).transpose(0, 1).reshape(y.shape)


class Shared(nn.Module):
    """A frozen layer whose inputs are the same for all adapters: computed once, and repeated."""

    def __init__(self, base: nn.Module, count: int) -> None:
        super().__init__()
        self.base, self.count = base, count

    def forward(self, *inputs: Tensor | None) -> Tensor:
        """(R * n, ...) each, adapter by adapter => (R * n, ...)."""
        once = [None if x is None else x[: len(x) // self.count] for x in inputs]
        return torch.cat([self.base(*once)] * self.count)  # unlike `repeat`, keeps channels last


def principal(weight: Tensor, adapter: Adapter) -> tuple[Tensor, Tensor]:
    """PiSSA's start for a weight (out, in): A (in, k) and B (k, out); k is the rank or the number of values.

    scale * (A @ B).T is the best approximation of that rank; each factor takes the roots of the values.
    """
    u, s, v = torch.linalg.svd(weight, full_matrices=False)
    root = (s[: adapter.rank] / adapter.scale).sqrt()
    return v[: adapter.rank].T * root, (u[:, : adapter.rank] * root).T
