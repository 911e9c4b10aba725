"""Read one picture file as RGB, whatever made it: the door for all pictures that are files."""

from pathlib import Path

from PIL.Image import Image

from laureate.core.errors import LaureateError
from laureate.imaging.image_io import PictureError, decode


def read_picture(path: Path, remedy: str = "make it again") -> Image:
    """The picture as RGB, upright, on white; see `image_io.decode`.

    Raises LaureateError naming a file that is missing or cannot be decoded; `remedy` says what to do.
    """
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise LaureateError(f"{path} cannot be read ({error.strerror or error}); {remedy}") from None
    except PictureError as error:
        raise LaureateError(f"{path} cannot be read as a picture: {error}; {remedy}") from None
