"""Decode image bytes to RGB, crop to a square, resize. Values in, values out: no file is read or written.

Bytes that cannot be used raise `PictureError`; its text is the reason that `left_out.jsonl` gives.
"""

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "GIF": "gif"}  # format => file suffix
FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
MEGAPIXELS = 50.0


class PictureError(ValueError):
    """The bytes cannot be used as a picture; the text says why."""


@dataclass(frozen=True)
class ImageInfo:
    """Properties of encoded image bytes: Pillow's format and mode, (width, height) in pixels, frames."""

    format: str
    size: tuple[int, int]
    mode: str
    frames: int


def identify(data: bytes, megapixels: float = MEGAPIXELS) -> ImageInfo:
    """The properties of image bytes, which are decoded fully to be sure that they can be.

    Raises PictureError for anything that is no picture of the known `FORMATS`, is larger than `megapixels`,
    or ends too early.
    """
    with _open(data, megapixels) as image:
        info = ImageInfo(str(image.format), image.size, image.mode, getattr(image, "n_frames", 1))
        _load(image)
    return info


def decode(data: bytes, megapixels: float = MEGAPIXELS) -> Image.Image:
    """The picture as RGB, uint8, in sRGB, upright, on white.

    EXIF orientation is applied, alpha laid on white; ICC profiles, CMYK and 16 bit are converted.
    Raises PictureError as `identify` does, and for an animation.
    """
    with _open(data, megapixels) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise PictureError(f"it is an animation of {getattr(image, 'n_frames', 1)} frames")
        _load(image)
        profile = image.info.get("icc_profile")
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I") or image.mode == "F":
            image = _eight_bit(image)
        if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image).convert("RGB")
        elif image.mode not in ("RGB", "L", "CMYK"):
            image = image.convert("RGB")
        if profile:
            image = _to_srgb(image, profile)
        return image.convert("RGB")


def is_upright(data: bytes) -> bool:
    """Whether a picture has no EXIF orientation, or the one that changes nothing."""
    with _open(data, float("inf")) as image:
        return image.getexif().get(ExifTags.Base.Orientation, 1) == 1


def square(picture: Image.Image, head: float = 0.0) -> Image.Image:
    """The largest square; in a tall picture it starts at the share `head` (0..1) of the spare height, 0: top.

    Portraits are 2:3 with the head in the upper part; a wide picture is cut in the middle.
    """
    width, height = picture.size
    side = min(width, height)
    left = (width - side) // 2
    top = round((height - side) * head)
    return picture.crop((left, top, left + side, top + side))


def resized(picture: Image.Image, resolution: int, by: str = "lanczos") -> Image.Image:
    """Resize a square picture to `resolution` x `resolution` pixels; `by` names one of `FILTERS`."""
    return picture.resize((resolution, resolution), FILTERS[by])


def _open(data: bytes, megapixels: float) -> Image.Image:
    """Read the header only, and check the size before anything is decoded."""
    if not data:
        raise PictureError("it is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit follows
            image = Image.open(io.BytesIO(data), formats=list(FORMATS))
    except Image.DecompressionBombError as error:
        raise PictureError(f"it is too large: {error}") from None
    except UnidentifiedImageError:
        start = data[:200].lstrip().lower()
        what = "a web page" if start.startswith((b"<!doctype", b"<html")) else "no picture of a known format"
        raise PictureError(f"it is {what} (known: {', '.join(FORMATS)})") from None
    except Exception as error:  # noqa: BLE001  # Pillow's readers raise anything on broken headers
        raise PictureError(f"its header cannot be read: {error}") from None
    width, height = image.size
    if width * height > megapixels * 1e6:
        raise PictureError(f"it has {width} x {height} pixels, more than {megapixels:g} million")
    return image


def _load(image: Image.Image) -> None:
    """Decode all pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image.load()
    except Exception as error:  # noqa: BLE001  # Pillow's decoders raise anything on broken data
        raise PictureError(f"it cannot be decoded: {error}") from None


def _eight_bit(image: Image.Image) -> Image.Image:
    """16 bits (or a float in 0..1) a pixel => 8 bits: HW, uint16 or int32 or float32 => HW, uint8."""
    values: Any = np.asarray(image)
    if image.mode == "F":
        scaled = values * 255.0
    else:
        scaled = values / 257.0  # 65535 => 255
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8), "L")


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert from the ICC profile that came with the picture."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space) != image.mode:
            return image  # a profile for other channels than these
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise PictureError(f"its ICC profile cannot be read: {error}") from None
    assert converted is not None  # only with inPlace
    return converted
