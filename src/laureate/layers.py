"""Frozen layers with a stack of R trainable updates each.

The batch is [adapter x sample]. Adapters of similar rank form a run: one batched product serves a run, and
each of its adapters is padded with zeros to the largest rank among them. The padding stays zero: the gradient
of a padded column of A is a multiple of the padded row of B, and the other way round.

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

Run = tuple[int, int, int]  # first adapter, behind the last, largest rank
PADDED = 1.6  # measured with ranks 4 to 128: two runs are faster than three, and than one


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


@dataclass
class Lent:
    """What a run multiplies with and where its gradients go, kept for it by `laureate.flat.Flat`."""

    a: Tensor  # (k, fan_in, r) in the base's precision
    b: Tensor  # (k, r, out)
    to_a: Tensor  # float32
    to_b: Tensor
    stale: bool = True  # the gradients are those of an earlier step

    def add(self, to_a: tuple[Tensor, Tensor], to_b: tuple[Tensor, Tensor]) -> None:
        """Add the products (k, m, n) and (k, n, p) to the gradients of A and of B."""
        for place, (left, right) in ((self.to_a, to_a), (self.to_b, to_b)):
            if place.dtype == right.dtype and self.stale:
                torch.bmm(left, right, out=place)
            elif place.dtype == right.dtype:
                place.baddbmm_(left, right)
            elif self.stale:
                place.copy_(torch.bmm(left, right))
            else:
                place.add_(torch.bmm(left, right))
        self.stale = False


class Stacked(nn.Module):
    """What linear layers and convolutions share: the factors of R updates and what is done with them.

    Per run of adapters, k of them of rank r at most: `a` (k, fan_in, r) and `b` (k, r, out), float32; with
    DoRA `m` (k, 1, out), the lengths.
    """

    def __init__(self, base: nn.Linear | nn.Conv2d, adapters: Sequence[Adapter], start: Tensor) -> None:
        """`start`: (rows, fan_in) float32, from which every adapter takes its first `rank` rows."""
        super().__init__()
        weight = base.weight.detach().flatten(1).float()  # (out, fan_in)
        count, device = len(adapters), weight.device
        self.base, self.adapters = base, tuple(adapters)
        self.runs = runs_of([adapter.rank for adapter in adapters], device)
        self.a, self.b, self.m = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        for first, end, rank in self.runs:
            self.a.append(torch.zeros(end - first, weight.shape[1], rank, device=device))
            self.b.append(torch.zeros(end - first, rank, len(weight), device=device))
            if adapters[0].variant == "dora":
                self.m.append(weight.norm(dim=1).expand(end - first, 1, -1).clone())
        self.parts = ["a", "b", "m"] if self.m else ["a", "b"]
        with torch.no_grad():
            for index, adapter in enumerate(adapters):
                if adapter.init == "pissa":
                    left, right = principal(weight, adapter)
                    self.own("a", index)[:, : left.shape[1]] = left
                    self.own("b", index)[: len(right)] = right
                else:
                    self.own("a", index).copy_(start[: adapter.rank].T)
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
        self.lent: list[Lent] = []  # by `Flat`
        self.generator: torch.Generator | None = None  # set for a training step; None: nothing is left out
        self.same = False  # every adapter gets the same inputs
        self.share = (0, 1)  # which part of the samples this process has, of how many

    def own(self, part: str, index: int) -> Tensor:
        """Adapter number `index`'s own a (fan_in, rank), b (rank, out) or m (1, out), as a view."""
        return own(part, list(getattr(self, part)), self.runs, index, self.adapters[index].rank)

    def gradient(self, part: str, index: int) -> Tensor:
        """The gradient of `own`. Raises RuntimeError where there is none."""
        grads = [weight.grad for weight in getattr(self, part)]
        if self.lent and part != "m":
            grads = [
                getattr(lent, f"to_{part}") if g is None else g
                for g, lent in zip(grads, self.lent, strict=True)
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


class Ragged(torch.autograd.Function):
    """y[r] = x[r] @ W.T + bias + scale[r] * x[r] @ A[r] @ B[r] for a frozen W, in one pass over y and one
    over the gradient of x, run by run.

    x: (R, n, in); factors: per run (k, in, r) and (k, r, out) in x's dtype; scale: (R, 1, 1) or None; lent:
    per run where to add the gradients of A and B, or nothing: then autograd hands them to `weights`, the
    parameters behind the factors, a and b of every run. same: x[r] is the same for all r, so W serves once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        base: nn.Linear,
        runs: list[Run],
        factors: list[tuple[Tensor, Tensor]],
        scale: Tensor | None,
        lent: list[Lent],
        same: bool,
        *weights: Tensor,
    ) -> Tensor:
        y = functional.linear(x[:1] if same else x, base.weight, base.bias)
        y = y.repeat(len(x), 1, 1) if same else y
        parts, narrow = [end - first for first, end, _ in runs], []
        scales = [None] * len(parts) if scale is None else scale.split(parts)
        for of_x, of_y, (a, b), of_scale in zip(x.split(parts), y.split(parts), factors, scales, strict=True):
            within = torch.bmm(of_x, a)
            narrow.append(within if of_scale is None else within.mul_(of_scale))
            of_y.baddbmm_(within, b)
        ctx.save_for_backward(x, base.weight, *narrow)
        ctx.parts, ctx.factors, ctx.scales, ctx.lent = parts, factors, scales, lent
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (x, weight, *narrow) = grads, ctx.saved_tensors
        to_x = grad @ weight if ctx.needs_input_grad[0] else None
        of_x, of_grad = x.mT.split(ctx.parts), grad.split(ctx.parts)
        of_to_x = () if to_x is None else to_x.split(ctx.parts)
        found: list[Tensor | None] = []
        for run, (a, b) in enumerate(ctx.factors):
            to_narrow = torch.bmm(of_grad[run], b.mT)
            if ctx.scales[run] is not None:
                to_narrow.mul_(ctx.scales[run])
            to_a, to_b = (of_x[run], to_narrow), (narrow[run].mT, of_grad[run])
            if ctx.lent:
                ctx.lent[run].add(to_a, to_b)
                found += [None, None]
            else:
                found += [torch.bmm(*to_a), torch.bmm(*to_b)]
            if of_to_x:
                of_to_x[run].baddbmm_(to_narrow, a.mT)
        return to_x, None, None, None, None, None, None, *found


def runs_of(ranks: Sequence[int], device: torch.device) -> list[Run]:
    """The fewest runs of neighbours that, padded, are at most PADDED times as wide as the ranks together: a
    product costs a call and its padding. On a graphics card one run: there a call costs more."""
    if device.type == "cuda":
        return [(0, len(ranks), max(ranks))]
    found: list[list[Run]] = [[]] + [[(0, end, max(ranks[:end]))] for end in range(1, len(ranks) + 1)]
    while _width(found[-1]) > PADDED * sum(ranks):  # one run more, everywhere where it saves
        longer = list(found)
        for end in range(2, len(ranks) + 1):
            for first in range(1, end):
                runs = [*found[first], (first, end, max(ranks[first:end]))]
                longer[end] = min(longer[end], runs, key=_width)
        found = longer
    return found[-1]


def _width(runs: Sequence[Run]) -> int:
    """Ranks of all adapters with their padding."""
    return sum((end - first) * rank for first, end, rank in runs)


class LoraLinear(Stacked):
    """A linear layer: y[r] = base(x[r]) + scale[r] * x[r] @ A[r] @ B[r]."""

    base: nn.Linear

    def forward(self, x: Tensor) -> Tensor:
        """x: (R * n, ..., in) in the base's dtype => (R * n, ..., out) in the same dtype."""
        stacked = x.reshape(len(self.adapters), -1, x.shape[-1])
        scale = self.scale.to(x.dtype) if self.scaled else None
        dropped = self.drops and self.generator is not None
        if not (self.start or self.m or dropped or torch.compiler.is_compiling()):
            factors = [(lent.a, lent.b) for lent in self.lent]
            if not factors:
                pairs = zip(self.a, self.b, strict=True)
                factors = [(a.detach().to(x.dtype), b.detach().to(x.dtype)) for a, b in pairs]
            weights = [weight for pair in zip(self.a, self.b, strict=True) for weight in pair]
            given = stacked, self.base, self.runs, factors, scale, self.lent, self.same
            y = Ragged.apply(*given, *weights)
            return y.reshape(*x.shape[:-1], y.shape[-1])
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
