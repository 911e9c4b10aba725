"""The Jinja environment of all pages: values are escaped, and a missing one is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laureate.comparison import results_table

if TYPE_CHECKING:
    from jinja2 import Environment


def environment() -> Environment:
    """An environment that finds the templates of laureate.reporting."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("laureate.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    made.filters["title_of"] = results_table.title
    made.policies["json.dumps_kwargs"] = {"sort_keys": True, "ensure_ascii": False, "separators": (",", ":")}
    return made
