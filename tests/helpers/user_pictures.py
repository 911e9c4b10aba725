"""A user's pictures, odd ones too, and captions in every place."""

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import spoilt_inputs
from PIL import Image, ImageFilter

from laureate.dataset import folder_check, user_folder
from laureate.dataset.findings import Finding

SIZE = (160, 240)
Rows = dict[str, dict[str, Any]]


def picture(seed: int) -> Image.Image:
    """Soft blots, different for every seed."""
    noise = np.random.default_rng(seed).integers(0, 255, (36, 24, 3), np.uint8)
    return Image.fromarray(noise).resize(SIZE, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(2))


def caption(folder: Path, suffix: str = ".txt", encoding: str = "utf-8", text: str = "CAPTION {}") -> None:
    """A caption beside every picture."""
    for path in user_folder.pictures_in(folder):
        name = path.name + suffix[1:] if suffix.startswith("+") else path.stem + suffix
        (path.parent / name).write_bytes(text.format(path.stem).encode(encoding))


def texts(rows: Rows) -> dict[str, str]:
    """File name => caption."""
    return {name: row["text"] for name, row in rows.items()}


def problems(folder: Path) -> list[Finding]:
    """The findings that stop prepare."""
    return [finding for finding in folder_check.check(folder, near=0.02) if finding.serious]


EXPECTED = {f"p0{n}.png": f"CAPTION p0{n}" for n in range(6)}


def table(folder: Path, name: str, columns: tuple[str, str], delimiter: str = ",") -> None:
    """A table of captions of all pictures, in any format."""
    names = [path.name for path in sorted(folder.rglob("*.jpg"))]
    pairs = [(file, f"CAPTION {Path(file).stem}") for file in names]
    path = folder / name
    if name.endswith("parquet"):
        values = map(list, zip(*pairs, strict=True))
        path.write_bytes(spoilt_inputs.parquet(**dict(zip(columns, values, strict=True))))
    elif name.lower().endswith("csv"):
        lines = [delimiter.join(columns), *(delimiter.join(pair) for pair in pairs)]
        path.write_text("\ufeff" + "\r\n".join(lines), "utf-8")
    else:
        rows = [json.dumps(dict(zip(columns, pair, strict=True))) for pair in pairs]
        path.write_text("\r\n".join(rows) + "\r\n", "utf-8")


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """A picture as a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def deep(scale: float, dtype: Any) -> bytes:
    """A TIFF of one channel: the grey values 0..255 times `scale`."""
    grey = np.asarray(picture(50).convert("L"), np.float64)
    return encoded(Image.fromarray((grey * scale).astype(dtype)), "TIFF")


def chunked(kind: bytes, body: bytes, place: int) -> bytes:
    """A PNG with one more chunk after its header (33) or before its end (-12)."""
    data = encoded(picture(50), "PNG")
    place = place if place > 0 else len(data) + place
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:place] + chunk + data[place:]


LONG = zlib.compress(b'{"nodes": []}' * 200_000)
ODD: dict[str, tuple[bytes, str]] = {  # name => bytes, what doctor says
    "mpo.jpg": (encoded(picture(50), "MPO", save_all=True, append_images=[picture(60)]), "2 frames (MPO)"),
    "gif.gif": (encoded(picture(50), "GIF", save_all=True, append_images=[picture(60)]), "animation of 2"),
    "apng.png": (encoded(picture(50), "PNG", save_all=True, append_images=[picture(60)]), "animation of 2"),
    "pages.tif": (encoded(picture(50), "TIFF", save_all=True, append_images=[picture(60)]), "2 frames"),
    "f255.tif": (deep(1, np.float32), "floats of 0..255"),
    "f1.tif": (deep(1 / 255, np.float32), "16 bits a channel or more (F)"),
    "i32.tif": (deep(1, np.int32), "values of 8 bits"),
    "i16 of 12.tif": (deep(4095 / 255, np.uint16), "values of 12 bits"),
    "i16.tif": (deep(257, np.uint16), "16 bits a channel or more (I;16)"),
    "i16 big-endian.tif": (deep(257, ">u2"), "16 bits a channel or more (I;16B)"),
    "i16.png": (encoded(Image.fromarray(np.asarray(picture(50).convert("L"), np.uint16) * 257), "PNG"), "16"),
    "profile.jpg": (encoded(picture(50), "JPEG", icc_profile=b"garbage" * 99), "ICC profile cannot be read"),
    "exif.jpg": (encoded(picture(50), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09\1\x12\0"), ""),
    "clear.png": (encoded(picture(50).convert("RGBA"), "PNG"), "transparency"),
    "cmyk.jpg": (encoded(picture(50).convert("CMYK"), "JPEG"), "CMYK"),
    "ztxt.png": (chunked(b"zTXt", b"workflow\0\0" + LONG, 33), "text, such as a workflow, is what is large"),
    "itxt.png": (chunked(b"iTXt", b"workflow\0\1\0\0\0" + LONG, 33), "is what is large"),
    "text at the end.png": (chunked(b"zTXt", b"workflow\0\0" + LONG, -12), "is what is large"),
}  # fmt: skip
