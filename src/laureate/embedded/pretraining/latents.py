"""Encode the drawings: moments of the VAE's posterior, and the scale of the latents."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from laureate.core.progress import progress
from laureate.embedded.pretraining.train_loop import ENVIRONMENT
from laureate.embedded.pretraining.vae import to_signed

Arrays = tuple[NDArray[Any], ...]


def encode(vae: Any, pixels: NDArray[np.uint8]) -> Arrays:
    """Pictures (n, h, w, 3) uint8 => mean and standard deviation, (n, c, h/8, w/8) float16 each."""
    mean, logvar = vae._encode(to_signed(pixels).to(vae.dtype)).float().chunk(2, dim=1)
    spread = torch.exp(0.5 * logvar.clamp(-12, 6))
    return mean.numpy().astype(np.float16), spread.numpy().astype(np.float16)


def round_trip(vae: Any, pixels: NDArray[np.uint8]) -> Arrays:
    """Pictures (n, h, w, 3) uint8 => encoded and decoded by the VAE, the same shape."""
    mean, _ = vae._encode(to_signed(pixels).to(vae.dtype)).chunk(2, dim=1)
    decoded = vae._decode(mean).sample.float().clamp(-1, 1)
    return (((decoded + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy(),)


def _work(function: Callable[..., Arrays], folder: Path, pixels: NDArray[np.uint8]) -> Arrays:
    from diffusers import AutoencoderKL

    torch.set_num_threads(1)
    vae = AutoencoderKL.from_pretrained(folder, local_files_only=True).eval()
    vae = vae.to(dtype=torch.bfloat16, memory_format=torch.channels_last)
    with torch.inference_mode():
        parts = [function(vae, pixels[start : start + 16]) for start in range(0, len(pixels), 16)]
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def through(
    function: Callable[..., Arrays],
    folder: Path,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    processes: int,
) -> Arrays:
    """`function` (`encode` or `round_trip`) of the VAE in `folder` over rows of `pixels`, in parallel."""
    os.environ.update(ENVIRONMENT)
    chunks = np.array_split(rows, -(-len(rows) // 500))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        parts = pool.map(partial(_work, function, folder), (np.asarray(pixels[chunk]) for chunk in chunks))
        done = list(progress(parts, len(chunks), function.__name__))
    return tuple(np.concatenate(column) for column in zip(*done, strict=True))


def scale(means: NDArray[np.float16], spreads: NDArray[np.float16]) -> float:
    """The factor that brings sampled latents to standard deviation 1 (Rombach et al. 2022, section G)."""
    centred = means.astype(np.float32) - means.astype(np.float32).mean()
    return float(1 / np.sqrt(np.mean(centred**2) + np.mean(spreads.astype(np.float32) ** 2)))
