"""The crawler against servers on loopback: what it finds, what it makes of faults, what it never does."""

import gzip
import hashlib
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sites_of_faults import (
    Fault,
    Faulty,
    body,
    crawled,
    drip,
    edited,
    few,
    first,
    key,
    picture_bytes,
    portrait_of,
    report_of,
    reset,
    short,
    silent,
    site,
    status,
    to,
)

from laureate import cli
from laureate.atelier.collection import Laureate, collection
from laureate.atelier.museum import drawn
from laureate.atelier.museum_api import facts_path
from laureate.atelier.museum_pages import LIST_PATH, image_path
from laureate.crawled import read_manifest
from laureate.errors import LaureateError, ParameterError
from laureate.params import Crawl, Params
from laureate.stages import crawl


def page(person: Laureate) -> str:
    """Path of a person's facts page."""
    return facts_path(person, person.prizes[0])


def image(person: Laureate) -> str:
    """Path of a person's portrait."""
    return image_path(person.prizes[0])


def same_bytes(one: Path, two: Path) -> bool:
    """Whether two folders hold the same files."""
    names = sorted(p.name for p in one.iterdir())
    return names == sorted(p.name for p in two.iterdir()) and all(
        (one / name).read_bytes() == (two / name).read_bytes() for name in names
    )


def fails(sentence: str, address: str, folder: Path, **wanted: Any) -> None:
    """A crawl that must end with this sentence."""
    with pytest.raises(LaureateError, match=sentence):
        crawled(address, folder / "raw", **wanted)


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


# --- a site full of faults: one crawl, many tests

PEOPLE = few(26)
FAULTS: dict[str, Callable[[Laureate], tuple[str, Fault]]] = {
    "page 404": lambda p: (page(p), status(404)),
    "page 410": lambda p: (page(p), status(410)),
    "page 500 for ever": lambda p: (page(p), status(500)),
    "page empty": lambda p: (page(p), body(b"", "text/html")),
    "selector gone": lambda p: (page(p), edited(lambda t: t.replace("laureate-facts", "person-facts"))),
    "credit missing": lambda p: (page(p), edited(lambda t: t.replace("figcaption__attribution", "fig"))),
    "credit unknown": lambda p: (
        page(p),
        edited(lambda t: t.replace("Ill. ", "By ")),
    ),
    "another laureate": lambda p: (page(p), edited(lambda t: t.replace(f"laur-{p.id}", "laur-1"))),
    "leads to a file": lambda p: (page(p), to("file:///etc/passwd")),
    "leads to another host": lambda p: (page(p), to("http://localhost:9/prizes/")),
    "leads in a circle": lambda p: (page(p), to(page(p))),
    "image from a file": lambda p: (
        page(p),
        edited(lambda t: t.replace(f'="{image(p)}', '="file:///etc/passwd')),
    ),
    "image elsewhere": lambda p: (
        page(p),
        edited(lambda t: t.replace(image(p), "http://169.254.169.254/latest/")),
    ),
    "picture 404": lambda p: (image(p), status(404)),
    "picture is a page": lambda p: (image(p), body(b"<!doctype html><html>Sorry</html>", "text/html")),
    "picture cut": lambda p: (image(p), body(picture_bytes((300, 300), "PNG")[:-200])),
    "picture empty": lambda p: (image(p), body(b"")),
    "picture short": lambda p: (image(p), short),
    "picture reset": lambda p: (image(p), reset),
    "picture drips": lambda p: (image(p), drip),
    "picture too large": lambda p: (image(p), body(b"\0" * 2_000_000)),
    "picture a bomb": lambda p: (
        image(p),
        lambda h: h.say(
            200, gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip", Content_Type="image/jpeg"
        ),
    ),
    "picture huge": lambda p: (image(p), body(huge_png(), "image/png")),
    "passing 500": lambda p: (image(p), first(status(500))),
    "passing 429": lambda p: (image(p), first(status(429, Retry_After="0"))),
    "sound": lambda p: (image(p), lambda h: h.send(h.plain())),
}
REASONS = {
    "page 404": "HTTP status 404",
    "page 410": "HTTP status 410",
    "page 500 for ever": "HTTP status 500",
    "page empty": "no laureate id: nothing matches 'section.laureate-facts.laur-NNN'",
    "selector gone": "no laureate id: nothing matches 'section.laureate-facts.laur-NNN'",
    "credit missing": "no credit line: nothing matches 'section.laureate-facts .figcaption__attribution'",
    "another laureate": "the page is about laureate 1,",
    "leads to a file": "HTTP status 302",
    "leads to another host": "is on another host",
    "leads in a circle": "max redirections reached",
    "image from a file": "no portrait: nothing matches 'section.laureate-facts div.image img'",
    "image elsewhere": "is on another host",
    "picture 404": "HTTP status 404",
    "picture is a page": "it is a web page",
    "picture cut": "it cannot be decoded",
    "picture empty": "it is empty",
    "picture short": "ResponseDataLoss",
    "picture reset": "Download",
    "picture drips": "Timeout",
    "picture too large": "Cancel",
    "picture a bomb": "exceeded",
    "picture huge": "it has 10000 x 10000 pixels",
}


