"""Contact sheets: pictures with captions in one picture.

Pictures are enlarged with a Lanczos filter, and text is drawn at the resolution of the sheet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, GOLD, GREY, RULE = "#faf7f0", "#16130f", "#a5811a", "#6b645a", "#ddd6c7"
GAP, MARGIN = 24, 56


def enlarge(picture: Image.Image, width: int) -> Image.Image:
    """RGB => RGB of that width, same aspect ratio, Lanczos."""
    height = round(picture.height * width / picture.width)
    return picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


def prompt_grid(
    cells: Sequence[tuple[str, Sequence[Image.Image]]],
    title: str,
    note: str,
    labels: Sequence[str] = ("",),
    columns: int = 3,
    tile: int = 384,
) -> Image.Image:
    """Captioned cells in rows of `columns`; each cell has one picture per label, side by side.

    One label of "" for a plain grid; ("Baseline", "Rank 16") for pairs. `tile`: width of a picture in pixels.
    => RGB
    """
    width = len(labels) * tile + (len(labels) - 1) * 4
    captions = [_wrap(caption, font(27), width - 8) for caption, _ in cells]
    lines = max(len(c) for c in captions)
    head = 40 if any(labels) else 0
    cell = head + tile + 18 + lines * 34 + 30
    rows = -(-len(cells) // columns)
    top = _title_height(note)
    size = 2 * MARGIN + columns * width + (columns - 1) * GAP, top + rows * cell + MARGIN - 30
    sheet, draw = _paper(size, title, note)
    for index, ((_, pictures), caption) in enumerate(zip(cells, captions, strict=True)):
        x = MARGIN + index % columns * (width + GAP)
        y = top + index // columns * cell
        for place, (label, picture) in enumerate(zip(labels, pictures, strict=True)):
            at = x + place * (tile + 4)
            draw.text((at, y + 2), label, GOLD if place else GREY, font(27, "Bold" if place else ""))
            sheet.paste(enlarge(picture, tile), (at, y + head))
        for line, text in enumerate(caption):
            draw.text((x, y + head + tile + 12 + 34 * line), text, INK, font(27))
    return sheet


def matrix(
    rows: Sequence[tuple[str, Sequence[Image.Image]]],
    columns: Sequence[str],
    title: str,
    note: str,
    highlighted: str = "",
    tile: int = 256,
) -> Image.Image:
    """One row of pictures per caption, one column per name; the name `highlighted` is gold. => RGB"""
    side, gap = 330, 6
    top = _title_height(note)
    size = 2 * MARGIN + side + len(columns) * (tile + gap), top + 48 + len(rows) * (tile + gap) + MARGIN
    sheet, draw = _paper(size, title, note)
    for column, name in enumerate(columns):
        x = MARGIN + side + column * (tile + gap)
        chosen = name == highlighted
        draw.text((x, top), name, GOLD if chosen else INK, font(30, "Bold" if chosen else ""))
    for row, (caption, pictures) in enumerate(rows):
        y = top + 48 + row * (tile + gap)
        lines = _wrap(caption, font(26), side - 28)
        draw.line((MARGIN, y - gap // 2, size[0] - MARGIN - gap, y - gap // 2), RULE)
        for line, text in enumerate(lines):
            draw.text((MARGIN, y + (tile - 33 * len(lines)) // 2 + 33 * line), text, INK, font(26))
        for column, picture in enumerate(pictures):
            sheet.paste(enlarge(picture, tile), (MARGIN + side + column * (tile + gap), y))
    return sheet


def placeholder(reason: str, side: int = 256) -> Image.Image:
    """A square in place of a missing picture, with the first sentence of the reason. => RGB"""
    reason = re.sub(r"(\S{18})(?=\S)", r"\1 ", reason.split(". ")[0])  # no word wider than the tile
    tile = Image.new("RGB", (side, side), "#eee8da")
    draw, face = ImageDraw.Draw(tile), font(round(side / 11), "Italic")
    lines = _wrap(reason, face, side - side // 8)[:6]
    height = round(side / 9)
    for number, line in enumerate(lines):
        y = (side - height * len(lines)) // 2 + height * number
        draw.text(((side - face.getlength(line)) / 2, y), line, GREY, face)
    return tile


@cache
def font(size: int, style: str = "") -> ImageFont.FreeTypeFont:
    """A serif font that is part of matplotlib; `style` is "", "Bold" or "Italic"."""
    import matplotlib

    name = {"": "STIXGeneral", "Bold": "STIXGeneralBol", "Italic": "STIXGeneralItalic"}[style]
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), size)


def _paper(size: tuple[int, int], title: str, note: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty sheet with its heading."""
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, 0, size[0], 7), INK)
    draw.rectangle((0, 8, size[0], 11), "#c9a227")
    draw.text((MARGIN, 44), title, INK, font(52))
    if note:
        draw.text((MARGIN, 112), note, GREY, font(29, "Italic"))
    return sheet, draw


def _title_height(note: str) -> int:
    return 184 if note else 132


def _wrap(text: str, face: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Words in lines that are at most `width` pixels wide."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and face.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
