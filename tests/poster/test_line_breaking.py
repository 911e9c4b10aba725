"""Where a line may end, and which lines a text is broken into."""

import unicodedata

import pytest
import scripts
from hypothesis import given, settings
from hypothesis import strategies as st

from laureate.poster import line_breaking as lines


def wide(text: str) -> float:
    """A font of which every character is 1 wide, those of Chinese and Japanese 2, marks 0."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if lines.is_ideographic(letter) else 1 for letter in text
    )


any_script = st.one_of(*(scripts.texts(script, 120) for script in scripts.SCRIPTS))
mixed = st.lists(any_script, min_size=1, max_size=3).map(" ".join)


@settings(deadline=None)
@given(mixed, st.integers(8, 60), st.integers(1, 6))
def test_lines_are_the_text_and_none_is_too_wide(text: str, width: int, most: int) -> None:
    text = lines.clean(text)
    found = lines.break_lines(text, width, most, wide)
    if found is None:
        assert wide(text) > width or most < 1
        return
    assert 1 <= len(found) <= most
    assert all(wide(line) <= width for line in found)
    assert "".join(found).replace(" ", "") == text.replace(" ", "")
    for line in found:
        assert line == line.strip()
    for line in found[1:]:
        assert line[0] not in lines.NOT_FIRST
        assert unicodedata.category(line[0]) not in ("Pe", "Pf")
    for line in found[:-1]:
        assert line[-1] not in lines.NOT_LAST
        assert unicodedata.category(line[-1]) not in ("Ps", "Pi")


@settings(deadline=None)
@given(st.lists(st.text("abcdefgh", min_size=1, max_size=7), min_size=1, max_size=9), st.integers(7, 25))
def test_as_few_lines_as_can_be_and_of_those_the_most_even(words: list[str], width: int) -> None:
    """Against every way to break between words."""
    text = " ".join(words)
    found = lines.break_lines(text, width, 9, wide)
    assert found is not None

    def ways(rest: list[str]) -> list[list[str]]:
        if not rest:
            return [[]]
        return [
            [" ".join(rest[:count]), *others]
            for count in range(1, len(rest) + 1)
            if len(" ".join(rest[:count])) <= width
            for others in ways(rest[count:])
        ]

    every = ways(words)
    fewest = min(len(way) for way in every)
    assert len(found) == fewest
    uneven = lambda way: sum((width - len(line)) ** 2 for line in way)  # noqa: E731
    assert uneven(found) == min(uneven(way) for way in every if len(way) == fewest)


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("for the discovery of it", 14, ["for the", "discovery", "of it"]),
        ("Jean-Pierre Serre", 11, ["Jean-Pierre", "Serre"]),
        ("Jean-Pierre Serre", 6, ["Jean-", "Pierre", "Serre"]),
        ("1914-1918", 5, None),  # a range of years is not torn
        ("日本語の組版。", 8, ["日本語", "の組版。"]),
        ("日本語組版。", 10, ["日本語", "組版。"]),  # no 。 at the start of a line
        ("「物理学」「化学」", 10, ["「物理学」", "「化学」"]),
        ("ニュートリノ", 6, ["ニュー", "トリノ"]),
        ("à la carte !", 10, ["à la", "carte !"]),  # nor the mark that French puts a space before
        ("« le prix »", 8, ["« le", "prix »"]),
        ("10\u00a0km far", 5, ["10\u00a0km", "far"]),
    ],
)
def test_chosen_texts(text: str, width: int, expected: list[str] | None) -> None:
    assert lines.break_lines(lines.clean(text), width, 4, wide) == expected


@given(st.text())
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = lines.clean(text)
    assert lines.clean(once) == once
    assert "  " not in once
    assert once == once.strip(" ")


@given(st.characters(categories=["L", "N"]), st.characters(categories=["Mn", "Mc", "Me"]))
def test_a_mark_stays_with_its_letter(letter: str, mark: str) -> None:
    assert not lines.may_break(letter, mark)


def test_a_mark_composed_of_two_characters_is_one() -> None:
    assert lines.clean("Zoe\u0308  A\u030angstro\u0308m\n") == "Zoë Ångström"
