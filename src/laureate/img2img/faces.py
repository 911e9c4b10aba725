"""Find the face in a photo, where scikit-image is installed (`pip install 'laureate[faces]'`).

Its wheel ships the detector's weights: a cascade of local binary patterns for upright faces seen from the
front (Viola & Jones 2001; Liao et al. 2007). What it does not see, `--box` can say.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[int, int, int, int]  # left, top, width, height in pixels
SIDE = 512  # pixels of the shorter side, to which a larger photo is reduced for the search
LEAST = 10  # a face has at least this fraction of the shorter side: 1/10
ROOM, ABOVE = 2.8, 0.9  # of the square's side and of what is above the face, in face widths


def available() -> bool:
    """Whether a detector is installed."""
    return find_spec("skimage") is not None


def find(picture: Image) -> Box | None:
    """The largest face in an RGB picture, or None if there is none."""
    import numpy as np
    from skimage import data, feature

    scale = max(1.0, min(picture.size) / SIDE)
    small = picture.resize((round(picture.width / scale), round(picture.height / scale)))
    cascade = feature.Cascade(data.lbp_frontal_face_cascade_filename())
    shorter = min(small.size)
    least = max(24, shorter // LEAST)  # the cascade was trained with 24 x 24 pixels
    if shorter < least:
        return None
    found = cascade.detect_multi_scale(
        img=np.asarray(small.convert("RGB")),
        scale_factor=1.2,
        step_ratio=1,
        min_size=(least, least),
        max_size=(shorter, shorter),
    )
    if not found:
        return None
    best = max(found, key=lambda each: (each["width"], -each["r"], -each["c"]))
    left, top, width, height = (round(best[key] * scale) for key in ("c", "r", "width", "height"))
    return left, top, width, height


def square_around(face: Box, size: tuple[int, int]) -> Box:
    """The square that shows a face with hair and shoulders, inside a picture of `size` (width, height)."""
    left, top, width, height = face
    side = min(round(ROOM * width), *size)
    x = round(left + width / 2 - side / 2)
    y = max(round(top - ABOVE * width), top + height - side)  # a face that fills the photo is shown whole
    return max(0, min(x, size[0] - side)), max(0, min(y, size[1] - side)), side, side
