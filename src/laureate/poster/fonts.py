"""Fonts of a poster: files, the characters that they have, and shaped text measured and drawn.

Pillow draws with FreeType and lays out with Raqm (HarfBuzz and FriBidi): Arabic is joined, Hebrew runs from
right to left, marks sit where the font wants them. Pillow is here already and its wheels carry all of this,
which neither typst nor skia can say. Which characters a font lacks is no question for Pillow, which draws a
box for them; fontTools reads the font's own table (cmap).
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

# no glyph is needed for these: joiners, directional marks and isolates, word joiner, variation selectors
INVISIBLE = frozenset(
    map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), *range(0xFE00, 0xFE10)))
)
Extent = tuple[int, int, int, int]  # left, top, right, bottom of the ink, relative to the baseline's middle


@dataclass(frozen=True)
class Font:
    """A font file. Raises LaureateError, when it is first used, if it cannot be read."""

    path: Path
    _sizes: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def characters(self) -> frozenset[int]:
        """The code points that the font has a glyph for."""
        from fontTools.ttLib import TTFont, TTLibError

        try:
            # of bytes: fontTools leaves a file open that is no font
            with TTFont(io.BytesIO(self.path.read_bytes()), fontNumber=0, lazy=True) as font:
                return frozenset(font.getBestCmap() or ())
        except (OSError, TTLibError, KeyError, AssertionError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise LaureateError(f"the font {self.path} cannot be read: {why}") from None

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return sha256_file(self.path)

    def missing(self, text: str) -> list[str]:
        """The characters of `text` that the font has no glyph for, each once, in order."""
        return [
            letter
            for letter in dict.fromkeys(text)
            if letter not in INVISIBLE and ord(letter) not in self.characters
        ]

    def at(self, size: int) -> Any:
        """Pillow's font with `size` pixels to the em, laid out by Raqm."""
        from PIL import ImageFont, features

        if size not in self._sizes:
            if not features.check("raqm"):
                raise LaureateError(
                    "this Pillow has no Raqm, without which Arabic and Hebrew are not shaped: install a "
                    "wheel of Pillow (`pip install --force-reinstall pillow`)"
                )
            try:
                self._sizes[size] = ImageFont.truetype(
                    str(self.path), size, layout_engine=ImageFont.Layout.RAQM
                )
            except OSError as error:
                raise LaureateError(f"the font {self.path} cannot be read: {error}") from None
        return self._sizes[size]

    def extent(self, line: str, size: int, direction: str) -> Extent:
        """The box of a line's ink in pixels, relative to the middle of its baseline."""
        left, top, right, bottom = self.at(size).getbbox(line, anchor="ms", direction=direction)
        return int(left), int(top), int(right), int(bottom)

    def draw(
        self, canvas: ImageDraw, at: tuple[int, int], line: str, size: int, direction: str, colour: str
    ) -> None:
        """Draw a line whose baseline's middle is at `at` (x, y)."""
        canvas.text(at, line, fill=colour, font=self.at(size), anchor="ms", direction=direction)


def shipped(name: str) -> Path:
    """A font that matplotlib brings. Raises LaureateError if it is not there."""
    spec = find_spec("matplotlib")
    folder = Path(str(spec.origin)).parent if spec and spec.origin else Path()
    path = folder / "mpl-data" / "fonts" / "ttf" / name
    if not path.is_file():
        raise LaureateError(f"there is no font {name}: it should have come with matplotlib")
    return path


def choose(text: str, fonts: Sequence[Font], what: str) -> Font:
    """The first font that has every character of `text`.

    Raises LaureateError naming the characters that the one with the fewest missing lacks.
    """
    fewest: list[str] | None = None
    for font in fonts:
        missing = font.missing(text)
        if not missing:
            return font
        if fewest is None or len(missing) < len(fewest):
            fewest = missing
    raise LaureateError(
        f"no font has all characters of the {what}: {named(fewest or [])} {_is(fewest)} missing; name a font "
        "that has them with --font"
    )


def _is(letters: Sequence[str] | None) -> str:
    return "is" if letters and len(letters) == 1 else "are"


def named(letters: Iterable[str], most: int = 5) -> str:
    """Characters for a message: `中 (U+4E2D), 文 (U+6587) and 3 more`."""
    letters = list(letters)
    words = [f"{_shown(letter)}(U+{ord(letter):04X})" for letter in letters[:most]]
    more = f" and {len(letters) - most} more" if len(letters) > most else ""
    return ", ".join(words) + more


def _shown(letter: str) -> str:
    """The character and a space, or nothing where it would not be seen or not be printed."""
    return f"{letter} " if unicodedata.category(letter)[0] in "LNPS" else ""


def direction(text: str) -> str:
    """`rtl` or `ltr`: of the first character that has a direction (rules P2 and P3 of UAX 9)."""
    for letter in text:
        kind = unicodedata.bidirectional(letter)
        if kind in ("R", "AL"):
            return "rtl"
        if kind == "L":
            return "ltr"
    return "ltr"
