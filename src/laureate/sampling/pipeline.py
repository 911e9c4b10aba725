"""Draw pictures from prompts and noise, with the base or with an adapter merged into it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.config.params import Params, Sample
from laureate.core.errors import LaureateError
from laureate.core.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from laureate.formats import prompts
from laureate.networks.backends import placement
from laureate.networks.diffusion import base_model, encoding
from laureate.torch_utils import device, rng, safetensors_io

if TYPE_CHECKING:
    from torch import Tensor

    from laureate.networks.lora.adapter import Adapter

    Loaded = tuple[dict[str, Tensor], Adapter]  # as `adapter_files.load` gives it


def draw(
    base: base_model.Base, adapter: Path | None, pairs: list[tuple[prompts.Prompt, int]], params: Params
) -> Iterator[Any]:
    """Yield one RGB `PIL.Image` per (prompt, seed), in order. `adapter`: its folder; None: the base alone."""
    vae = load_vae(base)
    for batch in latents(base, adapter, pairs, params, lambda drawn: pictures_of(base, vae, drawn)):
        yield from batch


def latents(
    base: base_model.Base,
    adapter: Path | None,
    pairs: list[tuple[prompts.Prompt, int]],
    params: Params,
    finish: "Callable[[Tensor], Any] | None" = None,
) -> "Iterator[Any]":
    """Yield the latents of the pictures, (k, c, h, w) float32, batch by batch, in order; or what `finish`
    makes of each.

    A batch has prompts of one number of chunks, so that a picture depends on its own prompt only.
    """
    import torch

    from laureate.networks.lora import adapter_files

    settings = params.sample
    texts = list(dict.fromkeys(prompt.text for prompt, _ in pairs))
    loaded = adapter_files.load(adapter, settings.strength) if adapter else None
    encoder = load_text_encoder(base, loaded)
    states, negatives = conditions(base.tokenizer(), encoder, texts, settings)
    del encoder  # before the UNet takes its memory
    of_pairs = [states[texts.index(prompt.text)] for prompt, _ in pairs]
    unet = load_unet(base, loaded, settings)
    side = params.drawn_at // base.downscale
    noise = torch.stack(
        [starting_noise(prompt.id, seed, (unet.config.in_channels, side, side)) for prompt, seed in pairs]
    )
    for tokens, group in groupby(range(len(pairs)), key=lambda place: len(of_pairs[place])):
        places = list(group)
        text = torch.stack([of_pairs[place] for place in places])
        yield from solve(
            base, unet, text, negatives[tokens], noise[places], settings, settings.batch, finish=finish
        )


def conditions(
    tokenizer: Any, encoder: Any, texts: Sequence[str], settings: Sample
) -> "tuple[list[Tensor], dict[int, Tensor]]":
    """Embeddings of texts, (tokens, width) each, and number of tokens => that of the negative prompt, (1,
    tokens, width).

    With `sample.long_prompts: chunks`, a text has as many chunks as it or the negative prompt needs; chunks
    of the empty text fill up the shorter one.
    """
    if settings.long_prompts == "cut":
        found = encoding.embed(tokenizer, encoder, [settings.negative_prompt, *texts])
        return list(found[1:]), {found.shape[1]: found[:1]}
    empty, negative, *chunked = encoding.embed_chunks(
        tokenizer, encoder, ["", settings.negative_prompt, *texts]
    )
    states = [encoding.filled(text, empty, max(len(text), len(negative))) for text in chunked]
    negatives = {len(text): encoding.filled(negative, empty, len(text))[None] for text in states}
    return states, negatives


def load_unet(base: base_model.Base, loaded: "Loaded | None", settings: Sample) -> Any:
    """The UNet on its device, an adapter merged into it."""
    from laureate.networks.lora import adapter_files

    unet, where = base.unet(), device.pick()
    if loaded:
        # in float32, before a lower precision rounds base and update together
        adapter_files.merge(unet, *loaded)
    return placement.place_unet(unet, where, device.precision(settings.precision, where), settings.kernels)


def load_text_encoder(base: base_model.Base, loaded: "Loaded | None") -> Any:
    """The text encoder on its device in float32, an adapter merged into it where that has layers of it."""
    from laureate.networks.lora import adapter_files
    from laureate.networks.lora.adapter import TEXT

    encoder = base.text_encoder()
    if loaded:
        adapter_files.merge(encoder, *loaded, TEXT)
    return encoder.to(device.pick())


def load_vae(base: base_model.Base) -> Any:
    """The VAE on its device, in float32: a lower precision would show as bands on plain paper."""
    import torch

    return placement.place(base.vae(), device.pick(), torch.float32)


def solve(
    base: base_model.Base,
    unet: Any,
    text: "Tensor",
    negative: "Tensor",
    noise: "Tensor",
    settings: Sample,
    batch: int,
    on_step: Callable[[], None] | None = None,
    finish: "Callable[[Tensor], Any] | None" = None,
) -> "Iterator[Any]":
    """From noise (n, c, h, w) to latents, (k, c, h, w) float32 per batch, with the solver of `sample`.

    text: (n, tokens, width) and negative: (1, tokens, width), from `encoding.embed`. `on_step`
    is called after every step of every batch; `finish` as in `sampler.sample`. On a CPU, batches of a small
    UNet are drawn side by side.
    """
    from laureate.sampling import sampler

    where = device.pick()
    yield from sampler.sample(
        unet,
        sampler.solver(base.scheduler, settings.scheduler),
        text.to(where),
        negative.to(where),
        noise.to(where),
        steps=settings.steps,
        guidance=settings.guidance,
        batch=batch,
        interval=settings.guidance_interval,
        on_step=on_step,
        finish=finish,
        side_by_side=placement.side_by_side(unet),
    )


def pictures_of(base: base_model.Base, vae: Any, drawn: "Tensor") -> list[Any]:
    """The RGB `PIL.Image` of every latent of a batch, (k, c, h, w)."""
    from PIL import Image

    pixels = encoding.decode(vae, drawn, base.scaling_factor).numpy()
    return [Image.fromarray(picture, "RGB") for picture in pixels]


def starting_noise(prompt: str, seed: int, shape: tuple[int, ...]) -> "Tensor":
    """The standard normal latents from which the picture of (prompt id, seed) starts, float32."""
    import torch

    return torch.randn(shape, generator=rng.generator("sample", prompt, seed))


def check_adapter(folder: Path, found: base_model.Base) -> None:
    """Raise LaureateError, before anything is loaded, if the adapter is missing or of another base."""
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
