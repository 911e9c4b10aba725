"""Optimiser over one float32 vector of all parameters: Muon for matrices, AdamW for the rest.

Muon (Jordan et al. 2024) makes every update of a weight matrix orthogonal; convolutions count as matrices
(out, in × height × width). With the scale of Liu et al. 2025 (arXiv:2502.16982) it uses AdamW's learning
rates.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from laureate.embedded.pretraining.config import Training

MOMENTUM = 0.95
EXTRAS = 2  # elements after the gradient: the loss, and the request to end early, reduced with it


def orthogonalise(matrix: Tensor, iterations: int = 5) -> Tensor:
    """The (semi-)orthogonal matrix nearest to `matrix` (m, n), by a quintic Newton–Schulz iteration."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16()
    flip = x.shape[0] > x.shape[1]
    x = x.T if flip else x
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if flip else x).float()


class FlatOptimiser:
    """The trainable parameters of `model` as one vector: matrices first, then everything else."""

    def __init__(self, model: nn.Module, settings: Training, rank: int = 0, processes: int = 1) -> None:
        self.settings, self.rank, self.processes = settings, rank, processes
        self.parameters, self.matrices = ordered(model)
        sizes = [p.numel() for p in self.parameters]
        self.split = sum(sizes[: self.matrices])
        self.master = torch.cat([p.detach().float().reshape(-1) for p in self.parameters])
        self.average = self.master.clone()
        self.first, self.second = torch.zeros_like(self.master), torch.zeros(len(self.master) - self.split)
        self.gradient = torch.zeros(len(self.master) + EXTRAS)
        self.steps = 0

    def views(self, vector: Tensor) -> list[Tensor]:
        """A vector's parts in the shapes of the parameters."""
        sizes = [p.numel() for p in self.parameters]
        parts = torch.split(vector[: sum(sizes)], sizes)
        return [part.view(p.shape) for part, p in zip(parts, self.parameters, strict=True)]

    def gather(self, loss: float, request: float) -> None:
        """Move the parameters' gradients into `gradient`, followed by the two extras."""
        for view, p in zip(self.views(self.gradient), self.parameters, strict=True):
            if p.grad is None:
                view.zero_()
            else:
                view.copy_(p.grad)
                p.grad = None
        self.gradient[-2], self.gradient[-1] = loss, request

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step along the gathered gradient, clipped by its norm; then the running average."""
        gradient = self.gradient[:-EXTRAS]
        norm = gradient.norm()
        if not math.isfinite(float(norm)):
            return  # skip the batch: it would spoil the weights
        gradient.mul_(torch.clamp(self.settings.max_grad_norm / (norm + 1e-6), max=1.0))
        self.steps += 1
        self.master.mul_(1 - rate * self.settings.weight_decay)
        self._muon(gradient[: self.split], rate)
        self._adam(gradient[self.split :], rate)
        keep = min(self.settings.ema, (1 + self.steps) / (10 + self.steps))
        self.average.lerp_(self.master, 1 - keep)
        self.write(self.master)

    def _muon(self, gradient: Tensor, rate: float) -> None:
        momentum = self.first[: self.split]
        momentum.mul_(MOMENTUM).add_(gradient)
        ahead = gradient.add(momentum, alpha=MOMENTUM)  # Nesterov's
        update = torch.zeros_like(ahead)
        # each process orthogonalises a part of the matrices; all_reduce adds the parts
        pairs = list(zip(self._matrix_views(ahead), self._matrix_views(update), strict=True))
        for direction, place in pairs[self.rank :: self.processes]:
            flat = direction.reshape(len(direction), -1)
            place.copy_(orthogonalise(flat).mul_(0.2 * math.sqrt(max(flat.shape))).view_as(place))
        if self.processes > 1:
            torch.distributed.all_reduce(update)
        self.master[: self.split].sub_(update, alpha=rate)

    def _matrix_views(self, vector: Tensor) -> list[Tensor]:
        chosen = self.parameters[: self.matrices]
        parts = torch.split(vector, [p.numel() for p in chosen])
        return [part.view(p.shape) for part, p in zip(parts, chosen, strict=True)]

    def _adam(self, gradient: Tensor, rate: float, beta1: float = 0.9, beta2: float = 0.99) -> None:
        first = self.first[self.split :].lerp_(gradient, 1 - beta1)
        self.second.lerp_(gradient.square(), 1 - beta2)
        unbiased = (self.second / (1 - beta2**self.steps)).sqrt_().add_(1e-8)
        self.master[self.split :].addcdiv_(first / (1 - beta1**self.steps), unbiased, value=-rate)

    @torch.no_grad()
    def write(self, vector: Tensor) -> None:
        """Copy a vector into the model."""
        for p, view in zip(self.parameters, self.views(vector), strict=True):
            p.copy_(view)

    def state(self) -> dict[str, Tensor]:
        """Everything a resumed run needs."""
        vectors = {"master": self.master, "average": self.average, "first": self.first, "second": self.second}
        return {**vectors, "steps": torch.tensor([self.steps], dtype=torch.int64)}

    def restore(self, state: dict[str, Tensor]) -> int:
        """Restore `state`; returns the number of steps done."""
        for name in ("master", "average", "first", "second"):
            getattr(self, name).copy_(state[name])
        self.steps = int(state["steps"])
        self.write(self.master)
        return self.steps


def is_matrix(p: Tensor) -> bool:
    """Whether Muon updates `p`: a weight of a linear layer or convolution, no norm, bias or embedding."""
    return p.ndim >= 2 and min(p.shape[0], p.numel() // p.shape[0]) >= 16


def ordered(model: nn.Module) -> tuple[list[nn.Parameter], int]:
    """The trainable parameters, matrices first, and how many matrices; embeddings count as the rest."""
    tables = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    chosen = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in chosen if is_matrix(p) and id(p) not in tables]
    known = {id(p) for p in matrices}
    matrices.sort(
        key=lambda p: tuple(p.shape), reverse=True
    )  # neighbours cost the same: an even division of work
    return matrices + [p for p in chosen if id(p) not in known], len(matrices)
