"""From a photo's bytes to the square picture that a portrait starts from.

Nothing here touches a file or keeps a photo; a photo is named by the SHA-256 of its bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from laureate.core.errors import LaureateError
from laureate.imaging import paper
from laureate.imaging.image_io import PictureError, decode_still, resized, square
from laureate.img2img import faces

if TYPE_CHECKING:
    from PIL.Image import Image

    from laureate.config.params import Prepare

Background = Literal["paper", "keep"]
Start = Literal["ink", "photo"]  # the photo in tones of an ink drawing, or as it is
Box = tuple[int, int, int, int]  # left, top, width, height in pixels of the upright photo


@dataclass(frozen=True)
class Photo:
    """A photo, ready to be drawn from."""

    sha256: str  # of the bytes, 64 hexadecimal digits
    picture: Image  # RGB, square, as large as the portrait
    start: Image  # the same with the ground, and in the tones, that the portrait starts from
    ground: str  # what became of the ground, in words
    square: str = "the whole photo"  # which part of the photo it is, in words
    tones: Start = "photo"


def read_box(text: str) -> Box:
    """`x,y,w,h` => a box. Raises LaureateError for anything but four whole numbers with w, h > 0."""
    try:
        left, top, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise LaureateError(f"--box is {text!r}: give x,y,w,h in pixels, such as 40,0,300,300") from None
    if width <= 0 or height <= 0:
        raise LaureateError(f"--box is {text!r}: width and height must be more than 0")
    return left, top, width, height


def load(
    data: bytes,
    prepare: Prepare,
    side: int,
    megapixels: float,
    sheet: paper.Colour,
    *,
    background: Background = "paper",
    mask: bytes | None = None,
    box: Box | None = None,
    find_face: bool = True,
    ink: bool = False,
    name: str = "the photo",
) -> Photo:
    """Decode a photo, cut it to a square, bring it to `side` x `side` pixels and put the person on paper.

    The square is the largest in `box`; else the one around the face, if `find_face` and a detector is
    installed and finds one; else the largest in the photo, cut as `prepare` cuts portraits. With `mask`
    (a picture of the photo's size, white where the person is) the person is laid onto paper of the colour
    `sheet`; else the ground is found from the edges. With `ink` the start is put into the tones of an ink
    drawing. Raises LaureateError, one sentence that begins with
    `name`: no picture, an animation, too large, too small, a box that is not inside, a mask of another size.
    """
    whole = _decoded(data, megapixels, name)
    seen = None if mask is None else _mask(mask, megapixels, whole, name)
    area, part = _area(whole, box, find_face, side // 2, name)
    whole, seen = whole.crop(area), seen and seen.crop(area)
    if min(whole.size) < side // 2:
        raise LaureateError(
            f"{'the box' if box else name} is too small: {whole.width} x {whole.height} pixels, and a "
            f"portrait of {side} needs at least {side // 2} on each side"
        )
    picture = resized(square(whole, prepare.head), side, prepare.filter)
    digest = hashlib.sha256(data).hexdigest()
    if seen is not None and background == "paper":
        mine = resized(square(seen, prepare.head), side, prepare.filter)
        start, said = paper.on_paper(picture, mine, sheet), "made paper by the mask"
    elif background == "keep":
        start, said = picture, "kept"
    else:
        start, share, taken = paper.without_ground(picture, sheet)
        said = f"{share:.0%} of the picture made paper"
        if not taken:
            kind = "little" if share < paper.LEAST else "much"
            said = (
                f"kept: the fill from the edges took {share:.0%}, too {kind} for a ground; a mask would help"
            )
    if ink:
        return Photo(digest, picture, paper.inked(start, sheet), said, part, "ink")
    return Photo(digest, picture, start, said, part)


def _area(
    whole: Image, box: Box | None, find_face: bool, least: int, name: str
) -> tuple[tuple[int, int, int, int], str]:
    """The part of a photo that is drawn (left, top, right, bottom), and what it is, in words.

    A face so small that the square around it has less than `least` pixels is none.
    """
    part = "the box"
    if box is None:
        part, box = "the whole photo", (0, 0, *whole.size)
        face = faces.find(whole) if find_face and faces.available() else None
        around = None if face is None else faces.square_around(face, whole.size)
        if around is not None and around[2] >= least:
            part, box = "around the face", around
    left, top, width, height = box
    if left < 0 or top < 0 or left + width > whole.width or top + height > whole.height:
        raise LaureateError(
            f"--box {','.join(map(str, box))} is not inside {name}, which has {whole.width} x "
            f"{whole.height} pixels"
        )
    return (left, top, left + width, top + height), part


def _decoded(data: bytes, megapixels: float, name: str) -> Image:
    try:
        return decode_still(data, megapixels)
    except PictureError as error:
        raise LaureateError(f"{name} cannot be used: {error}") from None


def _mask(data: bytes, megapixels: float, photo: Image, name: str) -> Image:
    """The mask in mode L. Raises LaureateError if it has another size than the upright photo."""
    mask = _decoded(data, megapixels, "the mask").convert("L")
    if mask.size != photo.size:
        raise LaureateError(
            f"the mask has {mask.width} x {mask.height} pixels, {name} {photo.width} x {photo.height}: they "
            "must be of one size"
        )
    return mask
