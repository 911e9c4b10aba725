"""The gate of `sample`: our pictures are those of diffusers' own pipeline, from the same starting noise.

The peer is used as its documentation shows: `StableDiffusionPipeline`, `load_lora_weights`, one call per
picture or a list of prompts; only the starting latents are handed over, so that both draw the same pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from laureate.sampling import pipeline, sampler
from laureate.torch_utils import device

if TYPE_CHECKING:
    from laureate.config.params import Params
    from laureate.formats.prompts import Prompt
    from laureate.networks.diffusion.base_model import Base

Pairs = list[tuple["Prompt", int]]


def diffusers_pipeline(found: Base, params: Params) -> Any:
    """The peer: a `StableDiffusionPipeline` of the base, with the precision and the solver of `params`."""
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import logging

    logging.set_verbosity_error()  # it says of every adapter that it has no part for the text encoder
    where = device.pick()
    dtype = device.precision(params.sample.precision, where)
    # diffusers' own `to` warns about a lower precision, whatever the model
    vae, text_encoder, unet = (
        torch.nn.Module.to(part, device=where, dtype=dtype)
        for part in (found.vae(), found.text_encoder(), found.unet())
    )
    made = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=found.tokenizer(),
        unet=unet,
        scheduler=sampler.solver(found.scheduler, params.sample.scheduler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def draw(pipe: Any, adapter: Path | None, pairs: Pairs, params: Params, batch: int, **more: Any) -> list[Any]:
    """The peer's pictures: adapter on, `batch` prompts per call, adapter off again."""
    if adapter:
        pipe.load_lora_weights(adapter)
    side = params.drawn_at // pipe.vae_scale_factor
    shape = (pipe.unet.config.in_channels, side, side)
    drawn: list[Any] = []
    for start in range(0, len(pairs), batch):
        part = pairs[start : start + batch]
        noise = torch.stack([pipeline.starting_noise(prompt.id, seed, shape) for prompt, seed in part])
        drawn.extend(
            pipe(
                latents=noise.to(pipe.device, pipe.unet.dtype),
                num_inference_steps=params.sample.steps,
                height=params.drawn_at,
                width=params.drawn_at,
                **guided(pipe, [prompt.text for prompt, _ in part], params),
                **more,
            ).images
        )
    if adapter:
        pipe.unload_lora_weights()
    return drawn


def guided(pipe: Any, texts: list[str], params: Params) -> dict[str, Any]:
    """Texts and guidance as arguments of the pipeline.

    It has no interval of guidance; its own way to change guidance between steps is a callback.
    """
    own = params.sample
    asked = {
        "prompt": texts,
        "negative_prompt": [own.negative_prompt] * len(texts),
        "guidance_scale": own.guidance,
    }
    if own.guidance == 1 or own.guidance_interval == [0, 1]:
        return asked
    pipe.scheduler.set_timesteps(own.steps)
    steps = [sampler.is_guided(t, pipe.scheduler, own.guidance_interval) for t in pipe.scheduler.timesteps]
    given, without = pipe.encode_prompt(texts, pipe.device, 1, True, asked["negative_prompt"])

    def before_next(pipe: Any, step: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        following = steps[step + 1] if step + 1 < len(steps) else False
        pipe._guidance_scale = own.guidance if following else 1.0
        return {"prompt_embeds": torch.cat([without, given]) if following else given}

    return asked | {
        "guidance_scale": own.guidance if steps[0] else 1.0,
        "callback_on_step_end": before_next,
        "callback_on_step_end_tensor_inputs": ["prompt_embeds"],
    }


def compare(found: Base, adapter: Path | None, pairs: Pairs, params: Params, batch: int) -> dict[str, float]:
    """How far our pictures are from the peer's in float32, ours in the precision of `params`.

    latent_error: largest difference of the final latents, whose variance is about one. psnr: of the pictures,
    as `psnr` takes it. peer_psnr: the same for the peer in that precision; 99 in float32, against itself.
    """
    exact = params.model_copy(update={"sample": params.sample.model_copy(update={"precision": "float32"})})
    peer = diffusers_pipeline(found, exact)
    theirs = torch.stack(draw(peer, adapter, pairs, exact, batch, output_type="latent")).float().cpu()
    pictures = draw(peer, adapter, pairs, exact, batch)
    ours = torch.cat([part.cpu() for part in pipeline.latents(found, adapter, pairs, params)])
    own = list(pipeline.draw(found, adapter, pairs, params))
    lowered = pictures
    if device.precision(params.sample.precision, device.pick()) != torch.float32:
        lowered = draw(diffusers_pipeline(found, params), adapter, pairs, params, batch)
    return {
        "latent_error": float((ours - theirs).abs().max()),
        "psnr": psnr(own, pictures),
        "peer_psnr": psnr(lowered, pictures),
    }


def psnr(ours: Sequence[Any], theirs: Sequence[Any]) -> float:
    """Peak signal-to-noise ratio of pairs of 8-bit pictures in decibels, the lowest; 99 if all are equal."""
    lowest = 99.0
    for mine, other in zip(ours, theirs, strict=True):
        error = float((_pixels(mine) - _pixels(other)).square().mean())
        if error:
            lowest = min(lowest, 20 * math.log10(255 / math.sqrt(error)))
    return lowest


def _pixels(picture: Any) -> Tensor:
    """RGB picture => HWC float64."""
    import numpy as np

    return torch.from_numpy(np.array(picture)).double()
