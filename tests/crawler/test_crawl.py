"""Crawls of a site without faults: rows, files, report, changes."""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sites_of_faults import (
    Fault,
    body,
    crawled,
    edited,
    fails,
    few,
    image,
    page,
    picture_bytes,
    same_bytes,
    site,
    status,
)

from laureate.config.params import Crawl, Params
from laureate.formats.portraits import read_manifest
from laureate.simulator.museum.collection import collection
from laureate.simulator.museum.server import drawn
from laureate.stages import crawl

pytestmark = pytest.mark.usefixtures("warm_crawler")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], dict[str, Any]]:
    """A crawl of the 30 newest laureates of the museum, by three answers of the API."""
    out = tmp_path_factory.mktemp("sound") / "raw"
    with site(collection(laureates=30)) as (address, _):
        rows, report = crawled(address, out, page_size=12)
    return out, rows, report


def test_every_illustration_is_found_and_its_bytes_are_as_sent(sound: Any) -> None:
    out, rows, _ = sound
    wanted = {
        f"{person.id}-{prize.year}-{prize.category}.jpg": prize.portrait
        for person in collection(laureates=30)
        for prize in person.prizes
        if prize.portrait and prize.portrait.credit.startswith("Ill.")
    }
    assert {row["file"] for row in rows if row["file"]} == wanted.keys()
    name, portrait = next(iter(wanted.items()))
    assert (out / name).read_bytes() == drawn(portrait)
    for row in rows:
        if row["file"]:
            data = (out / row["file"]).read_bytes()
            assert (row["sha256"], row["size"]) == (hashlib.sha256(data).hexdigest(), len(data))


def test_nothing_but_pictures_and_their_manifest_is_written(sound: Any) -> None:
    out, rows, _ = sound
    assert {path.name for path in out.iterdir()} == {row["file"] for row in rows if row["file"]} | {
        "portraits.jsonl"
    }


def test_the_manifest_is_sorted_and_holds_no_time(sound: Any) -> None:
    out, rows, _ = sound
    assert [int(row["id"]) for row in rows] == sorted(int(row["id"]) for row in rows)
    assert "20:" not in (out / "portraits.jsonl").read_text()
    assert set(rows[0]) == {
        *(
            "id",
            "name",
            "gender",
            "year",
            "category",
            "page",
            "image",
            "credit",
            "kind",
            "file",
            "sha256",
            "size",
        )
    }


def test_kind_comes_from_the_credit_line_alone(sound: Any) -> None:
    _, rows, report = sound
    for row in rows:
        says = (
            "illustration"
            if "Ill." in row["credit"]
            else "photograph"
            if "Photo" in row["credit"]
            else "unknown"
        )
        assert row["kind"] == says
        assert (row["file"] is not None) == (says == "illustration")
    assert {row["id"] for row in report["quarantined"]} == {
        row["id"] for row in rows if row["kind"] == "unknown"
    }


def test_organisations_are_left_out_by_name(sound: Any) -> None:
    assert [s["what"] for s in sound[2]["skipped"]] == ["Committee of Border Orchards (819)"]


def test_a_sound_site_has_no_faults(sound: Any) -> None:
    assert sound[2]["faults"] == []
    assert sound[2]["coverage"]["pages"] == sound[2]["coverage"]["pictures"] == 1.0


def test_a_second_crawl_gives_the_same_bytes_and_fetches_no_picture(tmp_path: Path) -> None:
    people = few(4)
    with site(people) as (address, log):
        crawled(address, tmp_path / "raw")
        before = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}
        log.asked.clear()
        _, report = crawled(address, tmp_path / "raw")
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == before
    assert not [line for line in log.asked if line.startswith("GET /images/")]
    assert report["fetched"] == {"api": 0, "list": 0, "page": 0, "picture": 0}
    assert report["changes"] == {"appeared": [], "vanished": [], "changed bytes": [], "changed kind": []}


