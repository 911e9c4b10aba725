"""encode: VAE moments, token ids and text embeddings, once, so that training needs the UNet only.

Moments and not one sampled latent: a cached sample would change the distribution that is trained on.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import base, coding, device, tensors
from laureate.errors import LaureateError
from laureate.files import sha256_file
from laureate.params import Params
from laureate.places import DATASET, ENCODED
from laureate.progress import progress

if TYPE_CHECKING:
    from torch import Tensor

PARTS = ("train", "holdout")


def run(params: Params) -> None:
    """data/dataset => data/encoded.safetensors.

    Tensors, for PART in train, holdout: `PART.mean` and `PART.logvar` (n, c, h, w), `PART.text` (n, tokens,
    width), and `empty.text` (1, tokens, width), all float32; `PART.ids` (n, tokens) and `empty.ids` (1,
    tokens) int32, for training the text encoder too; the header names files, base and data set.
    Raises LaureateError naming the file and row if the data set is not as `prepare` leaves it.
    """
    found = base.expected(params.base)
    rows = {part: read_metadata(DATASET / part) for part in PARTS}
    where = device.pick()
    tokenizer, encoder = found.tokenizer(), found.text_encoder().to(where)
    result: dict[str, Tensor] = {
        "empty.ids": coding.tokens(tokenizer, [""]),
        "empty.text": coding.embed(tokenizer, encoder, [""]),
    }
    for part in PARTS:
        texts = [row["text"] for row in rows[part]]
        cut = coding.count_cut(tokenizer, texts)
        if cut:
            print(
                f"{cut} of {len(texts)} captions in {part} are longer than the text encoder reads: cut",
                file=sys.stderr,
            )
        result[f"{part}.ids"] = coding.tokens(tokenizer, texts)
        result[f"{part}.text"] = coding.embed(tokenizer, encoder, texts)
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
    tensors.save(ENCODED, result, header)


def read_metadata(folder: Path) -> list[dict[str, Any]]:
    """The rows of `metadata.jsonl` in an imagefolder, in the order of their file names.

    Raises LaureateError naming file and row: missing, empty, not JSON, no `file_name` or `text`, no picture.
    """
    path = folder / "metadata.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise LaureateError(f"there is no {path}; run `laureate prepare` first") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            complete = isinstance(row["file_name"], str) and isinstance(row["text"], str)
        except (json.JSONDecodeError, KeyError, TypeError):
            complete = False
        if not complete:
            raise LaureateError(
                f"{path}, row {number} must be JSON with file_name and text; run `laureate prepare` again"
            )
        if not (folder / row["file_name"]).is_file():
            raise LaureateError(
                f"{path}, row {number}: there is no picture {row['file_name']}; run `laureate prepare` again"
            )
        rows.append(row)
    if not rows:
        raise LaureateError(f"{path} names no picture; run `laureate prepare` again")
    return sorted(rows, key=lambda row: str(row["file_name"]))


def dataset_fingerprint(folder: Path) -> str:
    """SHA-256 over names and contents of all files of the data set."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{path.relative_to(folder).as_posix()} {sha256_file(path)}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _moments(vae: Any, files: list[Path], batch: int, multiple: int, label: str) -> "tuple[Tensor, Tensor]":
    """Mean and log-variance of all pictures, (n, c, h, w) float32 each."""
    import torch

    parts = []
    for start in progress(range(0, len(files), batch), None, f"encode {label}"):
        images = torch.stack([_picture(path, multiple) for path in files[start : start + batch]])
        parts.append(coding.moments(vae, images))
    return torch.cat([mean for mean, _ in parts]), torch.cat([logvar for _, logvar in parts])


def _picture(path: Path, multiple: int) -> "Tensor":
    """A picture as CHW uint8."""
    import numpy as np
    import torch
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
    except (OSError, UnidentifiedImageError):
        raise LaureateError(f"{path} is not a picture; run `laureate prepare` again") from None
    if pixels.shape[0] % multiple or pixels.shape[1] % multiple:
        height, width = pixels.shape[:2]
        raise LaureateError(
            f"{path} is {width} x {height}; both must be multiples of {multiple} (prepare.resolution)"
        )
    return torch.from_numpy(pixels).permute(2, 0, 1)
