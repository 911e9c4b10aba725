"""Evaluate the models on people, prompts and drawings that no training has used."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from laureate.embedded.pretraining.config import Quality
from laureate.embedded.pretraining.drawings import HEADS
from laureate.embedded.pretraining.judges import plain_captions
from laureate.embedded.pretraining.vae import to_signed
from laureate.formats.vocabulary import VOCABULARY
from laureate.simulator.portraits import captions, portrait, styles
from laureate.simulator.portraits.attributes import Attributes, random_attributes

ABSENT = "none"  # captions hardly ever name what is absent


class BasePrompt(NamedTuple):
    """A prompt in one of the base's styles, and what it names."""

    who: Attributes
    style: str
    names: tuple[str, ...]  # the attributes that the prompt names
    text: str


def fresh_prompts(n: int, rng: np.random.Generator, keep: float = 0.8) -> list[BasePrompt]:
    """`n` prompts in the base's styles, each naming most of what could be seen in the picture."""
    fresh = []
    for index in range(n):
        who, style = random_attributes(rng), styles.BASE_STYLES[index % len(styles.BASE_STYLES)]
        visible = styles.readable(who, style)
        names = tuple(
            name
            for name, value in who.to_dict().items()
            if name in visible and value != ABSENT and rng.random() < keep
        )
        fresh.append(BasePrompt(who, style, names, captions.prompt(who, style, names)))
    return fresh


def fresh_drawings(n: int, seed: int, size: int) -> tuple[NDArray[np.uint8], list[tuple[Attributes, str]]]:
    """`n` drawings in all styles in turn: (n, size, size, 3) uint8, and who is drawn how."""
    rng = np.random.default_rng(seed)
    shown = [(random_attributes(rng), styles.STYLES[index % len(styles.STYLES)]) for index in range(n)]
    pictures = [
        np.asarray(portrait.draw(who, style, seed + index, (size, size)))
        for index, (who, style) in enumerate(shown)
    ]
    return np.stack(pictures), shown


def sample(
    base: Path, prompts: list[BasePrompt], settings: Quality, first: int, size: int
) -> NDArray[np.uint8]:
    """One picture per prompt from the base: (n, size, size, 3) uint8; picture i has the seed `first` + i."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(base, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.unet.to(dtype=torch.bfloat16, memory_format=torch.channels_last)
    pipeline.text_encoder.to(torch.bfloat16)
    pipeline.vae.to(dtype=torch.bfloat16, memory_format=torch.channels_last)
    batches = []
    for start in range(0, len(prompts), 8):
        part = prompts[start : start + 8]
        pictures = pipeline(
            [prompt.text for prompt in part],
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            height=size,
            width=size,
            generator=[torch.Generator().manual_seed(first + start + i) for i in range(len(part))],
            output_type="np",
        ).images
        batches.append((pictures * 255).round().astype(np.uint8))
    return np.concatenate(batches)


def read(vision: Any, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.int64]]:
    """The vision judge's most likely class of every head: head => (n,)."""
    parts: dict[str, list[NDArray[np.int64]]] = {name: [] for name in HEADS}
    for start in range(0, len(pixels), 64):
        images = torch.from_numpy(pixels[start : start + 64]).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            logits = vision(images).logits
        for name in HEADS:
            parts[name].append(logits[name].argmax(dim=1).numpy())
    return {name: np.concatenate(part) for name, part in parts.items()}


def agreement(wanted: NDArray[np.int64], given: NDArray[np.int64]) -> dict[str, float]:
    """Share of equal classes, and the share expected of shuffled lists: `accuracy`, `chance`, `n`."""
    classes = int(max(wanted.max(), given.max())) + 1
    chance = np.bincount(wanted, minlength=classes) @ np.bincount(given, minlength=classes) / len(wanted) ** 2
    return {"accuracy": float(np.mean(wanted == given)), "chance": float(chance), "n": len(wanted)}


def score(
    shown: list[tuple[Attributes, str, frozenset[str]]], given: dict[str, NDArray[np.int64]]
) -> dict[str, Any]:
    """Agreement per head of true and predicted classes; a picture counts for the heads that it names."""
    by_head: dict[str, Any] = {}
    for name, classes in HEADS.items():
        rows = [row for row, (_, _, names) in enumerate(shown) if name in names or name == "style"]
        if not rows:
            continue
        wanted = [shown[row][1] if name == "style" else getattr(shown[row][0], name) for row in rows]
        by_head[name] = agreement(np.array([classes.index(value) for value in wanted]), given[name][rows])
    attributes = [by_head[name] for name in VOCABULARY if name in by_head]
    by_head["attributes"] = {
        key: float(np.mean([each[key] for each in attributes])) for key in ("accuracy", "chance")
    }
    return by_head


def psnr(vae: Any, pixels: NDArray[np.uint8]) -> float:
    """Mean peak signal-to-noise ratio, in dB, of pictures (n, h, w, 3) encoded and decoded by the VAE."""
    values = []
    for start in range(0, len(pixels), 16):
        images = to_signed(pixels[start : start + 16])
        with torch.inference_mode():
            decoded = vae.decode(vae.encode(images).latent_dist.mean).sample.clamp(-1, 1)
        values.append(-10 * ((images - decoded) / 2).square().mean(dim=(1, 2, 3)).log10())
    return float(torch.cat(values).mean())


def zero_shot(
    judge: Any, pictures: list[Any], shown: list[tuple[Attributes, str]]
) -> dict[str, NDArray[np.int64]]:
    """The class whose plain caption is nearest to each of n PIL pictures, for every head: head => (n,).

    A caption names one attribute and the style; for the head "style", only the style. `judge` is a ClipJudge.
    """
    texts, places = plain_captions()
    scores = judge.pictures(pictures) @ judge.texts(texts).T
    style = np.array([styles.STYLES.index(name) for _, name in shown])
    return {
        name: np.take_along_axis(scores, place[style], axis=1).argmax(axis=1)
        for name, place in places.items()
    }
