"""Names of files in tables: whether they stay in the folder, compare equal, and can be printed."""

import errno
import unicodedata
from pathlib import Path, PurePosixPath


def is_outside(file: str) -> bool:
    """Whether a file named in a table lies out of the table's folder, by its name.

    Links inside the folder may point anywhere, as those of DVC's cache do.
    """
    path = PurePosixPath(file.replace("\\", "/"))
    drive = len(file) > 1 and file[1] == ":" and file[0].isalpha()
    return path.is_absolute() or drive or ".." in path.parts or "\0" in file


def is_there(folder: Path, file: str) -> bool:
    """Whether a file named in a table is in the table's folder; no name that lies out of it or is too long
    for a file is."""
    try:
        return not is_outside(file) and (folder / file).is_file()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


def normalized(path: Path | str) -> str:
    """A path in Unicode form NFC, for comparison: some file systems store names in NFD."""
    return unicodedata.normalize("NFC", str(path))


def printable(path: Path | str) -> str:
    """A path for messages: bytes that are no UTF-8 and control characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))
