"""HTML pages of the museum, with the structure of nobelprize.org."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from laureate.simulator.museum.api import facts_path
from laureate.simulator.museum.collection import CATEGORIES, Laureate, Prize

TITLE = "The Laureate Museum"
LIST_PATH = "/prizes/lists/all-nobel-prizes/all/"

STYLE = Path(__file__).with_name("museum.css")

# The site loads some pictures lazily; this script does the same.
LAZY = "<script>for (const i of document.querySelectorAll('img[data-src]')) i.src = i.dataset.src;</script>"


def home(people: Sequence[Laureate]) -> str:
    """The home page: newest portraits first."""
    rows = [(prize.year, person, prize) for person in people for prize in person.prizes if prize.portrait]
    rows.sort(key=lambda row: (-row[0], row[1].name))
    tiles = "".join(
        f'<a href="{facts_path(person, prize)}"><img loading="lazy" src="{image_path(prize)}" alt="">'
        f"{escape(person.name)}<br><small>{CATEGORIES[prize.category]}, {prize.year}</small></a>"
        for _, person, prize in rows
    )
    return _page(
        TITLE,
        f"<h1>{TITLE}</h1><p class='lead'>{len(people)} people and organisations, six prizes, a century and "
        "a quarter of portraits: photographs at first, then brush and gold leaf. Nobody here ever lived. "
        f"<a href='{LIST_PATH}'>All prizes</a>.</p><div class='wall'>{tiles}</div>",
    )


def prize_list(people: Sequence[Laureate]) -> str:
    """The list of all prizes, newest year first, with the sentence that counts them."""
    awarded: dict[tuple[int, str], list[tuple[Laureate, Prize]]] = {}
    for person in people:
        for prize in person.prizes:
            awarded.setdefault((prize.year, prize.category), []).append((person, prize))
    years = sorted({year for year, _ in awarded})
    parts = [
        "<h1>All prizes</h1>",
        f"<p class='lead'>Between {years[0]} and {years[-1]}, the prizes have been awarded "
        f"{len(awarded)} times to {sum(map(len, awarded.values()))} people and organisations.</p>",
    ]
    for year in reversed(years):
        cards = "".join(_card(year, c, awarded[year, c]) for c in CATEGORIES if (year, c) in awarded)
        parts.append(f"<h2>{year}</h2><div class='cards'>{cards}</div>")
    return _page("All prizes", "".join(parts))


def facts(person: Laureate, prize: Prize) -> str:
    """The facts page of one laureate and prize; some pictures are loaded lazily, as on the real site."""
    rows = [
        ("Prize", f"{CATEGORIES[prize.category]}, {prize.year}"),
        ("Prize motivation", f"“{prize.motivation}”"),
        ("Prize share", prize.portion),
        ("Born" if person.gender else "Founded", f"{_date(person.born)}, {person.city}"),
    ]
    if person.died:
        rows.append(("Died", person.died[:4]))
    listed = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in rows)
    image = "" if prize.portrait is None else _image(person, prize, prize.portrait.credit)
    return _page(
        f"{person.name} – Facts",
        f'<section class="page-section laureate-facts laur-{person.id}{"" if image else " faceless"}">'
        f"<h1>{escape(person.name)}</h1>{image}"
        f'<article class="page-content facts"><dl>{listed}</dl></article></section>',
    )


def missing() -> str:
    """The page of an unknown address (404)."""
    return _page(
        "Not found", f"<h1>This room is empty</h1><p class='lead'><a href='{LIST_PATH}'>All prizes</a></p>"
    )


def image_path(prize: Prize) -> str:
    """Path of a prize's portrait. Raises ValueError when it has none."""
    if prize.portrait is None:
        raise ValueError("an organisation has no portrait")
    return f"/images/{prize.portrait.file}"


def _image(person: Laureate, prize: Prize, credit: str) -> str:
    """`div.image`: a plain `img`; lazily loaded in one page of five, by `srcset` in one of seven."""
    path, name = image_path(prize), escape(person.name)
    blank = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
    number = int(person.id)
    if number % 5 == 0:
        without = f'<noscript><img src="{path}" alt="{name}"></noscript>'
        picture = f'<img src="{blank}" data-src="{path}" alt="{name}">{LAZY}{without}'
    elif number % 7 == 0:
        picture = f'<img srcset="{path} 496w" sizes="496px" alt="{name}">'
    else:
        picture = f'<picture><img src="{path}" alt="{name}"></picture>'
    return (
        f'<div class="image">{picture}'
        f'<figcaption><p class="figcaption__attribution">{escape(credit)}</p></figcaption></div>'
    )


def _card(year: int, category: str, winners: Iterable[tuple[Laureate, Prize]]) -> str:
    """One prize on the list page."""
    winners = list(winners)
    links = ", ".join(
        f'<a class="card-prize--laureates--links--link" href="{facts_path(person, prize)}">'
        f"{escape(person.name)}</a>"
        for person, prize in winners
    )
    quotes = "".join(
        f'<blockquote class="card-prize--laureates--motivation">“{escape(text)}”</blockquote>'
        for text in dict.fromkeys(prize.motivation for _, prize in winners)
    )
    return (
        f'<div class="card-prize"><h3><a href="{facts_path(*winners[0])}">'
        f"The Prize in {CATEGORIES[category]} {year}</a></h3>"
        f'<blockquote class="card-prize--top-motivation"></blockquote>'
        f'<div class="card-prize--laureates--links">{links}</div>{quotes}</div>'
    )


def _date(date: str) -> str:
    """'1943-00-00' => '1943'."""
    return date.removesuffix("-00-00")


def _page(title: str, body: str) -> str:
    """A complete HTML page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/style.css">'
        f'</head><body><header><a class="title" href="/">{TITLE}</a><nav><a href="{LIST_PATH}">All prizes</a>'
        f'<a href="/2.1/laureates">API</a></nav></header><main>{body}</main>'
        "<footer>Everything in this museum is invented: people, prizes and pictures.</footer></body></html>"
    )
