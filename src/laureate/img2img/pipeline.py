"""Draw a portrait from a photo: image to image (SDEdit, Meng et al. 2022, arXiv:2108.01073) by diffusers.

A photo's latents are noised to `strength` of the way and denoised by a model whose adapter is merged.
Everything is float32 and goes through diffusers' own pipeline, so that a portrait is, bit for bit, what that
pipeline gives when it is called by hand with the same arguments and `noise(photo, seed)` as its generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.torch_utils import rng

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Generator

# by what is drawn from: a photo needs more than one in tones of ink (docs/portrait.md has the curves)
STRENGTHS = {"ink": 0.45, "photo": 0.75}


@dataclass(frozen=True)
class Settings:
    """How a portrait is drawn. `check` says what is wrong with it."""

    prompt: str
    strength: float = 0.45  # share of the steps that is run: in (0, 1]; 1 leaves little of the photo
    guidance: float = 4.0
    steps: int = 12
    negative: str = ""
    control_scale: float = 1.0  # weight of the ControlNet's residuals
    control_end: float = 0.3  # share of the run steps after which the ControlNet falls silent

    @property
    def run(self) -> int:
        """The steps that are really run: int(steps x strength), as diffusers counts."""
        return min(int(self.steps * self.strength), self.steps)

    def check(self) -> None:
        """Raise LaureateError for values outside their range and for a strength that leaves no step."""
        if not 0 < self.strength <= 1:
            raise LaureateError(f"strength is {self.strength:g}: it must be more than 0 and at most 1")
        if self.steps < 1:
            raise LaureateError(f"steps is {self.steps}: it must be at least 1")
        if not self.guidance >= 1 or self.guidance == float("inf"):
            raise LaureateError(f"guidance is {self.guidance:g}: it must be at least 1")
        if not 0 < self.control_end <= 1 or not self.control_scale >= 0:
            raise LaureateError("the line art's end must be in (0, 1], its weight at least 0")
        if not self.prompt.strip():
            raise LaureateError("the prompt is empty: write one, or leave --prompt out to have one written")
        try:
            self.prompt.encode()
        except UnicodeEncodeError:
            raise LaureateError("the prompt is no UTF-8 text: write it again") from None
        if self.run < 1:
            raise LaureateError(
                f"no step is left at strength {self.strength:g} of {self.steps} steps: raise one of them to "
                f"have strength x steps >= 1"
            )


def build(unet: Any, text_encoder: Any, tokenizer: Any, vae: Any, solver: Any, controlnet: Any = None) -> Any:
    """diffusers' StableDiffusionImg2ImgPipeline of loaded parts, or its ControlNet sibling; no progress bar.

    The adapter is merged into `unet` and `text_encoder` before: a fused adapter has no scale to be set. There
    is no safety checker: the base has none.
    """
    parts = {
        "vae": vae,
        "text_encoder": text_encoder,
        "tokenizer": tokenizer,
        "unet": unet,
        "scheduler": solver,
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }
    if controlnet is None:
        from diffusers import StableDiffusionImg2ImgPipeline

        pipe = StableDiffusionImg2ImgPipeline(**parts)
    else:
        from diffusers import StableDiffusionControlNetImg2ImgPipeline

        pipe = StableDiffusionControlNetImg2ImgPipeline(**parts, controlnet=controlnet)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def noise(photo: str, seed: int) -> Generator:
    """The generator of one portrait's noise, by the photo's SHA-256 and a seed, on the CPU."""
    return rng.generator("portrait", photo, seed)


def draw(
    pipe: Any,
    start: Image,
    photo: str,
    settings: Settings,
    seeds: Sequence[int],
    lines: Image | None = None,
    on_step: Callable[[], None] | None = None,
) -> list[Image]:
    """One RGB portrait per seed, of the size of `start` (RGB, sides a multiple of what the base needs).

    Drawn one at a time, so that a portrait does not depend on the others. `photo` is the photo's SHA-256,
    `lines` the line art for a pipeline with a ControlNet. `on_step` is called after every step; an error that
    it raises ends the drawing. Raises LaureateError as `Settings.check` does, and
    for a portrait of one colour, which is what is left of numbers that overflowed.
    """
    settings.check()
    extra: dict[str, Any] = {}
    if lines is not None:
        extra = {
            "control_image": lines,
            "controlnet_conditioning_scale": settings.control_scale,
            "control_guidance_end": settings.control_end,
        }
    if on_step is not None:

        def step_done(pipe: Any, step: int, t: Any, given: dict[str, Any]) -> dict[str, Any]:
            on_step()
            return given

        extra["callback_on_step_end"] = step_done
    drawn = []
    for seed in seeds:
        # PIL pictures: the pipeline takes a tensor of 4 channels for latents, and any other for a picture
        result = pipe(
            prompt=settings.prompt,
            image=start,
            strength=settings.strength,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            negative_prompt=settings.negative,
            generator=noise(photo, seed),
            **extra,
        )
        portrait: Image = result.images[0]
        extrema: Any = portrait.getextrema()  # (lowest, highest) per channel
        if all(high - low <= 2 for low, high in extrema):
            raise LaureateError(
                f"the portrait with seed {seed} is blank: it has one colour only; use another model or seed"
            )
        drawn.append(portrait)
    return drawn
