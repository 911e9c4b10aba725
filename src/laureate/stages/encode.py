"""encode: VAE moments, token ids and text embeddings, once, so that training needs the UNet only.

Moments and not one sampled latent: a cached sample would change the distribution that is trained on.
"""

import json
import sys
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import fresh_folder
from laureate.core.paths import DATASET, ENCODED, RECONSTRUCTED
from laureate.core.progress import progress
from laureate.formats.imagefolder import PARTS, dataset_fingerprint, read_metadata
from laureate.formats.pictures import read_picture
from laureate.networks.diffusion import base_model, encoding
from laureate.torch_utils import device, safetensors_io

if TYPE_CHECKING:
    from torch import Tensor


def run(params: Params) -> None:
    """data/dataset => data/encoded.safetensors, and data/reconstructed: training portraits through the VAE.

    Tensors, for PART in train, holdout: `PART.mean` and `PART.logvar` (n, c, h, w), `PART.text` (n, tokens,
    width), and `empty.text` (1, tokens, width), all float32; `PART.ids` (n, tokens) and `empty.ids` (1,
    tokens) int32, for training the text encoder too; the header names files, base and data set.
    Raises LaureateError naming the file and row if the data set is not as `prepare` leaves it.
    """
    found = base_model.expected(params.base)
    rows = {part: sorted(read_metadata(DATASET / part), key=itemgetter("file_name")) for part in PARTS}
    where = device.pick()
    tokenizer, encoder = found.tokenizer(), found.text_encoder().to(where)
    result: dict[str, Tensor] = {
        "empty.ids": encoding.token_ids(tokenizer, [""]),
        "empty.text": encoding.embed(tokenizer, encoder, [""]),
    }
    for part in PARTS:
        texts = [row["text"] for row in rows[part]]
        cut = encoding.count_cut(tokenizer, texts)
        if cut:
            print(
                f"{cut} of {len(texts)} captions in {part} are longer than the text encoder reads: cut",
                file=sys.stderr,
            )
        result[f"{part}.ids"] = encoding.token_ids(tokenizer, texts)
        result[f"{part}.text"] = encoding.embed(tokenizer, encoder, texts)
    del encoder
    vae = found.vae().to(where)
    for part in PARTS:
        files = [DATASET / part / row["file_name"] for row in rows[part]]
        result[f"{part}.mean"], result[f"{part}.logvar"] = _moments(
            vae, files, params.encode.batch, found.downscale, part
        )
    header = {
        "base": found.fingerprint,
        "base_source": found.source,
        "dataset": dataset_fingerprint(DATASET),
        "scaling_factor": repr(found.scaling_factor),
        **{f"{part}.files": json.dumps([row["file_name"] for row in rows[part]]) for part in PARTS},
    }
    safetensors_io.save(ENCODED, result, header)
    names = [row["file_name"] for row in rows["train"]]
    pictures = encoding.reconstruct(vae, result["train.mean"], found.scaling_factor, params.encode.batch)
    with fresh_folder(RECONSTRUCTED) as folder:
        for name, picture in zip(names, progress(pictures, len(names), "decode train"), strict=True):
            _save(folder / name, picture)


def _save(path: Path, picture: "Tensor") -> None:
    """Write a picture, HWC uint8, as PNG."""
    from PIL import Image

    Image.fromarray(picture.numpy()).save(path.with_suffix(".png"))


def _moments(vae: Any, files: list[Path], batch: int, multiple: int, label: str) -> "tuple[Tensor, Tensor]":
    """Mean and log-variance of all pictures, (n, c, h, w) float32 each."""
    import torch

    parts = []
    for start in progress(range(0, len(files), batch), None, f"encode {label}"):
        images = torch.stack([_picture(path, multiple) for path in files[start : start + batch]])
        parts.append(encoding.moments(vae, images))
    return torch.cat([mean for mean, _ in parts]), torch.cat([logvar for _, logvar in parts])


def _picture(path: Path, multiple: int) -> "Tensor":
    """A picture as CHW uint8."""
    import numpy as np
    import torch

    pixels = np.array(read_picture(path, "run `laureate prepare` again"))
    if pixels.shape[0] % multiple or pixels.shape[1] % multiple:
        height, width = pixels.shape[:2]
        raise LaureateError(
            f"{path} is {width} x {height}; both must be multiples of {multiple} (prepare.resolution)"
        )
    return torch.from_numpy(pixels).permute(2, 0, 1)
