"""Load the names in `names.yaml`."""

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Culture(_Row):
    """A pool of names; `skin` weighs the skin tones of the vocabulary, lightest first."""

    country: str
    cities: tuple[str, ...]
    women: tuple[str, ...]
    men: tuple[str, ...]
    families: tuple[str, ...]
    skin: tuple[int, int, int, int]
    family_first: bool = False


class Organisation(_Row):
    """An organisation as laureate."""

    name: str
    founded: int
    city: str


class Names(_Row):
    """The whole file; `work` maps a category's code to what its prizes are given for."""

    cultures: tuple[Culture, ...]
    organisations: tuple[Organisation, ...]
    work: dict[str, tuple[str, ...]]


@cache
def load() -> Names:
    """Read the file beside this module."""
    import yaml

    rows: Any = yaml.safe_load(Path(__file__).with_name("names.yaml").read_text(encoding="utf-8"))
    return Names.model_validate(rows)
