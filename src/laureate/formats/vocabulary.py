"""Load the vocabulary of captions: attributes, their words and their place in a sentence."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from laureate.core.errors import LaureateError
from laureate.core.text_files import read_text

NOUN = "gender"


class Attribute(BaseModel):
    """One attribute of the vocabulary; see data/vocabulary.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    place: Literal["noun", "mood", "with", "inside", "wearing"]
    words: dict[str, str] = Field(min_length=2)
    of: str | None = None
    silent: list[str] = []
    only: dict[str, str] = {}


class Vocabulary(BaseModel):
    """Attribute => its place and words, in the order in which a caption says them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attributes: dict[str, Attribute]

    @model_validator(mode="after")
    def _connected(self) -> "Vocabulary":
        if NOUN not in self.attributes or self.attributes[NOUN].place != "noun":
            raise ValueError(f"it needs the attribute {NOUN} with the place noun")
        for name, attribute in self.attributes.items():
            if (attribute.place == "inside") != (attribute.of in self.attributes):
                raise ValueError(f"{name}: `of` must name the attribute that it stands inside")
            if not set(attribute.silent) <= attribute.words.keys() or not attribute.only.keys() <= {NOUN}:
                raise ValueError(f"{name}: `silent` must hold values of `words`, `only` a value of {NOUN}")
        return self


def load_vocabulary(path: str | Path) -> Vocabulary:
    """Read a vocabulary. Raises LaureateError naming the file and what is wrong in it."""
    import yaml

    try:
        values = yaml.safe_load(read_text(path, "prepare.vocabulary must name a file of words"))
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: a date that there is not
        raise LaureateError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    try:
        return Vocabulary(attributes=values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"][1:]))
        raise LaureateError(f"{path}{', ' if key else ''}{key}: {first['msg']}") from None


VOCABULARY: dict[str, tuple[str, ...]] = {
    "gender": ("man", "woman"),
    "skin": ("pale", "tan", "brown", "dark"),
    "face": ("oval", "round", "square"),
    "hair": ("bald", "short", "tousled", "curly", "wavy", "long", "bob", "bun"),
    "hair_colour": ("black", "brown", "blond", "red", "white"),
    "glasses": ("none", "round", "square"),
    "facial_hair": ("none", "moustache", "beard"),
    "expression": ("calm", "smile", "laugh", "serious", "angry", "shock"),
    "clothing": ("suit and tie", "bow tie", "scarf", "sweater", "necklace", "blazer", "jersey"),
    "headwear": ("none", "hat", "cap"),
    "pose": ("facing", "left", "right"),
    "light": ("left", "right"),
}
