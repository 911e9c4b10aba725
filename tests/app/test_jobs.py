"""Work in a thread: its progress and results arrive in order, and it stops when told to."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laureate.app import jobs
from laureate.app.jobs import Done, Progress, Reporter, Stopped


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(), max_size=20))
def test_results_arrive_in_order_and_the_end_is_last(items: list[int]) -> None:
    def work(reporter: Reporter) -> str:
        for item in items:
            reporter.say(f"item {item}")
            reporter.give(item)
            reporter.step()
        return "all done"

    got = list(jobs.run(work, len(items), threading.Event()))
    assert [report for report in got if isinstance(report, int)] == items
    assert got[-1] == Done("all done")
    assert [r.text for r in got if isinstance(r, Progress)] == [f"item {item}" for item in items]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 50), st.integers(1, 80))
def test_progress_is_never_more_than_all(total: int, steps: int) -> None:
    def work(reporter: Reporter) -> str:
        for _ in range(steps):
            reporter.step()
            reporter.say("more")
        return ""

    done = [r.done for r in jobs.run(work, total, threading.Event()) if isinstance(r, Progress)]
    assert done == sorted(done)
    assert max(done) == min(steps, total)


def test_the_remaining_time_follows_from_the_steps_done() -> None:
    def work(reporter: Reporter) -> str:
        for _ in range(11):
            time.sleep(0.02)
            reporter.step()
        reporter.say("half")
        return ""

    last = [r for r in jobs.run(work, 21, threading.Event()) if isinstance(r, Progress)][-1]
    assert last.left is not None
    assert 0.15 < last.left < 3  # 10 steps of 0.02 s, on a machine that may be busy


def endless(reporter: Reporter) -> str:
    while True:
        time.sleep(0.001)
        reporter.step()


def test_a_job_that_is_stopped_ends_with_stopped() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(Stopped):
        list(jobs.run(endless, 10, stop))


def test_a_job_that_nobody_reads_any_more_ends() -> None:
    before = threading.active_count()
    iterator = jobs.run(endless, 10, threading.Event())
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    for _ in range(100):
        if threading.active_count() <= before:
            return
        time.sleep(0.05)
    raise AssertionError("the thread goes on")


def test_an_error_of_the_work_is_raised_where_it_is_read() -> None:
    def work(reporter: Reporter) -> str:
        reporter.give(1)
        raise ValueError("no paper")

    iterator = jobs.run(work, 1, threading.Event())
    assert next(iterator) == 1
    with pytest.raises(ValueError, match="no paper"):
        next(iterator)
