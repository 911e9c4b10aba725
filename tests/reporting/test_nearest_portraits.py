"""The nearest training portraits of a picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from laureate.core.errors import LaureateError
from laureate.evaluation import scores
from laureate.reporting import nearest_portraits

distances = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.floats(0, 100, width=32)
)


@settings(max_examples=60, deadline=None)
@given(distances, st.integers(1, 10))
def test_they_are_the_smallest_distances_in_order(given_: np.ndarray, count: int) -> None:
    found = nearest_portraits.nearest(given_, count=count)
    assert len(found) == len(given_)
    for row, near in zip(given_, found, strict=True):
        assert [one.distance for one in near] == sorted(row)[:count]
        assert [row[one.portrait] for one in near] == [one.distance for one in near]
        assert len({one.portrait for one in near}) == min(count, len(row))
        assert not any(one.suspect for one in near)


@settings(max_examples=60, deadline=None)
@given(distances, arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 100, width=32)))
def test_suspect_are_the_pictures_that_count_as_memorised(given_: np.ndarray, chance: np.ndarray) -> None:
    found = nearest_portraits.nearest(given_, chance, count=1)
    share = np.mean([near[0].suspect for near in found])
    assert share == scores.Memorisation.of_distances(given_.min(axis=1), chance)()


def test_they_are_found_by_the_picture_s_name_and_other_shapes_are_refused() -> None:
    given_ = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
    found = nearest_portraits.by_picture(["a_1", "b_1"], given_, 3, count=2)
    assert [one.portrait for one in found["a_1"]] == [1, 2]
    assert [one.portrait for one in found["b_1"]] == [0, 2]
    with pytest.raises(LaureateError, match="of 2 pictures to 3 training portraits, but there are 2 and 4"):
        nearest_portraits.by_picture(["a_1", "b_1"], given_, 4)
    for bad in (np.array([1.0]), np.array([[np.nan]])):
        with pytest.raises(LaureateError, match="need finite distances"):
            nearest_portraits.nearest(bad)
