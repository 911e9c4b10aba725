"""Take everything but the pixels out of PNG and JPEG files whose metadata is damaged."""

import struct
import zlib
from collections.abc import Iterator

from laureate.imaging import png_text

CLEAR = b"tRNS"  # which pixels of a PNG are transparent
PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
CLEAR_SIZES = {0: (2,), 2: (6,), 3: range(1, 257)}  # colour type of a PNG => bytes that its tRNS may have

SCAN, EXIF, ADOBE, COMMENT = 0xDA, 0xE1, 0xEE, 0xFE  # markers of JPEG; those of applications: 0xE0 to 0xEF


def bare(data: bytes) -> Iterator[bytes]:
    """Versions of a PNG or JPEG with less metadata, the fullest first; none for other bytes.

    A JPEG keeps Adobe's marker, which says how its colours are stored, and at first its EXIF data, which says
    how it is turned.
    """
    if data.startswith(png_text.SIGNATURE):
        yield _bare_png(data)
    elif data.startswith(b"\xff\xd8"):
        yield _bare_jpeg(data, keep=(EXIF, ADOBE))
        yield _bare_jpeg(data, keep=(ADOBE,))


def _bare_png(data: bytes) -> bytes:
    """The chunks that pixels are in, and tRNS where it is sound."""
    kept = [png_text.SIGNATURE]
    for kind, body, whole in png_text.chunks(data):
        sound = whole[-4:] == struct.pack(">I", zlib.crc32(kind + body))
        clear = kind == CLEAR and sound and len(data) > 25 and len(body) in CLEAR_SIZES.get(data[25], ())
        if kind in PIXELS or clear:
            kept.append(whole)
    return b"".join(kept)


def _bare_jpeg(data: bytes, keep: tuple[int, ...]) -> bytes:
    """All segments but those of applications and comments that are not in `keep`."""
    kept, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != SCAN:
        marker = data[place + 1]
        if marker == 0xFF:  # a byte to fill
            place += 1
            continue
        end = place + 2 + struct.unpack(">H", data[place + 2 : place + 4])[0]
        if not (0xE0 <= marker <= 0xEF or marker == COMMENT) or marker in keep:
            kept.append(data[place:end])
        place = end
    return b"".join([*kept, data[place:]])
