"""Optimisers of a stack of adapters: AdamW, and two that hold less memory.

Every adapter is updated as if it were alone: what is stored of its gradients, and how that is rounded or
averaged, depends on its own weights only, so that a rank's training is the same in any pack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from laureate.config.params import Train
from laureate.core.errors import LaureateError
from laureate.networks.lora.flat_parameters import FlatParameters

Named = Iterator[tuple[int, str, Tensor]]  # adapter, name of what is stored, its values


def check(train: Train) -> None:
    """Raise LaureateError for an optimiser that is not installed."""
    if train.optimizer == "adamw8bit" and find_spec("bitsandbytes") is None:
        raise LaureateError(
            "train.optimizer is adamw8bit, but the package bitsandbytes is not installed; "
            "run `pip install bitsandbytes`, or set train.optimizer to adafactor"
        )


def build(flat: FlatParameters, train: Train, rates: Sequence[float]) -> Optimiser:
    """The optimiser of `train.optimizer` for all weights of `flat`; `rates`: of every adapter."""
    kinds = {"adamw": AdamW, "adafactor": Adafactor, "adamw8bit": AdamW8bit}
    return kinds[train.optimizer](flat, train, rates)


class Optimiser:
    """What the trainer needs of an optimiser."""

    def __init__(self, flat: FlatParameters, train: Train, rates: Sequence[float]) -> None:
        """Of the weights and gradients of `flat`; `rates`: the learning rate of every adapter."""
        self.flat, self.rates = flat, list(rates)
        self.weight_decay = train.weight_decay
        self.inner: Any = self._made()

    def step(self, factor: float) -> None:
        """Update all weights from their gradients, at a factor of each adapter's learning rate."""
        raise NotImplementedError

    def stored(self) -> Named:
        """What is kept between steps, of every adapter by name, as views; nothing before the first step."""
        raise NotImplementedError

    def prepare(self, steps: int) -> None:
        """Make what is kept between steps, as it is after `steps` steps but for its values, which are zero:
        to be overwritten in place through `stored`."""
        raise NotImplementedError

    def tensors(self) -> list[Tensor]:
        """All tensors that are kept between steps."""
        return [
            value
            for state in self.inner.state.values()
            for value in state.values()
            if isinstance(value, Tensor) and value.numel() > 1
        ]

    def padding_bytes(self) -> int:
        """Bytes that are kept of a weight that only fills up a run of adapters."""
        return 0

    def _made(self) -> Any:
        """The optimiser of the library."""
        raise NotImplementedError

    def _adapters(self) -> list[tuple[int, int, int]]:
        """Of every adapter its number, the run that it is in, and its row there."""
        return [
            (index, run, index - first)
            for run, (first, end, _) in enumerate(self.flat.runs)
            for index in range(first, end)
        ]


