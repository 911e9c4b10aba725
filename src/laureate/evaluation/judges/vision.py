"""The project's own `VisionNet` as a judge: features, attributes, style, and layers for LPIPS.

It stands in for Inception-v3 in clean-fid's interface for extractors, and for AlexNet in the lpips package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.evaluation.judges import weights
from laureate.evaluation.judges.batching import Features, JudgeOutput, in_batches, pixels
from laureate.torch_utils import device

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


@dataclass(frozen=True)
class VisionOutput:
    """Features, class probabilities and layers of n pictures."""

    features: Features  # (n, d) last feature map, mean over positions, root mean square 1: for FID and KID
    probabilities: dict[str, Features]  # head => (n, classes), rows sum to 1
    layers: list[Features]  # feature maps (n, c, h, w), shallow to deep: for LPIPS


class VisionJudge:
    """The vision net with a batch size."""

    def __init__(self, net: Any, batch: int = 32) -> None:
        self.net, self.batch = net, batch

    @classmethod
    def load(cls, source: str | Path, batch: int = 32) -> VisionJudge:
        """Load from a local folder, or raise LaureateError saying what is missing there."""
        folder = weights.find(str(source)).path
        from laureate.evaluation.judges.vision_net import VisionNet

        return cls(VisionNet.load(folder).eval().to(device.pick()), batch)

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Head => its classes, in the order of the probabilities."""
        return {name: tuple(classes) for name, classes in self.net.config.heads.items()}

    def read(self, pictures: Sequence[Image]) -> VisionOutput:
        """n RGB pictures => features, class probabilities and layers."""
        output = self.extract(pictures)
        heads = {name: output[f"probabilities/{name}"] for name in self.classes}
        layers = [output[f"layers/{index}"] for index in range(len(self.net.config.channels))]
        return VisionOutput(output["features"], heads, layers)

    def extract(self, pictures: Sequence[Image]) -> JudgeOutput:
        """n RGB pictures => features, probabilities/HEAD and layers/I; see `laureate.evaluation.judges`.

        Features are the last feature map averaged over positions, as Inception's pool3. The dense layer after
        it represents attributes more than appearance: on it, KID between two sets of real portraits was a
        tenth of that to photographs of them; on the pooled map it is less than a hundredth. Each picture's
        features are scaled to a root mean square of 1: else the few largest dominate a kernel of degree 3.
        """
        return in_batches(
            pictures, self.batch, lambda part: self._forward(pixels(part, self.net.config.size))
        )

    def extractor(self, images: torch.Tensor) -> torch.Tensor:
        """Pictures NCHW float in [0, 255] => features (n, d), as clean-fid calls an extractor."""
        return self._forward(images)["features"]

    def metric(self) -> Any:
        """The lpips package's own module around this net, all channels weighted alike.

        It takes pictures NCHW in [-1, 1].
        """
        import torch

        from laureate.evaluation.judges.lpips_nets import lpips_module

        class Layers(torch.nn.Module):
            """Feature maps, with the interface of the package's backbones."""

            def __init__(self, net: Any) -> None:
                super().__init__()
                self.net = net

            def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
                """(n, 3, size, size) in [-1, 1] => one (n, c, h, w) per stage."""
                layers: list[torch.Tensor] = self.net((images + 1) / 2).layers
                return layers

        module = lpips_module("alex")
        module.lpips, module.L = False, len(self.net.config.channels)
        module.net, module.scaling_layer = Layers(self.net), torch.nn.Identity()
        return module.eval()

    def _forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        target = next(self.net.parameters()).device
        output = self.net(images.to(target) / 255)
        pooled = output.layers[-1].mean(dim=(2, 3))
        named = {"features": pooled / pooled.square().mean(dim=1, keepdim=True).sqrt()}
        named |= {
            f"probabilities/{name}": logits.float().softmax(dim=1) for name, logits in output.logits.items()
        }
        return named | {f"layers/{index}": layer for index, layer in enumerate(output.layers)}
