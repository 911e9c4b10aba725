"""Find files of a user's image folder that look like captions and are in no form that is read."""

import re
from collections.abc import Collection
from pathlib import Path

from laureate.core.text_files import TextError, decode_text
from laureate.formats import portraits

SIDECARS = (".txt", ".caption", ".cap", ".captions", ".json")  # in this order, where a picture has several
TEXTLIKE = frozenset({*SIDECARS, ".tags", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".yaml", ".yml"})
TEXTLIKE |= {".toml", ".xlsx", ".ods", ".md", ".xml", ".lab", ".prompt", ".wd14", ".blip", ".lst", ".list"}
OFFICE = frozenset({".xlsx", ".xls", ".ods", ".numbers", ".docx", ".doc", ".odt", ".pages", ".rtf"})
NOTES = re.compile(r"(?i)(read.?me|licen[cs]e|credits?|notice|notes?|todo|changelog)\b.*")
# names of files that hold captions; what follows a picture's name in one, as in p01_caption.txt
SAYS_SO = re.compile(r"(?:.*[_\W])?(captions?|metadata|labels|annotations)\b")
LIKE_A_PICTURE = re.compile(r"[._-](?=[a-z]*(?:cap|txt|text|tag|prompt|desc|label|blip|wd))")
NO_CAPTIONS = frozenset({".xmp", ".npz", ".pt", ".safetensors", ".pp3", ".aae"})  # beside pictures too
PROGRAMS = frozenset({".py", ".pyc", ".ipynb", ".sh", ".bat", ".cmd", ".ps1", ".js", ".exe", ".dll", ".so"})
# a line, or a key, that begins with a name: 'p01: a man', '"p01": {', 'p01<tab>a man'
KEY = re.compile(r"(?m)(?:^[ \t]*|[\"'])([^\s\"':=,;|]+)(?=[\"']?[ \t]*[:=,;|\t])")
LONGEST = 2**20  # bytes of one caption file


def looks_like_captions(path: Path, named: Collection[str], pictures: int) -> bool:
    """Whether a file may hold captions: it is named so, or as a picture, or speaks of pictures by name.

    `named` are the names and stems of the folder's `pictures` in lower case.
    """
    suffix = path.suffix.lower()
    if _is_known(path):
        return False
    start = LIKE_A_PICTURE.split(path.name.lower(), maxsplit=1)[0]
    stem = path.stem.lower()
    if stem in named:
        return suffix in TEXTLIKE or suffix in OFFICE or text_of(path) is not None
    if SAYS_SO.match(stem) or suffix in (".parquet", ".xlsx", ".ods"):
        return True
    if start in named and suffix in SIDECARS:
        return True
    if suffix not in TEXTLIKE:
        return start in named and text_of(path) is not None
    return names_pictures(path, named, pictures)


def speaks_of_pictures(path: Path, named: Collection[str], pictures: int) -> bool:
    """Whether a text of another kind, such as a web page or a log, names pictures: it may hold captions."""
    return not _is_known(path) and names_pictures(path, named, pictures)


def _is_known(path: Path) -> bool:
    """Whether a file is known to be something else than captions."""
    other = path.suffix.lower() in NO_CAPTIONS | PROGRAMS
    return other or path.name == portraits.MANIFEST or bool(NOTES.fullmatch(path.name))


def names_pictures(path: Path, named: Collection[str], pictures: int) -> bool:
    """Whether a text names a picture, or begins lines or keys with short names of half of the pictures."""
    text = (text_of(path) or "").lower()
    if not text:
        return False
    long = [name for name in sorted(named) if len(name) > 4 or "." in name][:500]
    if any(name in text for name in long):
        return True
    return len(set(KEY.findall(text)).intersection(named)) >= max(2, pictures / 2)


def text_of(path: Path) -> str | None:
    """The start of a text file; in an encoding that is neither UTF-8 nor marked, only ASCII is kept.

    None for what is no text: bytes that no text has, and files that cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST)
    except OSError:
        return None
    try:
        return decode_text(data)
    except TextError:
        return None if any(byte < 9 for byte in data) else data.decode("utf-8", "replace")