def huge_png() -> bytes:
    """A PNG of 100 million pixels, in few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = (10_000).to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    data = zlib.compress(b"\0" * 1251 * 10_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def faulty(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[dict[str, Any]], dict[str, Any], dict[str, Laureate]]:
    """One crawl of a site where every person but the last few has a fault of their own."""
    victims = dict(zip(FAULTS, PEOPLE, strict=True))
    out = tmp_path_factory.mktemp("faulty") / "raw"
    with site(PEOPLE, dict(fault(victims[name]) for name, fault in FAULTS.items())) as (address, _):
        rows, report = crawled(address, out, megabytes=1.0, megapixels=20.0)
    return out, rows, report, victims


@pytest.mark.parametrize("name", REASONS)
def test_a_fault_is_reported_with_its_reason_and_place(faulty: Any, name: str) -> None:
    _, rows, report, victims = faulty
    person = victims[name]
    paths = (page(person), image(person), "169.254", "localhost:9")
    told = [f["reason"] for f in report["faults"] if any(p in f["address"] + f["reason"] for p in paths)]
    assert any(REASONS[name] in reason for reason in told), told
    assert key(person) not in {f"{row['id']}-{row['year']}-{row['category']}" for row in rows}


@pytest.mark.parametrize("name", ["passing 500", "passing 429", "sound"])
def test_what_passes_is_tried_again(faulty: Any, name: str) -> None:
    out, _, _, victims = faulty
    assert (out / f"{key(victims[name])}.jpg").read_bytes() == drawn(portrait_of(victims[name]))


def test_an_unknown_credit_is_quarantined(faulty: Any) -> None:
    _, rows, report, victims = faulty
    (row,) = (row for row in rows if row["id"] == victims["credit unknown"].id)
    assert (row["kind"], row["file"]) == ("unknown", None)
    assert [quarantined["id"] for quarantined in report["quarantined"]] == [row["id"]]


def test_nothing_of_a_fault_is_written(faulty: Any) -> None:
    out, rows, _, _ = faulty
    assert {path.name for path in out.iterdir()} == {row["file"] for row in rows if row["file"]} | {
        "portraits.jsonl"
    }
    assert len([row for row in rows if row["file"]]) == 3


def test_the_summary_lists_every_fault(faulty: Any) -> None:
    out, _, report, _ = faulty
    text = (out.parent / "crawl_report.md").read_text()
    assert all(fault["reason"] in text for fault in report["faults"])


# --- sites that are wrong as a whole


def test_too_few_pages_understood_fails_naming_selector_and_page(tmp_path: Path) -> None:
    people = few(3)
    faults = {page(people[0]): edited(lambda text: text.replace('div class="image"', 'div class="picture"'))}
    with (
        site(people, faults) as (address, _),
        pytest.raises(LaureateError, match=r"66\.7% of the pages.*div\.image img") as error,
    ):
        crawled(address, tmp_path / "raw", coverage=Crawl().coverage)
    assert page(people[0]) in str(error.value)
    assert not (tmp_path / "raw").exists()
    assert report_of(tmp_path / "raw")["complaint"]


def test_a_failed_crawl_leaves_the_one_before_as_it_was(tmp_path: Path) -> None:
    people = few(2)
    faults: dict[str, Fault] = {}
    with site(people, faults) as (address, _):
        crawled(address, tmp_path / "raw")
        before = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}
        faults[image(people[0])] = faults[page(people[1])] = status(404)
        with pytest.raises(LaureateError, match="of the pages"):
            crawled(address, tmp_path / "raw", coverage=Crawl().coverage)
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == before


def test_a_redesign_does_not_pass_as_an_empty_data_set(tmp_path: Path) -> None:
    faults: dict[str, Fault] = {"/2.1/laureates": body(b"{}", "application/json"), LIST_PATH: status(404)}
    with (
        site(few(2), faults) as (address, _),
        pytest.raises(LaureateError, match=r"no illustration at all.*laureates"),
    ):
        crawled(address, tmp_path / "raw")


def test_who_is_missing_from_the_api_is_found_by_the_list_page(tmp_path: Path) -> None:
    people = few(4)

    def unlink(text: str) -> str:
        answer = json.loads(text)
        answer["laureates"][1]["nobelPrizes"][0]["links"] = []
        del answer["laureates"][2]
        answer["meta"]["count"] = 3
        return json.dumps(answer)

    with site(people, {"/2.1/laureates": edited(unlink)}) as (address, _):
        rows, report = crawled(address, tmp_path / "raw")
    assert {row["id"] for row in rows if row["file"]} == {person.id for person in people}
    assert {row["name"] for row in rows} == {person.name for person in people}
    assert sum("not linked by the API" in fault["reason"] for fault in report["faults"]) == 2


def test_a_wrong_count_and_a_next_that_loops_come_to_an_end(tmp_path: Path) -> None:
    always = Museumlike()
    with site(few(3), {"/2.1/laureates": always}) as (address, log):
        rows, report = crawled(address, tmp_path / "raw", page_size=3)
    assert len(rows) == 3
    assert len([line for line in log.asked if "/2.1/laureates" in line]) == 2
    assert any("meta.count" in fault["reason"] for fault in report["faults"])


class Museumlike:
    """An API that gives the same first page whatever the offset, and a count that is never reached."""

    def __call__(self, handler: Any) -> None:
        handler.path = "/2.1/laureates?offset=0&limit=3"
        answer = json.loads(handler.plain().body)
        answer["meta"]["count"] = 1000
        handler.say(200, json.dumps(answer).encode(), Content_Type="application/json")


def test_the_same_bytes_at_two_addresses_are_stored_once(tmp_path: Path) -> None:
    people = few(2)
    data = drawn(portrait_of(people[0]))
    with site(people, {image(people[1]): body(data)}) as (address, _):
        rows, report = crawled(address, tmp_path / "raw")
    assert {row["file"] for row in rows} == {f"{key(people[0])}.jpg"}
    assert len(list((tmp_path / "raw").iterdir())) == 2
    assert report["pictures"] == 1


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


def test_a_crawl_that_was_cut_short_goes_on_where_it_was(tmp_path: Path) -> None:
    people = few(6)
    faults: dict[str, Fault] = {image(people[2]): status(503, Retry_After="9999")}
    with site(people, faults) as (address, log):
        fails("run it again to go on", address, tmp_path)
        before = set(log.asked)
        assert 2 <= len([line for line in before if "/images/" in line]) <= 4
        faults.clear()
        log.asked.clear()
        rows, _ = crawled(address, tmp_path / "raw")
    assert len([row for row in rows if row["file"]]) == len(people)
    again = set(log.asked) & before
    assert again <= {"GET /robots.txt", f"GET {image(people[2])}"}


def test_a_crawl_that_is_killed_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    people = few(6)
    faults: dict[str, Fault] = {}
    with site(people, faults) as (address, log):
        crawled(address, tmp_path / "whole/raw")
        for requests in (
            1,
            4,
            9,
            13,
        ):  # before the first answer, and in the middle of pictures
            log.asked.clear()
            faults[image(people[0])] = half
            kill_after(requests, log.asked, address, tmp_path)
        faults.clear()
        crawled(address, tmp_path / "raw")
    assert same_bytes(tmp_path / "raw", tmp_path / "whole/raw")
    assert not list(tmp_path.rglob("*.part"))


def half(handler: Faulty) -> None:
    """Half of the answer, and then nothing for a while."""
    answer = handler.plain()
    handler.say(200, answer.body[:1000], Content_Length=str(len(answer.body)))
    time.sleep(0.5)
    handler.close_connection = True


def kill_after(requests: int, asked: list[str], address: str, folder: Path) -> None:
    """Start a crawl on the command line and kill it once it has asked so often, or has come to its end."""
    (folder / "params.yaml").write_text("sample: {prompts: [prompts.yaml]}\n")
    (folder / "prompts.yaml").touch()
    words = ["--site", address, "--api", f"{address}/2.1", "--out", "raw"]
    process = subprocess.Popen(
        [sys.executable, "-m", "laureate", "crawl", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(asked) < requests and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
