"""LPIPS networks of the lpips package (Zhang et al. 2018, arXiv:1801.03924): AlexNet and VGG-16."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from laureate.core.errors import LaureateError
from laureate.evaluation.judges import weights
from laureate.evaluation.judges.batching import JudgeOutput, in_batches, pixels
from laureate.torch_utils import device

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

SIZE = 256  # pixels; LPIPS was fitted on patches of 64


def lpips_module(net: Literal["alex", "vgg"]) -> Any:
    """The lpips package's own module: learned channel weights, and a backbone with random weights.

    The channel weights come with the package, a few kilobytes that torch reads with its weights-only reader.
    """
    import lpips

    with warnings.catch_warnings():  # it calls torchvision with deprecated arguments
        warnings.simplefilter("ignore", UserWarning)
        return lpips.LPIPS(net=net, pretrained=True, pnet_rand=True, verbose=False)


class LpipsJudge:
    """Layers whose weighted squared differences are LPIPS."""

    def __init__(self, module: Any, batch: int = 32, size: int = SIZE) -> None:
        self.module, self.batch, self.size = module, batch, size

    @classmethod
    def load(cls, source: str, net: Literal["alex", "vgg"], batch: int = 32) -> LpipsJudge:
        """Load the backbone from a .safetensors file with torchvision's names (features.0.weight …)."""
        files = weights.find(source)
        from safetensors.torch import load_file

        module, values = lpips_module(net), load_file(files.weights)
        wanted = {name: f"features.{name.split('.', 1)[1]}" for name in module.net.state_dict()}
        missing = [key for key in wanted.values() if key not in values]
        if missing:
            raise LaureateError(f"{files.weights} lacks {missing[0]}: it is not torchvision's {net}")
        try:
            module.net.load_state_dict({name: values[key] for name, key in wanted.items()})
        except RuntimeError as error:
            what = str(error).splitlines()[-1].strip()
            raise LaureateError(f"{files.weights} does not fit the lpips package's {net}: {what}") from None
        return cls(module.eval().to(device.pick()), batch)

    def extract(self, pictures: Sequence[Image]) -> JudgeOutput:
        """n RGB pictures => layers/I (n, c, h, w) and weights/I (c,)."""
        layers = in_batches(pictures, self.batch, lambda part: self._forward(pixels(part, self.size)))
        channel_weights = [line.model[-1].weight.detach().cpu().numpy().ravel() for line in self.module.lins]
        return layers | {f"weights/{index}": w for index, w in enumerate(channel_weights)}

    def _forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        target = next(self.module.parameters()).device
        scaled = self.module.scaling_layer(images.to(target) / 127.5 - 1)
        return {f"layers/{index}": layer for index, layer in enumerate(self.module.net(scaled))}
