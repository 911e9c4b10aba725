"""Abstract pictures of strokes, shapes and gradients in all colours, to train the VAE on.

A VAE that is trained only on portraits in the base's styles reconstructs a new style with the lines and
colours of the old ones. These pictures vary more than any style, so that a LoRA's new style can be decoded.
"""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_SCALE = 3  # drawn larger and reduced, for smooth edges


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    kind = rng.random()
    if kind < 0.2:  # blacks, greys and off-whites
        level = rng.choice([rng.uniform(0, 40), rng.uniform(60, 200), rng.uniform(225, 255)])
        tint = rng.uniform(-9, 9, 3)
        return tuple(int(np.clip(level + t, 0, 255)) for t in tint)  # type: ignore[return-value]
    if kind < 0.35:  # ochres, browns, skin
        hue, saturation, value = rng.uniform(0.03, 0.15), rng.uniform(0.2, 0.95), rng.uniform(0.25, 1)
    else:
        hue, saturation, value = rng.random(), rng.uniform(0.1, 1), rng.uniform(0.15, 1)
    return tuple(int(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))  # type: ignore[return-value]


def _curve(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """(24, 2) points along a cubic Bézier curve."""
    corners = rng.uniform(-0.2, 1.2, (1, 2)) * size + rng.normal(0, 0.35 * size, (4, 2))
    t = np.linspace(0, 1, 24)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    return np.asarray(weights @ corners)


def _stroke(
    pen: ImageDraw.ImageDraw, rng: np.random.Generator, size: int, colour: tuple[int, int, int]
) -> None:
    """A brush line whose width swells and tapers."""
    points = _curve(rng, size)
    width = np.exp(rng.uniform(np.log(0.5), np.log(5.0))) * _SCALE
    swell = np.sin(np.linspace(rng.uniform(0, 0.8), np.pi - rng.uniform(0, 0.8), len(points))) * 0.7 + 0.3
    normal = np.gradient(points, axis=0)[:, ::-1] * (-1, 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-6
    half = normal * (0.5 * width * swell)[:, None]
    outline = np.vstack([points + half, (points - half)[::-1]])
    pen.polygon([tuple(point) for point in outline], fill=colour)


def _shape(
    pen: ImageDraw.ImageDraw, rng: np.random.Generator, size: int, colour: tuple[int, int, int]
) -> None:
    centre, radius = rng.uniform(0, size, 2), np.exp(rng.uniform(np.log(0.03), np.log(0.6))) * size
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
    line = _colour(rng) if rng.random() < 0.4 else None
    width = int(rng.integers(1, 4)) * _SCALE // 2 + 1
    if rng.random() < 0.4:
        other = radius * rng.uniform(0.5, 1.5)
        box = (centre[0] - radius, centre[1] - other, centre[0] + radius, centre[1] + other)
        pen.ellipse(box, fill=colour, outline=line, width=width)
    else:
        spokes = radius * rng.uniform(0.5, 1.2, len(angles))
        points = centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * spokes[:, None]
        pen.polygon([tuple(point) for point in points], fill=colour, outline=line, width=width)


def _hatching(
    pen: ImageDraw.ImageDraw, rng: np.random.Generator, size: int, colour: tuple[int, int, int]
) -> None:
    centre, angle = rng.uniform(0, size, 2), rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    step, length = rng.uniform(2, 8) * _SCALE, rng.uniform(0.1, 0.5) * size
    width = int(rng.uniform(0.6, 3) * _SCALE)
    for i in range(int(rng.integers(3, 12))):
        start = centre + across * (i * step) + rng.normal(0, 2, 2)
        pen.line([*start, *(start + along * length)], fill=colour, width=max(width, 1))


def picture(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """One picture of strokes, shapes and hatching: (size, size, 3) uint8, RGB."""
    big = size * _SCALE
    ground = np.array(_colour(rng), float)
    if rng.random() < 0.4:  # a gradient
        direction = rng.normal(0, 1, 2)
        ramp = np.add.outer(np.linspace(-1, 1, big) * direction[0], np.linspace(-1, 1, big) * direction[1])
        mix = np.clip(0.5 + 0.5 * ramp, 0, 1)[..., None]
        plate = (1 - mix) * ground + mix * np.array(_colour(rng), float)
        image = Image.fromarray(plate.astype(np.uint8))
    else:
        image = Image.new("RGB", (big, big), tuple(int(part) for part in ground))
    pen = ImageDraw.Draw(image)
    palette = [_colour(rng) for _ in range(int(rng.integers(2, 6)))]
    tools = (_stroke, _shape, _hatching)
    for tool in rng.choice(3, int(rng.integers(4, 16)), p=(0.5, 0.35, 0.15)):
        tools[tool](pen, rng, big, palette[int(rng.integers(len(palette)))])
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))
