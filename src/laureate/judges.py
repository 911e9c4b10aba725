"""Pictures and text to features: the judges every score reads.

A judge is loaded from a folder, put on the device at hand, and asked in batches; what it returns are numpy
arrays, so that nothing after it needs a model. Pictures come as RGB PIL images of any one size; each judge
brings them to the size it was trained at. The batch size changes memory, not features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from laureate import device
from laureate.errors import LaureateError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """What the vision judge says of n pictures."""

    features: Features  # (n, d) last feature map, mean over positions, root mean square 1: for FID and KID
    probabilities: dict[str, Features]  # head => (n, classes), rows sum to 1
    layers: list[Features]  # feature maps (n, c, h, w), shallow to deep: for LPIPS


class ClipJudge:
    """A `transformers` CLIPModel with its tokenizer and picture pre-processing, as one folder holds them."""

    def __init__(self, model: Any, tokenizer: Any, processor: Any, batch: int = 32) -> None:
        self.model, self.tokenizer, self.processor, self.batch = model, tokenizer, processor, batch

    @classmethod
    def load(cls, folder: str | Path, batch: int = 32) -> ClipJudge:
        """Load from a local folder, or say in one sentence what is missing there."""
        _require(folder, "config.json", "model.safetensors")
        # by class, not through Auto*: importing less of transformers halves the start
        from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # a bar of its own for a hundredth of a second
        options: dict[str, Any] = {"local_files_only": True}
        model = CLIPModel.from_pretrained(folder, **options).eval().to(device.pick())
        tokenizer = CLIPTokenizer.from_pretrained(folder, **options)
        return cls(model, tokenizer, CLIPImageProcessorPil.from_pretrained(folder, **options), batch)

    def pictures(self, pictures: Sequence[Image]) -> Features:
        """n RGB pictures => (n, d) float32, unit length."""
        import torch

        found = []
        with torch.inference_mode():
            for part in _batches(pictures, self.batch):
                pixels = self.processor(images=part, return_tensors="pt")["pixel_values"]
                seen = self.model.vision_model(pixel_values=pixels.to(self.model.device))
                found.append(self.model.visual_projection(seen.pooler_output))
        return _unit(found)

    def texts(self, texts: Sequence[str]) -> Features:
        """n texts => (n, d) float32, unit length; what is past the model's context is cut."""
        import torch

        found = []
        with torch.inference_mode():
            for part in _batches(texts, self.batch):
                tokens = self.tokenizer(part, padding="max_length", truncation=True, return_tensors="pt")
                tokens = tokens.to(self.model.device)
                read = self.model.text_model(tokens["input_ids"], attention_mask=tokens["attention_mask"])
                found.append(self.model.text_projection(read.pooler_output))
        return _unit(found)


class VisionJudge:
    """The project's vision net (`laureate.vision.VisionNet`): attributes, style, and features."""

    def __init__(self, net: Any, batch: int = 32) -> None:
        self.net, self.batch = net, batch

    @classmethod
    def load(cls, folder: str | Path, batch: int = 32) -> VisionJudge:
        """Load from a local folder, or say in one sentence what is missing there."""
        _require(folder, "config.json", "model.safetensors")
        from laureate.vision import VisionNet

        return cls(VisionNet.load(Path(folder)).eval().to(device.pick()), batch)

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Head => its classes, in the order of the probabilities."""
        return {name: tuple(classes) for name, classes in self.net.config.heads.items()}

    def read(self, pictures: Sequence[Image]) -> Reading:
        """n RGB pictures => features, class probabilities and layers.

        Features are the last feature map averaged over positions, as Inception's pool3. The dense layer after
        it knows attributes better than looks: KID between two sets of real portraits was a tenth of that to
        photographs of them, on the pooled map it is less than a hundredth. Each picture's features are scaled
        to a root mean square of 1: a kernel of degree 3 would else be ruled by the few largest.
        """
        import torch

        place = next(self.net.parameters()).device
        parts = []
        with torch.inference_mode():
            for part in _batches(pictures, self.batch):
                parts.append(self.net(_tensor(part, self.net.config.size).to(place)))
        heads = {
            name: _numpy([torch.softmax(p.logits[name].float(), dim=1) for p in parts])
            for name in parts[0].logits
        }
        layers = [_numpy([p.layers[i] for p in parts]) for i in range(len(parts[0].layers))]
        pooled = layers[-1].mean(axis=(2, 3))
        features = pooled / np.sqrt(np.mean(pooled**2, axis=1, keepdims=True))
        return Reading(features, heads, layers)


def _tensor(pictures: Sequence[Image], size: int) -> torch.Tensor:
    """RGB pictures => NCHW float32 in [0, 1], size × size, resized with Pillow's anti-aliasing."""
    import torch
    from PIL.Image import Resampling

    arrays = []
    for picture in pictures:
        if picture.size != (size, size):
            picture = picture.resize((size, size), Resampling.BICUBIC)
        arrays.append(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255)
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def _batches(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    if not len(items):
        raise LaureateError("a judge was asked about no pictures; are the samples or the data set empty?")
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _numpy(parts: Sequence[torch.Tensor]) -> Features:
    import torch

    return torch.cat(list(parts)).float().cpu().numpy()


def _unit(parts: Sequence[torch.Tensor]) -> Features:
    features = _numpy(parts)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def _require(folder: str | Path, *files: str) -> None:
    """Raise LaureateError naming the first file that a judge's folder lacks."""
    for file in files:
        if not (Path(folder) / file).is_file():
            raise LaureateError(
                f"{Path(folder) / file} is missing: the judge cannot be loaded; "
                "restore it with `git checkout models/embedded` or set evaluate.clip and evaluate.vision"
            )
