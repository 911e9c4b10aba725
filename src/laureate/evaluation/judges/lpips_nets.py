"""LPIPS's nets (Zhang et al. 2018, arXiv:1801.03924), as the lpips package has them: AlexNet and VGG-16."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from laureate.core.errors import LaureateError
from laureate.evaluation.judges import weights
from laureate.evaluation.judges.batching import Seen, in_batches, pixels
from laureate.torch_utils import device

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

SIZE = 256  # a deeper look costs a picture's square; LPIPS was fitted on patches of 64


def package(net: Literal["alex", "vgg"]) -> Any:
    """The lpips package's own module: its learned channel weights, and a backbone of no meaning.

    The channel weights come with the package, a few kilobytes that torch reads with its weights-only reader.
    """
    import lpips

    with warnings.catch_warnings():  # it asks torchvision in words that torchvision no longer likes
        warnings.simplefilter("ignore", UserWarning)
        return lpips.LPIPS(net=net, pretrained=True, pnet_rand=True, verbose=False)


class PerceptualJudge:
    """Layers whose weighted squared differences are LPIPS."""

    def __init__(self, module: Any, batch: int = 32, size: int = SIZE) -> None:
        self.module, self.batch, self.size = module, batch, size

    @classmethod
    def load(cls, source: str, net: Literal["alex", "vgg"], batch: int = 32) -> PerceptualJudge:
        """Load the backbone from a .safetensors file with torchvision's names (features.0.weight …)."""
        found = weights.find(source)
        from safetensors.torch import load_file

        module, values = package(net), load_file(found.weights)
        wanted = {name: f"features.{name.split('.', 1)[1]}" for name in module.net.state_dict()}
        missing = [key for key in wanted.values() if key not in values]
        if missing:
            raise LaureateError(f"{found.weights} lacks {missing[0]}: it is not torchvision's {net}")
        try:
            module.net.load_state_dict({name: values[key] for name, key in wanted.items()})
        except RuntimeError as error:
            what = str(error).splitlines()[-1].strip()
            raise LaureateError(f"{found.weights} does not fit the lpips package's {net}: {what}") from None
        return cls(module.eval().to(device.pick()), batch)

    def see(self, pictures: Sequence[Image]) -> Seen:
        """n RGB pictures => layers/I (n, c, h, w) and weights/I (c,)."""
        seen = in_batches(pictures, self.batch, lambda part: self._look(pixels(part, self.size)))
        lines = [line.model[-1].weight.detach().cpu().numpy().ravel() for line in self.module.lins]
        return seen | {f"weights/{index}": line for index, line in enumerate(lines)}

    def _look(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        place = next(self.module.parameters()).device
        scaled = self.module.scaling_layer(images.to(place) / 127.5 - 1)
        return {f"layers/{index}": layer for index, layer in enumerate(self.module.net(scaled))}
