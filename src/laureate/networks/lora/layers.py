"""Frozen layers with a stack of R trainable updates each.

The batch is [adapter x sample]. Adapters may form a run, which one batched product serves: each is padded
with zeros to the largest rank among them. The padding stays zero: the gradient of a padded column of A is a
multiple of the padded row of B, and the other way round.

Low-rank updates are those of Hu et al. 2021 (arXiv:2106.09685). Two ways to change them:
- DoRA (Liu et al. 2024, arXiv:2402.09353) trains the length of every row of the weight on its own.
- PiSSA (Meng et al. 2024, arXiv:2404.02948) starts at the largest singular values of the weight, and takes
  them out of the frozen part. As the frozen part is shared here, the start is subtracted from the update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from laureate.networks.lora.adapter import Adapter
from laureate.networks.lora.low_rank_matmul import (
    FactorBuffers,
    FactoredUpdate,
    InputGroups,
    MultipliedUpdate,
    Run,
    Update,
)


class Stacked(nn.Module):
    """What linear layers and convolutions share: the factors of R updates and what is done with them.

    Per run of adapters, k of them of rank r at most: `a` (k, fan_in, r) and `b` (k, r, out), float32; with
    DoRA `m` (k, 1, out), the lengths.
    """

    def __init__(
        self,
        base: nn.Linear | nn.Conv2d,
        adapters: Sequence[Adapter],
        starts: Mapping[int, Tensor],
        runs: Sequence[Run] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> None:
        """`starts`: by seed (rows, fan_in) float32, from which an adapter takes its first `rank` rows.

        `runs`: which adapters share a product; None: each is alone. `seeds`: of every adapter; None: all have
        the only one of `starts`."""
        super().__init__()
        weight = base.weight.detach().flatten(1).float()  # (out, fan_in)
        count, device = len(adapters), weight.device
        self.base, self.adapters = base, tuple(adapters)
        self.seeds = tuple(seeds or [*starts] * count)
        self.runs = list(runs or [(i, i + 1, adapter.rank) for i, adapter in enumerate(adapters)])
        self.a, self.b, self.m = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        for first, end, rank in self.runs:
            self.a.append(torch.zeros(end - first, weight.shape[1], rank, device=device))
            self.b.append(torch.zeros(end - first, rank, len(weight), device=device))
            if adapters[0].variant == "dora":
                self.m.append(weight.norm(dim=1).expand(end - first, 1, -1).clone())
        self.parts = ["a", "b", "m"] if self.m else ["a", "b"]
        principals: dict[Adapter, tuple[Tensor, Tensor]] = {}
        with torch.no_grad():
            for index, adapter in enumerate(adapters):
                if adapter.init == "pissa":
                    if adapter not in principals:
                        principals[adapter] = principal(weight, adapter)
                    left, right = principals[adapter]
                    self.own("a", index)[:, : left.shape[1]] = left
                    self.own("b", index)[: len(right)] = right
                else:
                    self.own("a", index).copy_(starts[self.seeds[index]][: adapter.rank].T)
        self.scale: Tensor
        scales = torch.tensor([adapter.scale for adapter in adapters], device=device).view(count, 1, 1)
        self.register_buffer("scale", scales, persistent=False)
        self.scaled = any(adapter.scale != 1 for adapter in adapters)
        # what PiSSA starts with, to be subtracted: float32 as well, so that it cancels exactly at the start
        self.start = [(a.detach().clone(), b.detach().clone()) for a, b in zip(self.a, self.b, strict=True)]
        if adapters[0].init != "pissa":
            self.start.clear()
        self.keep = 1 - torch.tensor([adapter.dropout for adapter in adapters], device=device)
        self.drops = any(adapter.dropout for adapter in adapters)
        self.plain = not (self.start or self.m or self.drops)  # the update is nothing but two products
        self.factor_buffers: list[
            FactorBuffers
        ] = []  # set by `FlatParameters`, which holds weights and gradients
        self.update: Update | None = (
            None  # set by `FlatParameters` where A @ B is made for many layers at once
        )
        # by seed, what gives a generator for a training step; none: no dropout
        self.generators: dict[int, Callable[[], torch.Generator]] = {}
        self.groups: InputGroups | None = None  # adapters that get the same inputs; None: all differ
        self.share = (0, 1)  # which part of the samples this process has, of how many

    @property
    def shape(self) -> tuple[int, int]:
        """(fan_in, out) of the update as a matrix."""
        return self.a[0].shape[1], self.b[0].shape[2]

    def own(self, part: str, index: int) -> Tensor:
        """Adapter number `index`'s own a (fan_in, rank), b (rank, out) or m (1, out), as a view."""
        return own(part, list(getattr(self, part)), self.runs, index, self.adapters[index].rank)

    def gradient(self, part: str, index: int) -> Tensor:
        """The gradient of `own`. Raises RuntimeError where there is none."""
        grads = [weight.grad for weight in getattr(self, part)]
        if self.factor_buffers and part != "m":
            grads = [
                getattr(run, f"to_{part}") if g is None else g
                for g, run in zip(grads, self.factor_buffers, strict=True)
            ]
        if any(grad is None for grad in grads):
            raise RuntimeError("there is no gradient yet")
        return own(part, grads, self.runs, index, self.adapters[index].rank)

    def factors(self, run: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """(k, fan_in, r) and (k, r, out) of a run, whose product, scaled, is the update."""
        a, b = self.a[run], self.b[run]
        if self.start:
            a = torch.cat([a, self.start[run][0]], dim=2)
            b = torch.cat([b, -self.start[run][1]], dim=1)
        return a.to(dtype), b.to(dtype)

    def gain(self, run: int, dtype: torch.dtype) -> Tensor:
        """DoRA's factor on every output of a run, (k, 1, out): wanted length over the length that the weight
        has."""
        first, end, _ = self.runs[run]
        with torch.no_grad():  # section 4.3: the length counts as a constant
            update = torch.bmm(*self.factors(run, torch.float32)) * self.scale[first:end]
            length = (self.base.weight.flatten(1).float().T + update).norm(dim=1, keepdim=True)
        return (self.m[run] / length).to(dtype)

    def drop(self, x: Tensor) -> Tensor:
        """Dropout with nested masks, x: (R, n, ...), n in the order of samples: what an adapter drops, every
        adapter of its seed with more dropout drops too. Every process draws for the samples of all of
        them."""
        if not self.generators or not self.drops:
            return x
        index, count = self.share
        everywhere = (count * x.shape[1], *x.shape[2:])
        drawn = {
            seed: torch.rand(everywhere, device=x.device, generator=source()).chunk(count)[index]
            for seed, source in self.generators.items()
        }
        kept = torch.stack([drawn[seed] < keep for seed, keep in zip(self.seeds, self.keep, strict=True)])
        return x * (kept / self.keep.view(-1, *[1] * (x.dim() - 1))).to(x.dtype)

    def weights_of(self, index: int) -> tuple[Tensor, Tensor]:
        """A (rank, fan_in) and B (out, rank) of one adapter, without the stack's padding.

        With PiSSA twice the rank: the trained factors, and those of the start with their sign turned.
        """
        a, b = self.own("a", index).T, self.own("b", index).T
        if self.start:
            rank = self.adapters[index].rank
            before = [own(p, [s[i] for s in self.start], self.runs, index, rank) for i, p in enumerate("ab")]
            a = torch.cat([a, before[0].T])
            b = torch.cat([b, -before[1].T], dim=1)
        return a.detach(), b.detach()


def own(part: str, stacks: Sequence[Tensor], runs: Sequence[Run], index: int, rank: int) -> Tensor:
    """One adapter's share of a part's tensors, one per run, without padding, as a view."""
    for stack, (first, end, _) in zip(stacks, runs, strict=True):
        if first <= index < end:
            return unpadded(part, stack[index - first], rank)
    raise IndexError(f"there is no adapter {index}")


def unpadded(part: str, values: Tensor, rank: int) -> Tensor:
    """What one adapter of a run uses of its a, b or m, as a view."""
    return values[:, :rank] if part == "a" else values[:rank] if part == "b" else values


class LoraLinear(Stacked):
    """A linear layer: y[r] = base(x[r]) + scale[r] * x[r] @ A[r] @ B[r]."""

    base: nn.Linear

    def forward(self, x: Tensor) -> Tensor:
        """x: (R * n, ..., in) in the base's dtype => (R * n, ..., out) in the same dtype."""
        stacked = x.reshape(len(self.adapters), -1, x.shape[-1])
        if self.update is not None:
            y = MultipliedUpdate.apply(stacked, self.base, self.update, self.groups, self.a[0])
            return y.reshape(*x.shape[:-1], -1)
        scale = self.scale.to(x.dtype) if self.scaled else None
        dropped = self.drops and bool(self.generators)
        if not (self.start or self.m or dropped or torch.compiler.is_compiling()):
            return self._factored(stacked, scale).reshape(*x.shape[:-1], -1)
        y = functional.linear(stacked, self.base.weight, self.base.bias)
        dropped_x, parts = self.drop(stacked), []
        for run, (first, end, _) in enumerate(self.runs):
            a, b = self.factors(run, x.dtype)
            narrow = torch.bmm(dropped_x[first:end], a)
            if scale is not None:  # on the narrow product: it is the cheapest place
                narrow = narrow * scale[first:end]
            part = y[first:end] + torch.bmm(narrow, b)
            if self.m:
                bias = 0 if self.base.bias is None else self.base.bias
                part = bias + self.gain(run, x.dtype) * (part - bias)
            parts.append(part)
        return torch.cat(parts).reshape(*x.shape[:-1], y.shape[-1])

    def _factored(self, x: Tensor, scale: Tensor | None) -> Tensor:
        """(R, n, in) => (R, n, out) with a backward pass of our own."""
        pairs = list(zip(self.a, self.b, strict=True))
        factors = [(run.a, run.b) for run in self.factor_buffers]
        if not factors:
            factors = [(a.detach().to(x.dtype), b.detach().to(x.dtype)) for a, b in pairs]
        weights = [weight for pair in pairs for weight in pair]
        return FactoredUpdate.apply(
            x, self.base, self.runs, factors, scale, self.factor_buffers, self.groups, *weights
        )


class LoraConv2d(Stacked):
    """A convolution: A is one of the same kernel, stride and padding, B one of 1 x 1."""

    base: nn.Conv2d

    def forward(self, x: Tensor) -> Tensor:
        """x: (R * n, in, h, w) in the base's dtype => (R * n, out, h', w') in the same dtype."""
        y: Tensor = self.base(x)
        dropped, updates = self.drop(x.unflatten(0, (len(self.adapters), -1))), []
        for run, (first, end, _) in enumerate(self.runs):
            a, b = self.factors(run, x.dtype)
            count, width = len(a), a.shape[2]
            kernel = a.mT.reshape(count * width, self.base.in_channels, *self.base.kernel_size)
            beside = dropped[first:end].transpose(0, 1).flatten(1, 2)  # (n, k * in, h, w)
            narrow = functional.conv2d(
                beside, kernel, None, self.base.stride, self.base.padding, groups=count
            )
            if self.scaled:
                scale = self.scale[first:end].to(x.dtype)
                narrow = narrow * scale.expand(-1, width, 1).reshape(1, -1, 1, 1)
            update = functional.conv2d(narrow, b.mT.reshape(-1, width, 1, 1), groups=count)
            updates.append(update.unflatten(1, (count, -1)).transpose(0, 1))
        return y + torch.cat(updates).reshape(y.shape)


class Shared(nn.Module):
    """A frozen layer whose inputs are the same for adapters of one seed: computed once for each seed."""

    def __init__(self, base: nn.Module, groups: InputGroups) -> None:
        super().__init__()
        self.base = base
        self.groups: InputGroups | None = groups  # None: every adapter has inputs of its own

    def forward(self, *inputs: Tensor | None) -> Any:
        """(R * n, ...) each, adapter by adapter => (R * n, ...)."""
        if self.groups is None:
            return self.base(*inputs)
        once = [None if x is None else self.groups.once(x) for x in inputs]
        return self.groups.spread(self.base(*once))


def principal(weight: Tensor, adapter: Adapter) -> tuple[Tensor, Tensor]:
    """PiSSA's start for a weight (out, in): A (in, k) and B (k, out); k is the rank or the number of values.

    scale * (A @ B).T is the best approximation of that rank; each factor takes the roots of the values.
    """
    u, s, v = torch.linalg.svd(weight, full_matrices=False)
    root = (s[: adapter.rank] / adapter.scale).sqrt()
    return v[: adapter.rank].T * root, (u[:, : adapter.rank] * root).T
