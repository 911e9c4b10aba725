"""The texts in PNG files: read them, and take them out where they are what is large."""

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KINDS = (b"tEXt", b"zTXt", b"iTXt")
LONGEST = 16 * 2**20  # bytes of one text; longer ones are cut


def texts(data: bytes) -> dict[str, str]:
    """Keyword => text of a PNG; empty for other bytes. What is damaged is left out."""
    found: dict[str, str] = {}
    for kind, body, _ in chunks(data):
        if kind in KINDS:
            keyword, _, rest = body.partition(b"\0")
            text = _text(kind, rest)
            if text is not None:
                found.setdefault(keyword.decode("latin-1"), text)
    return found


def without_texts(data: bytes) -> tuple[bytes, int]:
    """(a PNG without its text chunks, the number of bytes that these had)."""
    kept = [SIGNATURE]
    for kind, _, whole in chunks(data):
        if kind not in KINDS:
            kept.append(whole)
    rest = b"".join(kept)
    return rest, len(data) - len(rest)


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(kind, body, the whole chunk) of a PNG, up to the first that is cut off."""
    place = len(SIGNATURE)
    if not data.startswith(SIGNATURE):
        return
    while place + 8 <= len(data):
        length = struct.unpack(">I", data[place : place + 4])[0]
        end = place + 12 + length
        yield data[place + 4 : place + 8], data[place + 8 : end - 4], data[place:end]
        place = end


def _text(kind: bytes, rest: bytes) -> str | None:
    """The text of a chunk, after its keyword; None where it cannot be unpacked."""
    packed, encoding = kind == b"zTXt", "latin-1"
    if kind == b"iTXt":
        packed, rest, encoding = rest[:1] == b"\1", rest[2:], "utf-8"
        rest = rest.partition(b"\0")[2].partition(b"\0")[2]  # language, translated keyword
    elif packed:
        rest = rest[1:]  # the method of compression
    if packed:
        try:
            rest = zlib.decompressobj().decompress(rest, LONGEST)
        except zlib.error:
            return None
    return rest[:LONGEST].decode(encoding, "replace")
