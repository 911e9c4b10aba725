"""The museum over HTTP: its collection, its pages and its API."""

import http.client
import io
import json
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from laureate.core.errors import LaureateError
from laureate.simulator.museum import server
from laureate.simulator.museum.api import facts_path
from laureate.simulator.museum.collection import (
    CATEGORIES,
    ILLUSTRATOR,
    NOT_AWARDED,
    YEARS,
    collection,
    slugged,
)
from laureate.simulator.museum.pages import LIST_PATH
from laureate.simulator.museum.server import Museum, drawn

PEOPLE = collection()
PRIZES = [(person, prize) for person in PEOPLE for prize in person.prizes]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The whole museum, open on loopback."""
    with server.opened() as address:
        yield address


def get(address: str, path: str) -> Any:
    """An answer of the API."""
    with urllib.request.urlopen(address + path) as answer:
        return json.load(answer)


def test_about_two_hundred_laureates_of_six_prizes_over_all_the_years() -> None:
    assert 190 <= len(PEOPLE) <= 220
    assert {prize.category for _, prize in PRIZES} == set(CATEGORIES)
    years = {prize.year for _, prize in PRIZES}
    assert min(years) <= YEARS[0] + 3
    assert max(years) == YEARS[1]
    assert not years & NOT_AWARDED


def test_the_collection_holds_what_a_study_needs_and_what_a_crawler_must_see_through() -> None:
    kinds = Counter(
        (prize.year >= 2000, prize.portrait.style, prize.portrait.credit == ILLUSTRATOR)
        for _, prize in PRIZES
        if prize.portrait
    )
    assert 105 <= kinds[True, "laureate", True] <= 125  # drawings
    assert kinds[True, "photograph", False] >= 5  # drawings that a photograph has replaced
    assert kinds[False, "photograph", False] >= 60
    assert {style for late, style, _ in kinds if not late} == {"photograph"}
    assert sum(person.gender is None for person in PEOPLE) == 4
    assert sum(len(person.prizes) == 2 for person in PEOPLE) == 1
    assert any(person.born.endswith("-00-00") for person in PEOPLE if person.gender)
    assert any("%20" in prize.portrait.file for _, prize in PRIZES if prize.portrait)


def test_names_and_ids_are_unique_and_of_many_scripts() -> None:
    assert len({person.name for person in PEOPLE}) == len(PEOPLE) == len({person.id for person in PEOPLE})
    letters = set("".join(person.name for person in PEOPLE))
    assert letters >= set("Øøéöłş")
    assert max(Counter(person.slug for person in PEOPLE).values()) > 1  # a slug is no key
    assert len({facts_path(*award) for award in PRIZES}) == len(PRIZES)


def test_names_go_with_the_gender_that_is_drawn() -> None:
    for person, prize in PRIZES:
        if prize.portrait:
            assert person.gender == {"man": "male", "woman": "female"}[prize.portrait.attributes.gender]


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Øverlid", "overlid"), ("Großkreuther", "grosskreuther"), ("d'Aubrimont", "d-aubrimont")],
)
def test_a_name_in_an_address_is_plain(name: str, slug: str) -> None:
    assert slugged(name) == slug


def test_a_portrait_is_the_same_bytes_each_time_at_the_real_sites_size() -> None:
    portrait = next(prize.portrait for _, prize in PRIZES if prize.portrait)
    data = drawn(portrait)
    assert data == drawn(portrait)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (496, 744), "RGB")


def test_a_small_museum_holds_the_newest() -> None:
    few = collection(laureates=5)
    assert len(few) == 5
    assert min(person.prizes[-1].year for person in few) >= 2025


def test_paging_by_offset_and_count_reaches_everyone_once(address: str) -> None:
    rows: list[Any] = []
    while True:
        page = get(address, f"/2.1/laureates?offset={len(rows)}&limit=60")
        rows += page["laureates"]
        if len(rows) >= page["meta"]["count"]:
            break
    assert [row["id"] for row in rows] == [person.id for person in PEOPLE]


def test_the_api_has_the_traps_of_the_real_one(address: str) -> None:
    page = get(address, "/2.1/laureates")
    assert len(page["laureates"]) == page["meta"]["limit"] == 25
    assert urlsplit(page["links"]["next"]).netloc != urlsplit(address).netloc
    assert f"offset={page['meta']['count']}" in page["links"]["last"]
    rows = get(address, "/2.1/laureates?limit=1000")["laureates"]
    assert {type(row["sameAs"]) for row in rows} == {str, list}
    assert any(row["knownName"]["en"] != row["knownName"]["en"].strip() for row in rows if "knownName" in row)
    assert any(row["birth"]["place"]["locationString"]["en"] == "" for row in rows if "birth" in row)
    organisation = next(row for row in rows if "orgName" in row)
    assert "gender" not in organisation
    assert "founded" in organisation
    prizes = get(address, "/2.1/nobelPrizes?limit=1000")["nobelPrizes"]
    assert any("laureates" not in prize and "dateAwarded" not in prize for prize in prizes)


def test_the_api_narrows_by_year_and_category(address: str) -> None:
    rows = get(address, "/2.1/laureates?nobelPrizeYear=2020&yearTo=2021&nobelPrizeCategory=phy&limit=99")[
        "laureates"
    ]
    assert rows
    for row in rows:
        assert any(
            p["awardYear"] in ("2020", "2021") and p["category"]["en"] == "Physics"
            for p in row["nobelPrizes"]
        )


@pytest.mark.parametrize(
    "path", ["/nowhere", "/images/none.jpg", "/2.1/laureates?limit=x", "/2.1/laureates?offset=-1"]
)
def test_a_wrong_address_gets_a_status_that_says_so(address: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(address + path)
    assert error.value.code in (400, 404)
    error.value.close()


def test_the_list_page_counts_and_links_every_prize() -> None:
    text = Museum(PEOPLE)(LIST_PATH, "h").body.decode()
    links = re.findall(r'card-prize--laureates--links--link" href="([^"]+)"', text)
    assert sorted(links) == sorted(facts_path(*award) for award in PRIZES)
    awarded = {(prize.year, prize.category) for _, prize in PRIZES}
    assert f"awarded {len(awarded)} times to {len(PRIZES)} people" in text


def test_every_link_inside_the_museum_leads_somewhere() -> None:
    whole = Museum(PEOPLE)
    for path in ("/", LIST_PATH, *list(whole.facts)[::20]):
        for link in re.findall(r'(?:href|src|data-src)="(/[^"]*)"', whole(path, "h").body.decode()):
            assert link in whole.pictures or whole(link, "h").status == 200, link


def test_who_has_the_bytes_already_gets_304_and_head_gets_no_body(address: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    connection.request("HEAD", "/robots.txt")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    connection.request("GET", "/robots.txt", headers={"If-None-Match": answer.headers["ETag"]})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (304, b"")
    connection.close()


def test_a_port_that_is_taken_is_a_sentence(address: str) -> None:
    with (
        pytest.raises(LaureateError, match="is not free"),
        server.opened([], port=urlsplit(address).port or 0),
    ):
        pass
