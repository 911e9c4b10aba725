"""What tests of stacks of adapters share: the layers that are adapted, weights that do something."""

from typing import Any

TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]


def randomise(layers: dict[str, Any], adapters: list[Any], seed: int = 2) -> None:
    """Give B values, as training would, leaving the padding of the stack at zero."""
    import torch

    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in layers.values():
            for index in range(len(adapters)):
                own = layer.own("b", index)
                own.copy_(0.3 * torch.randn(own.shape, generator=source))
