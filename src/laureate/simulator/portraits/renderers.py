"""Renderers turn the marks of a figure into pixels: base class, photograph, poster, pencil."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from laureate.simulator.portraits.attributes import Attributes
from laureate.simulator.portraits.canvas import Canvas, Colour
from laureate.simulator.portraits.marks import Fill, Mark, Shade, Stroke
from laureate.simulator.portraits.palette import BACKGROUND, Palette, colours, grey, mix, tones
from laureate.simulator.portraits.textures import hatching


class Renderer:
    """Base class: flat colours without outlines; a style overrides what it does differently."""

    paper: Colour = (255, 255, 255)

    def __init__(self, who: Attributes, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.who, self.rng = who, rng
        self.palette: Palette = colours(who, rng)
        self.canvas = Canvas(size, self.choose_paper())

    def choose_paper(self) -> Colour:
        return self.paper

    def background(self) -> None:
        """Draw the background."""

    def draw(self, marks: list[Mark]) -> Image.Image:
        """Draw all marks in order: an RGB picture of the given size."""
        self.background()
        for mark in marks:
            if isinstance(mark, Fill):
                self.fill(mark)
            elif isinstance(mark, Stroke):
                self.stroke(mark)
            else:
                self.shade(mark)
        return self.finish(self.canvas.finished())

    def fill(self, mark: Fill) -> None:
        self.canvas.fill(mark.points, self.palette[mark.role], mark.role)

    def stroke(self, mark: Stroke) -> None:
        self.canvas.stroke(mark.points, mark.width, self.palette[mark.role], mark.start, mark.end)

    def shade(self, mark: Shade) -> None:
        self.canvas.clipped(mark.points, mark.role, mix(self.palette[mark.role], (40, 20, 30), 0.28))

    def finish(self, image: Image.Image) -> Image.Image:
        return image

    def grain(self, image: Image.Image, amount: float) -> Image.Image:
        """Grey noise with standard deviation `amount` levels."""
        a = np.asarray(image, dtype=np.int16)
        noise = self.rng.integers(-int(1.7 * amount), int(1.7 * amount) + 1, a.shape[:2], dtype=np.int16)
        return Image.fromarray(np.clip(a + noise[:, :, None], 0, 255).astype(np.uint8))


class Photograph(Renderer):
    """Studio light: soft shadows, a graded background, no outlines, a little grain."""

    def choose_paper(self) -> Colour:
        self.backdrop = BACKGROUND[int(self.rng.integers(len(BACKGROUND)))]
        return self.backdrop

    def fill(self, mark: Fill) -> None:
        super().fill(mark)
        edge = mix(self.palette[mark.role], (10, 8, 12), 0.35)
        self.canvas.outline(mark.points, mark.outline * 0.45, edge)

    def stroke(self, mark: Stroke) -> None:
        colour = self.palette[mark.role]
        if mark.role == "fold":
            colour = mix(self.palette["cloth"], (0, 0, 0), 0.4)
            if mark.points[:, 1].mean() < 0.72:
                colour = mix(self.palette["skin"], (60, 20, 20), 0.45)
        self.canvas.stroke(mark.points, mark.width, colour, mark.start, mark.end)

    def finish(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        soft = image.filter(ImageFilter.GaussianBlur(0.0055 * width))
        y, x = np.mgrid[0:height, 0:width].astype(np.float32) / width
        side = -1.0 if self.who.light == "left" else 1.0
        light = 1.0 + 0.26 * side * (x - 0.5) - 0.12 * (y - 0.45)
        glow = 1.0 - 0.5 * np.clip(np.hypot(x - 0.5 - 0.25 * side, y - 0.4) - 0.25, 0, 1)
        figure = np.asarray(self.canvas.mask(("paper",)), dtype=np.float32)[:, :, None] / 255
        a = np.asarray(soft, dtype=np.float32)
        a = a * (light[:, :, None] * (1 - figure) + glow[:, :, None] * 1.08 * figure)
        return self.grain(Image.fromarray(np.clip(a, 0, 255).astype(np.uint8)), 3.0)


class Poster(Renderer):
    """Flat saturated shapes, no outlines, one hard shadow, a sun behind the head."""

    grounds: tuple[tuple[Colour, Colour], ...] = (
        ((238, 132, 74), (250, 204, 122)),
        ((66, 150, 160), (150, 208, 204)),
        ((214, 92, 108), (244, 176, 170)),
    )

    def choose_paper(self) -> Colour:
        self.ground = self.grounds[int(self.rng.integers(len(self.grounds)))]
        return self.ground[0]

    def background(self) -> None:
        self.canvas.disc((0.5, 0.46), 0.42, self.ground[1])

    def stroke(self, mark: Stroke) -> None:
        if mark.role in ("strand", "beard strand", "shine"):
            return
        colour = self.palette[mark.role]
        if mark.role == "fold":
            under = self.palette["cloth"] if mark.points[:, 1].mean() > 0.72 else self.palette["skin"]
            colour = mix(under, (30, 10, 30), 0.4)
        self.canvas.stroke(mark.points, mark.width * 1.15, colour, 0.8, 0.8)


class Pencil(Renderer):
    """Thin grey lines and parallel hatching on white paper."""

    paper = (250, 249, 246)

    def __init__(self, who: Attributes, rng: np.random.Generator, size: tuple[int, int]) -> None:
        super().__init__(who, rng, size)
        self.tone = tones(who)

    def fill(self, mark: Fill) -> None:
        tone = self.tone[mark.role]
        self.canvas.fill(mark.points, grey(0.28 + 0.72 * tone, (40, 40, 44), self.paper), mark.role)
        self.canvas.outline(mark.points, 0.0075 if mark.outline else 0.0, (70, 70, 74))

    def stroke(self, mark: Stroke) -> None:
        light = mark.role in ("strand", "beard strand") and self.tone["hair"] < 0.2
        colour = (168, 168, 170) if light else (62, 62, 66)
        heavy = mark.role in ("brow", "lid", "mouth", "frame")
        self.canvas.stroke(mark.points, mark.width * (0.95 if heavy else 0.7), colour, mark.start, mark.end)

    def shade(self, mark: Shade) -> None:
        lines = hatching(self.canvas.image.size, 0.034, 0.0105, (140, 140, 144), self.paper)
        self.canvas.clipped(mark.points, mark.role, lines)

    def finish(self, image: Image.Image) -> Image.Image:
        return self.grain(image, 3.0)
