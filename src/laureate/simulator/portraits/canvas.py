"""Supersampled canvas with a map of the material of every pixel, to which shadows are clipped."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from laureate.simulator.portraits.geometry import Points, pressure, ribbon, ring

Colour = tuple[int, int, int]


class Canvas:
    """`size` (width, height) in pixels of the finished picture; drawn `factor` times larger, then reduced.

    Points are in widths of the picture. Every fill also writes its role into a label map of the same size.
    """

    def __init__(self, size: tuple[int, int], paper: Colour, factor: int | None = None) -> None:
        self.size = size
        self.factor = factor or (4 if size[0] <= 192 else 2)
        self.unit = size[0] * self.factor
        large = (size[0] * self.factor, size[1] * self.factor)
        self.image = Image.new("RGB", large, paper)
        self.labels = Image.new("L", large, 0)
        self._roles: dict[str, int] = {"paper": 0}
        self._draw = ImageDraw.Draw(self.image)
        self._label = ImageDraw.Draw(self.labels)

    def _flat(self, points: Points) -> list[float]:
        return (points * self.unit).ravel().tolist()

    def role(self, name: str) -> int:
        """Number of a material in the label map."""
        return self._roles.setdefault(name, len(self._roles))

    def fill(self, points: Points, colour: Colour, role: str) -> None:
        """Fill a closed shape and mark its pixels as `role`."""
        flat = self._flat(points)
        self._draw.polygon(flat, fill=colour)
        self._label.polygon(flat, fill=self.role(role))

    def outline(
        self, points: Points, width: float, colour: Colour, swing: float = 0.0, phase: float = 0.0
    ) -> None:
        """Brush around a closed shape; the width swings by `swing` (relative) along the way."""
        if width <= 0:
            return
        t = np.linspace(0, 2 * np.pi, len(points), endpoint=False)
        widths = width * (1 + swing * np.sin(t + phase) + 0.4 * swing * np.sin(3 * t + 2 * phase))
        flat = self._flat(ring(points, widths))
        self._draw.polygon(flat, fill=colour)
        self._label.polygon(flat, fill=self.role("line"))  # so that no shadow is painted over the line

    def stroke(
        self, points: Points, width: float, colour: Colour, start: float = 0.3, end: float = 0.3
    ) -> None:
        """A tapered brush stroke."""
        widths = width * pressure(len(points), start, end)
        self._draw.polygon(self._flat(ribbon(points, np.maximum(widths, 0.5 / self.unit))), fill=colour)

    def disc(self, centre: tuple[float, float], radius: float, colour: Colour) -> None:
        x, y, r = centre[0] * self.unit, centre[1] * self.unit, radius * self.unit
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def clipped(self, points: Points, role: str, paint: Colour | Image.Image) -> None:
        """Paint a shape only where `role` shows; `paint` is a colour or a picture as large as the canvas."""
        low = np.floor(points.min(axis=0) * self.unit).astype(int)
        high = np.ceil(points.max(axis=0) * self.unit).astype(int) + 1
        box = (
            max(0, int(low[0])),
            max(0, int(low[1])),
            min(self.image.width, int(high[0])),
            min(self.image.height, int(high[1])),
        )
        if box[0] >= box[2] or box[1] >= box[3]:
            return
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]), 0)
        ImageDraw.Draw(mask).polygon((points * self.unit - box[:2]).ravel().tolist(), fill=255)
        mask = ImageChops.darker(mask, self._where(role, box))
        self.image.paste(paint.crop(box) if isinstance(paint, Image.Image) else paint, box, mask)

    def everywhere(self, role: str, paint: Image.Image) -> None:
        """Paint a picture of the canvas's large size wherever `role` shows."""
        self.image.paste(paint, (0, 0), self._where(role, (0, 0, *self.image.size)))

    def _where(self, role: str, box: tuple[int, int, int, int]) -> Image.Image:
        number = self.role(role)
        return self.labels.crop(box).point([255 if k == number else 0 for k in range(256)])

    def mask(self, roles: tuple[str, ...]) -> Image.Image:
        """Coverage of some roles at the finished size, mode L."""
        numbers = {self.role(name) for name in roles}
        return self.labels.point([255 if k in numbers else 0 for k in range(256)]).reduce(self.factor)

    def finished(self) -> Image.Image:
        """The anti-aliased picture at its size."""
        return self.image.reduce(self.factor)
