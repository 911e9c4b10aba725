"""API of the museum: the JSON of api.nobelprize.org 2.1, with the irregularities of real responses."""

from collections.abc import Mapping, Sequence
from typing import Any

from laureate.simulator.museum.collection import CATEGORIES, SLUGS, Laureate, Prize

DEFAULT_LIMIT = 25
Json = dict[str, Any]


def laureates(people: Sequence[Laureate], query: Mapping[str, str], host: str) -> Json:
    """One page of `/2.1/laureates`: the laureates `query` asks for (offset, limit, sort, years, category).

    Raises ValueError when offset, limit or a year is not a whole number of at least 0.
    """
    chosen = [person for person in people if any(_asked(prize, query) for prize in person.prizes)]
    if query.get("sort") == "desc":
        chosen = chosen[::-1]
    return _envelope("laureates", [laureate(person, host) for person in chosen], query, host)


def prizes(people: Sequence[Laureate], query: Mapping[str, str], host: str) -> Json:
    """One page of `/2.1/nobelPrizes`, by year and category. A year that was not awarded has no laureates."""
    awarded: dict[tuple[int, str], list[Laureate]] = {}
    for person in people:
        for prize in person.prizes:
            if _asked(prize, query):
                awarded.setdefault((prize.year, prize.category), []).append(person)
    rows = [
        _prize_of_year(year, category, winners, host) for (year, category), winners in sorted(awarded.items())
    ]
    if not {"nobelPrizeYear", "nobelPrizeCategory"} & query.keys():
        rows.insert(0, {"awardYear": "1940", "category": _category("pea"), "prizeAmount": 0})
    return _envelope("nobelPrizes", rows, query, host)


def laureate(person: Laureate, host: str) -> Json:
    """One laureate in full, as the API gives it."""
    number = int(person.id)
    common: Json = {
        "id": person.id,
        "fileName": person.slug,  # not unique, as on the real site
        "wikipedia": {"slug": person.slug},
        "sameAs": f"http://{host}/same/{person.id}" if number % 3 else [f"http://{host}/same/{person.id}"],
        "links": [{"rel": "laureate", "href": f"http://{host}/2/laureate/{person.id}", "action": "GET"}],
        "nobelPrizes": [_prize(person, prize, host) for prize in person.prizes],
    }
    if person.gender is None:
        return common | {
            "orgName": {"en": person.name, "no": person.name},
            "nativeName": person.name,
            "founded": {"date": person.born, "place": _place(person)},
        }
    stray = " " if number % 23 == 0 else ""
    died = {"death": {"date": person.died, "place": _place(person)}} if person.died else {}
    return (
        common
        | died
        | {
            "knownName": {"en": person.name + stray, "se": person.name},
            "givenName": {"en": person.given, "se": person.given},
            "familyName": {"en": person.family, "se": person.family},
            "fullName": {"en": person.name, "se": person.name},
            "gender": person.gender,
            "birth": {"date": person.born, "place": _place(person)},
        }
    )


def facts_path(person: Laureate, prize: Prize) -> str:
    """Path of the facts page, such as `/prizes/physics/1975/bohr/facts/`."""
    return f"/prizes/{SLUGS[prize.category]}/{prize.year}/{person.slug}/facts/"


def _asked(prize: Prize, query: Mapping[str, str]) -> bool:
    """Whether a prize is in the query's years and category."""
    first = int(query.get("nobelPrizeYear", "0"))
    last = int(query.get("yearTo", first or 9999))
    return first <= prize.year <= last and query.get("nobelPrizeCategory", prize.category) == prize.category


def _prize(person: Laureate, prize: Prize, host: str) -> Json:
    """A prize as it stands inside a laureate."""
    facts = {
        "rel": "external",
        "href": f"http://{host}{facts_path(person, prize)}",
        "title": f"{person.name} - Facts",
        "types": "text/html",
        "class": ["laureate facts"],
    }
    itself = {
        "rel": "nobelPrize",
        "href": f"http://{host}/2/nobelPrize/{prize.category}/{prize.year}",
        "action": "GET",
    }
    return {
        "awardYear": str(prize.year),
        "category": _category(prize.category),
        "categoryFullName": {"en": f"The Prize in {CATEGORIES[prize.category]}"},
        "sortOrder": "1",
        "portion": prize.portion,
        "dateAwarded": f"{prize.year}-10-09",
        "prizeStatus": "received",
        "motivation": {"en": prize.motivation},
        "prizeAmount": 1000 * (prize.year - 1900),
        "affiliations": [],
        "links": [itself, facts],
    }


def _prize_of_year(year: int, category: str, winners: Sequence[Laureate], host: str) -> Json:
    """A prize as `/nobelPrizes` gives it."""
    return {
        "awardYear": str(year),
        "category": _category(category),
        "dateAwarded": f"{year}-10-09",
        "laureates": [
            {
                "id": winner.id,
                "knownName": {"en": winner.name},
                "links": [f"http://{host}/2/laureate/{winner.id}"],
            }
            for winner in winners
        ],
        "links": [],
    }


def _category(code: str) -> Json:
    """The category's names; those in other languages are never read."""
    return {"en": CATEGORIES[code], "no": code, "se": code}


def _place(person: Laureate) -> Json:
    """Where someone was born; the text of the place is empty for some."""
    text = "" if int(person.id) % 13 == 0 else f"{person.city}, {person.country}".strip(", ")
    return {"city": {"en": person.city}, "country": {"en": person.country}, "locationString": {"en": text}}


def _envelope(key: str, rows: list[Json], query: Mapping[str, str], host: str) -> Json:
    """Rows `offset` to `offset + limit` in the API's envelope, whose `next` and `last` mislead."""
    offset, limit = int(query.get("offset", "0")), int(query.get("limit", DEFAULT_LIMIT))
    if offset < 0 or limit < 0:
        raise ValueError("offset and limit must not be negative")
    here = f"http://{host}/2.1/{key}"
    links = {
        "first": f"{here}?offset=0&limit={limit}",
        "self": f"{here}?offset={offset}&limit={limit}",
        "last": f"{here}?offset={len(rows)}&limit={limit}",  # past the end
    }
    if offset + limit < len(rows):  # on a host that cannot be reached
        links["next"] = (
            f"http://masterdataapi.laureate.invalid/2.1/{key}?offset={offset + limit}&limit={limit}"
        )
    return {
        key: rows[offset : offset + limit],
        "meta": {
            "offset": offset,
            "limit": limit,
            "count": len(rows),
            "terms": f"http://{host}/terms/",
            "license": "CC0",
            "disclaimer": "Nobody in this collection ever lived.",
        },
        "links": links,
    }
