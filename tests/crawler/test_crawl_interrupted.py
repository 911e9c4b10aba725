"""Interrupted and killed crawls: run again, they give the same output."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sites_of_faults import Fault, Faulty, crawled, fails, few, image, same_bytes, site, status
from warm_server import PYTHON

pytestmark = pytest.mark.usefixtures("warm_crawler")  # which ends when it is interrupted or killed, as any

KILLS = 20
COMMAND = """
import signal, sys
sys.executable = sys.argv.pop(1)  # by which it starts the crawling process
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
from laureate.cli import main
sys.exit(main(sys.argv[1:]))
"""


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


@pytest.mark.parametrize("whom", ["SIGINT to all, as Ctrl-C does", "SIGINT to the command alone"])
def test_a_crawl_that_is_interrupted_says_so_and_goes_on(tmp_path: Path, whom: str) -> None:
    people = few(4)
    faults: dict[str, Fault] = {image(people[1]): half}
    with site(people, faults) as (address, log):
        process = begun(address, tmp_path)
        wait_for(lambda: f"GET {image(people[1])}" in log.asked, process)
        interrupt = os.killpg if "all" in whom else os.kill
        interrupt(process.pid, signal.SIGINT)
        _, told = process.communicate()
        got = {line for line in log.asked if "/images/" in line} - {f"GET {image(people[1])}"}
        assert process.returncode == 130, told
        assert "laureate: crawl was interrupted; run it again to go on" in told
        assert not (tmp_path / "raw").exists()
        faults.clear()
        log.asked.clear()
        rows, _ = crawled(address, tmp_path / "raw")
    assert len([row for row in rows if row["file"]]) == len(people)
    assert not got & set(log.asked)


@pytest.mark.slow
def test_a_crawl_killed_at_20_random_moments_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    rng = random.Random(20)  # which request it is killed at, how long after, and whether its child goes too
    people = few(3)
    faults: dict[str, Fault] = {}
    with site(people, faults) as (address, log):
        crawled(address, tmp_path / "whole/raw")
        whole = len(log.asked)
        cut = 0
        for _ in range(KILLS):
            log.asked.clear()
            faults.clear()
            faults[image(rng.choice(people))] = half  # so that some are killed in the middle of a picture
            process = begun(address, tmp_path)
            requests = rng.randint(0, whole)
            wait_for(lambda requests=requests: len(log.asked) >= requests, process)
            time.sleep(rng.uniform(0.0, 0.1))
            cut += process.poll() is None
            kill = os.killpg if rng.random() < 0.5 else os.kill
            with suppress(ProcessLookupError):  # it came to its end
                kill(process.pid, signal.SIGKILL)
            process.communicate()
        faults.clear()
        crawled(address, tmp_path / "raw")
    assert cut >= KILLS / 2
    assert same_bytes(tmp_path / "raw", tmp_path / "whole/raw")
    assert not list(tmp_path.rglob("*.part"))


def half(handler: Faulty) -> None:
    """Half of the answer, and then nothing for a while."""
    answer = handler.plain()
    handler.say(200, answer.body[:1000], Content_Length=str(len(answer.body)))
    time.sleep(0.3)
    handler.close_connection = True


def begun(address: str, folder: Path) -> subprocess.Popen[str]:
    """Start a crawl on the command line, as the first of a process group, in a process of its own."""
    (folder / "params.yaml").write_text("sample: {prompts: [prompts.yaml]}\ncrawl: {backoff: 0.01}\n")
    (folder / "prompts.yaml").touch()
    words = ["--site", address, "--api", f"{address}/2.1", "--out", "raw"]
    return subprocess.Popen(
        [PYTHON, "-c", COMMAND, sys.executable, "crawl", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(asked: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until the site was asked what is waited for, or the crawl is over."""
    while not asked() and process.poll() is None:
        time.sleep(0.005)
