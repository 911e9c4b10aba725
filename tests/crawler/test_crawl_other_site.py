"""A crawl of a site with the same structure that shares no code with the museum."""

from pathlib import Path

import pytest
from other_site import opened, people
from sites_of_faults import crawled

pytestmark = pytest.mark.usefixtures("warm_crawler")


def test_a_site_built_apart_is_found_whole_and_asked_for_nothing_twice(tmp_path: Path) -> None:
    crowd = people(36)
    with opened(crowd) as (site, api, log):
        rows, report = crawled(site, tmp_path / "raw", api=api)
        before = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}
        first, log[:] = list(log), []
        crawled(site, tmp_path / "raw", api=api)
    drawn = {f"{person.key}.jpg": person.picture for person in crowd if person.kind == "illustration"}
    assert {name: data for name, data in before.items() if name != "portraits.jsonl"} == drawn
    unknown = {person.key for person in crowd if person.kind == "unknown"}
    assert {f"{row['id']}-{row['year']}-{row['category']}" for row in report["quarantined"]} == unknown
    assert {row["name"] for row in rows} == {f"Pérson {person.number}" for person in crowd}
    assert report["faults"] == []
    assert len(first) == len(set(first)) + 1  # robots.txt of both servers
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == before
    assert not [line for line in log if "/images/" in line]  # its HEADs are refused: it knows no such thing
