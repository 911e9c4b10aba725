"""Read the size and the texts of a picture file without decoding its pixels."""

import warnings
from pathlib import Path

from PIL import ExifTags, Image

from laureate.imaging import png_text
from laureate.imaging.image_io import FORMATS, examine


def read_header(file: Path) -> tuple[tuple[int, int], dict[str, str]]:
    """(width, height) and the texts of a picture.

    PNG text, and for JPEG and WebP the Exif UserComment, where A1111 and Forge put their `parameters`.
    Metadata that is damaged or too large for Pillow does not matter. Raises OSError where the file cannot be
    read, and PictureError where it is no picture or a damaged one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged EXIF
        try:
            with Image.open(file, formats=list(FORMATS)) as image:
                texts = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
                if image.format in ("JPEG", "MPO", "WEBP"):
                    _add_comment(texts, image)
                return image.size, texts
        except Exception:  # noqa: BLE001  # Pillow's readers raise anything on broken headers
            data = file.read_bytes()
            return examine(data)[0].size, png_text.texts(data)


def _add_comment(texts: dict[str, str], image: Image.Image) -> None:
    """Add the Exif UserComment as `parameters`; damaged EXIF counts as none."""
    try:
        comment = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    except Exception:  # noqa: BLE001  # Pillow's EXIF reader raises anything on broken data
        return
    if isinstance(comment, bytes) and comment.startswith(b"UNICODE\0"):
        texts.setdefault("parameters", comment[8:].decode("utf-16-be", "replace"))
