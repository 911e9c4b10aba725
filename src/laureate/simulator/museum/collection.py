"""The collection: about 200 invented laureates, generated from a seed.

The collection stores the attributes of every portrait; the museum's pages show only what a real site would.
"""

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from laureate.formats.vocabulary import VOCABULARY
from laureate.simulator.museum import names
from laureate.simulator.portraits.attributes import Attributes, random_attributes

CATEGORIES: dict[str, str] = {
    "phy": "Physics",
    "che": "Chemistry",
    "med": "Physiology or Medicine",
    "lit": "Literature",
    "pea": "Peace",
    "eco": "Economic Sciences",
}
SLUGS: dict[str, str] = {
    "phy": "physics",
    "che": "chemistry",
    "med": "medicine",
    "lit": "literature",
    "pea": "peace",
    "eco": "economic-sciences",
}
YEARS = (1901, 2026)
DRAWN_SINCE = 2000  # the museum's artist began that year; before, there are photographs
NOT_AWARDED = frozenset({1916, 1940, 1941, 1942})
ILLUSTRATOR = "Ill. Mirja Stålvinge © Laureate Museum Outreach"
PHOTOGRAPHERS = ("I. Sandmoen", "Studio Véran", "T. Okparaji", "Lindgård & Sons", "A. Quillesca")
UNKNOWN_CREDITS = (
    "Courtesy of the family",
    "© Laureate Museum Outreach",
    "From the estate of the laureate",
    "Reproduced by kind permission",
)


@dataclass(frozen=True)
class Portrait:
    """A picture on a facts page: what it shows, how it is made, and the credit line under it."""

    attributes: Attributes
    style: str
    seed: int
    credit: str
    file: str  # last part of its address, percent-encoded


@dataclass(frozen=True)
class Prize:
    """One award; `portrait` is None for organisations."""

    year: int
    category: str
    motivation: str
    portion: str
    portrait: Portrait | None


@dataclass(frozen=True)
class Laureate:
    """A person or an organisation. `gender` is None for organisations; dates may end in -00-00."""

    id: str
    given: str
    family: str
    name: str
    slug: str
    gender: str | None
    born: str
    died: str | None
    city: str
    country: str
    prizes: tuple[Prize, ...]


@cache
def collection(seed: int = 1901, laureates: int | None = None) -> tuple[Laureate, ...]:
    """The museum's laureates, in order of id: about 200 of them, or the `laureates` last ones (>= 1).

    Same arguments, same people and portraits. A small museum holds the newest, so it is mostly drawings.
    """
    rng = np.random.default_rng(seed)
    people: list[Laureate] = []
    for number, (year, category, shared_by) in enumerate(_awards(rng)):
        taken = {person.name for person in people}
        slugs = {p.slug for p in people if (p.prizes[0].year, p.prizes[0].category) == (year, category)}
        people.append(_person(rng, number, year, category, shared_by, taken, slugs))
    people = _second_prize(rng, people) + _organisations(len(people))
    if laureates is not None:
        people = sorted(people, key=lambda person: person.prizes[-1].year)[-laureates:]
    return tuple(sorted(people, key=lambda person: int(person.id)))


def _awards(rng: np.random.Generator) -> list[tuple[int, str, int]]:
    """(year, category, number of people it is shared by) for every share, oldest first."""
    shares: list[tuple[int, str, int]] = []
    for year in range(YEARS[0], YEARS[1] + 1):
        if year in NOT_AWARDED:
            continue
        known = [c for c in CATEGORIES if c != "eco" or year >= 1969]
        prizes = int(rng.random() < 0.72) if year < DRAWN_SINCE else int(rng.integers(3, 5))
        for index in sorted(rng.choice(len(known), size=prizes, replace=False)):
            people = (
                1
                if year < DRAWN_SINCE or known[index] == "lit"
                else int(rng.choice(3, p=(0.62, 0.28, 0.1))) + 1
            )
            shares += [(year, known[index], people)] * people
    return shares


