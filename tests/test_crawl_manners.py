"""What the crawler never does: ask where it may not, sooner than it may, or in disguise."""

from pathlib import Path
from typing import Any

import pytest
from sites_of_faults import Fault, body, crawled, fails, few, page, reset, silent, site, status

from laureate.atelier.museum_pages import LIST_PATH
from laureate.errors import ParameterError
from laureate.params import Crawl, Params
from laureate.stages import crawl


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
