"""Names of the styles, and the attributes that are visible in each."""

from __future__ import annotations

from laureate.formats.vocabulary import VOCABULARY
from laureate.simulator.portraits.attributes import Attributes

LAUREATE = "laureate"
BASE_STYLES: tuple[str, ...] = ("photograph", "poster", "pencil", "watercolour", "woodcut", "comic")
STYLES: tuple[str, ...] = (*BASE_STYLES, LAUREATE)

_COLOURED = ("photograph", "poster", "watercolour", "comic")


def readable(who: Attributes, style: str) -> frozenset[str]:
    """Names of the attributes that a viewer can tell from a picture of `who` in `style`.

    Skin and the middle hair colours need colour; a hat hides short hair; a beard hides the jaw.
    """
    names = set(VOCABULARY)
    hidden_hair = who.headwear != "none" and who.hair not in ("long", "wavy", "bob")
    if hidden_hair:
        names.discard("hair")
    if hidden_hair or who.hair == "bald":
        names.discard("hair_colour")
    if style not in _COLOURED:
        names.discard("skin")
        if who.hair_colour not in ("black", "white"):
            names.discard("hair_colour")
    if who.facial_hair == "beard":
        names.discard("face")
    return frozenset(names)
