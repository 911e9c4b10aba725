"""From prompts and noise to pictures, with the base or an adapter merged into it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from laureate.formats import prompts
from laureate.networks.backends import placement
from laureate.networks.diffusion import base_model, encoding
from laureate.torch_utils import device, rng, safetensors_io

if TYPE_CHECKING:
    from torch import Tensor


def draw(
    found: base_model.Base, adapter: Path | None, pairs: list[tuple[prompts.Prompt, int]], params: Params
) -> Iterator[Any]:
    """Yield one RGB `PIL.Image` per (prompt, seed), in order."""
    import torch
    from PIL import Image

    # a lower precision would show as bands on plain paper
    vae = placement.place(found.vae(), device.pick(), torch.float32)
    for drawn in latents(found, adapter, pairs, params):
        for pixels in encoding.decode(vae, drawn, found.scaling_factor):
            yield Image.fromarray(pixels.numpy(), "RGB")


def latents(
    found: base_model.Base, adapter: Path | None, pairs: list[tuple[prompts.Prompt, int]], params: Params
) -> "Iterator[Tensor]":
    """Yield the latents of the pictures, (k, c, h, w) float32, batch by batch, in order."""
    import torch

    from laureate.networks.lora import adapter_files
    from laureate.networks.lora.adapter import TEXT
    from laureate.sampling import sampler

    settings, where = params.sample, device.pick()
    texts = list(dict.fromkeys(prompt.text for prompt, _ in pairs))
    loaded, encoder = adapter_files.load(adapter) if adapter else None, found.text_encoder()
    if loaded:
        adapter_files.merge(encoder, *loaded, TEXT)
    embedded = encoding.embed(found.tokenizer(), encoder.to(where), [settings.negative_prompt, *texts])
    del encoder
    rows = [1 + texts.index(prompt.text) for prompt, _ in pairs]
    unet = found.unet()
    if loaded:
        # in float32, before a lower precision rounds base and update together
        adapter_files.merge(unet, *loaded)
    unet = placement.place_unet(unet, where, device.precision(settings.precision, where))
    side = params.drawn_at // found.downscale
    noise = torch.stack(
        [starting_noise(prompt.id, seed, (unet.config.in_channels, side, side)) for prompt, seed in pairs]
    )
    yield from sampler.sample(
        unet,
        sampler.solver(found.scheduler, settings.scheduler),
        embedded[rows].to(where),
        embedded[:1].to(where),
        noise.to(where),
        steps=settings.steps,
        guidance=settings.guidance,
        batch=settings.batch,
    )


def starting_noise(prompt: str, seed: int, shape: tuple[int, ...]) -> "Tensor":
    """The standard normal latents from which the picture of (prompt id, seed) starts, float32."""
    import torch

    return torch.randn(shape, generator=rng.generator("sample", prompt, seed))


def check_adapter(folder: Path, found: base_model.Base) -> None:
    """Fail before anything is loaded if the adapter is missing or belongs to another base."""
    import json

    safetensors_io.header(folder / ADAPTER_WEIGHTS)
    try:
        trained_on = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base"]
    except (OSError, ValueError, KeyError, TypeError):
        raise LaureateError(
            f"{folder / 'config.json'} is missing or damaged; run `laureate train` again"
        ) from None
    if trained_on != found.fingerprint:
        raise LaureateError(
            f"{folder} was trained on another base than {found.folder}; run `laureate train` again"
        )
