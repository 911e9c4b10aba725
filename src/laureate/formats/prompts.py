"""Load and validate prompt files."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from laureate.core.errors import LaureateError
from laureate.core.text_files import read_text

SETS = ("seed", "study")
FEWEST = 2  # prompts: intervals come from resampling prompts
FEWEST_PICTURES = 3  # of a model, and portraits of a part: scores of fewer have no value


@dataclass(frozen=True)
class Prompt:
    """One prompt, and the attributes that a judge can read from a picture of it."""

    id: str  # a slug, unique over all files; names the pictures
    text: str
    set: str  # one of SETS
    attributes: dict[str, str] = field(
        default_factory=dict
    )  # attribute => class, as in `vocabulary.VOCABULARY`


def load(paths: Iterable[str | Path]) -> list[Prompt]:
    """Read prompt files in the order given.

    Raises LaureateError naming the file and the row: not YAML, no list, a key too many or too few, a bad or
    repeated id, an empty or repeated text, an unknown set or attribute.
    """
    prompts: list[Prompt] = []
    seen: dict[str, str] = {}  # ids and texts => where they were read
    for path in paths:
        for number, row in enumerate(_rows(Path(path)), start=1):
            where = f"{path}, row {number}"
            prompt = _prompt(row, where)
            for key in (prompt.id, prompt.text):
                if key in seen:
                    raise LaureateError(f"{where}: {key!r} was used before, in {seen[key]}; change one")
                seen[key] = where
            prompts.append(prompt)
    if not prompts:
        raise LaureateError("the prompt files hold no prompt; see data/prompts.yaml for their form")
    return prompts


def without_style(text: str, style: str) -> str:
    """A prompt without its style phrase: "A man, in the style of X." => "A man."."""
    head, phrase, tail = text.partition(style)
    return (head.rstrip(" ,") + tail).strip() if phrase else text


def plain(prompts: Sequence[Prompt], style: str, count: int) -> list[Prompt]:
    """Up to `count` prompts without their style phrase, under the same ids, spread evenly over `prompts`.

    Prompts that do not have the phrase, or have no words besides it, are left out, and so are repeated texts.
    """
    texts: dict[str, Prompt] = {}
    for prompt in prompts:
        text = without_style(prompt.text, style)
        if text != prompt.text and re.search(r"\w", text):
            texts.setdefault(text, replace(prompt, text=text))
    found = list(texts.values())
    count = min(count, len(found))
    return [found[index * len(found) // count] for index in range(count)]


def check_enough(count: int, seeds: int) -> None:
    """Raise LaureateError if `count` prompts with `seeds` seeds each are too few to be scored."""
    if count < FEWEST or count * seeds < FEWEST_PICTURES:
        raise LaureateError(
            f"sample.prompts and sample.seeds give {count} prompts with {seeds} seeds each, and scores need "
            f"at least {FEWEST} prompts and {FEWEST_PICTURES} pictures: add prompts, or seeds"
        )


def _rows(path: Path) -> list[Any]:
    import yaml

    try:
        rows = yaml.safe_load(read_text(path, "sample.prompts or choose.prompts in params.yaml names it"))
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: a date that there is not
        raise LaureateError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise LaureateError(f"{path} must be a list of prompts, each with id, text, set and attributes")
    return rows


def _prompt(row: Any, where: str) -> Prompt:
    """One checked row."""
    from laureate.formats.vocabulary import VOCABULARY

    if not isinstance(row, dict) or not {"id", "text", "set"} <= set(row) <= {
        "id",
        "text",
        "set",
        "attributes",
    }:
        raise LaureateError(f"{where}: a prompt has the keys id, text, set and, optionally, attributes")
    if not isinstance(row["id"], str) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["id"]):
        raise LaureateError(f"{where}: id must be lower-case words joined by '-', got {row['id']!r}")
    if not isinstance(row["text"], str) or not row["text"].strip():
        raise LaureateError(f"{where}: text must not be empty")
    if row["set"] not in SETS:
        raise LaureateError(f"{where}: set must be one of {', '.join(SETS)}, got {row['set']!r}")
    attributes = row.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise LaureateError(f"{where}: attributes must be pairs such as 'hair: curly'")
    for name, value in attributes.items():
        if name not in VOCABULARY:
            raise LaureateError(f"{where}: {name!r} is not an attribute; choose from {', '.join(VOCABULARY)}")
        if value not in VOCABULARY[name]:
            raise LaureateError(
                f"{where}: {name} cannot be {value!r}; choose from {', '.join(VOCABULARY[name])}"
            )
    return Prompt(row["id"], row["text"], row["set"], dict(attributes))
