"""Encode text and images, decode latents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def embed(tokenizer: Any, encoder: Any, texts: Sequence[str], batch: int = 64) -> Tensor:
    """Texts => (n, tokens, width) float32: the last hidden state, as StableDiffusionPipeline takes it.

    Texts longer than the tokenizer's `model_max_length` (77) are cut; `count_cut` says how many, and
    `embed_chunks` embeds them whole.
    """
    import torch

    device = next(encoder.parameters()).device
    parts = []
    with torch.inference_mode():
        for start in range(0, len(texts), batch):
            ids = token_ids(tokenizer, texts[start : start + batch])
            parts.append(encoder(ids.to(device, torch.int64))[0].float().cpu())
    return torch.cat(parts).clone()


def embed_chunks(tokenizer: Any, encoder: Any, texts: Sequence[str], batch: int = 64) -> list[Tensor]:
    """Texts => one (77 * k, width) float32 each, where k is the number of the text's chunks.

    The tokens of a text are cut into chunks of 75, each with marks of start and end, and encoded by
    themselves; their last hidden states follow each other. This is what AUTOMATIC1111, ComfyUI and the
    community pipeline `lpw_stable_diffusion` do. A text of one chunk is embedded as by `embed`.
    """
    import torch

    ids = [chunk_ids(tokenizer, text) for text in texts]
    device = next(encoder.parameters()).device
    parts, rows = [], torch.cat(ids)
    with torch.inference_mode():
        for start in range(0, len(rows), batch):
            parts.append(encoder(rows[start : start + batch].to(device, torch.int64))[0].float().cpu())
    chunks = torch.cat(parts).split([len(of_text) for of_text in ids])
    return [states.flatten(0, 1).clone() for states in chunks]


def chunk_ids(tokenizer: Any, text: str) -> Tensor:
    """A text => (chunks, 77) int32, the text encoder's input; at least one chunk, the last one padded."""
    import torch

    size = tokenizer.model_max_length - 2  # without start and end
    words = tokenizer(text, truncation=False, add_special_tokens=False, verbose=False).input_ids
    rows = []
    for start in range(0, max(len(words), 1), size):
        chunk = [tokenizer.bos_token_id, *words[start : start + size], tokenizer.eos_token_id]
        rows.append(chunk + [tokenizer.pad_token_id] * (size + 2 - len(chunk)))
    return torch.tensor(rows, dtype=torch.int32)


def filled(embedded: Tensor, empty: Tensor, tokens: int) -> Tensor:
    """(77 * k, width) => (tokens, width): chunks of the empty text, (77, width), follow."""
    import torch

    return torch.cat([embedded, *[empty] * ((tokens - len(embedded)) // len(empty))])


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
