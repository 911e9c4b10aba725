"""judges: the table of a study as the independent judge and the study's own see it, by `laureate score`.

Beside the models stand the training portraits, and the same portraits encoded and decoded by the base's VAE:
what no adapter of its UNet can pass. Prints the table; --out keeps all of it as JSON.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from laureate.commands import score
from laureate.core.errors import LaureateError
from laureate.dataset import user_folder
from laureate.networks.diffusion import base_model, encoding
from laureate.torch_utils import device

BATCH = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--study, --base, --out."""
    parser.add_argument("--study", default=".", metavar="DIR", help="a finished study (default: here)")
    parser.add_argument(
        "--base", default="models/embedded/base", metavar="DIR", help="the base, in the study"
    )
    parser.add_argument("--out", metavar="FILE", help="write everything that was found, as JSON")


def run(options: argparse.Namespace) -> None:
    """Score data/samples/* of the study against its held-out portraits."""
    study = Path(options.study)
    samples = sorted((p for p in (study / "data/samples").glob("*") if p.is_dir()), key=_order)
    if not samples:
        raise LaureateError(f"{study / 'data/samples'} holds no model's pictures; run the study first")
    with tempfile.TemporaryDirectory() as folder:
        round_trip(study / options.base, study / "data/dataset/train", Path(folder))
        score.run(
            str(study / "data/dataset/holdout"),
            [f"{path.name}={path}" for path in samples],
            beside=[f"portraits={study / 'data/dataset/train'}", f"vae-ceiling={folder}"],
            json_file=options.out,
            file=str(study / "params.yaml"),
        )


def round_trip(base: Path, pictures: Path, to: Path) -> None:
    """Encode every picture of a folder to the mean of its latent, decode it, and write it to `to`."""
    import torch
    from PIL import Image

    found = base_model.find(base)
    vae: Any = found.vae().to(device.pick())
    files = user_folder.pictures_in(pictures)
    for start in range(0, len(files), BATCH):
        part = files[start : start + BATCH]
        images = torch.stack([_pixels(file) for file in part])
        mean, _ = encoding.moments(vae, images)
        decoded = encoding.decode(vae, mean * found.scaling_factor, found.scaling_factor)
        for file, picture in zip(part, decoded.numpy(), strict=True):
            Image.fromarray(picture).save(to / f"{file.stem}.png")


def _pixels(file: Path) -> Any:
    """A picture as CHW uint8."""
    import numpy as np
    import torch

    from laureate.imaging.image_io import decode

    return torch.from_numpy(np.array(decode(file.read_bytes()))).permute(2, 0, 1)


def _order(path: Path) -> tuple[bool, int, str]:
    """The baseline first, then ranks by number."""
    rank = path.name.removeprefix("rank-")
    return path.name != "baseline", int(rank) if rank.isdigit() else 0, path.name
