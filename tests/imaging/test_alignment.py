"""Laying a known picture over another: what was done to a copy is undone, and other pictures do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from laureate.imaging.alignment import KnownPictures
from laureate.simulator.portraits import attributes, portrait


def drawn(number: int) -> Image.Image:
    return portrait.draw(attributes.random_attributes(np.random.default_rng(number)), "laureate", number)


@pytest.fixture(scope="module")
def known() -> list[Image.Image]:
    return [drawn(number) for number in range(12)]


def cropped(picture: Image.Image, share: float, left: float, top: float) -> Image.Image:
    """The part of `share` of a side at a place, given in sides, enlarged."""
    width = picture.size[0]
    box = (left * width, top * width, (left + share) * width, (top + share) * width)
    return picture.transform(picture.size, Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)


def test_a_picture_is_like_itself(known: list[Image.Image]) -> None:
    found = KnownPictures(known).matches(known)
    assert [match.known for match in found] == list(range(12))
    assert all(0.99 < match.likeness <= 1 for match in found)  # below 1 by `FLAT`, where lines are faint


@pytest.mark.parametrize(("share", "left", "top"), [(0.9, 0.0, 0.1), (0.8, 0.1, 0.1), (0.73, 0.2, 0.05)])
def test_a_part_of_a_picture_is_found_mirrored_or_not(
    known: list[Image.Image], share: float, left: float, top: float
) -> None:
    parts = [cropped(picture, share, left, top) for picture in known]
    for pictures in (parts, [ImageOps.mirror(part) for part in parts]):
        found = KnownPictures(known).matches(pictures)
        assert [match.known for match in found] == list(range(12))
        assert min(match.likeness for match in found) > 0.75


def test_brightness_and_contrast_change_nothing(known: list[Image.Image]) -> None:
    changed = [Image.fromarray((np.asarray(picture) * 0.5 + 60).astype(np.uint8)) for picture in known]
    assert min(match.likeness for match in KnownPictures(known).matches(changed)) > 0.98


def test_the_size_of_the_file_does_not_matter(known: list[Image.Image]) -> None:
    large = [picture.resize((300, 300), Image.Resampling.BICUBIC) for picture in known]
    assert min(match.likeness for match in KnownPictures(known).matches(large)) > 0.95


def test_other_people_are_not_alike(known: list[Image.Image]) -> None:
    """New ones, and each of the known ones where itself is left out."""
    search = KnownPictures(known)
    found = search.matches([drawn(number) for number in range(100, 112)])
    found += search.matches(known, without=range(12))
    assert max(match.likeness for match in found) < 0.7
    assert all(match.known != row for row, match in enumerate(found[12:]))


def test_where_nothing_is_drawn_nothing_is_alike(known: list[Image.Image]) -> None:
    plain = Image.new("RGB", (128, 128), (240, 236, 225))
    for search in (KnownPictures(known), KnownPictures([plain])):
        (match,) = search.matches([plain])
        assert match.likeness < 0.7
    (alone,) = KnownPictures(known[:1]).matches(known[:1], without=[0])
    assert alone.likeness == -1  # nothing is left to compare with
