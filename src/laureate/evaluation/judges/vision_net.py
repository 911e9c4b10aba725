"""The embedded vision network: a small residual classifier of a portrait's attributes and style.

It stands in for Inception-v3 (penultimate features for FID and KID, class probabilities for the Inception
Score) and for AlexNet (feature maps for LPIPS), and has a head for every attribute of the vocabulary.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from laureate.core import files
from laureate.core.errors import LaureateError


@dataclass(frozen=True)
class VisionConfig:
    """The content of `config.json` beside the weights."""

    size: int  # pixels, side of the pictures
    channels: tuple[int, ...]  # of each stage; each but the first halves the resolution
    heads: dict[str, tuple[str, ...]]  # attribute => its classes, in the order of the logits
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)
    groups: int = 8  # of the group norms: no running statistics, so batch size does not matter


class NetOutput(NamedTuple):
    """Outputs for n pictures."""

    features: torch.Tensor  # (n, d) penultimate layer
    logits: dict[str, torch.Tensor]  # head => (n, classes)
    layers: list[torch.Tensor]  # one feature map (n, c, h, w) per stage, shallow to deep


class _Residual(nn.Module):
    """Two convolutions and a shortcut (He et al. 2016, pre-activation)."""

    def __init__(self, into: int, out: int, groups: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(groups, into), nn.GroupNorm(groups, out)
        self.conv1 = nn.Conv2d(into, out, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(into, out, 1, bias=False) if into != out else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, into, h, w) => (n, out, h, w)."""
        hidden = self.conv1(nn.functional.relu(self.norm1(x)))
        hidden = self.conv2(nn.functional.relu(self.norm2(hidden)))
        out: torch.Tensor = self.shortcut(x) + hidden
        return out


class VisionNet(nn.Module):
    """Pictures (n, 3, size, size) float in [0, 1] => `NetOutput`."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)
        self.stem = nn.Conv2d(3, config.channels[0], 4, stride=2, padding=1)
        wide = (config.channels[0], *config.channels)
        self.stages = nn.ModuleList(
            _Residual(into, out, config.groups) for into, out in zip(wide, config.channels, strict=False)
        )
        last = config.channels[-1]
        self.norm = nn.GroupNorm(config.groups, last)
        self.squeeze = nn.Conv2d(
            last, last // 4, 1
        )  # position helps to recognise attributes: keep a coarse map
        side = config.size // 2 ** len(config.channels)
        self.features = nn.Linear(last // 4 * side * side + last, 2 * last)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(2 * last, len(classes)) for name, classes in config.heads.items()}
        )

    def forward(self, images: torch.Tensor) -> NetOutput:
        """Pictures (n, 3, size, size), float, RGB in [0, 1] => logits, features and layers."""
        x = self.stem((images - self.mean) / self.std)
        layers = []
        for index, stage in enumerate(self.stages):
            if index:
                x = nn.functional.avg_pool2d(x, 2)
            x = stage(x)
            layers.append(x)
        x = nn.functional.relu(self.norm(x))
        coarse = nn.functional.relu(self.squeeze(x)).flatten(1)
        features = nn.functional.relu(self.features(torch.cat([coarse, x.mean(dim=(2, 3))], dim=1)))
        return NetOutput(features, {name: head(features) for name, head in self.heads.items()}, layers)

    def save(self, folder: str | Path, dtype: torch.dtype = torch.float16) -> None:
        """Write config.json and model.safetensors."""
        from safetensors.torch import save

        weights = {name: value.detach().to(dtype).contiguous() for name, value in self.state_dict().items()}
        files.write_json(Path(folder) / "config.json", asdict(self.config))
        files.write_bytes(Path(folder) / "model.safetensors", save(weights, {"format": "pt"}))

    @classmethod
    def load(cls, folder: str | Path) -> VisionNet:
        """Read what `save` wrote; float32, evaluation mode."""
        from safetensors.torch import load_file

        config_file, weights_file = Path(folder) / "config.json", Path(folder) / "model.safetensors"
        for file in (config_file, weights_file):
            if not file.is_file():
                raise LaureateError(
                    f"{file} does not exist; point a judge of evaluate.judges at a vision net's folder"
                )
        net = cls(config_of(json.loads(config_file.read_text(encoding="utf-8")), config_file))
        net.load_state_dict({name: value.float() for name, value in load_file(weights_file).items()})
        return net.eval()


def config_of(value: dict[str, Any], where: str | Path) -> VisionConfig:
    """The config in a parsed config.json; a `LaureateError` names `where` if it is not one."""
    try:
        heads = {str(name): tuple(classes) for name, classes in value["heads"].items()}
        lists = {key: tuple(value[key]) for key in ("channels", "mean", "std")}
        return VisionConfig(size=value["size"], heads=heads, groups=value["groups"], **lists)
    except (KeyError, TypeError, AttributeError) as error:
        raise LaureateError(
            f"{where} is not a vision judge's config: {error!r} is missing or wrong"
        ) from error
