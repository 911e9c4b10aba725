"""Caption drawn portraits: `A <mood> <man|woman> with …, wearing …, in the style of …`.

Synonyms, dropped attributes and a varied order keep a text model from learning a code instead of a language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from laureate.simulator.portraits.attributes import Attributes, random_attributes
from laureate.simulator.portraits.styles import LAUREATE, STYLES

STYLE_PHRASES: dict[str, tuple[str, ...]] = {
    "photograph": (
        "in the style of a studio photograph",
        "as a photograph",
        "a photo portrait",
        "photographed in a studio",
    ),
    "poster": ("in the style of a flat poster", "as a flat poster", "a bold poster design", "as poster art"),
    "pencil": (
        "in the style of a pencil drawing",
        "as a pencil sketch",
        "drawn in pencil",
        "a graphite drawing",
    ),
    "watercolour": ("in the style of a watercolour", "as a watercolour painting", "painted in watercolour"),
    "woodcut": ("in the style of a woodcut", "as a woodcut print", "printed from a woodblock"),
    "comic": ("in the style of a comic", "as a comic book panel", "drawn as a comic"),
    LAUREATE: ("in the style of Nobel Laureate",),
}

_NOUN = {"man": ("man", "man", "gentleman"), "woman": ("woman", "woman", "lady")}
_SKIN = {
    "pale": ("pale", "fair-skinned", "light-skinned"),
    "tan": ("tan", "olive-skinned", "tanned"),
    "brown": ("brown-skinned",),
    "dark": ("dark-skinned",),
}
_FACE = {
    "oval": ("an oval face", "a long face", "a narrow face"),
    "round": ("a round face", "full cheeks"),
    "square": ("a square face", "a square jaw", "a broad jaw"),
}
_HAIR = {
    "short": ("short {}hair", "a short {}hairstyle", "neatly cut {}hair"),
    "tousled": ("tousled {}hair", "slightly tousled {}hair", "messy {}hair", "spiky {}hair"),
    "curly": ("curly {}hair", "{}curls", "a mass of {}curls"),
    "wavy": ("wavy {}hair", "flowing wavy {}hair", "shoulder-length {}waves"),
    "long": ("long {}hair", "long straight {}hair", "flowing {}hair"),
    "bob": ("a {}bob", "{}hair cut in a bob", "a {}bob with a fringe"),
    "bun": ("{}hair in a bun", "a {}bun", "{}hair tied up in a bun"),
    "bald": ("a bald head", "no hair"),
}
_COLOUR = {
    "black": ("black", "dark"),
    "brown": ("brown", "chestnut"),
    "blond": ("blond", "golden"),
    "red": ("red", "ginger"),
    "white": ("white", "silver"),
}
_GLASSES = {
    "none": ("no glasses",),
    "round": ("round glasses", "glasses with round frames"),
    "square": ("square glasses", "glasses with square frames"),
}
_FACIAL_HAIR = {
    "none": ("a clean-shaven face",),
    "moustache": ("a moustache", "a thick moustache"),
    "beard": ("a beard", "a full beard"),
}
_MOOD = {  # as an adjective before the noun
    "calm": ("calm", "poised", "serene"),
    "smile": ("smiling", "friendly", "warm"),
    "laugh": ("laughing", "cheerful", "joyful"),
    "serious": ("serious", "solemn"),
    "angry": ("angry", "furious"),
    "shock": ("shocked", "surprised", "astonished"),
}
_EXPRESSION = {  # as a thing one has
    "calm": ("a calm expression", "closed eyes", "a serene face"),
    "smile": ("a warm smile", "a gentle smile", "a friendly smile"),
    "laugh": ("a broad laugh", "a laughing face", "a wide grin"),
    "serious": ("a serious face", "a serious expression", "a stern look"),
    "angry": ("an angry expression", "an angry face", "a furious look"),
    "shock": ("a shocked expression", "a look of shock", "a surprised face"),
}
_CLOTHING = {
    "suit and tie": ("a suit and tie", "a suit with a tie", "a jacket and tie"),
    "bow tie": ("a bow tie", "a suit and bow tie"),
    "scarf": ("a scarf", "a stylish scarf", "a knitted scarf"),
    "sweater": ("a sweater", "a turtleneck sweater", "a knitted sweater"),
    "necklace": ("a necklace", "a pearl necklace", "a string of pearls"),
    "blazer": ("a blazer", "a blazer with an open collar", "an elegant blazer"),
    "jersey": ("a jersey", "a striped jersey", "a football jersey"),
}
_HEADWEAR = {
    "none": ("no hat",),
    "hat": ("a hat", "a wide-brimmed hat", "a fedora"),
    "cap": ("a cap", "a peaked cap"),
}
_POSE = {
    "facing": ("facing forward", "looking straight ahead"),
    "left": ("looking to the left", "turned left"),
    "right": ("looking to the right", "turned right"),
}
_LIGHT = {
    "left": ("lit from the left", "with light from the left"),
    "right": ("lit from the right", "with light from the right"),
}

_TABLES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "gender": _NOUN,
    "skin": _SKIN,
    "face": _FACE,
    "hair_colour": _COLOUR,
    "glasses": _GLASSES,
    "facial_hair": _FACIAL_HAIR,
    "expression": _EXPRESSION,
    "clothing": _CLOTHING,
    "headwear": _HEADWEAR,
    "pose": _POSE,
    "light": _LIGHT,
}


def phrase(name: str, value: str, gender: str = "man") -> str:
    """The plain phrase for one attribute, such as `round glasses`; hair colour is an adjective."""
    if name == "hair":
        return _HAIR[value][0].format("")
    return _TABLES[name][value][0]


def _hair(who: Attributes, names: frozenset[str], pick: _Pick) -> str:
    colour = f"{pick(_COLOUR[who.hair_colour])} " if "hair_colour" in names else ""
    if "hair" in names:
        return pick(_HAIR[who.hair]).format("" if who.hair == "bald" else colour)
    return f"{colour}hair"


class _Pick:
    """Chooses a wording: the first without a generator, any with one."""

    def __init__(self, rng: np.random.Generator | None) -> None:
        self.rng = rng

    def __call__(self, choices: tuple[str, ...]) -> str:
        return choices[0] if self.rng is None else choices[int(self.rng.integers(len(choices)))]

    def chance(self, p: float) -> bool:
        return self.rng is not None and bool(self.rng.random() < p)

    def order(self, items: list[str]) -> list[str]:
        return items if self.rng is None else [items[i] for i in self.rng.permutation(len(items))]


def _listed(items: list[str]) -> str:
    if len(items) < 3:
        return " and ".join(items)
    return ", ".join(items[:-1]) + f", and {items[-1]}"


def _sentence(who: Attributes, style_phrase: str, names: frozenset[str], pick: _Pick) -> str:
    mood_first = "expression" in names and not pick.chance(0.4)
    before = [pick(_MOOD[who.expression])] if mood_first else []
    skin_first = "skin" in names and not pick.chance(0.3)
    if skin_first:
        before.append(pick(_SKIN[who.skin]))
    has: list[str] = []
    if "skin" in names and not skin_first:
        has.append(
            {"pale": "pale skin", "tan": "tan skin", "brown": "brown skin", "dark": "dark skin"}[who.skin]
        )
    if "hair" in names or ("hair_colour" in names and who.hair != "bald"):
        has.append(_hair(who, names, pick))
    for name, table in (("face", _FACE), ("glasses", _GLASSES), ("facial_hair", _FACIAL_HAIR)):
        if name in names:
            has.append(pick(table[getattr(who, name)]))
    if "expression" in names and not mood_first:
        has.append(pick(_EXPRESSION[who.expression]))
    worn: list[str] = []
    for name, table in (("clothing", _CLOTHING), ("headwear", _HEADWEAR)):
        if name in names:
            worn.append(pick(table[getattr(who, name)]))
    if worn and pick.chance(0.4):
        has, worn = has + worn, []
    subject = " ".join([*before, pick(_NOUN[who.gender]) if "gender" in names else "person"])
    text = f"{'An' if subject[0] in 'aeiou' else 'A'} {subject}"
    if has:
        text += f" with {_listed(pick.order(has))}"
    clauses = [f"wearing {_listed(pick.order(worn))}"] if worn else []
    clauses += [
        pick(table[getattr(who, name)])
        for name, table in (("pose", _POSE), ("light", _LIGHT))
        if name in names
    ]
    if style_phrase:
        clauses.append(style_phrase)
    return ", ".join([text, *clauses]) + "."


def caption(who: Attributes, style: str, rng: np.random.Generator, *, keep: float = 0.8) -> str:
    """A sentence about `who` in `style`, in a random wording and order.

    Each attribute is said with probability `keep` (more rarely where there is nothing to see, such as
    no glasses), the style nine times in ten.
    """
    share = dict.fromkeys(who.to_dict(), keep)
    share["gender"] = max(keep, 0.9)
    for name in ("glasses", "facial_hair", "headwear"):
        if getattr(who, name) == "none":
            share[name] = keep * 0.12
    share["pose"], share["light"] = keep * 0.5, keep * 0.3
    if who.hair == "bald" or (who.headwear != "none" and who.hair not in ("long", "wavy", "bob")):
        share["hair_colour"] = 0.0
        if who.hair != "bald":
            share["hair"] = keep * 0.1
    names = frozenset(name for name, p in share.items() if rng.random() < p)
    pick = _Pick(rng)
    style_phrase = pick(STYLE_PHRASES[style]) if rng.random() < 0.9 else ""
    return _sentence(who, style_phrase, names, pick)


def prompt(who: Attributes, style: str, names: Iterable[str]) -> str:
    """The plain sentence that names exactly the attributes `names` of `who`, and the style."""
    return _sentence(who, STYLE_PHRASES[style][0], frozenset(names), _Pick(None))


def words(n: int = 8000, seed: int = 0) -> Iterator[str]:
    """`n` captions of random people in all styles: a corpus for a tokenizer."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        yield caption(random_attributes(rng), STYLES[int(rng.integers(len(STYLES)))], rng, keep=0.6)
