"""Crawls cut short: refused, interrupted, killed. They go on, and nothing is lost or half-written."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from sites_of_faults import (
    Fault,
    Faulty,
    crawled,
    fails,
    few,
    image,
    same_bytes,
    site,
    status,
)


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


def test_killed_at_twenty_random_moments_it_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    people, chance = few(6), random.Random(20)
    with site(people) as (address, log):
        crawled(address, tmp_path / "whole/raw")
        for _ in range(20):
            log.asked.clear()
            kill(address, tmp_path, log.asked, after=chance.randrange(18), wait=chance.random() * 0.2)
            if (tmp_path / "raw").exists():
                assert same_bytes(tmp_path / "raw", tmp_path / "whole/raw")
        crawled(address, tmp_path / "raw")
    assert same_bytes(tmp_path / "raw", tmp_path / "whole/raw")
    assert not [path for path in tmp_path.rglob("*.part*") if "whole" not in path.parts]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*("whole", "raw", ".raw-crawl", "crawl_report.json", "crawl_report.md"), *FILES}


def test_killed_in_the_middle_of_a_picture_it_fetches_that_again_and_no_other(tmp_path: Path) -> None:
    people = few(4)
    faults: dict[str, Fault] = {image(people[2]): half}
    with site(people, faults) as (address, log):
        kill(address, tmp_path, log.asked, until=f"GET {image(people[2])}", wait=0.1)
        before = {line for line in log.asked if "/images/" in line and image(people[2]) not in line}
        faults.clear()
        log.asked.clear()
        rows, _ = crawled(address, tmp_path / "raw")
    assert len([row for row in rows if row["file"]]) == len(people)
    assert f"GET {image(people[2])}" in log.asked
    assert not before & set(log.asked)


def test_interrupted_it_says_so_and_goes_on_next_time(tmp_path: Path) -> None:
    people = few(6)
    faults: dict[str, Fault] = {image(people[2]): half}
    with site(people, faults) as (address, log):
        done = kill(address, tmp_path, log.asked, until=f"GET {image(people[2])}", wait=0.1, by=signal.SIGINT)
        assert done.returncode == 130
        assert "interrupted; run it again to go on" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "raw").exists()
        before = {line for line in log.asked if "/images/" in line and image(people[2]) not in line}
        faults.clear()
        log.asked.clear()
        crawled(address, tmp_path / "raw")
    assert before
    assert not before & set(log.asked)


def half(handler: Faulty) -> None:
    """Half of the answer, and then nothing for a while."""
    answer = handler.plain()
    handler.say(200, answer.body[:1000], Content_Length=str(len(answer.body)))
    time.sleep(0.5)
    handler.close_connection = True


FILES = ("params.yaml", "prompts.yaml")


def kill(
    address: str,
    folder: Path,
    asked: list[str],
    after: int = 0,
    until: str = "",
    wait: float = 0.0,
    by: int = signal.SIGKILL,
) -> subprocess.CompletedProcess[str]:
    """Start a crawl on the command line and end it by a signal.

    That is `wait` seconds after `after` requests, or the request `until`, were made, or at its own end.
    """
    (folder / "params.yaml").write_text("crawl: {timeout: 5.0}\nsample: {prompts: [prompts.yaml]}\n")
    (folder / "prompts.yaml").touch()
    words = ["--site", address, "--api", f"{address}/2.1", "--out", "raw"]
    process = subprocess.Popen(
        [sys.executable, "-m", "laureate", "crawl", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while (until not in asked if until else len(asked) < after) and process.poll() is None:
        time.sleep(0.01)
    time.sleep(wait)
    process.send_signal(by)
    errors = process.communicate()[1]
    return subprocess.CompletedProcess(words, process.returncode, None, errors)
