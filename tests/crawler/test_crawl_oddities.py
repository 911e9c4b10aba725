"""Irregular pictures, names and API entries: nothing is lost."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sites_of_faults import (
    Fault,
    body,
    crawled,
    edited,
    few,
    image,
    key,
    page,
    picture_bytes,
    site,
    status,
)

from laureate.simulator.museum.collection import collection
from laureate.simulator.museum.pages import LIST_PATH

pytestmark = pytest.mark.usefixtures("warm_crawler")


def turned() -> dict[str, Any]:
    """EXIF that says to turn the picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif}


def moving() -> dict[str, Any]:
    """Three frames."""
    return {"save_all": True, "append_images": [Image.new("P", (40, 60), level) for level in (40, 200)]}


ODD: dict[str, tuple[bytes, str]] = {  # name: bytes, suffix of the stored file
    "cmyk": (picture_bytes(mode="CMYK"), "jpg"),
    "16 bit": (picture_bytes(form="PNG", mode="I;16"), "png"),
    "alpha": (picture_bytes(form="PNG", mode="RGBA"), "png"),
    "animated": (picture_bytes(form="GIF", mode="P", **moving()), "gif"),
    "EXIF-rotated": (picture_bytes(**turned()), "jpg"),
    "a PNG under a JPEG's address": (picture_bytes(form="PNG"), "png"),
    "resized duplicate": (picture_bytes((20, 30)), "jpg"),
}


def test_odd_pictures_are_stored_as_they_were_sent(tmp_path: Path) -> None:
    victims = dict(zip(ODD, few(len(ODD)), strict=True))
    faults = {image(victims[name]): body(data) for name, (data, _) in ODD.items()}
    with site(list(victims.values()), faults) as (address, _):
        _, report = crawled(address, tmp_path / "raw")
    assert report["faults"] == []
    for name, (data, suffix) in ODD.items():
        assert (tmp_path / f"raw/{key(victims[name])}.{suffix}").read_bytes() == data, name


NAMES = {  # what an image is called on its page => what is asked for
    "Ø": ("/images/Ørsted-portrait.jpg", "/images/%C3%98rsted-portrait.jpg"),
    "%20": ("/images/wilson-robert%20b111769.jpg", "/images/wilson-robert%20b111769.jpg"),
    "NFD": ("/images/A\u030angstro\u0308m.jpg", "/images/A%CC%8Angstro%CC%88m.jpg"),
    "../": ("../../../../../../../../raw/../../x.jpg", "/x.jpg"),
    "encoded ../": ("/images/..%2F..%2Fx.jpg", "/images/..%2F..%2Fx.jpg"),
    "absolute path": ("/etc/cron.d/x.jpg", "/etc/cron.d/x.jpg"),
    "backslashes": (r"/images/C:\x.jpg", "/images/C:/x.jpg"),
}


def replaced(old: str, new: str) -> Fault:
    """The museum's page, in which one text stands for another."""
    return edited(lambda text: text.replace(old, new))


def test_names_of_any_kind_stay_inside_the_store(tmp_path: Path) -> None:
    victims = dict(zip(NAMES, few(len(NAMES)), strict=True))
    faults: dict[str, Fault] = {}
    for number, (name, (written, asked)) in enumerate(NAMES.items()):
        person = victims[name]
        faults[page(person)] = replaced(image(person), written)
        faults[asked] = body(picture_bytes((40, 60 + number)))
    with site(list(victims.values()), faults) as (address, _):
        _, report = crawled(address, tmp_path / "data/raw")
    assert report["faults"] == []
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg")}
    assert files == {f"data/raw/{key(person)}.jpg" for person in victims.values()}
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_an_api_with_odd_entries_loses_nobody(tmp_path: Path) -> None:
    people = few(7)

    def odd(text: str) -> str:
        answer = json.loads(text)
        rows = answer["laureates"]
        rows[0]["birth"]["date"] = "1943-00-00"
        rows[0]["sameAs"] = "http://a.example/" if isinstance(rows[0].get("sameAs"), list) else ["a", "b"]
        rows[1]["knownName"] = ["a list", "where a string was"]
        del rows[2]["nobelPrizes"]
        rows[3]["nobelPrizes"][0]["awardYear"] = ["2020"]
        del rows[4]["id"]
        rows[5]["nobelPrizes"] = rows[5]["nobelPrizes"][0]  # one where a list was
        rows[6]["nobelPrizes"][0].update(links={"href": 7}, category=None)
        answer["links"]["next"] = "http://masterdataapi.example/2.1/laureates?offset=0"
        return json.dumps(answer)

    with site(people, {"/2.1/laureates": edited(odd)}) as (address, _):
        rows, report = crawled(address, tmp_path / "raw")
    assert {row["id"] for row in rows if row["file"]} == {person.id for person in people}
    told = " ".join(fault["reason"] for fault in report["faults"])
    for said in ("laureate 4 has no usable id", f"{people[2].id} has no prize (field 'nobelPrizes')"):
        assert said in told
    for person in (people[3], people[6]):
        assert f"a prize of laureate {person.id} has no usable year or category" in told
    assert people[0].id not in told


def test_a_person_with_two_prizes_has_two_portraits(tmp_path: Path) -> None:
    (twice,) = (person for person in collection() if len(person.prizes) > 1)
    with site([*few(1), twice]) as (address, _):
        rows, report = crawled(address, tmp_path / "raw")
    keys = {f"{twice.id}-{prize.year}-{prize.category}.jpg" for prize in twice.prizes}
    assert keys <= {row["file"] for row in rows}
    assert report["faults"] == []


def test_a_year_without_laureates_is_no_fault(tmp_path: Path) -> None:
    card = "<div class='card-prize'><h3><a href='/prizes/peace/1940/'>Peace 1940</a></h3>No prize.</div>"
    faults: dict[str, Fault] = {LIST_PATH: edited(lambda text: text.replace("</main>", f"{card}</main>"))}
    with site(few(2), faults) as (address, _):
        rows, report = crawled(address, tmp_path / "raw")
    assert (len(rows), report["faults"]) == (2, [])


def test_an_api_that_is_down_is_made_up_for_by_the_list_and_told(tmp_path: Path) -> None:
    with site(few(3), {"/2.1/laureates": status(500)}) as (address, _):
        rows, report = crawled(address, tmp_path / "raw", retries=0)
    assert len([row for row in rows if row["file"]]) == 3
    assert ("api", "HTTP status 500") in {(fault["about"], fault["reason"]) for fault in report["faults"]}


def test_the_sentence_of_the_list_page_is_held_against_the_api(tmp_path: Path) -> None:
    def wrong(text: str) -> str:
        return re.sub(r"Between \d+ and", "Between 1901 and", text).replace(
            " times to 2 people", " times to 9 people"
        )

    with site(few(2), {LIST_PATH: edited(wrong)}) as (address, _):
        _, report = crawled(address, tmp_path / "raw")
    told = [fault["reason"] for fault in report["faults"] if fault["about"] == "check"]
    assert any("the list page counts 2 to 9 prizes and people, the API 2 to 2" in reason for reason in told)
    assert any("the list page gives the years 1901 to" in reason for reason in told)
