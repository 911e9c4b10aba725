"""The crawler against servers on loopback: what it finds, what it never does, what changed since."""

import hashlib
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
    reset,
    same_bytes,
    silent,
    site,
    status,
)

from laureate import cli
from laureate.atelier.collection import collection
from laureate.atelier.museum import drawn
from laureate.atelier.museum_pages import LIST_PATH
from laureate.crawled import read_manifest
from laureate.errors import ParameterError
from laureate.params import Crawl, Params
from laureate.stages import crawl

# --- a whole and sound site


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


# --- manners


@pytest.mark.parametrize("fault", [status(500), silent, reset], ids=["500", "no answer", "reset"])
def test_robots_that_cannot_be_read_close_the_site(tmp_path: Path, fault: Fault) -> None:
    with site(few(2), {"/robots.txt": fault}) as (address, log):
        fails(r"robots\.txt could not", address, tmp_path, retries=0, timeout=0.5)
    assert set(log.asked) == {"GET /robots.txt"}


def test_no_robots_file_leaves_the_site_open(tmp_path: Path) -> None:
    with site(few(1), {"/robots.txt": status(404)}) as (address, _):
        assert len(crawled(address, tmp_path / "raw")[0]) == 1


def test_robots_that_disallow_are_obeyed(tmp_path: Path) -> None:
    person = few(1)[0]
    rules = b"User-agent: laureate\nDisallow: /images/\n"
    with site([person], {"/robots.txt": body(rules, "text/plain")}) as (address, log):
        fails(r"robots\.txt", address, tmp_path)
    assert not [line for line in log.asked if "/images/" in line]


def test_a_storm_of_refusals_ends_the_crawl(tmp_path: Path) -> None:
    people = few(8)
    with site(people, {page(person): status(403) for person in people}) as (address, log):
        fails("refused 3 times", address, tmp_path, refusals=3)
    assert len([line for line in log.asked if "/facts/" in line]) <= 4


def test_a_site_that_asks_for_a_long_pause_is_left_alone(tmp_path: Path) -> None:
    with site(few(2), {"/2.1/laureates": status(503, Retry_After="86400")}) as (address, _):
        fails("asks to wait 86400 s", address, tmp_path)


def test_the_user_agent_has_a_name_and_a_contact(tmp_path: Path) -> None:
    seen: list[str] = []

    def look(handler: Any) -> None:
        seen.append(handler.headers["User-Agent"])
        handler.send(handler.plain())

    with site(few(1), {LIST_PATH: look}) as (address, _):
        crawled(address, tmp_path / "raw", contact="crawl@example.org")
    assert len(seen) == 1
    assert seen[0].startswith("laureate/")
    assert "crawl@example.org" in seen[0]


@pytest.mark.parametrize(
    ("arguments", "wanted", "sentence"),
    [
        ({"site": "nobelprize.org"}, {}, "must be an address"),
        ({"site": "https://example.org"}, {}, r"crawl\.api \(--api\) must say"),
        ({"site": "http://www.nobelprize.org"}, {}, "must be https"),
        ({"site": "https://www.nobelprize.org"}, {}, r"crawl\.delay must be at least 1 second"),
        ({"site": "https://www.nobelprize.org"}, {"delay": 2.0}, r"crawl\.contact must say"),
    ],
)
def test_somebody_elses_site_is_not_asked_without_manners(
    arguments: dict[str, str], wanted: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match=sentence):
        crawl.run(Params(crawl=Crawl(**wanted)), out=tmp_path / "raw", **arguments)  # type: ignore[arg-type]


def test_a_dry_run_says_what_it_would_ask_and_asks_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    params = Params(crawl=Crawl(delay=5.0, contact="crawl@example.org"))
    crawl.run(params, site="https://www.nobelprize.org", out=tmp_path / "raw", dry_run=True)
    told = capsys.readouterr().out
    assert "GET https://www.nobelprize.org/robots.txt" in told
    assert "GET https://www.nobelprize.org/prizes/lists/all-nobel-prizes/all/" in told
    assert "GET https://api.nobelprize.org/2.1/laureates?offset=0&limit=100" in told
    assert "crawl@example.org" in told
    assert "5 s" in told
    assert "before a real crawl" not in told
    assert list(tmp_path.iterdir()) == []


def test_the_nobel_world_may_be_looked_at_before_there_is_a_contact(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("params.yaml", "worlds/nobel.yaml", "data/prompts.yaml", "data/prompts-embedded.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((root / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket.connect", None)  # nothing is asked of any network
    assert cli.main(["world", "nobel"]) == 0
    assert cli.main(["crawl", "--dry-run"]) == 0
    told = capsys.readouterr().out
    for line in ("/robots.txt", "/prizes/lists/all-nobel-prizes/all/"):
        assert f"GET https://www.nobelprize.org{line}\n" in told
    assert "GET https://api.nobelprize.org/2.1/laureates?offset=0&limit=250\n" in told
    assert "User-Agent: laureate/" in told
    assert "hosts: api.nobelprize.org, www.nobelprize.org\n" in told
    assert "delay: 5 s between requests" in told
    assert "before a real crawl: crawl.contact must say who asks https://www.nobelprize.org" in told
    assert cli.main(["crawl"]) == 2
    assert "crawl.contact must say" in capsys.readouterr().err
    assert not (tmp_path / "data/raw").exists()


# --- changes between crawls, and crawls cut short


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
