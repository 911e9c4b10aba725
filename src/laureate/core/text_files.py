"""The only decoder of text files that people bring: byte order marks, UTF-16, and what is no text."""

import codecs
from pathlib import Path

from laureate.core.errors import LaureateError

_MARKS = (  # the longer ones first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class TextError(ValueError):
    """The bytes are no text; the message says why."""


def decode_text(data: bytes) -> str:
    """Text from bytes in UTF-8, or in UTF-16 or UTF-32 with a byte order mark, which is removed.

    Line ends stay as they are. Raises TextError for other encodings and for NUL characters.
    """
    encoding = "utf-8"
    for mark, name in _MARKS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], name
            break
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TextError(f"not {encoding.upper()} text ({error.reason} at byte {error.start})") from None
    if "\0" in text:
        hint = ", as UTF-16 without its byte order mark does" if encoding == "utf-8" else ""
        raise TextError(f"not UTF-8 text: it holds NUL characters{hint}")
    return text


def read_text(path: str | Path, missing: str = "it must be there") -> str:
    """The text of a file. Raises LaureateError naming the file; `missing` says what makes it."""
    try:
        return decode_text(Path(path).read_bytes())
    except FileNotFoundError:
        raise LaureateError(f"{path} does not exist; {missing}") from None
    except TextError as error:
        raise LaureateError(f"{path} is {error}; save it as UTF-8") from None
    except OSError as error:
        raise LaureateError(f"{path} cannot be read: {error.strerror or error}") from None
