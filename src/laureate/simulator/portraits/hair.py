"""Draw hair and beards."""

from __future__ import annotations

import numpy as np

from laureate.simulator.portraits.attributes import Attributes
from laureate.simulator.portraits.geometry import Points, bumps, ellipse, smooth
from laureate.simulator.portraits.marks import Head

LINE = 0.013


def _strands(head: Head, lines: list[list[tuple[float, float]]], width: float = 0.009) -> None:
    for line in lines:
        head.stroke("strand", head.place(smooth(line)), width)


def behind(head: Head, who: Attributes) -> None:
    """The part of the hair that the neck and the face cover."""
    style = who.hair
    if style == "long":
        side = [
            (0.0, -1.22),
            (0.7, -1.12),
            (1.14, -0.6),
            (1.22, 0.2),
            (1.2, 1.0),
            (1.3, 1.62),
            (0.9, 1.74),
            (0.45, 1.66),
        ]
        head.fill("hair", head.place(_both(side)), LINE)
        for k in (-1.0, 1.0):
            _strands(
                head,
                [
                    [(k * (0.75 + 0.14 * i), 0.7), (k * (0.78 + 0.14 * i), 1.2), (k * (0.72 + 0.16 * i), 1.6)]
                    for i in range(3)
                ],
            )
    elif style == "wavy":
        side = [
            (0.0, -1.24),
            (0.7, -1.16),
            (1.2, -0.7),
            (1.28, -0.2),
            (1.5, 0.2),
            (1.3, 0.6),
            (1.56, 1.0),
            (1.3, 1.32),
            (0.9, 1.2),
        ]
        head.fill("hair", head.place(_both(side)), LINE)
        for k in (-1.0, 1.0):
            _strands(
                head,
                [
                    [
                        (k * (1.0 + 0.14 * i), 0.0),
                        (k * (1.2 + 0.1 * i), 0.35),
                        (k * (1.04 + 0.12 * i), 0.65),
                        (k * (1.18 + 0.12 * i), 1.0),
                    ]
                    for i in range(2)
                ],
                0.011,
            )
    elif style == "bob":
        side = [(0.0, -1.24), (0.75, -1.14), (1.22, -0.6), (1.32, 0.1), (1.4, 0.72), (0.95, 0.84)]
        head.fill("hair", head.place(_both(side)), LINE)
    elif style == "bun":
        head.fill("hair", head.place(ellipse((0.0, -1.28), (0.5, 0.3), 28)), LINE)
        _strands(
            head, [[(-0.3, -1.36), (0.0, -1.5), (0.3, -1.36)], [(-0.25, -1.24), (0.0, -1.36), (0.25, -1.24)]]
        )
    elif style == "curly":
        head.fill("hair", head.place(_curls(1.18, -0.5, 0.86)), LINE)


def _both(side: list[tuple[float, float]]) -> Points:
    right = smooth(side)
    return np.concatenate([right, right[::-1] * (-1, 1)])


def _curls(wide: float, middle: float, tall: float) -> Points:
    return bumps(ellipse((0.0, middle), (wide, tall), 13 * 9), 13, 0.2)


def _cap(line: list[tuple[float, float]], top: float, wide: float, low: float) -> Points:
    """Hair over the skull: from ear to ear above the head, back along the hairline `line` (left to right)."""
    over = smooth(
        [
            (wide, low),
            (wide * 1.02, -0.5),
            (wide * 0.78, -0.98),
            (0.3, top),
            (-0.3, top),
            (-wide * 0.78, -0.98),
            (-wide * 1.02, -0.5),
            (-wide, low),
        ]
    )
    return np.concatenate([over, smooth(line)])


def front(head: Head, who: Attributes) -> None:
    """The hair above and beside the face, and its strands."""
    _FRONT[who.hair](head)


def _bald(head: Head) -> None:
    head.stroke("shine", head.place(smooth([(-0.42, -0.78), (-0.2, -0.88), (0.06, -0.9)])), 0.012)
    for side in (-1.0, 1.0):
        patch = [(side * 0.99, -0.34), (side * 1.1, -0.1), (side * 1.02, 0.06), (side * 0.93, -0.1)]
        head.fill("hair", head.place(smooth(patch, closed=True)), 0.006)


def _parting(head: Head) -> None:
    """Strands that fall from a parting on the lit side."""
    side = -1.0 if head.shadow > 0 else 1.0
    part, t = 0.45 * side, head.turn
    _strands(
        head,
        [
            [(part, -1.1), (part - side * 0.25 * i + t * 0.5, -0.95), (part - side * 0.36 * i + t, -0.72)]
            for i in (-1, 0, 1, 2)
        ],
    )


def _short(head: Head) -> None:
    t = head.turn
    line = [(-1.0, -0.12), (-0.9, -0.42), (-0.7 + t, -0.62), (-0.2 + t, -0.7)]
    line += [(0.35 + t, -0.62), (0.74 + t, -0.52), (0.92, -0.4), (1.0, -0.12)]
    head.fill("hair", head.place(_cap(line, -1.2, 1.06, -0.12)), LINE)
    _parting(head)


