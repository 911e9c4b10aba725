"""Encode text and images, decode latents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def embed(tokenizer: Any, encoder: Any, texts: Sequence[str], batch: int = 64) -> Tensor:
    """Texts => (n, tokens, width) float32: the last hidden state, as StableDiffusionPipeline takes it.

    Texts longer than the tokenizer's `model_max_length` (77) are cut; `count_cut` says how many.
    """
    import torch

    device = next(encoder.parameters()).device
    parts = []
    with torch.inference_mode():
        for start in range(0, len(texts), batch):
            ids = token_ids(tokenizer, texts[start : start + batch])
            parts.append(encoder(ids.to(device, torch.int64))[0].float().cpu())
    return torch.cat(parts).clone()


def token_ids(tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Texts => (n, tokens) int32, the text encoder's input: padded and cut to `model_max_length`."""
    import torch

    encoded = tokenizer(
        list(texts),
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
    return encoded.input_ids.to(torch.int32)


def count_cut(tokenizer: Any, texts: Sequence[str]) -> int:
    """How many texts have more tokens than the text encoder takes."""
    lengths = [len(ids) for ids in tokenizer(list(texts), truncation=False, verbose=False).input_ids]
    return sum(length > tokenizer.model_max_length for length in lengths)


def moments(vae: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """NCHW uint8 pictures, 3 channels => mean and log-variance of the VAE posterior, each NCHW float32.

    Unscaled: a latent for the UNet is `scaling_factor * (mean + exp(logvar / 2) * noise)`.
    """
    import torch

    weight = next(vae.parameters())
    with torch.inference_mode():
        scaled = images.to(weight.device, weight.dtype) / 127.5 - 1
        posterior = vae.encode(scaled).latent_dist
    return posterior.mean.float().cpu().clone(), posterior.logvar.float().cpu().clone()


def reconstruct(vae: Any, mean: Tensor, scaling_factor: float, batch: int) -> Iterator[Tensor]:
    """Decode the mean of each posterior, NCHW float32 as `moments` gives it => HWC uint8 pictures, in order.

    What a picture loses by this, no adapter of the UNet can bring back.
    """
    for start in range(0, len(mean), batch):
        yield from decode(vae, mean[start : start + batch] * scaling_factor, scaling_factor)


def decode(vae: Any, latents: Tensor, scaling_factor: float) -> Tensor:
    """NCHW float latents as the UNet sees them => NHWC uint8 pictures, 3 channels."""
    import torch

    weight = next(vae.parameters())
    with torch.inference_mode():
        images = vae.decode((latents / scaling_factor).to(weight.device, weight.dtype)).sample
        images = (images.float() / 2 + 0.5).clamp(0, 1) * 255
    return images.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().clone()
