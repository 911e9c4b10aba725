"""Work side by side: results in order, errors raised, threads as they were."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from laureate.torch_utils import workers  # noqa: E402


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    assert torch.get_num_threads() == 4, "this thread has its threads again"
    torch.set_num_threads(before)


@given(count=st.integers(0, 30), most=st.integers(1, 6))
def test_results_come_in_order(count: int, most: int) -> None:
    assert list(workers.in_order(lambda item: item * item, range(count), most)) == [
        item * item for item in range(count)
    ]


@pytest.mark.parametrize(("most", "share"), [(1, 4), (2, 2), (3, 1), (9, 1)])
def test_workers_share_the_threads(most: int, share: int) -> None:
    together = threading.Barrier(min(most, 6), timeout=60)

    def work(item: int) -> tuple[int, int]:
        if most > 1 and item < min(most, 6):
            together.wait()  # all are at work at once
        return torch.get_num_threads(), threading.get_ident()

    found = list(workers.in_order(work, range(6), most))
    assert {threads for threads, _ in found} == {share}
    assert len({ident for _, ident in found}) == min(most, 6)


def test_an_error_ends_it_and_what_has_not_begun_is_left_out() -> None:
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 1:
            raise ValueError("piece 1")
        return item

    results = workers.in_order(work, range(100), 2)
    assert next(results) == 0
    with pytest.raises(ValueError, match="piece 1"):
        list(results)
    assert len(begun) < 20


def test_who_stops_early_leaves_the_rest_undone() -> None:
    begun: list[int] = []
    results = workers.in_order(begun.append, range(100), 2)
    next(results)
    results.close()
    assert len(begun) < 20
