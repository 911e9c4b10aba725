"""Recognise blank pictures: of one colour, or black, as overflowing numbers leave them."""

from PIL.Image import Image

LEVELS = 2  # of 255: the spread that JPEG or rounding may leave in a channel of one colour
BLACK = 8  # of 255: what no pixel of a black picture exceeds


def blankness(picture: Image) -> str | None:
    """Why an RGB picture (8 bits) is blank: "is black" or "has one colour only"; None when it is not.

    Black: no channel of any pixel exceeds `BLACK`. One colour: in every channel, the largest and the smallest
    value differ by at most `LEVELS`.
    """
    extrema = [(int(low), int(high)) for low, high in picture.getextrema()]  # type: ignore[misc]
    if max(high for _, high in extrema) <= BLACK:
        return "is black"
    return "has one colour only" if all(high - low <= LEVELS for low, high in extrema) else None


def is_blank(picture: Image) -> bool:
    """Whether nothing was drawn on an RGB picture; see `blankness`."""
    return blankness(picture) is not None
