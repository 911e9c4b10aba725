"""What one step costs: floating-point operations, and bytes of memory."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

FRAGMENTATION = 1.5  # memory of small tensors over their bytes, see `Cost.memory`
KERNELS = 50 << 20  # bytes that the CPU's libraries allocate when they are first used


@dataclass(frozen=True)
class Cost:
    """Operations and bytes of one step."""

    flops: int  # a multiplication and an addition count as two
    weights: int  # bytes that stay: the frozen base, the adapters, their gradients and moments
    temporary: int  # peak bytes of all other tensors
    large: int  # part of these in tensors of `operation_counts.LARGE` and more
    adapted: int = 0  # weights of the adapters, as they are exported
    padding: int = 0  # additional bytes of `weights` on a GPU: see `device_rules.adapter_runs`

    def memory(self, where: str, process: int) -> int:
        """Bytes on a `cpu` or `cuda` device; the process takes `process` bytes before it loads a model.

        The allocator of a CPU process leaves holes between small tensors: FRAGMENTATION was fitted to
        measurements of several networks and batches, which docs/sd21.md lists. The GPU's rounds sizes up.
        """
        if where == "cuda":
            return process + self.weights + self.padding + int(1.1 * self.temporary)
        return (
            process + KERNELS + self.weights + self.large + int(FRAGMENTATION * (self.temporary - self.large))
        )

    def values(self) -> list[int]:
        """The numbers in the order of the fields, from which `Cost(*values)` is made."""
        return list(astuple(self))


def between(low: Cost, high: Cost, share: float) -> Cost:
    """Interpolate the cost of a rank at `share` of the way from `low` (0) to `high` (1).

    Every count is linear in the rank.
    """
    values = ((getattr(low, each.name), getattr(high, each.name)) for each in fields(Cost))
    return Cost(*(round(a + share * (b - a)) for a, b in values))
