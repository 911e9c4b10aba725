"""The network of the judge imagenet: EfficientNet-Lite0, built from its published weights.

Written out here because importing it from timm takes 3 s, more than it needs for fifty pictures; a test holds
it against timm's and against the class that the weights were published for.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

SIZE = 224
EPSILON = 1e-3  # of the batch norms
STAGES = (  # blocks, stride of the first (Tan and Le 2019, arXiv:1905.11946, table 1)
    (1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1),
)  # fmt: skip


class Lite0(nn.Module):
    """EfficientNet-Lite0: no squeeze-and-excitation, ReLU6, batch norms folded into their convolutions."""

    def __init__(self, state: Mapping[str, torch.Tensor]) -> None:
        """`state`: the published state dict. Raises KeyError where a weight is missing."""
        super().__init__()
        self.stem = _convolution(state, "_conv_stem", "_bn0", stride=2)
        self.stages = nn.ModuleList()
        number = 0
        for depth, stride in STAGES:
            blocks = [_Block(state, f"_blocks.{number + i}", stride if i == 0 else 1) for i in range(depth)]
            self.stages.append(nn.Sequential(*blocks))
            number += depth
        self.head = _convolution(state, "_conv_head", "_bn1")
        classes, width = state["_fc.weight"].shape
        self.classifier = nn.Linear(width, classes)
        with torch.no_grad():
            self.classifier.weight.copy_(state["_fc.weight"])
            self.classifier.bias.copy_(state["_fc.bias"])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """(n, 3, 224, 224) in [-1, 1] => features (n, 1280), logits (n, 1000), each stage's output."""
        x = functional.relu6(self.stem(x), inplace=True)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        features = functional.relu6(self.head(x), inplace=True).mean(dim=(2, 3))
        return features, self.classifier(features), outputs


class _Block(nn.Module):
    """Expand, depthwise convolution, project; added to the input where both have one shape."""

    def __init__(self, state: Mapping[str, torch.Tensor], name: str, stride: int) -> None:
        super().__init__()
        expands = f"{name}._expand_conv.weight" in state
        self.expand = _convolution(state, f"{name}._expand_conv", f"{name}._bn0") if expands else None
        self.depthwise = _convolution(state, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        self.project = _convolution(state, f"{name}._project_conv", f"{name}._bn2")
        inside = self.expand or self.depthwise
        self.adds = stride == 1 and self.project.out_channels == inside.in_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x if self.expand is None else functional.relu6(self.expand(x), inplace=True)
        y = self.project(functional.relu6(self.depthwise(y), inplace=True))
        return x + y if self.adds else y


class _SameConvolution(nn.Conv2d):
    """A convolution of stride 2 with TensorFlow's padding "same": what is odd goes below and to the right."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel = self.kernel_size[0]
        return super().forward(functional.pad(x, ((kernel - 2) // 2, (kernel - 1) // 2) * 2))


def _convolution(state: Mapping[str, torch.Tensor], name: str, norm: str, stride: int = 1) -> nn.Conv2d:
    """A published convolution with the batch norm after it folded in."""
    weight = state[f"{name}.weight"]
    scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + EPSILON).sqrt()
    outputs, inputs, kernel, _ = weight.shape
    groups = outputs if inputs == 1 else 1
    kind = nn.Conv2d if stride == 1 else _SameConvolution
    padding = kernel // 2 if stride == 1 else 0
    layer = kind(inputs * groups, outputs, kernel, stride, padding, groups=groups)
    with torch.no_grad():
        layer.weight.copy_(weight * scale[:, None, None, None])
        if layer.bias is not None:
            layer.bias.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale)
    return layer
