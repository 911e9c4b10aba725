"""All pictures pass one decoder: nothing outside of `laureate.imaging` opens one."""

import ast
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from laureate.evaluation.judges.panel import open_set
from laureate.formats import generated_folder
from laureate.formats.pictures import read_picture
from laureate.stages import encode


def test_nothing_else_names_pillows_open(root: Path) -> None:
    found = []
    for file in [*(root / "src").rglob("*.py"), *(root / "crawler").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            opens = isinstance(node, ast.Attribute) and node.attr in ("open", "frombytes", "ImageFile")
            if opens and isinstance(node.value, ast.Name) and node.value.id in ("Image", "PIL"):
                found.append(file.relative_to(root).as_posix())
            if isinstance(node, ast.ImportFrom) and node.module == "PIL.Image":
                found += [file.name for name in node.names if name.name == "open"]
            if isinstance(node, ast.Attribute) and node.attr in ("imread", "read_image", "decode_image"):
                found.append(file.relative_to(root).as_posix())
    assert set(found) <= {
        "src/laureate/imaging/image_io.py",
        "src/laureate/imaging/headers.py",
    }


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The modules that call Pillow's `open` while this lasts."""
    doors: list[str] = []
    true_open = Image.open

    def noting(*arguments: Any, **options: Any) -> Image.Image:
        frame: FrameType = sys._getframe(1)
        doors.append(str(frame.f_globals["__name__"]))
        return true_open(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", noting)
        yield doors


def odd(place: Path) -> Path:
    """A picture that shows whether it was decoded as all are: 16 bits, turned, half of it transparent."""
    values = np.zeros((40, 60, 4), np.uint8)
    values[:, :30] = (200, 10, 60, 255)  # left; transparent black on the right
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down: the colour is on the right
    Image.fromarray(values).save(place / "odd.png", exif=exif)
    return place / "odd.png"


def test_every_reader_decodes_as_all_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = odd(tmp_path)
    with watched(monkeypatch) as doors:
        pictures = [read_picture(file), open_set([file]).pictures[0]]
        pixels = encode._picture(file, 4).permute(1, 2, 0).numpy()
        generated_folder.read(tmp_path, [file])
    for values in [*map(np.asarray, pictures), pixels]:
        assert values.shape == (40, 60, 3)
        assert (values[20, 50] == (200, 10, 60)).all()
        assert (values[20, 10] == 255).all()
    assert set(doors) == {"laureate.imaging.image_io", "laureate.imaging.headers"}


def test_an_endpoint_s_picture_is_decoded_as_all_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from laureate.commands import images_endpoint

    with watched(monkeypatch) as doors:
        picture = images_endpoint.picture(odd(tmp_path).read_bytes())
    assert picture.getpixel((10, 20)) == (255, 255, 255)
    assert picture.getpixel((50, 20)) == (200, 10, 60)
    assert set(doors) == {"laureate.imaging.image_io"}


def test_deep_pictures_of_models_drawn_elsewhere_are_not_white(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 0x8080, np.uint16)).save(buffer, "PNG")
    (tmp_path / "deep.png").write_bytes(buffer.getvalue())
    assert open_set([tmp_path / "deep.png"]).pictures[0].getpixel((3, 3)) == (128, 128, 128)
