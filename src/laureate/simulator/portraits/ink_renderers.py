"""Renderers with ink outlines: watercolour, comic, woodcut, and the laureates' style with gold leaf."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from laureate.simulator.portraits.attributes import Attributes
from laureate.simulator.portraits.canvas import Colour
from laureate.simulator.portraits.marks import Fill, Shade, Stroke
from laureate.simulator.portraits.palette import mix, tones
from laureate.simulator.portraits.renderers import Renderer
from laureate.simulator.portraits.textures import gold_leaf, halftone, hatching, pigment

INK: Colour = (18, 17, 19)


class Watercolour(Renderer):
    """Transparent washes with soft edges and uneven pigment over a thin drawing."""

    paper = (250, 247, 240)

    def fill(self, mark: Fill) -> None:
        wash = mix(self.palette[mark.role], (255, 255, 255), 0.12)
        self.canvas.fill(mark.points, wash, mark.role)
        self.canvas.outline(mark.points, 0.008 if mark.outline else 0.0, mix(wash, (60, 40, 60), 0.3))

    def stroke(self, mark: Stroke) -> None:
        colour = self.palette[mark.role]
        if mark.role == "fold":
            under = self.palette["cloth"] if mark.points[:, 1].mean() > 0.72 else self.palette["skin"]
            colour = mix(under, (40, 20, 50), 0.4)
        self.canvas.stroke(mark.points, mark.width, colour, mark.start, mark.end)

    def shade(self, mark: Shade) -> None:
        self.canvas.clipped(mark.points, mark.role, mix(self.palette[mark.role], (110, 80, 150), 0.3))

    def finish(self, image: Image.Image) -> Image.Image:
        width = image.size[0]
        soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.004 * width)), dtype=np.float32)
        figure = (
            1
            - np.asarray(self.canvas.mask(("paper", "eye", "shirt", "tooth")), dtype=np.float32)[:, :, None]
            / 255
        )
        uneven = pigment(image.size, int(self.rng.integers(6)))[:, :, None]
        lighter = (
            soft
            + (np.array(self.paper, dtype=np.float32) - soft) * np.clip(0.06 + 0.2 * uneven, 0, 0.4) * figure
        )
        halo = np.asarray(
            self.canvas.mask(("paper",)).filter(ImageFilter.GaussianBlur(0.05 * width)), dtype=np.float32
        )
        tint = np.array(
            [(206, 222, 232), (236, 220, 200), (214, 228, 208)][int(self.rng.integers(3))], dtype=np.float32
        )
        near = (1 - np.abs(halo / 255 - 0.45) * 2).clip(0, 1)[:, :, None] * (1 - figure) * 0.8
        return Image.fromarray(np.clip(lighter + (tint - lighter) * near, 0, 255).astype(np.uint8))


class Comic(Renderer):
    """Even black outlines, bright flat colour, halftone shadow."""

    grounds: tuple[Colour, ...] = ((252, 222, 96), (126, 200, 236), (250, 160, 150))

    def choose_paper(self) -> Colour:
        return self.grounds[int(self.rng.integers(len(self.grounds)))]

    def fill(self, mark: Fill) -> None:
        vivid = self.palette[mark.role]
        if mark.role in ("cloth", "hat"):
            vivid = tuple(min(255, int(v * 1.45 + 12)) for v in vivid)  # type: ignore[assignment]
        self.canvas.fill(mark.points, vivid, mark.role)
        self.canvas.outline(mark.points, min(mark.outline, 0.011), INK)

    def stroke(self, mark: Stroke) -> None:
        if mark.role == "shine":
            return
        black_hair = self.who.hair_colour == "black" and mark.role in ("strand", "beard strand")
        self.canvas.stroke(mark.points, mark.width * 0.9, (96, 110, 150) if black_hair else INK, 0.9, 0.9)

    def shade(self, mark: Shade) -> None:
        skin = self.palette[mark.role]
        dots = halftone(self.canvas.image.size, 0.032, 0.0105, mix(skin, (150, 30, 30), 0.5), skin)
        self.canvas.clipped(mark.points, mark.role, dots)


class Woodcut(Renderer):
    """Black block on toned paper, light cut out in parallel grooves."""

    paper = (232, 219, 192)

    def __init__(self, who: Attributes, rng: np.random.Generator, size: tuple[int, int]) -> None:
        super().__init__(who, rng, size)
        self.tone = tones(who)

    def choose_paper(self) -> Colour:
        return ((168, 70, 48), (52, 84, 96), (150, 128, 78))[int(self.rng.integers(3))]

    def fill(self, mark: Fill) -> None:
        tone = self.tone[mark.role]
        self.canvas.fill(mark.points, INK if tone < 0.2 else self.paper, mark.role)
        if 0.2 <= tone < 0.9 and mark.role != "lip":
            step = 0.038
            lines = hatching(self.canvas.image.size, step, step * (1 - tone), INK, self.paper, 0.6)
            self.canvas.clipped(mark.points, mark.role, lines)
        self.canvas.outline(mark.points, mark.outline * 1.25, INK, 0.2)

    def stroke(self, mark: Stroke) -> None:
        on_black = mark.role in ("strand", "beard strand") and self.tone["hair"] < 0.2
        self.canvas.stroke(mark.points, mark.width * 1.2, self.paper if on_black else INK, 0.2, 0.2)

    def shade(self, mark: Shade) -> None:
        lines = hatching(self.canvas.image.size, 0.045, 0.013, INK, self.paper, 0.0001)
        self.canvas.clipped(mark.points, mark.role, lines)


class Laureate(Renderer):
    """The style to learn: off-white paper, a black brush of varying width, gold leaf on the shadow side."""

    paper = (241, 236, 225)
    blank: Colour = (253, 251, 245)

    def __init__(self, who: Attributes, rng: np.random.Generator, size: tuple[int, int]) -> None:
        super().__init__(who, rng, size)
        self.gold = gold_leaf(self.canvas.image.size)
        self.dark_hair = who.hair_colour in ("black", "brown")

    def fill(self, mark: Fill) -> None:
        role = mark.role
        if role in ("hair", "beard"):
            self._hair(mark)
        elif role in ("tie", "iris", "mouth", "band"):
            self.canvas.fill(mark.points, INK, role)
        else:
            self.canvas.fill(mark.points, self.blank, role)
            if role in ("pearl", "lip"):
                self.canvas.clipped(mark.points, role, self.gold)
        self.canvas.outline(mark.points, mark.outline * 1.12, INK, 0.38, float(self.rng.uniform(0, 6.28)))

    def _hair(self, mark: Fill) -> None:
        colour = self.who.hair_colour
        self.canvas.fill(mark.points, INK if self.dark_hair else self.blank, mark.role)
        if colour in ("blond", "red"):
            self.canvas.clipped(mark.points, mark.role, self.gold)
        if colour == "brown":
            lines = hatching(self.canvas.image.size, 0.03, 0.006, (190, 142, 44), INK, 0.35)
            self.canvas.clipped(mark.points, mark.role, lines)

    def stroke(self, mark: Stroke) -> None:
        if mark.role == "shine":
            return
        width, colour = mark.width * 1.12, INK
        if mark.role in ("strand", "beard strand") and self.dark_hair:
            colour = self.blank if self.who.hair_colour == "black" else (222, 178, 84)
        elif mark.role in ("strand", "beard strand") and self.who.hair_colour == "red":
            width *= 1.9
        elif mark.role in ("brow", "mouth", "lid"):
            width *= 1.08
        self.canvas.stroke(mark.points, width, colour, min(mark.start, 0.45), min(mark.end, 0.25))

    def shade(self, mark: Shade) -> None:
        self.canvas.clipped(mark.points, mark.role, self.gold)
        for line in mark.hatch:
            self.canvas.stroke(line, 0.0115, INK, 0.9, 0.12)
