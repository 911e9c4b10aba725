"""Texts that differ count as different in every script; case, punctuation and spacing do not count."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate.formats.text import comparable

ALPHABETS = {  # the smallest units that a reader of the script tells apart, in lower case
    "Latin": ["a", "e", "é", "ö", "z", "ß", "ø"],
    "Cyrillic": ["а", "и", "й", "ж", "ё"],
    "Greek": ["α", "ά", "λ", "ω"],
    "Armenian": ["ա", "բ"],
    "Georgian": ["ა", "ბ"],
    "Hebrew": ["א", "ב", "ש"],
    "Arabic": ["ا", "ب", "ت", "ن"],
    "Devanagari": ["क", "कि", "की", "कु", "ख"],  # the vowel signs are marks, and change the word
    "Thai": ["ก", "กา", "กี", "กุ"],
    "Hiragana": ["か", "が", "き"],
    "Han": ["男", "女", "眼", "鏡"],
    "Hangul": ["가", "나", "각"],
    "digits": ["0", "7", "٣", "५"],
    "symbols": ["☺", "♠", "→"],
}
words = st.one_of(
    [st.lists(st.sampled_from(units), min_size=1, max_size=5).map("".join) for units in ALPHABETS.values()]
)
sentences = st.lists(words, min_size=1, max_size=5)
gaps = st.text(" .,;:!?-–—'\"“”«»()[]/|。、，「」¿¡।\n\t\u3000", min_size=1, max_size=3)


@given(sentences, st.data())
def test_case_punctuation_spacing_and_composition_do_not_count(parts: list[str], data: st.DataObject) -> None:
    other = "".join(
        data.draw(gaps)
        + unicodedata.normalize(
            data.draw(st.sampled_from(["NFC", "NFD"])), word.upper() if data.draw(st.booleans()) else word
        )
        for word in parts
    )
    assert comparable(other + data.draw(gaps)) == comparable(" ".join(parts))


@given(sentences, sentences)
def test_texts_of_other_words_differ(one: list[str], other: list[str]) -> None:
    same = [word.replace("ß", "ss") for word in one] == [word.replace("ß", "ss") for word in other]
    assert (comparable(" ".join(one)) == comparable(" ".join(other))) == same


@given(sentences, st.data())
def test_one_other_letter_makes_another_text(parts: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(parts) - 1))
    units = data.draw(st.sampled_from(sorted(ALPHABETS)))
    longer = parts[at] + data.draw(st.sampled_from(ALPHABETS[units]))
    assert comparable(" ".join(parts)) != comparable(" ".join([*parts[:at], longer, *parts[at + 1 :]]))


@given(st.text())
def test_a_key_is_its_own_key(text: str) -> None:
    assert comparable(comparable(text)) == comparable(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("Ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ"),
        ("ＡＢＣ １２", "abc 12"),
        ("a soft\u00adhyphen", "A softhyphen"),
        ("A man, in the style.", "a MAN in the style"),
    ],
)
def test_spellings_of_one_text_are_equal(one: str, other: str) -> None:
    assert comparable(one) == comparable(other)