def test_the_museum_of_its_own_is_crawled_under_a_lasting_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        crawl.run(Params(crawl=Crawl(limit=3)), out=tmp_path / name / "raw")
    assert same_bytes(tmp_path / "one/raw", tmp_path / "two/raw")
    assert all(
        r["page"].startswith("http://127.0.0.1:8000/")
        for r in read_manifest(tmp_path / "one/raw/portraits.jsonl")
    )


def test_years_categories_and_kinds_narrow_the_crawl(tmp_path: Path) -> None:
    with site(collection(laureates=30)) as (address, log):
        rows, _ = crawled(
            address,
            tmp_path / "raw",
            years=[2024, 2025],
            categories=["phy", "lit"],
            kinds=["photograph", "illustration"],
        )
    assert rows
    assert {row["year"] for row in rows} <= {2024, 2025}
    assert {row["category"] for row in rows} <= {"phy", "lit"}
    assert all(row["file"] for row in rows if row["kind"] != "unknown")
    assert not [line for line in log.asked if "/2023/" in line]


def test_next_year_is_crawled_by_default(tmp_path: Path) -> None:
    person = few(1)[0]
    later = replace(person, prizes=tuple(replace(prize, year=2031) for prize in person.prizes))
    with site([later]) as (address, _):
        rows, report = crawled(address, tmp_path / "raw")
    assert [row["year"] for row in rows] == [2031]
    assert report["excluded"] == []


@pytest.mark.parametrize("years", [[2024, 2025], [None, 2023], [None, None]])
def test_the_report_counts_every_prize_that_years_and_categories_leave_out(
    tmp_path: Path, years: list[int | None], capsys: pytest.CaptureFixture[str]
) -> None:
    people = collection(laureates=30)
    prizes = [prize for person in people if person.gender for prize in person.prizes]
    first, last = years[0] or 0, years[1] or 9999
    expected = Counter(
        ("crawl.categories" if first <= prize.year <= last else "crawl.years", prize.year, prize.category)
        for prize in prizes
        if not (first <= prize.year <= last and prize.category in ("phy", "lit"))
    )
    with site(people) as (address, _):
        rows, report = crawled(address, tmp_path / "raw", years=years, categories=["phy", "lit"])
    assert {(p["by"], p["year"], p["category"]): p["prizes"] for p in report["excluded"]} == expected
    assert len(rows) + expected.total() == len(prizes)
    assert f"{expected.total()} prizes left out by crawl.categories" in capsys.readouterr().out
    lines = (tmp_path / "crawl_report.md").read_text(encoding="utf-8").splitlines()
    by, year, category = min(expected)
    line = next(line for line in lines if line.startswith(f"- {by}, {year}: "))
    assert f"{expected[by, year, category]} {category}" in line


def test_years_without_a_prize_are_named_as_the_reason(tmp_path: Path) -> None:
    with site(few(2)) as (address, _):
        fails(
            "found no illustration at all, 2 prizes left out by crawl.years",
            address,
            tmp_path,
            years=[None, 1900],
        )


def test_the_report_counts_what_a_limit_leaves_out(tmp_path: Path) -> None:
    people = few(4)
    with site(people) as (address, _):
        rows, report = crawled(address, tmp_path / "raw", limit=1)
    assert {row["by"] for row in report["excluded"]} == {"crawl.limit"}
    assert sum(row["prizes"] for row in report["excluded"]) == len(people) - len(rows)


def test_the_report_says_what_changed_since_the_crawl_before(tmp_path: Path) -> None:
    people = few(4)
    faults: dict[str, Fault] = {page(people[3]): status(404)}
    with site(people, faults) as (address, _):
        crawled(address, tmp_path / "raw")
        faults.clear()
        faults[page(people[0])] = edited(lambda text: text.replace("Ill. ", "Photo: "))
        faults[image(people[1])] = body(picture_bytes(), "image/jpeg")
        faults[page(people[2])] = status(404)
        _, report = crawled(address, tmp_path / "raw")
    found = {name: [line.partition(" (")[0] for line in lines] for name, lines in report["changes"].items()}
    assert found == {
        "appeared": [people[3].name],
        "vanished": [people[2].name],
        "changed bytes": [people[1].name],
        "changed kind": [people[0].name],
    }
