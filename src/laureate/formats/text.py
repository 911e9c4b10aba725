"""Compare texts in any script, ignoring case, punctuation and spacing."""

import string
import unicodedata


def comparable(text: str) -> str:
    """A key for `text`: two texts have one key if they differ in case, punctuation and spacing only.

    Letters, marks, digits and symbols of every script count. Case and compatibility forms are folded as in
    the Unicode Standard, section 3.13, D146 (compatibility caseless match): 'Ａ' and 'a' are equal, so are
    the two spellings of 'é'. Punctuation separates words; invisible format characters are dropped.
    """
    folded = unicodedata.normalize("NFD", text).casefold()
    for _ in range(2):
        folded = unicodedata.normalize("NFKD", folded).casefold()
    kept = (" " if _separates(c) else c for c in folded if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKD", " ".join("".join(kept).split()))


def _separates(character: str) -> bool:
    """Whether a character is punctuation, a space or a control character."""
    return character in string.punctuation or unicodedata.category(character)[0] in "PZC"
