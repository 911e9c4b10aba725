"""Read captions written by hand, data/captions.yaml, and match them with pictures."""

import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from laureate.core.errors import LaureateError
from laureate.core.text_files import read_text
from laureate.dataset.captions import one_line
from laureate.dataset.user_folder import name_of
from laureate.formats.file_names import normalized, printable
from laureate.formats.jsonl import Row


def load(path: Path, rows: Sequence[Row]) -> dict[str, str]:
    """File of a picture => its caption by hand; keys that match no picture are named on stderr.

    A key is a picture's path, its name in the data set, or the name or stem of its file, in this order.
    Raises LaureateError for a file that is not a mapping of texts.
    """
    captions = read(path)
    used: set[str] = set()
    found: dict[str, str] = {}
    for row in rows:
        file = row["file"] or f"{row['id']}-{row['year']}-{row['category']}.png"  # not asked for, but known
        name = PurePosixPath(file)
        keys = (file, name_of(file), name.name, name.stem)
        key = next((key for key in map(normalized, keys) if key in captions), None)
        if key is not None:
            used.add(key)
            found[file] = captions[key]
    unknown = sorted(set(captions) - used)
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        names = ", ".join(map(printable, unknown[:5]))
        print(f"{path}: no picture is called {names}{more}; these captions are not used", file=sys.stderr)
    return found


def read(path: Path) -> dict[str, str]:
    """Key => caption. Keys are read as they are written, `007` and `1_2` too, which YAML calls numbers.

    Raises LaureateError for a file that is not a mapping of texts, and for a key that is there twice.
    """
    import yaml

    try:
        node = yaml.compose(read_text(path, "prepare.captions must name a file, which may hold {}"),
                            Loader=yaml.SafeLoader)  # fmt: skip
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise LaureateError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise LaureateError(f"{path} must map the stem of a picture's file name to its caption")
    captions: dict[str, str] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise LaureateError(f"{path}: a key must be the stem of a picture's file name")
        name = normalized(key.value)
        scalar = isinstance(value, yaml.ScalarNode) and not value.tag.endswith(":null")
        if not scalar or not value.value.strip():
            raise LaureateError(f"{path}: the caption of {printable(name)} is empty or not a text")
        if name in captions:
            raise LaureateError(f"{path}: {printable(name)} has two captions; keep one")
        captions[name] = one_line(value.value)
    return captions
