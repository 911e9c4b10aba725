"""Break a text into lines: at spaces and hyphens, in Chinese and Japanese between characters, balanced.

A simplification of the Unicode line breaking algorithm (UAX 14), and of the rules for line starts and ends of
JIS X 4051 (kinsoku).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

SPACES = frozenset(
    " \t\n\r\v\f\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u2009\u200a\u205f\u3000"
)
GLUE = frozenset("\u00a0\u2007\u202f\u2060\ufeff\u200d")  # no break beside them
AFTER = frozenset("-\u2010\u2012\u2013\u2014")  # a break may come after one that stands inside a word
# small kana, and marks that belong to the character before
NOT_FIRST = frozenset(
    "、。，．・：；？！ー々〻ヽヾゝゞ゛゜…‥％‰℃°′″￥ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿ～〜"
    ",.:;?!%)]}"
)
NOT_LAST = frozenset("￥＄￡＃＠$£#@([{")
CLOSING, OPENING = ("Pe", "Pf"), ("Ps", "Pi")


def clean(text: str) -> str:
    """A text as it is set: in Unicode's composed form (NFC), every run of white space one space."""
    composed = unicodedata.normalize("NFC", text)
    words = "".join(" " if letter in SPACES else letter for letter in composed).split(" ")
    return " ".join(word for word in words if word)


def is_ideographic(letter: str) -> bool:
    """Whether a break may come beside a character: Chinese, Japanese and Korean, full-width signs."""
    return unicodedata.east_asian_width(letter) in ("W", "F")


def may_break(before: str, after: str) -> bool:
    """Whether a line may end after the character `before` and the next begin with `after`, with no space
    between: never before a closing mark or a mark that belongs to `before`, never after an opening one."""
    if unicodedata.category(after).startswith("M") or {before, after} & GLUE:
        return False
    if after in NOT_FIRST or unicodedata.category(after) in CLOSING:
        return False
    if before in NOT_LAST or unicodedata.category(before) in OPENING:
        return False
    if is_ideographic(before) or is_ideographic(after):
        return True
    return before in AFTER and unicodedata.category(after).startswith("L")


def pieces(text: str) -> list[tuple[str, str]]:
    """A cleaned text => (piece, what joins it to the next in one line: a space or nothing)."""
    found: list[tuple[str, str]] = []
    for word in text.split(" "):
        piece = ""
        for letter in word:
            if piece and may_break(piece[-1], letter):
                found.append((piece, ""))
                piece = ""
            piece += letter
        found.append((piece, " "))
    return _marks_stay(found)


def _marks_stay(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """No piece after a space is a closing mark alone: French puts a space before `!`, `?`, `:` and `»`."""
    kept: list[tuple[str, str]] = []
    for piece, joint in found:
        closes = piece and (piece[0] in NOT_FIRST or unicodedata.category(piece[0]) in CLOSING)
        opened = kept and kept[-1][0] and unicodedata.category(kept[-1][0][-1]) in OPENING
        if kept and (closes or opened):
            last, between = kept.pop()
            kept.append((last + between + piece, joint))
        else:
            kept.append((piece, joint))
    return kept


def break_lines(text: str, width: float, most: int, measure: Callable[[str], float]) -> list[str] | None:
    """The lines of a cleaned text: as few as `width` allows, then as even as can be; None if over `most`.

    `measure` gives the width of a line. Even: the sum of the squares of what is left free in each line is
    least (Knuth & Plass 1981, without stretching or hyphens).
    """
    parts = pieces(text)
    count = len(parts)
    widths: dict[tuple[int, int], float] = {}

    def fits(start: int, end: int) -> bool:
        if (start, end) not in widths:
            widths[start, end] = measure(_joined(parts[start:end]))
        return widths[start, end] <= width

    # best[k][end]: the least cost of setting the pieces before `end` in k lines, and where the last begins
    best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]
    for _ in range(most):
        reached: dict[int, tuple[float, int]] = {}
        for start, (cost, _) in best[-1].items():
            for end in range(start + 1, count + 1):
                if not fits(start, end):
                    break
                total = cost + (width - widths[start, end]) ** 2
                if end not in reached or total < reached[end][0]:
                    reached[end] = total, start
        best.append(reached)
        if count in reached:
            lines, end = [], count
            for step in range(len(best) - 1, 0, -1):
                start = best[step][end][1]
                lines.append(_joined(parts[start:end]))
                end = start
            return lines[::-1]
    return None


def _joined(parts: Sequence[tuple[str, str]]) -> str:
    """Pieces as one line."""
    return "".join(piece + joint for piece, joint in parts[:-1]) + parts[-1][0] if parts else ""
