"""Politeness and safety: hosts, robots.txt, pauses, refusals, user agent."""

import shutil
import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scrapy import Request
from scrapy.exceptions import IgnoreRequest
from sites_of_faults import Fault, Faulty, body, crawled, fails, few, image, page, reset, silent, site, status

from crawler.middlewares import AllowedHosts
from crawler.options import Options
from crawler.settings import settings
from laureate import cli
from laureate.config.params import Crawl, Params
from laureate.core.errors import ParameterError
from laureate.simulator.museum.pages import LIST_PATH
from laureate.stages import crawl

pytestmark = pytest.mark.usefixtures("warm_crawler")


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
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_without_a_contact_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    params = Params(crawl=Crawl(delay=5.0))
    crawl.run(params, site="https://www.nobelprize.org", out=tmp_path / "raw", dry_run=True)
    told = capsys.readouterr().out
    assert "GET https://api.nobelprize.org/2.1/laureates?offset=0" in told
    assert "before a crawl: crawl.contact must say who crawls https://www.nobelprize.org" in told


def test_the_nobel_world_asks_the_real_site_with_manners(
    root: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(root / "params.yaml", tmp_path)
    shutil.copytree(root / "worlds", tmp_path / "worlds")
    shutil.copytree(
        root / "data", tmp_path / "data", ignore=shutil.ignore_patterns("raw", "dataset", "samples")
    )
    monkeypatch.chdir(tmp_path)
    assert cli.main(["world", "nobel"]) == 0
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", no_network)
        patch.setattr(socket.socket, "connect", no_network)
        assert cli.main(["crawl", "--dry-run"]) == 0
    told = capsys.readouterr().out
    for said in (
        *("GET https://www.nobelprize.org/robots.txt", "GET https://api.nobelprize.org/robots.txt"),
        "GET https://www.nobelprize.org/prizes/lists/all-nobel-prizes/all/",
        "GET https://api.nobelprize.org/2.1/laureates?offset=0&limit=250",
        *(
            "User-Agent: laureate/",
            "hosts: api.nobelprize.org, www.nobelprize.org",
            "delay: 5 s",
            "crawl.contact",
        ),
    ):
        assert said in told
    assert not (tmp_path / "data/raw").exists()


def no_network(*_: Any) -> None:
    """What stands for the network."""
    raise AssertionError("the network was asked")


def test_the_site_is_asked_slowly_and_waits_as_long_as_it_says(tmp_path: Path) -> None:
    times: list[float] = []
    people = few(2)

    def timed(handler: Any) -> None:
        times.append(time.monotonic())
        handler.send(handler.plain())

    def later(handler: Any) -> None:
        times.append(time.monotonic())
        handler.say(503, b"", Retry_After="1") if len(times) == 1 else handler.send(handler.plain())

    with site(people, {LIST_PATH: later} | {page(person): timed for person in people}) as (address, log):
        crawled(address, tmp_path / "raw", delay=0.3)
    assert len(times) == 2 + len(people)
    assert times[1] - times[0] >= 0.95  # Retry-After
    assert times[3] - times[2] >= 0.28
    assert len(log.asked) == len(set(log.asked)) + 1


def test_what_is_fresh_is_not_asked_for_again(tmp_path: Path) -> None:
    with site(few(3)) as (address, log):
        crawled(address, tmp_path / "raw")
        before = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}
        log.asked.clear()
        crawled(address, tmp_path / "raw", fresh=1.0)
        assert set(log.asked) == {"GET /robots.txt"}
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == before


@pytest.mark.parametrize("private", [False, True])
def test_a_public_name_that_leads_to_this_network_is_not_followed(tmp_path: Path, private: bool) -> None:
    # as if a name server said so: the crawling process is given the answer beforehand
    code = (
        "from scrapy.resolver import dnscache; dnscache['museum.example'] = '127.0.0.1'; "
        "from crawler.__main__ import main; main()"
    )
    with site(few(1)) as (address, log):
        named = f"http://museum.example:{address.rpartition(':')[2]}"
        options = Options(named, f"{named}/2.1", str(tmp_path), private=private, retries=0, delay=0.05)
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            process.stdin.write(f"{options.to_json()}\nname\n")
            process.stdin.flush()
            process.wait(60)
    result = (tmp_path / "result.json").read_text()
    assert ("no results for hostname lookup: museum.example" in result) is not private
    assert bool(log.asked) is private


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("http://www.example.org/a", True),
        ("HTTP://WWW.EXAMPLE.ORG:80/a", True),
        ("http://www.example.org:8080/a", False),
        ("http://example.org/a", False),
        ("http://www.example.org.evil.example/a", False),
        ("http://www.example.org@evil.example/a", False),
        ("http://evil.example/www.example.org", False),
        ("http://127.0.0.1/a", False),
        ("http://[::1]/a", False),
        ("ftp://www.example.org/a", False),
        ("http://10.0.0.7/a", False),
    ],
)
def test_only_named_public_places_are_asked(address: str, allowed: bool) -> None:
    options = Options("http://www.example.org", "http://api.example.org/2.1", "", hosts=("10.0.0.7",))
    hosts = AllowedHosts(SimpleNamespace(settings={"LAUREATE": options}))  # type: ignore[arg-type]
    with nullcontext() if allowed else pytest.raises(IgnoreRequest):
        hosts.process_request(Request(address))


def test_nothing_is_open_that_is_not_needed() -> None:
    made = settings(Options("https://www.example.org", "https://api.example.org", "state", delay=5.0), "c")
    off = ("TELNETCONSOLE_ENABLED", "METAREFRESH_ENABLED", "COOKIES_ENABLED", "RANDOMIZE_DOWNLOAD_DELAY")
    assert not any(made[name] for name in off)
    assert all(
        made[name] for name in ("ROBOTSTXT_OBEY", "AUTOTHROTTLE_ENABLED", "DOWNLOAD_VERIFY_CERTIFICATES")
    )
    assert all(made["DOWNLOAD_HANDLERS"][scheme] is None for scheme in ("data", "file", "ftp", "s3"))
    assert made["CONCURRENT_REQUESTS"] == 1
    assert (made["DOWNLOAD_MAXSIZE"], made["DOWNLOAD_TIMEOUT"]) == (20 * 2**20, 30.0)


HEADS: dict[str, Fault] = {
    "knows none": status(501),
    "without a length": lambda handler: handler.say(200),
    "refused": status(400),
    "broken off": reset,
}


@pytest.mark.parametrize("name", HEADS)
def test_a_server_that_answers_no_head_is_not_asked_for_its_pictures_again(tmp_path: Path, name: str) -> None:
    def act(handler: Faulty) -> None:
        HEADS[name](handler) if handler.command == "HEAD" else handler.say(200, handler.plain().body)

    people = few(2)
    with site(people, {image(person): act for person in people}) as (address, log):
        rows, _ = crawled(address, tmp_path / "raw")
        log.asked.clear()
        again, _ = crawled(address, tmp_path / "raw")
    assert again == rows
    assert len([row for row in rows if row["file"]]) == 2
    assert not [line for line in log.asked if line.startswith("GET /images/")]
