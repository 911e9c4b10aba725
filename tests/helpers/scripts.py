"""Texts in seven scripts for posters, drawn by hypothesis from letters that the fonts at hand have."""

from importlib.util import find_spec
from pathlib import Path

from hypothesis import strategies as st

from laureate.poster.fonts import Font, shipped

_spec = find_spec("matplotlib_fontja")
assert _spec is not None
assert _spec.origin is not None
CJK = Font(Path(_spec.origin).parent / "fonts" / "ipaexg.ttf")  # IPAexGothic: Japanese, and much of Chinese
FONTS = [
    *(Font(shipped(name)) for name in ("DejaVuSerif-Bold.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans.ttf")),
    CJK,
]

BLOCKS = {
    "Latin": ["A-Z", "a-z", "À-ÿ", "Ā-ſ"],
    "Cyrillic": ["А-я", "Ё-Ё"],
    "Greek": ["Α-Ρ", "Σ-ώ"],
    "Arabic": ["ء-غ", "ف-ي", "ً-ْ"],
    "Hebrew": ["א-ת"],
    "Chinese": ["一-丿", "人-仿", "国-国", "大-天", "學-學"],
    "Japanese": ["ぁ-ん", "ァ-ヶ", "日-日", "本-本", "賞-賞"],
}
MARKS = {"Chinese": "，。、「」（）", "Japanese": "、。「」ー・（）っゃ"}


def letters(script: str) -> str:
    """The letters of a script that one of the fonts has."""
    known = {code for font in FONTS for code in font.characters}
    codes = (c for block in BLOCKS[script] for c in range(ord(block[0]), ord(block[-1]) + 1))
    return "".join(chr(code) for code in codes if code in known)


def texts(script: str, most: int) -> st.SearchStrategy[str]:
    """Texts of a script with words of 1 to 9 letters, at most `most` letters, never empty."""
    if script in MARKS:
        return st.text(letters(script) + MARKS[script], min_size=1, max_size=most // 2)
    word = st.text(letters(script), min_size=1, max_size=9)
    words = st.lists(word, min_size=1, max_size=max(1, most // 6)).map(" ".join)
    return words.map(lambda text: text[:most].strip())


SCRIPTS = tuple(BLOCKS)
