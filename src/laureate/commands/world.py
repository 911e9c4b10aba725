"""`laureate world`: list the parameter presets of worlds/, or write one into params.yaml.

DVC reads params.yaml itself, so a world is a set of values in that file; no stage reads its name.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from laureate.core.errors import ParameterError
from laureate.core.files import write_text
from laureate.core.text_files import TextError, decode_text

FOLDER = "worlds"  # beside the parameters


def run(file: str, name: str | None = None) -> None:
    """Without a name: print all worlds and mark the current one. With a name: write its values into `file`.

    Comments and keys that the world does not have stay. Raises ParameterError for an unknown world, for files
    that cannot be read, and for values that are not valid; the file then stays as it is.
    """
    from laureate.config import params

    worlds = known(Path(file).parent / FOLDER)
    if name is None:
        loaded = params.load(file)
        print("\n".join(f"{'*' if world == loaded.world else ' '} {world}" for world in worlds))
        return
    if name not in worlds:
        raise ParameterError(f"there is no world {name!r}: choose one of {', '.join(worlds) or 'none'}")
    text, chosen = (_read(path) for path in (Path(file), worlds[name]))
    new, changed = switched(text, chosen)
    try:
        params.parse(new, worlds[name])
    except ParameterError as error:
        raise ParameterError(f"{error}; {file} stays as it was") from None
    if new != text:
        write_text(file, new)
    for key, (before, after) in changed.items():
        print(f"{key}: {before} => {after}")
    print(f"{file}: world {name}, {len(changed)} values changed")


def known(folder: Path) -> dict[str, Path]:
    """Name of a world => its file, sorted by name."""
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def switched(text: str, world: str) -> tuple[str, dict[str, tuple[Any, Any]]]:
    """Replace the values in `text` by those in `world` (both YAML) => the new text and the changes.

    The changes are dotted key => (before, after). A key that `text` lacks is added to the end of its section.
    """
    yaml = _yaml()
    values, changed = yaml.load(text), {}
    for keys, value in _leaves(yaml.load(world)):
        section = values
        for key in keys[:-1]:
            section = section.setdefault(key, {})
        before = section.get(keys[-1])
        if keys[-1] not in section or before != value:
            changed[".".join(keys)] = (before, value)
            section[keys[-1]] = value
            for token in filter(None, section.ca.items.get(keys[-1], ())):
                token.column = 0  # else a comment stays at the column of the old value
    out = io.StringIO()
    yaml.dump(values, out)
    return (out.getvalue() if changed else text), changed


def _leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """((section, key), value) of every section; a mapping inside, such as crawl.coverage, is one value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and not above:
            yield from _leaves(value, (key,))
        else:
            yield (*above, key), value


def _yaml() -> Any:
    """A YAML reader and writer that keeps comments, order and number formats."""
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Writes `null`, where ruamel would write nothing."""

    Representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    yaml = YAML()
    yaml.Representer = Representer
    yaml.preserve_quotes, yaml.width = True, 4096
    return yaml


def _read(path: Path) -> str:
    """The text of a file with sections. Raises ParameterError for anything else."""
    from ruamel.yaml import YAMLError

    try:
        text = decode_text(path.read_bytes())
        if not isinstance(_yaml().load(text), Mapping):
            raise ParameterError(f"{path} must hold sections such as 'train:'; restore it with git")
        return text
    except YAMLError as error:
        raise ParameterError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise ParameterError(f"{path} cannot be read: {error.strerror or error}") from None
    except TextError as error:
        raise ParameterError(f"{path} cannot be read: it is {error}; save it as UTF-8") from None
