"""A poster's template: its regions, colours, text sizes and fonts, as data in a YAML file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from laureate.core.errors import LaureateError
from laureate.core.text_files import TextError, decode_text

Span = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=2, max_length=2)]
Size = Annotated[float, Field(gt=0, le=1)]
SHIPPED = ("one", "two")
NAMES = ("subject", "name", "second_name", "contribution", "footer", "note")
Pixels = tuple[int, int, int, int]  # left, top, right, bottom


class Region(BaseModel):
    """A rectangle as shares of the canvas."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    x: Span
    y: Span

    @model_validator(mode="after")
    def _ordered(self) -> Region:
        if self.x[0] >= self.x[1] or self.y[0] >= self.y[1]:
            raise ValueError("x and y must each be [less, more]")
        return self

    def on(self, width: int, height: int) -> Pixels:
        """The rectangle in pixels. Edges that are equal as shares are equal in pixels: no seam between."""
        (left, right), (top, bottom) = self.x, self.y
        return round(left * width), round(top * height), round(right * width), round(bottom * height)

    def overlaps(self, other: Region) -> bool:
        """Whether two rectangles share more than an edge."""
        return all(a[0] < b[1] and b[0] < a[1] for a, b in ((self.x, other.x), (self.y, other.y)))


class Band(Region):
    """A rectangle of one colour."""

    colour: str


class Text(Region):
    """Where a text goes: at most `lines` lines, whose size is a share of the canvas's height."""

    lines: int = Field(ge=1, le=20)
    largest: Size
    smallest: Size
    colour: list[str] = Field(min_length=1)  # the first with enough contrast to its ground
    fonts: str

    @model_validator(mode="after")
    def _sizes(self) -> Text:
        if self.smallest > self.largest:
            raise ValueError("smallest must not be more than largest")
        return self


class Template(BaseModel):
    """A whole poster; the files of `templates/` say what each key means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    aspect: float = Field(gt=0.2, lt=5)
    colours: dict[str, Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]]
    portraits: list[Region] = Field(min_length=1, max_length=2)
    band: Band
    texts: dict[str, Text]
    fonts: dict[str, Annotated[list[str], Field(min_length=1)]]

    @model_validator(mode="after")
    def _whole(self) -> Template:
        unknown = sorted(set(self.texts) - set(NAMES))
        if unknown:
            raise ValueError(f"texts.{unknown[0]} is unknown: there are {', '.join(NAMES)}")
        needed = ["subject", "name", *(["second_name"] if len(self.portraits) > 1 else [])]
        for name in needed:
            if name not in self.texts:
                raise ValueError(f"texts.{name} is missing")
        for key in [self.band.colour, *(c for text in self.texts.values() for c in text.colour)]:
            if key not in self.colours:
                raise ValueError(f"colours.{key} is missing")
        for text in self.texts.values():
            if text.fonts not in self.fonts:
                raise ValueError(f"fonts.{text.fonts} is missing")
        regions = [(f"texts.{name}", text) for name, text in self.texts.items()]
        pictures: list[tuple[str, Region]] = [
            (f"portraits[{index}]", region) for index, region in enumerate(self.portraits)
        ]
        every: list[tuple[str, Region]] = [*regions, *pictures]
        for index, (name, region) in enumerate(every):
            for other, there in every[index + 1 :]:
                if region.overlaps(there):
                    raise ValueError(f"{name} and {other} overlap")
        return self


def load(name: str) -> Template:
    """A shipped template (`one`, `two`) or a YAML file. Raises LaureateError with the key that is wrong."""
    import yaml

    try:
        if name in SHIPPED:
            text = (resources.files("laureate.poster") / "templates" / f"{name}.yaml").read_text("utf-8")
        else:
            text = decode_text(Path(name).read_bytes())
        return Template.model_validate(yaml.safe_load(text))
    except FileNotFoundError:
        raise LaureateError(
            f"there is no template {name}: name one of {', '.join(SHIPPED)} or a YAML file"
        ) from None
    except (OSError, TextError, yaml.YAMLError) as error:
        raise LaureateError(f"the template {name} cannot be read: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "it"
        raise LaureateError(f"the template {name}: {key}: {first['msg']}") from None
