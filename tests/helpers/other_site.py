"""A site with the museum's structure that shares no code with it: other markup, order and servers.

Pages and API are on two ports. The API gives few laureates at once, its keys in another order, and links that
lead astray; facts pages carry their picture in all the ways that sites have.
"""

import io
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

CATEGORIES = {
    "phy": ("Physics", "physics"),
    "med": ("Physiology or Medicine", "medicine"),
    "pea": ("Peace", "peace"),
}
CREDITS = {
    "illustration": (
        "Ill. A. Person © Prize Outreach",
        "© Prize Media. Ill: A. Person",
        "ILLUSTRATION BY A.",
    ),
    "photograph": ("© The Foundation. Photo: B. Person", "Photograph from the archive", "photo: C"),
    "unknown": ("© Prize Outreach", "Courtesy of the family", "Photo illustration: D. Person"),
}
PICTURES = (  # {} is where the picture is
    '<img alt="" src="{}">',
    '<img src="data:image/gif;base64,R0lGOD" data-src="{}">',
    '<img class="lazy" src="/ph/blank.gif"><noscript><img alt="" src="{}"></noscript>',
    '<picture><source type="image/jpeg" srcset="/small.jpg 248w, {} 496w"><img src="data:,"></picture>',
    '<img srcset="/small.jpg 1x, {} 2x">',
    '<img data-srcset="/small.jpg 248w, {} 496w" src="/ph/spacer.gif">',
    '<img data-lazy-src="{}" src="/ph/pixel.png">',
    '<img src="/ph/placeholder.svg" srcset="{} 496w">',
)


@dataclass(frozen=True)
class Person:
    """One entry. `kind` is what its credit line says."""

    number: int
    kind: str

    @property
    def key(self) -> str:
        """Id, year and category."""
        return f"{100 + 3 * self.number}-{2025 - self.number // 4}-{self.category}"

    @property
    def category(self) -> str:
        """One of CATEGORIES."""
        return list(CATEGORIES)[self.number % 3]

    @property
    def page(self) -> str:
        """Path of the facts page."""
        _, year, category = self.key.split("-")
        return f"/prizes/{CATEGORIES[category][1]}/{year}/p%C3%A9rson-{self.number}/facts/"

    @property
    def image(self) -> str:
        """Path of the picture: of no use for guessing the name of another."""
        return f"/images/{7 * self.number}-p%20{self.number}-portrait-medium.jpg"

    @property
    def picture(self) -> bytes:
        """The picture's bytes."""
        buffer = io.BytesIO()
        noise = np.random.default_rng(self.number).integers(0, 255, (60, 40, 3), np.uint8)
        Image.fromarray(noise).save(buffer, "JPEG")
        return buffer.getvalue()


def people(count: int) -> list[Person]:
    """Half of them drawn, a quarter photographed, a quarter unknown."""
    kinds = ("illustration", "photograph", "illustration", "unknown")
    return [Person(number, kinds[(number // 3) % 4]) for number in range(count)]


def facts(person: Person, site: str) -> str:
    """A facts page: attributes, wrappers and the form of addresses differ from person to person."""
    n = person.number
    loud = site.replace("http", "HTTP") + person.image
    address = (person.image, site.partition(":")[2] + person.image, loud)[n % 3]
    base = '<base href="/prizes/">' if n % 4 == 1 else ""
    picture = PICTURES[n % len(PICTURES)].format(address)
    line = f'<p data-a class="small figcaption__attribution b">{CREDITS[person.kind][n % 3]}</p>'
    identity = person.key.partition("-")[0]
    return f"""<!DOCTYPE html><html lang=en><head>{base}
    <meta http-equiv=refresh content="0; url=//other.example/"><title>x</title></head><body><div><main>
    <section id=s class="wide laur-{identity} dark laureate-facts"><header><h1>Pérson  {n}</h1></header>
    <div class="left"><figure class="f"><div class="b image"><b>{picture}</b></div>
    <figcaption>{line}</figcaption></figure></div></section></main><aside>
    <figure><div class="image"><img src="/ad.jpg"></div><p class="figcaption__attribution">Photo: X</p>
    </figure></aside></div></body></html>"""


def answer(crowd: list[Person], offset: int, site: str) -> str:
    """At most seven laureates, whatever is asked for; the keys in an order of their own."""
    rows = []
    for person in crowd[offset : offset + 7]:
        identity, year, category = person.key.split("-")
        link = {"class": ["laureate facts"], "title": "t", "href": site + person.page, "rel": "external"}
        other = {"class": ["laureate"], "rel": "laureate", "href": "https://api.example/2/laureate/1"}
        prize = {
            "links": [other, link],
            "portion": "1",
            "category": {"no": "x", "en": CATEGORIES[category][0]},
        }
        rows.append(
            {
                "nobelPrizes": [prize | {"awardYear": year}],
                "links": [other],
                "sameAs": "https://a.example/" if person.number % 2 else ["https://a.example/"],
                "birth": {"place": {"locationString": {"en": ""}}, "date": "1943-00-00"},
                "gender": ("female", "male")[person.number % 2],
                "fullName": {"se": "x", "en": f" Pérson  {person.number} "},
                "id": identity,
            }
        )
    meta = {"terms": "x", "count": len(crowd), "limit": 7}
    links = {"next": "http://masterdata.example/2.1/laureates?offset=0"}
    return json.dumps({"meta": meta, "links": links, "laureates": rows})


def prize_list(crowd: list[Person]) -> str:
    """All prizes, by relative addresses."""
    cards = "".join(
        f'<article><div data-x=1 class="row card-prize z"><h3><a href="/x">A prize</a></h3><ul '
        f'class="card-prize--laureates--links u"><li><a href="../../../..{person.page}">a</a></ul></div>'
        for person in crowd
    )
    prizes = len({person.key.partition("-")[2] for person in crowd})
    years = sorted(int(person.key.split("-")[1]) for person in crowd)
    times = f"awarded {prizes} times to <b>{len(crowd)}</b> Nobel laureates"
    said = f"has been {times} between {years[0]} and {years[-1]}."
    return f"<html><body><p>The prize {said} More.</p>{cards}</body></html>"


@contextmanager
def opened(crowd: list[Person]) -> Iterator[tuple[str, str, list[str]]]:
    """Serve pages and API; gives their two addresses and the log of what was asked."""
    log: list[str] = []
    site = ""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            log.append(f"GET {self.path}")
            parts = urlsplit(self.path)
            pages = {person.page: facts(person, site).encode() for person in crowd}
            pages |= {person.image: person.picture for person in crowd}
            pages["/prizes/lists/all-nobel-prizes/all/"] = prize_list(crowd).encode()
            if parts.path == "/api/v9/laureates":
                offset = int(parse_qs(parts.query).get("offset", ["0"])[0])
                pages[parts.path] = answer(crowd, offset, site).encode()
            body = pages.get(parts.path)
            self.send_response(404 if body is None else 200)
            kind = "image/jpeg" if parts.path.endswith(".jpg") else "text/html"
            self.send_header("Content-Type", "application/json" if "/api/" in parts.path else kind)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ExitStack() as stack:
        addresses = []
        for _ in range(2):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            server.daemon_threads = True
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(server.shutdown)
            addresses.append(f"http://127.0.0.1:{server.server_port}")
        site = addresses[0]
        yield site, f"{addresses[1]}/api/v9", log
