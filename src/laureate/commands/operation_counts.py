"""Count the operations of a block and the bytes of its tensors, every operation once.

`LiveBytes` counts bytes wherever a block runs. `CountedOnce` is for the meta device, where nothing is
computed: there torch derives the shapes of a result in Python, which takes half a millisecond. A step does
the same operations on the same shapes many times, so what the first one gave is used for the others.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

# arguments of operations that say all by their value
PLAIN = (int, float, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format)
LARGE = 32 << 20  # bytes from which glibc maps a block of its own and returns it when it is freed


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that operations have made and that still exist."""

    def __init__(self, excluded: Sequence[torch.Tensor] = ()) -> None:
        """`excluded`: tensors whose memory does not count."""
        super().__init__()
        self._excluded = {tensor.untyped_storage()._cdata for tensor in excluded}
        self.now = self.peak = self.large = self.large_at_peak = 0
        self._seen: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = self._result(func, args, kwargs or {})
        for value in tree_leaves(result):
            if isinstance(value, torch.Tensor):
                self._note(value.untyped_storage())
        return result

    def _result(self, func: Any, args: Any, kwargs: Any) -> Any:
        return func(*args, **kwargs)

    def _note(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen or key in self._excluded:
            return

        def gone(_: Any) -> None:
            self.now -= size
            self.large -= size if size >= LARGE else 0
            self._seen.pop(key, None)

        self._seen[key] = weakref.ref(storage, gone)
        self.now += size
        self.large += size if size >= LARGE else 0
        if self.now > self.peak:
            self.peak, self.large_at_peak = self.now, self.large


@dataclass(frozen=True)
class Known:
    """What an operation gave, and how many operations it counts."""

    flops: int
    # of the result; a `_Tensor` stands for a tensor. None: it has to run each time, as it changes an argument
    # or gives a view of one
    leaves: tuple[Any, ...] | None
    structure: Any = None  # of the result, as torch's pytree describes it


@dataclass(frozen=True)
class _Tensor:
    """All that a new tensor on the meta device is."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def made(self) -> torch.Tensor:
        return torch.empty_strided(self.size, self.stride, dtype=self.dtype, device="meta")


class CountedOnce(LiveBytes):
    """`LiveBytes` on the meta device that counts floating-point operations too, as torch's counter does."""

    # operation and the shapes of its arguments => what it gave
    _known: dict[Any, Known] = {}  # noqa: RUF012 - shared by all counts of a process

    def __init__(self, excluded: Sequence[torch.Tensor] = ()) -> None:
        """`excluded`: see `LiveBytes`."""
        super().__init__(excluded)
        self.flops, self._counter = 0, counter()  # a multiplication and an addition count as two

    def _result(self, func: Any, args: Any, kwargs: Any) -> Any:
        key = _key(func, args, kwargs)
        known = self._known.get(key) if key is not None else None
        if known is None:
            with self._counter:  # starts at zero
                result = func(*args, **kwargs)
            known = _described(func, result, tree_leaves((args, kwargs)), self._counter.get_total_flops())
            if key is not None:
                self._known[key] = known
        elif known.leaves is None:
            result = func(*args, **kwargs)
        else:
            leaves = [leaf.made() if isinstance(leaf, _Tensor) else leaf for leaf in known.leaves]
            result = tree_unflatten(leaves, known.structure)
        self.flops += known.flops
        return result


def _key(func: Any, args: Any, kwargs: Any) -> Any:
    """What the result of an operation depends on; None where that is not told by shapes and plain values, or
    where a tensor is not on the meta device."""
    if not isinstance(func, torch._ops.OpOverload):
        return None
    leaves, structure = tree_flatten((args, kwargs))
    facts: list[Any] = [func, structure]
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor):
            if leaf.device.type != "meta":
                return None
            facts.append((leaf.dtype, leaf.shape, leaf.stride(), leaf.storage_offset()))
        elif isinstance(leaf, PLAIN):
            facts.append((type(leaf), leaf))  # 1, 1.0 and True are equal, and different arguments
        else:
            return None
    return tuple(facts)


def _described(func: Any, result: Any, given: Sequence[Any], flops: int) -> Known:
    """`Known` of a result. Whether its tensors are new is looked at: not every view is declared as one."""
    schema = getattr(func, "_schema", None)
    if schema is None or schema.is_mutable or any(value.alias_info is not None for value in schema.returns):
        return Known(flops, None)
    leaves, structure = tree_flatten(result)
    others = {leaf.untyped_storage()._cdata for leaf in given if isinstance(leaf, torch.Tensor)}
    described: list[Any] = []
    for leaf in leaves:
        if not isinstance(leaf, torch.Tensor):
            described.append(leaf)
            continue
        storage = leaf.untyped_storage()
        found = _Tensor(tuple(leaf.shape), leaf.stride(), leaf.dtype)
        plain = type(leaf) is torch.Tensor and leaf.layout == torch.strided and leaf.device.type == "meta"
        whole = plain and found.made().untyped_storage().nbytes() == storage.nbytes()
        if not whole or storage._cdata in others:
            return Known(flops, None)
        others.add(storage._cdata)
        described.append(found)
    return Known(flops, tuple(described), structure)


def counter() -> FlopCounterMode:
    """torch's counter of operations, extended by the convolutions with packed weights."""

    def packed(x: Sequence[int], weight: Sequence[int], *_: Any, out_shape: Sequence[int], **__: Any) -> int:
        return conv_flop_count(list(x), list(weight), list(out_shape))

    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.mkldnn_convolution: packed})
