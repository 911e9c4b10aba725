"""Judge features of the picture pool, stored per part. Feature maps are too large to store: they are reduced
to sums and to LPIPS distances."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file, write_bytes
from laureate.core.progress import progress
from laureate.embedded.oracle.picture_pool import Part, Pixels
from laureate.evaluation import scores
from laureate.evaluation.feature_extraction import STYLE_LAYERS
from laureate.evaluation.judges import ClipJudge, VisionJudge, weights
from laureate.evaluation.judges.imagenet import ImagenetJudge

Features = NDArray[np.float32]
BATCH = 64  # pictures that a judge gets at once


class Judges:
    """The study's judges, loaded when first used, and a hash of their weights.

    Raises LaureateError where no judge reads attributes or text: then it is not the embedded world.
    """

    def __init__(self, params: Params) -> None:
        judges, roles = params.evaluate.judges, params.evaluate.roles
        if roles.attributes is None or roles.text is None:
            raise LaureateError(
                "laureate oracle needs the embedded world, but evaluate.roles has no judge of attributes or "
                "of text: run `laureate world embedded` first"
            )
        self.folders = {"vision": judges[roles.attributes].source, "clip": judges[roles.text].source}
        files = [Path(folder) / "model.safetensors" for folder in self.folders.values()]
        self.key = hashlib.sha256("".join(sha256_file(file) for file in files).encode()).hexdigest()[:8]
        independent = [judges[name] for name in params.panel if judges[name].kind == "imagenet"]
        self.imagenet_source = independent[0].source if independent else None
        self.imagenet_key = weights.find(independent[0].source).sha256[:8] if independent else ""
        self._vision: VisionJudge | None = None
        self._imagenet: ImagenetJudge | None = None
        self._clip: ClipJudge | None = None

    @property
    def vision(self) -> VisionJudge:
        """The vision judge: features, attributes and feature maps."""
        self._vision = self._vision or VisionJudge.load(self.folders["vision"])
        return self._vision

    @property
    def clip(self) -> ClipJudge:
        """The CLIP judge."""
        self._clip = self._clip or ClipJudge.load(self.folders["clip"])
        return self._clip

    @property
    def imagenet(self) -> ImagenetJudge:
        """The independent judge; only where the panel has it."""
        assert self.imagenet_source is not None
        self._imagenet = self._imagenet or ImagenetJudge.load(self.imagenet_source, BATCH)
        return self._imagenet


@dataclass(frozen=True)
class PoolFeatures:
    """Features of n pictures, and sums over their LPIPS embeddings."""

    features: Features  # (n, d), for FID and KID
    clip: Features  # (n, d), unit length
    style: Features  # (n, d), for the style distance
    probabilities: dict[str, Features]  # head => (n, classes)
    embedding_sum: list[NDArray[np.float64]]  # per layer (D,): LPIPS embeddings added up
    embedding_squares: float  # squared lengths of these, added up
    imagenet: Features | None = None  # (n, d) of the independent judge, where the panel has it

    @property
    def count(self) -> int:
        """n."""
        return len(self.features)


def pool_features(parts: Sequence[Part], judges: Judges, label: str) -> PoolFeatures:
    """Features of the pictures of all parts, computed, or read where an earlier run has stored them."""
    by_part = [_part(part, judges) for part in progress(parts, len(parts), f"features of {label}")]
    independent = None
    if judges.imagenet_source is not None:
        independent = np.concatenate(
            [_independent(part, judges) for part in progress(parts, len(parts), f"imagenet of {label}")]
        )
    joined = {
        key: np.concatenate([one[key] for one in by_part]) for key in by_part[0] if not key.startswith("sum")
    }
    layers = sum(key.startswith("sum-") for key in by_part[0])
    return PoolFeatures(
        features=joined["features"],
        clip=joined["clip"],
        style=joined["style"],
        probabilities={key.removeprefix("head-"): v for key, v in joined.items() if key.startswith("head-")},
        embedding_sum=[np.sum([one[f"sum-{i}"] for one in by_part], axis=0) for i in range(layers)],
        embedding_squares=float(sum(one["squares"].sum() for one in by_part)),
        imagenet=independent,
    )


class ReferenceLayers:
    """LPIPS embeddings of some portraits, computed when first used; all-pairs LPIPS is stored per model."""

    def __init__(self, parts: Sequence[Part], judges: Judges) -> None:
        self.parts, self.judges = parts, judges
        self._layers: list[Any] = []

    def lpips(self, parts: Sequence[Part], label: str) -> NDArray[np.float32]:
        """LPIPS of every picture to every portrait => (n, m) float32."""
        names = [self.judges.key, [p.file.name for p in parts], [p.file.name for p in self.parts]]
        key = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:20]
        file = parts[0].file.parent / f"lpips-{key}.npy"
        if not file.exists():
            if not self._layers:
                by_part = [self._embedded(part) for part in progress(self.parts, len(self.parts), "layers")]
                self._layers = [np.concatenate(layer) for layer in zip(*by_part, strict=True)]
                self._squares = sum(_squares(layer) for layer in self._layers)
            rows = []
            for part in progress(parts, len(parts), f"LPIPS {label}"):
                layers = self._embedded(part)
                inner = sum(a @ b.T for a, b in zip(layers, self._layers, strict=True))
                squares: Any = sum(_squares(a) for a in layers)
                rows.append(squares[:, None] + self._squares - 2 * inner)
            _write(file, np.concatenate(rows).astype(np.float32))
        matrix: NDArray[np.float32] = np.load(file, allow_pickle=False)
        return matrix

    def _embedded(self, part: Part) -> list[Any]:
        pixels = part.read()
        by_batch = [
            scores.lpips_embedding(self.judges.vision.read(_images(pixels[start : start + BATCH])).layers)
            for start in range(0, len(pixels), BATCH)
        ]
        return [np.concatenate(layer) for layer in zip(*by_batch, strict=True)]


def _squares(layer: Any) -> Any:
    return np.einsum("nd,nd->n", layer, layer)


def _part(part: Part, judges: Judges) -> dict[str, NDArray[Any]]:
    """The stored arrays of one part."""
    file = part.file.with_suffix(f".{judges.key}.npz")
    if not file.exists():
        _write(file, _reduced(part.read(), judges))
    with np.load(file, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def _independent(part: Part, judges: Judges) -> Features:
    """The stored features of one part by the independent judge, in a file of their own."""
    file = part.file.with_suffix(f".{judges.imagenet_key}.npz")
    if not file.exists():
        _write(file, {"features": judges.imagenet.extract(_images(part.read()))["features"]})
    with np.load(file, allow_pickle=False) as stored:
        features: Features = stored["features"]
        return features


def _reduced(pixels: Pixels, judges: Judges) -> dict[str, NDArray[Any]]:
    batches: list[dict[str, Any]] = []
    for start in range(0, len(pixels), BATCH):
        images = _images(pixels[start : start + BATCH])
        reading = judges.vision.read(images)
        embedded = scores.lpips_embedding(reading.layers)
        batches.append(
            {
                "features": reading.features,
                "clip": judges.clip.pictures(images),
                "style": scores.style_features(reading.layers[:STYLE_LAYERS]),
                "squares": sum(_squares(e.astype(np.float64)) for e in embedded),
            }
            | {f"head-{name}": p for name, p in reading.probabilities.items()}
            | {f"sum-{i}": np.sum(e, axis=0, dtype=np.float64, keepdims=True) for i, e in enumerate(embedded)}
        )
    joined = {key: np.concatenate([one[key] for one in batches]) for key in batches[0]}
    return {key: v.sum(axis=0) if key.startswith("sum-") else v for key, v in joined.items()}


def _images(pixels: Pixels) -> list[Any]:
    from PIL import Image

    return [Image.fromarray(picture) for picture in pixels]


def _write(file: Path, value: NDArray[Any] | dict[str, NDArray[Any]]) -> None:
    buffer = io.BytesIO()
    if isinstance(value, dict):
        np.savez(buffer, allow_pickle=False, **value)
    else:
        np.save(buffer, value, allow_pickle=False)
    write_bytes(file, buffer.getvalue())