def _person(
    rng: np.random.Generator,
    number: int,
    year: int,
    category: str,
    shared_by: int,
    taken: set[str],
    slugs: set[str],
) -> Laureate:
    """One invented laureate with a name that is not `taken`, and the portrait of the prize."""
    drawn = random_attributes(rng)
    culture, given, family, name = _name(rng, drawn.gender)
    while name in taken:
        culture, given, family, name = _name(rng, drawn.gender)
    weights = np.array(culture.skin, dtype=np.float64)
    drawn = replace(drawn, skin=VOCABULARY["skin"][int(rng.choice(4, p=weights / weights.sum()))])
    age = int(rng.integers(34, 84))
    born = f"{year - age}-{int(rng.integers(1, 13)):02d}-{int(rng.integers(1, 29)):02d}"
    if number % 17 == 5:
        born = f"{year - age}-00-00"  # the day is not known
    died = year - age + int(rng.integers(age + 1, age + 30))
    identity = str(number * 4 + 3 + int(rng.integers(3)))
    slug = slugged(family) if slugged(family) not in slugs else slugged(f"{family} {given}")
    prize = Prize(
        year=year,
        category=category,
        motivation=str(rng.choice(names.load().work[category])),
        portion="1" if shared_by == 1 else f"1/{shared_by}",
        portrait=_portrait(rng, drawn, year, slug, number),
    )
    return Laureate(
        id=identity,
        given=given,
        family=family,
        name=name,
        slug=slug,
        gender="female" if drawn.gender == "woman" else "male",
        born=born,
        died=f"{died}-06-01" if died < YEARS[1] else None,
        city=str(rng.choice(culture.cities)),
        country=culture.country,
        prizes=(prize,),
    )


def _name(rng: np.random.Generator, gender: str) -> tuple[names.Culture, str, str, str]:
    """(culture, given name, family name, full name) of a `man` or `woman`."""
    cultures = names.load().cultures
    culture = cultures[int(rng.integers(len(cultures)))]
    given = str(rng.choice(culture.women if gender == "woman" else culture.men))
    family = str(rng.choice(culture.families))
    return culture, given, family, f"{family} {given}" if culture.family_first else f"{given} {family}"


def _portrait(rng: np.random.Generator, drawn: Attributes, year: int, slug: str, number: int) -> Portrait:
    """A photograph before 2000; then a drawing, unless a photograph or an unclear credit has replaced it."""
    lot = rng.random()
    photographer = str(rng.choice(PHOTOGRAPHERS))
    style, credit = "laureate", ILLUSTRATOR
    if year < DRAWN_SINCE:
        style, credit = "photograph", f"© Laureate Museum archive. Photo: {photographer}"
    elif lot < 0.08:
        style, credit = "photograph", f"© Laureate Museum Outreach. Photo: {photographer}"
    elif lot < 0.13:
        style = "laureate" if lot < 0.105 else "photograph"
        credit = str(rng.choice(UNKNOWN_CREDITS))
    picture = int(rng.integers(10000, 200000))
    file = f"{slug}-{picture}-portrait-medium.jpg"
    if number % 41 == 7:
        file = f"{slug}-portrait%20{picture}-portrait-medium.jpg"  # some addresses hold a space
    return Portrait(drawn, style, int(rng.integers(2**31)), credit, file)


def _second_prize(rng: np.random.Generator, people: list[Laureate]) -> list[Laureate]:
    """Give one laureate of the drawn years a second prize, in another category, with another portrait."""
    index = next(i for i, person in enumerate(people) if person.prizes[0].year >= DRAWN_SINCE + 2)
    first = people[index].prizes[0]
    assert first.portrait is not None
    category = "che" if first.category != "che" else "phy"
    year = first.year + 14
    portrait = replace(
        first.portrait,
        attributes=replace(first.portrait.attributes, hair_colour="white"),
        style="laureate",
        credit=ILLUSTRATOR,
        seed=int(rng.integers(2**31)),
        file=f"{people[index].slug}-{int(rng.integers(10000, 200000))}-portrait-medium.jpg",
    )
    second = Prize(year, category, str(rng.choice(names.load().work[category])), "1", portrait)
    return [*people[:index], replace(people[index], prizes=(first, second)), *people[index + 1 :]]


def _organisations(people: int) -> list[Laureate]:
    """Organisations that won the peace prize; they have no portrait."""
    return [
        Laureate(
            id=str((people + number) * 4 + 3),
            given="",
            family="",
            name=organisation.name,
            slug=slugged(organisation.name),
            gender=None,
            born=f"{organisation.founded}-00-00",
            died=None,
            city=organisation.city,
            country="",
            prizes=(Prize(1957 + 23 * number, "pea", names.load().work["pea"][number], "1", None),),
        )
        for number, organisation in enumerate(names.load().organisations)
    ]


def slugged(name: str) -> str:
    """The ASCII form of a name in addresses: 'Ødegård-Lind' => 'odegard-lind'."""
    table = str.maketrans(
        {"ø": "o", "æ": "ae", "œ": "oe", "ß": "ss", "ð": "d", "þ": "th", "ł": "l", "đ": "d", "ı": "i"}
    )
    plain = unicodedata.normalize("NFKD", name.lower().translate(table)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
