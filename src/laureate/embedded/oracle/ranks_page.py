"""docs/ranks.md: parts that are measured by different commands, each between its marks."""

from __future__ import annotations

import re
from pathlib import Path

from laureate.core.files import write_text

PAGE = Path("docs/ranks.md")
PARTS = ("retraining", "trainings", "shrink", "styles")  # in this order
HEAD = """# Which rank, and how much of it is luck?

Every part below is written by the command that it names; do not edit. All of it is measured in the embedded
world.
"""


def with_part(text: str, name: str, part: str) -> str:
    """The page `text` with `part` between the marks of `name`; an empty `text` is a new page.

    Parts that are not there yet take their place in the order of `PARTS`.
    """
    parts = {each: found for each in PARTS if (found := part_of(text, each)) is not None} | {name: part}
    marked = [
        f"<!-- {each} -->\n{parts[each].strip()}\n<!-- /{each} -->\n" for each in PARTS if each in parts
    ]
    return "\n".join([HEAD, *marked])


def part_of(text: str, name: str) -> str | None:
    """What stands between the marks of a part, without them; None where the page does not have it."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", text, re.DOTALL)
    return found[1] if found else None


def write(name: str, part: str, page: Path = PAGE) -> None:
    """Put one part into the page, which is made where it is missing; the others stay as they are."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    write_text(page, with_part(text, name, part))
