"""Tell the format of a picture by the first bytes of its file."""

from laureate.imaging import png_text

SIGNATURES = {  # format that is read => how its bytes begin
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (png_text.SIGNATURE,),
    "WEBP": (b"RIFF",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "GIF": (b"GIF87a", b"GIF89a"),
}
OTHERS = {  # format that is not read => how its bytes begin
    "BMP": (b"BM",),
    "JPEG 2000": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cJXL "),
    "JPEG XR": (b"II\xbc",),
    "Photoshop": (b"8BPS",),
    "QOI": (b"qoif",),
    "FITS": (b"SIMPLE  =",),
}
BRANDS = {  # of an ISO base media file => format that is not read
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIF"),
}


def format_of(start: bytes) -> str | None:
    """The format that the first 16 bytes of a file are of; None for none of those that are read."""
    found = next((kind for kind, begins in SIGNATURES.items() if start.startswith(begins)), None)
    return None if found == "WEBP" and start[8:12] != b"WEBP" else found


def other_format_of(start: bytes) -> str | None:
    """The format of a picture that is not read, by the first 16 bytes of its file; None for all others."""
    if start[4:8] == b"ftyp":
        return BRANDS.get(start[8:12])
    if start.startswith(b"BM") and start[6:10] != bytes(4):  # a text may begin so
        return None
    return next((kind for kind, begins in OTHERS.items() if start.startswith(begins)), None)
