"""sample: one picture per (prompt, seed), from the base alone or with one adapter.

The starting noise depends on prompt and seed only, so the same picture of two models differs by the model.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import base, coding, device, prompts, seeds, tensors
from laureate.errors import LaureateError
from laureate.files import fresh_folder, sha256_file, write_json
from laureate.params import Params
from laureate.places import ADAPTERS, SAMPLES
from laureate.progress import progress

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "pytorch_lora_weights.safetensors"


def run(params: Params, model: str) -> None:
    """models/lora/MODEL (nothing for `baseline`) => data/samples/MODEL: PROMPT_SEED.png and manifest.json.

    Raises LaureateError for bad prompt files, a missing adapter, one that was trained on another base, and
    pictures of one colour beyond the share that `sample.blank` allows.
    """
    asked = prompts.load(params.sample.prompts)
    found = base.expected(params.base)
    adapter = None if model == "baseline" else ADAPTERS / model
    if adapter:
        check_adapter(adapter, found)
    pairs = [(prompt, seed) for prompt in asked for seed in params.sample.seeds]
    names = [f"{prompt.id}_{seed}.png" for prompt, seed in pairs]
    with fresh_folder(SAMPLES / model) as folder:
        pictures = draw(found, adapter, pairs, params)
        blank = []
        for name, picture in zip(names, progress(pictures, len(names), f"sample {model}"), strict=True):
            picture.save(folder / name)
            if is_blank(picture):
                blank.append(name)
        check_blank(blank, len(names), params)
        write_json(folder / "manifest.json", {
            "model": model,
            "base": found.fingerprint,
            "base_source": found.source,
            "adapter": sha256_file(adapter / WEIGHTS) if adapter else None,
            "settings": {
                **params.sample.model_dump(exclude={"prompts", "seeds"}),
                "precision": device.name_of(device.precision(params.sample.precision, device.pick())),
                "resolution": params.drawn_at,
            },
            "pictures": [
                {"file": name, "prompt": prompt.id, "text": prompt.text, "seed": seed}
                for name, (prompt, seed) in zip(names, pairs, strict=True)
            ],
        })  # fmt: skip


def draw(
    found: base.Base, adapter: Path | None, pairs: list[tuple[prompts.Prompt, int]], params: Params
) -> Iterator[Any]:
    """Yield one RGB `PIL.Image` per (prompt, seed), in order."""
    import torch
    from PIL import Image

    # a lower precision would show as bands on plain paper
    vae = device.place(found.vae(), device.pick(), torch.float32)
    for drawn in latents(found, adapter, pairs, params):
        for pixels in coding.decode(vae, drawn, found.scaling_factor):
            yield Image.fromarray(pixels.numpy(), "RGB")


def latents(
    found: base.Base, adapter: Path | None, pairs: list[tuple[prompts.Prompt, int]], params: Params
) -> "Iterator[Tensor]":
    """Yield the latents of the pictures, (k, c, h, w) float32, batch by batch, in order."""
    import torch

    from laureate import diffusion, lora

    settings, where = params.sample, device.pick()
    texts = list(dict.fromkeys(prompt.text for prompt, _ in pairs))
    loaded, encoder = lora.load(adapter) if adapter else None, found.text_encoder()
    if loaded:
        lora.merge(encoder, *loaded, lora.TEXT)
    embedded = coding.embed(found.tokenizer(), encoder.to(where), [settings.negative_prompt, *texts])
    del encoder
    rows = [1 + texts.index(prompt.text) for prompt, _ in pairs]
    unet = found.unet()
    if loaded:
        # in float32, before a lower precision rounds base and update together
        lora.merge(unet, *loaded)
    unet = device.place_unet(unet, where, device.precision(settings.precision, where))
    side = params.drawn_at // found.downscale
    noise = torch.stack(
        [starting_noise(prompt.id, seed, (unet.config.in_channels, side, side)) for prompt, seed in pairs]
    )
    yield from diffusion.sample(
        unet,
        diffusion.solver(found.scheduler, settings.scheduler),
        embedded[rows].to(where),
        embedded[:1].to(where),
        noise.to(where),
        steps=settings.steps,
        guidance=settings.guidance,
        batch=settings.batch,
    )


def is_blank(picture: Any) -> bool:
    """Whether an RGB picture is of one colour, give or take two levels: black where numbers overflowed."""
    return all(high - low <= 2 for low, high in picture.getextrema())


def check_blank(blank: list[str], count: int, params: Params) -> None:
    """Raise LaureateError if more than `sample.blank` of the pictures are of one colour; name any at all."""
    if not blank:
        return
    said = f"{len(blank)} of {count} pictures are of one colour (the first is {blank[0]})"
    if len(blank) > params.sample.blank * count:
        raise LaureateError(
            f"{said}, more than sample.blank allows: numbers overflowed; set sample.precision to float32, or "
            "lower train.learning_rate and train again"
        )
    print(f"{said}; see sample.blank", file=sys.stderr)


def starting_noise(prompt: str, seed: int, shape: tuple[int, ...]) -> "Tensor":
    """The standard normal latents from which the picture of (prompt id, seed) starts, float32."""
    import torch

    return torch.randn(shape, generator=seeds.generator("sample", prompt, seed))


def check_adapter(folder: Path, found: base.Base) -> None:
    """Fail before anything is loaded if the adapter is missing or belongs to another base."""
    import json

    tensors.header(folder / WEIGHTS)
    try:
        trained_on = json.loads((folder / "config.json").read_text(encoding="utf-8"))["base"]
    except (OSError, ValueError, KeyError, TypeError):
        raise LaureateError(
            f"{folder / 'config.json'} is missing or damaged; run `laureate train` again"
        ) from None
    if trained_on != found.fingerprint:
        raise LaureateError(
            f"{folder} was trained on another base than {found.folder}; run `laureate train` again"
        )
