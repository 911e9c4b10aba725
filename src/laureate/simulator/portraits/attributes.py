"""Attributes of a drawn portrait, and how they are drawn at random."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import numpy as np

from laureate.formats.vocabulary import VOCABULARY

# Hair is drawn per gender so that gender can be seen; the other draws are independent.
_HAIR = {
    "man": {"bald": 0.16, "short": 0.28, "tousled": 0.2, "curly": 0.16, "wavy": 0.12, "long": 0.08},
    "woman": {"short": 0.08, "curly": 0.2, "wavy": 0.2, "long": 0.2, "bob": 0.16, "bun": 0.16},
}
_CLOTHING = {
    "man": {
        "suit and tie": 0.24,
        "bow tie": 0.16,
        "scarf": 0.14,
        "sweater": 0.16,
        "blazer": 0.16,
        "jersey": 0.14,
    },
    "woman": {
        "suit and tie": 0.06,
        "bow tie": 0.06,
        "scarf": 0.2,
        "sweater": 0.18,
        "necklace": 0.24,
        "blazer": 0.16,
        "jersey": 0.1,
    },
}
_WEIGHTS = {
    "glasses": (0.55, 0.22, 0.23),
    "headwear": (0.8, 0.1, 0.1),
    "pose": (0.5, 0.25, 0.25),
}


@dataclass(frozen=True)
class Attributes:
    """One value of `VOCABULARY` for every attribute; anything else is a `ValueError`."""

    gender: str
    skin: str
    face: str
    hair: str
    hair_colour: str
    glasses: str
    facial_hair: str
    expression: str
    clothing: str
    headwear: str
    pose: str
    light: str

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in VOCABULARY[field.name]:
                known = ", ".join(VOCABULARY[field.name])
                raise ValueError(f"{field.name} is {value!r}; it must be one of {known}")

    def to_dict(self) -> dict[str, str]:
        """Attribute name to value, in the order of `VOCABULARY`."""
        return asdict(self)


def random_attributes(rng: np.random.Generator) -> Attributes:
    """Draw a person: only men have facial hair, hair and clothing follow gender, all else is independent."""

    def weighted(table: dict[str, float]) -> str:
        names = list(table)
        weights = np.array([table[name] for name in names])
        return names[int(rng.choice(len(names), p=weights / weights.sum()))]

    drawn: dict[str, str] = {}
    for name, classes in VOCABULARY.items():
        weights = _WEIGHTS.get(name, (1.0 / len(classes),) * len(classes))
        drawn[name] = weighted(dict(zip(classes, weights, strict=True)))
    gender = drawn["gender"]
    drawn["hair"] = weighted(_HAIR[gender])
    drawn["clothing"] = weighted(_CLOTHING[gender])
    if gender == "woman":
        drawn["facial_hair"] = "none"
    else:
        drawn["facial_hair"] = weighted({"none": 0.5, "moustache": 0.22, "beard": 0.28})
    return Attributes(**drawn)
