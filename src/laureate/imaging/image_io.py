"""The only decoder of pictures: image bytes to RGB, crop to a square, resize. Reads and writes no file.

Bytes that cannot be used raise `PictureError`; its text is the reason that `left_out.jsonl` gives.
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from laureate.imaging import depth, png_text
from laureate.imaging.bare_pictures import bare
from laureate.imaging.signatures import format_of, other_format_of

# what Pillow logs about damaged files would be printed beside our own words
logging.getLogger("PIL").addHandler(logging.NullHandler())

FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "GIF": "gif"}  # format => file suffix
FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
MEGAPIXELS = 50.0
ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PictureError(ValueError):
    """The bytes cannot be used as a picture; the text says why."""


@dataclass(frozen=True)
class ImageInfo:
    """Properties of encoded image bytes: Pillow's format and mode, (width, height) in pixels, frames.

    A JPEG of several frames (MPO) is a JPEG. `turned`: EXIF says to turn it. `notes`: what is odd about it
    and does not keep it from being decoded.
    """

    format: str
    size: tuple[int, int]
    mode: str
    frames: int
    turned: bool = False
    notes: tuple[str, ...] = ()


def identify(data: bytes, megapixels: float = MEGAPIXELS) -> ImageInfo:
    """The properties of image bytes, which are decoded fully to be sure that they can be.

    Raises PictureError for anything that is no picture of the known `FORMATS`, is larger than `megapixels`,
    or ends too early.
    """
    return examine(data, megapixels)[0]


def decode(data: bytes, megapixels: float = MEGAPIXELS) -> Image.Image:
    """The picture as RGB, uint8, in sRGB, upright, on white; of several frames the first.

    EXIF orientation is applied and alpha laid on white. ICC profiles and CMYK are converted, a profile that
    cannot be read is ignored, and more than 8 bits are scaled by the range of the values (`depth`).
    Raises PictureError as `identify` does.
    """
    return examine(data, megapixels)[1]


def decode_still(data: bytes, megapixels: float = MEGAPIXELS) -> Image.Image:
    """`decode`, for the one picture that a person names: an animation is refused (PictureError), as nobody
    can know which frame is meant. The frames of an MPO, as phones write them, are one picture."""
    info, picture = examine(data, megapixels)
    if info.frames > 1 and info.format != "JPEG":
        raise PictureError(f"it is an animation of {info.frames} frames")
    return picture


def examine(data: bytes, megapixels: float = MEGAPIXELS) -> tuple[ImageInfo, Image.Image]:
    """What `identify` and `decode` give, with one decoding.

    A PNG or JPEG that only its metadata keeps from being decoded is decoded without that.
    """
    notes: list[str] = []
    try:
        return _examined(data, megapixels, notes)
    except (_LargeTexts, _HeaderError) as error:
        for rest, note in _with_less(data, error):
            notes[:] = [note]
            with suppress(_LargeTexts, _HeaderError):
                return _examined(rest, megapixels, notes)
        raise


class _HeaderError(PictureError):
    """What comes before the pixels cannot be read."""


class _LargeTexts(PictureError):
    """Pillow refuses a PNG for the size of its texts."""


def _with_less(data: bytes, error: PictureError) -> Iterator[tuple[bytes, str]]:
    """Versions of a picture with less metadata, and what is not read of it."""
    if isinstance(error, _LargeTexts):
        rest, size = png_text.without_texts(data)
        if size:
            large = f"more than 1 MB unpacked, {size} bytes in the file"
            yield rest, f"its text, such as a workflow, is what is large ({large}), and is not read"
    for rest in bare(data):
        yield rest, "its metadata is damaged or too large, and is not read"


def _examined(data: bytes, megapixels: float, notes: list[str]) -> tuple[ImageInfo, Image.Image]:
    """`examine` for bytes whose texts are not too large; adds to `notes`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged EXIF and large pictures: our own words follow
        with _open(data, megapixels) as image:
            kind = "JPEG" if image.format == "MPO" else str(image.format)
            size, mode, frames = image.size, image.mode, _frames(image)
            _load(image)
            orientation = _orientation(image, notes)
            try:
                depth.check_wide(image, data)
            except ValueError as error:
                raise PictureError(str(error)) from None
            try:
                picture = _rgb(image, notes)
                if orientation in _TURNS:
                    picture = picture.transpose(_TURNS[orientation])
            except PictureError:
                raise
            except Exception as error:  # noqa: BLE001  # Pillow's conversions raise anything on odd data
                raise PictureError(f"it cannot be converted to RGB: {error}") from None
    return ImageInfo(kind, size, mode, frames, orientation != 1, tuple(notes)), picture


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
        image = Image.open(io.BytesIO(data), formats=list(FORMATS))
    except Image.DecompressionBombError as error:
        raise PictureError(f"it is too large: {error}") from None
    except UnidentifiedImageError:
        start = data[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        what = "no picture of a known format"
        if kind := format_of(data[:16]):
            cannot = "whose header cannot be read"
            if kind == "TIFF":
                cannot = "of a kind that cannot be read, such as three channels of floats, or it is damaged"
            raise _HeaderError(f"it is a {kind} {cannot}") from None
        if start.startswith((b"<!doctype", b"<html")):
            what = "a web page"
        elif start.startswith(b"version https://git-lfs"):
            what = "a Git LFS pointer, not the picture itself: run `git lfs pull`"
        elif other := other_format_of(data[:16]):
            what = f"{other}, no picture of a known format"
        raise _HeaderError(f"it is {what} (known: {', '.join(FORMATS)})") from None
    except Exception as error:  # noqa: BLE001  # Pillow's readers raise anything on broken headers
        _raise_large_texts(error)
        raise _HeaderError(f"its header cannot be read: {error}") from None
    width, height = image.size
    if width * height > megapixels * 1e6:
        raise PictureError(f"it has {width} x {height} pixels, more than {megapixels:g} million")
    return image


def _load(image: Image.Image) -> None:
    """Decode all pixels of the first frame."""
    try:
        image.load()
    except Exception as error:  # noqa: BLE001  # Pillow's decoders raise anything on broken data
        _raise_large_texts(error)
        raise PictureError(f"it cannot be decoded: {error}") from None


def _raise_large_texts(error: Exception) -> None:
    """Raise _LargeTexts for Pillow's error about the texts of a PNG."""
    if isinstance(error, ValueError) and "text" in str(error).lower():
        raise _LargeTexts("its text is too large") from None


def _frames(image: Image.Image) -> int:
    """The number of frames; 1 where it cannot be counted."""
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001  # it may read the whole file
        return 1


def _orientation(image: Image.Image, notes: list[str]) -> int:
    """The EXIF orientation, 1..8; 1 where there is none or it cannot be read."""
    with warnings.catch_warnings(record=True) as damage:
        warnings.simplefilter("always")
        try:
            found = image.getexif().get(ExifTags.Base.Orientation, 1)
        except Exception:  # noqa: BLE001  # Pillow's EXIF reader raises anything on broken data
            found = None
    if damage or found is None:
        notes.append("its EXIF data is damaged, and is ignored where it cannot be read")
    return found if isinstance(found, int) and found in _TURNS else 1


def _rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """Any mode => RGB: depth, profile, then alpha on white."""
    profile = image.info.get("icc_profile")
    clear = image.info.get("transparency")
    alpha = None
    if depth.is_deep(image):
        try:
            image, note = depth.eight_bits(image, clear)
        except ValueError as error:
            raise PictureError(str(error)) from None
        if note:
            notes.append(f"it holds {note}")
    elif image.mode in ALPHA or clear is not None:
        if image.mode == "La":
            image = image.convert("LA")
        if image.mode == "RGB" and isinstance(clear, tuple) and max(clear) > 255:
            image.info["transparency"] = tuple(value >> 8 for value in clear)  # of 16 bits, the pixels of 8
        grey = image.mode in ("L", "LA")
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB").convert("L") if grey and profile else image.convert("RGB")
    elif image.mode == "LAB":
        image = _converted(image, ImageCms.createProfile("LAB"))
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    if profile:
        image = _to_srgb(image, profile, notes)
    image = image.convert("RGB")
    if alpha is not None:
        image.putalpha(alpha)
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image


def _to_srgb(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    """Convert from the ICC profile that came with the picture; as it is where the profile cannot be used."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space) != image.mode:
            return image  # a profile for other channels than these
        return _converted(image, source)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        notes.append(f"its ICC profile cannot be read and is ignored: {' '.join(str(error).split())}")
        return image


def _converted(image: Image.Image, source: Any) -> Image.Image:
    """From a profile to sRGB."""
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None  # only with inPlace
    return converted