class AdamW(Optimiser):
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101): two float32 moments of every weight."""

    MOMENTS = ("exp_avg", "exp_avg_sq")

    def _made(self) -> Any:
        device = self.flat.weights[0].device
        self.rate, rates = max(self.rates), torch.tensor(self.rates)
        self.shares = None if len(rates.unique()) == 1 else (rates / self.rate).to(device)
        # on the meta device, where a step is counted and not done, there is no fused kernel
        fused = not self.flat.weights[0].is_meta
        return torch.optim.AdamW(self.flat.weights, lr=self.rate, weight_decay=self.weight_decay, fused=fused)

    def step(self, factor: float) -> None:
        """See `Optimiser.step`."""
        for group in self.inner.param_groups:
            group["lr"] = self.rate * factor
        weights = self.flat.weights
        before = [] if self.shares is None else [weight.detach().clone() for weight in weights]
        self.inner.step()
        if self.shares is not None:
            with torch.no_grad():  # AdamW's change of a weight is a multiple of the learning rate
                for weight, old, part in zip(weights, before, self.flat.per_run(self.shares), strict=True):
                    weight.copy_(torch.lerp(old, weight, part))

    def stored(self) -> Named:
        """See `Optimiser.stored`; zeros before the first step."""
        for kind in self.MOMENTS:
            known = [self.inner.state[weight].get(kind) for weight in self.flat.weights]
            stacks = [
                torch.zeros_like(weight) if moment is None else moment
                for moment, weight in zip(known, self.flat.weights, strict=True)
            ]
            for layer, part, index, values in self.flat.own(stacks):
                yield index, f"{layer}.{part}.{kind}", values

    def prepare(self, steps: int) -> None:
        """See `Optimiser.prepare`."""
        for weight in self.flat.weights:
            moments = {kind: torch.zeros_like(weight) for kind in self.MOMENTS}
            # its value is read: on the meta device it needs one
            where = "cpu" if weight.is_meta else weight.device
            self.inner.state[weight] = {"step": torch.tensor(float(steps), device=where), **moments}

    def padding_bytes(self) -> int:
        """Both moments are laid out as the weights are."""
        return 8


class Adafactor(Optimiser):
    """Adafactor of transformers (Shazeer and Stern 2018, arXiv:1804.04235), with the learning rate given and
    without a first moment: of a factor's squared gradients the means of its rows and of its columns."""

    KINDS = ("exp_avg_sq_row", "exp_avg_sq_col")

    def _made(self) -> Any:
        from transformers.optimization import Adafactor as OfTransformers

        weights = [weight.detach() for weight in self.flat.weights]
        self.names: list[tuple[int, str, nn.Parameter]] = []
        groups: list[dict[str, Any]] = [{"params": [], "lr": rate} for rate in self.rates]
        pairs = zip(self.flat.own(weights), self.flat.own(self.flat.gradients), strict=True)
        for (layer, part, index, values), (_, _, _, gradient) in pairs:
            parameter = nn.Parameter(values)  # a view: what changes it changes the stack
            parameter.grad = gradient
            self.names.append((index, f"{layer}.{part}", parameter))
            groups[index]["params"].append(parameter)
        return OfTransformers(
            groups,
            weight_decay=self.weight_decay,
            scale_parameter=False,
            relative_step=False,
            warmup_init=False,
        )

    def step(self, factor: float) -> None:
        """See `Optimiser.step`."""
        for group, rate in zip(self.inner.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.inner.step()

    def stored(self) -> Named:
        """See `Optimiser.stored`; zeros before the first step."""
        for index, name, parameter in self.names:
            state = self.inner.state[parameter] or self._zeros(parameter)
            for kind in self.KINDS:
                yield index, f"{name}.{kind}", state[kind]

    def prepare(self, steps: int) -> None:
        """See `Optimiser.prepare`."""
        for _, _, parameter in self.names:
            self.inner.state[parameter] = {"step": steps, "RMS": 0, **self._zeros(parameter)}

    def _zeros(self, parameter: Tensor) -> dict[str, Tensor]:
        rows, columns = parameter.shape
        return dict(zip(self.KINDS, (parameter.new_zeros(rows), parameter.new_zeros(columns)), strict=True))


class AdamW8bit(Optimiser):
    """AdamW of bitsandbytes with moments of 8 bits (Dettmers et al. 2022, arXiv:2110.02861): of every 256
    weights of an adapter the largest moment, and all as shares of it."""

    KINDS = ("state1", "state2", "absmax1", "absmax2")

    def _made(self) -> Any:
        self.vectors, groups = [], []
        for index, run, row in self._adapters():
            weights, gradients = self.flat.weights[run].detach()[row], self.flat.gradients[run][row]
            if self._is_padded(index, run):  # a row would have other blocks than the adapter alone
                count = sum(values.numel() for values in self._own(self.flat.weights, index))
                weights, gradients = weights.new_zeros(count), gradients.new_zeros(count)
            vector = nn.Parameter(weights)
            vector.grad = gradients
            self.vectors.append(vector)
            groups.append({"params": [vector], "lr": self.rates[index]})
        if self.flat.weights[0].is_meta:
            return torch.optim.SGD(groups)  # counted by its size alone
        library = import_module("bitsandbytes.optim")  # not a dependency: see `check`
        return library.AdamW8bit(groups, weight_decay=self.weight_decay, min_8bit_size=1)

    def step(self, factor: float) -> None:
        """See `Optimiser.step`."""
        if self.flat.weights[0].is_meta:
            return
        for group, rate in zip(self.inner.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        padded = [
            (index, self.vectors[index]) for index, run, _ in self._adapters() if self._is_padded(index, run)
        ]
        with torch.no_grad():
            for index, vector in padded:
                assert vector.grad is not None
                vector.copy_(_joined(self._own(self.flat.weights, index)))
                vector.grad.copy_(_joined(self._own(self.flat.gradients, index)))
            self.inner.step()
            for index, vector in padded:
                places = self._own(self.flat.weights, index)
                parts = vector.split([place.numel() for place in places])
                for place, part in zip(places, parts, strict=True):
                    place.copy_(part.view(place.shape))

    def stored(self) -> Named:
        """See `Optimiser.stored`; zeros before the first step."""
        for index, vector in enumerate(self.vectors):
            state = self.inner.state[vector] or self._zeros(vector)
            for kind in self.KINDS:
                yield index, kind, state[kind]

    def prepare(self, steps: int) -> None:
        """See `Optimiser.prepare`."""
        for index, vector in enumerate(self.vectors):
            if vector.is_meta:
                self.inner.state[vector] = self._zeros(vector)
                continue
            self.inner.init_state(self.inner.param_groups[index], vector, index, 0)
            self.inner.state[vector]["step"] = steps

    def _zeros(self, vector: Tensor) -> dict[str, Tensor]:
        blocks = -(-vector.numel() // 256)
        shapes = ((vector.numel(), torch.uint8),) * 2 + ((blocks, torch.float32),) * 2
        return {
            kind: torch.zeros(size, dtype=dtype, device=vector.device)
            for kind, (size, dtype) in zip(self.KINDS, shapes, strict=True)
        }

    def _is_padded(self, index: int, run: int) -> bool:
        """Whether the run of an adapter is of a larger rank."""
        layer = next(iter(self.flat.layers.values()))
        return layer.adapters[index].rank != self.flat.runs[run][2]

    def _own(self, tensors: Sequence[Tensor], index: int) -> list[Tensor]:
        """What is an adapter's own of tensors laid out like the weights, as views, in one order."""
        plain = [tensor.detach() for tensor in tensors]
        return [values for _, _, of, values in self.flat.own(plain) if of == index]


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """All numbers of some tensors, one after the other."""
    return torch.cat([part.reshape(-1) for part in parts])