def _tousled(head: Head) -> None:
    t = head.turn
    side = [(1.06, -0.12), (1.2, -0.55), (0.9, -1.08), (0.3, -1.26)]
    over = smooth(side + [(-x, y) for x, y in reversed(side)], per=12)
    spikes = 0.5 - np.abs((np.linspace(0, 11, len(over)) % 1.0) - 0.5)
    out = over / np.maximum(np.hypot(over[:, 0], over[:, 1]), 1e-6)[:, None]
    fringe = [(-1.0, -0.12), (-0.88, -0.5), (-0.62 + t, -0.44), (-0.5 + t, -0.66), (-0.2 + t, -0.46)]
    fringe += [
        (-0.05 + t, -0.68),
        (0.25 + t, -0.46),
        (0.42 + t, -0.66),
        (0.66 + t, -0.44),
        (0.88, -0.5),
        (1.0, -0.12),
    ]
    shape = np.concatenate([over + out * (spikes[:, None] * 0.52 - 0.05), np.asarray(fringe)])
    head.fill("hair", head.place(shape), LINE)
    _parting(head)


_CURL_CENTRES = (
    *((-0.95, -0.6), (-0.6, -0.85), (-0.2, -0.72), (0.2, -0.88), (0.6, -0.72), (0.95, -0.55), (-0.42, -1.14)),
    *((0.0, -1.22), (0.42, -1.12), (-1.1, -0.2), (1.1, -0.2), (-0.8, -1.1), (0.8, -1.1)),
)


def _curly(head: Head) -> None:
    t = head.turn
    line = [
        (-1.0, -0.15),
        (-0.9, -0.5),
        (-0.5 + t, -0.62),
        (0.0 + t, -0.58),
        (0.5 + t, -0.62),
        (0.9, -0.5),
        (1.0, -0.15),
    ]
    head.fill("hair", head.place(_cap(line, -1.12, 1.06, -0.1)))
    angle = np.linspace(0.4, 5.4, 9)
    for x, y in _CURL_CENTRES:
        curl = np.stack([x + 0.16 * np.cos(angle), y + 0.13 * np.sin(angle)], axis=1)
        head.stroke("strand", head.place(curl), 0.010)


def _parted(head: Head) -> None:
    """Long and wavy hair, parted in the middle."""
    t, middle = head.turn, head.turn * 0.6
    line = [(-1.12, 0.32), (-0.92, -0.2), (-0.5 + t * 0.4, -0.56), (middle, -0.86)]
    line += [(0.5 + t * 0.4, -0.56), (0.92, -0.2), (1.12, 0.32)]
    head.fill("hair", head.place(_cap(line, -1.2, 1.14, 0.3)), LINE)
    lines = [
        [(middle + 0.08 * k, -1.1), (k * 0.55, -0.9), (k * 0.95, -0.45), (k * 1.04, 0.0)] for k in (-1.0, 1.0)
    ]
    lines += [[(middle + 0.05 * k, -1.0), (k * 0.45, -0.76), (k * 0.8, -0.4)] for k in (-1.0, 1.0)]
    _strands(head, lines)


def _bob(head: Head) -> None:
    t = head.turn
    line = [(-1.14, 0.5), (-0.94, 0.2), (-0.9, -0.3), (-0.6, -0.4), (0.0 + t * 0.5, -0.36)]
    line += [(0.6, -0.4), (0.9, -0.3), (0.94, 0.2), (1.14, 0.5)]
    head.fill("hair", head.place(_cap(line, -1.22, 1.2, 0.5)), LINE)
    _strands(
        head, [[(0.24 * k, -1.12), (0.32 * k, -0.8), (0.3 * k + t * 0.4, -0.46)] for k in (-2, -1, 0, 1, 2)]
    )


def _bun(head: Head) -> None:
    t = head.turn * 0.5
    line = [
        (-1.02, -0.1),
        (-0.9, -0.5),
        (-0.5 + t, -0.72),
        (0.0 + t, -0.78),
        (0.5 + t, -0.72),
        (0.9, -0.5),
        (1.02, -0.1),
    ]
    head.fill("hair", head.place(_cap(line, -1.16, 1.06, -0.1)), LINE)
    _strands(
        head, [[(0.3 * k, -1.12), (0.46 * k, -0.95), (0.5 * k, -0.74)] for k in (-1.6, -0.8, 0.0, 0.8, 1.6)]
    )


_FRONT = {
    "bald": _bald,
    "short": _short,
    "tousled": _tousled,
    "curly": _curly,
    "wavy": _parted,
    "long": _parted,
    "bob": _bob,
    "bun": _bun,
}


def beard(head: Head, who: Attributes, outline: Points) -> None:
    """A full beard along the jaw; the mouth and the moustache are drawn over it."""
    if who.facial_hair != "beard":
        return
    jaw = outline[outline[:, 1] >= 0.02] * (1.03, 1.1)
    order = np.argsort(-jaw[:, 0])
    jaw = jaw[order]
    upper = smooth(
        [
            (-0.86, 0.24),
            (-0.56 + head.turn, 0.4),
            (-0.2 + head.turn, 0.4),
            (0.2 + head.turn, 0.4),
            (0.56 + head.turn, 0.4),
            (0.86, 0.24),
        ]
    )
    head.fill("beard", head.place(np.concatenate([jaw, upper])), 0.012)
    mouth = smooth(
        [(-0.5, 0.6), (-0.3, 0.44), (0.3, 0.44), (0.5, 0.6), (0.3, 0.82), (-0.3, 0.82)], closed=True, per=4
    )
    head.fill("skin", head.feature(mouth))  # else a mouth would be lost in dark hair
    for k in (-2, -1, 0, 1, 2):
        line = [(0.24 * k + head.turn * 0.5, 0.9 - 0.05 * abs(k)), (0.22 * k, 1.04 - 0.08 * abs(k))]
        head.stroke("beard strand", head.place(line), 0.008)
