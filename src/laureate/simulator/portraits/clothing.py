"""Draw shoulders and clothing."""

from __future__ import annotations

import numpy as np

from laureate.simulator.portraits.attributes import Attributes
from laureate.simulator.portraits.geometry import Points, ellipse, smooth
from laureate.simulator.portraits.marks import Head


def dress(head: Head, who: Attributes) -> None:
    """Shoulders and the garment `who.clothing`."""
    cx = head.centre[0]
    half = 0.36 if who.gender == "woman" else 0.42
    {
        "suit and tie": _suit,
        "bow tie": _bow_tie,
        "scarf": _scarf,
        "sweater": _sweater,
        "necklace": _necklace,
        "blazer": _blazer,
        "jersey": _jersey,
    }[who.clothing](head, cx, half)


def _mirror(points: list[tuple[float, float]], cx: float, side: float) -> Points:
    """Points given as (distance from the middle, y), on one side of the body."""
    p = np.asarray(points, dtype=np.float64)
    return np.stack([cx + side * p[:, 0], p[:, 1]], axis=1)


def _shoulders(head: Head, cx: float, half: float, role: str, neck: float = 0.1, top: float = 0.775) -> None:
    right = smooth(
        _mirror(
            [
                (0.0, top + 0.03),
                (neck, top),
                (half * 0.62, 0.83),
                (half * 0.92, 0.885),
                (half, 1.0),
                (half * 1.06, 1.3),
                (half * 1.06, 1.6),
            ],
            cx,
            1.0,
        )
    )
    left = right[::-1] * (-1, 1) + (2 * cx, 0)
    head.fill(role, np.concatenate([right, left]), 0.013)
    for side in (-1.0, 1.0):  # the sleeves
        head.stroke(
            "fold",
            smooth(_mirror([(half * 0.74, 0.97), (half * 0.7, 1.1), (half * 0.72, 1.6)], cx, side)),
            0.010,
            0.2,
            0.8,
        )


def _shirt(head: Head, cx: float, width: float = 0.1) -> None:
    v = [(cx - width, 0.775), (cx + width, 0.775), (cx + 0.03, 1.05), (cx, 1.6), (cx - 0.03, 1.05)]
    head.fill("shirt", np.asarray(v), 0.0)


def _collar(head: Head, cx: float) -> None:
    for side in (-1.0, 1.0):
        tip = [(0.085, 0.755), (0.118, 0.80), (0.075, 0.875), (0.0, 0.815), (0.05, 0.79)]
        head.fill("shirt", _mirror(tip, cx, side), 0.009)


def _lapels(head: Head, cx: float, half: float, low: float = 1.12) -> None:
    for side in (-1.0, 1.0):
        lapel = [(0.105, 0.775), (0.175, 0.86), (0.15, 0.895), (0.19, 0.915), (0.015, low), (0.085, 0.93)]
        head.fill("cloth", _mirror(lapel, cx, side), 0.010)
    head.stroke("fold", np.array([(cx, low), (cx, 1.6)]), 0.010, 0.8, 0.8)


def _suit(head: Head, cx: float, half: float) -> None:
    _shoulders(head, cx, half, "cloth")
    _shirt(head, cx, 0.115)
    tie = [(cx - 0.028, 0.862), (cx + 0.028, 0.862), (cx + 0.05, 1.08), (cx, 1.14), (cx - 0.05, 1.08)]
    head.fill("tie", np.asarray(tie), 0.008)
    knot = [(cx - 0.038, 0.808), (cx + 0.038, 0.808), (cx + 0.024, 0.868), (cx - 0.024, 0.868)]
    head.fill("tie", np.asarray(knot), 0.008)
    _lapels(head, cx, half)
    _collar(head, cx)


def _bow_tie(head: Head, cx: float, half: float) -> None:
    _shoulders(head, cx, half, "cloth")
    _shirt(head, cx, 0.115)
    _lapels(head, cx, half)
    _collar(head, cx)
    for side in (-1.0, 1.0):
        wing = smooth(
            _mirror(
                [
                    (0.012, 0.835),
                    (0.07, 0.79),
                    (0.105, 0.79),
                    (0.1, 0.845),
                    (0.105, 0.895),
                    (0.07, 0.89),
                    (0.012, 0.855),
                ],
                cx,
                side,
            ),
            closed=True,
            per=4,
        )
        head.fill("tie", wing, 0.008)
    head.fill("tie", ellipse((cx, 0.845), (0.022, 0.024), 14), 0.008)


def _blazer(head: Head, cx: float, half: float) -> None:
    _shoulders(head, cx, half, "cloth")
    _shirt(head, cx, 0.115)
    opening = [(cx - 0.062, 0.76), (cx + 0.062, 0.76), (cx, 0.93)]
    head.fill("skin", np.asarray(opening), 0.007)
    _lapels(head, cx, half)
    _collar(head, cx)


def _scarf(head: Head, cx: float, half: float) -> None:
    _shoulders(head, cx, half, "cloth")
    tail = [
        (cx + 0.03, 0.86),
        (cx + 0.155, 0.84),
        (cx + 0.175, 1.14),
        (cx + 0.165, 1.2),
        (cx + 0.05, 1.2),
        (cx + 0.055, 1.14),
    ]
    head.fill("scarf", np.asarray(tail), 0.012)
    for k in range(3):
        x = cx + 0.085 + 0.03 * k
        head.stroke("scarf fold", np.array([(x, 0.9), (x + 0.008, 1.12)]), 0.008)
    band = smooth(
        [
            (cx - 0.165, 0.75),
            (cx - 0.08, 0.755),
            (cx, 0.785),
            (cx + 0.08, 0.755),
            (cx + 0.165, 0.75),
            (cx + 0.185, 0.83),
            (cx + 0.1, 0.9),
            (cx, 0.915),
            (cx - 0.1, 0.9),
            (cx - 0.185, 0.83),
        ],
        closed=True,
    )
    head.fill("scarf", band, 0.013)
    for k in range(3):
        y = 0.79 + 0.032 * k
        head.stroke(
            "scarf fold",
            smooth([(cx - 0.15, y), (cx - 0.05, y + 0.045), (cx + 0.06, y + 0.04), (cx + 0.15, y - 0.005)]),
            0.009,
        )


def _sweater(head: Head, cx: float, half: float) -> None:
    _shoulders(head, cx, half, "cloth")
    for k in range(-4, 5):
        x = cx + 0.062 * k
        head.stroke(
            "fold", smooth([(x * 0.9 + cx * 0.1, 0.9 + 0.012 * abs(k)), (x, 1.1), (x, 1.6)]), 0.006, 0.6, 0.6
        )
    roll = smooth(
        [
            (cx - 0.125, 0.735),
            (cx, 0.765),
            (cx + 0.125, 0.735),
            (cx + 0.145, 0.8),
            (cx + 0.12, 0.85),
            (cx, 0.875),
            (cx - 0.12, 0.85),
            (cx - 0.145, 0.8),
        ],
        closed=True,
    )
    head.fill("cloth", roll, 0.013)
    for k in range(-3, 4):
        x = cx + 0.032 * k
        head.stroke(
            "fold",
            np.array([(x, 0.785 - 0.004 * abs(k)), (x * 1.0, 0.855 - 0.006 * abs(k))]),
            0.006,
            0.7,
            0.7,
        )


def _necklace(head: Head, cx: float, half: float) -> None:
    _shoulders(head, cx, half, "cloth")
    neckline = smooth(
        [(cx - 0.15, 0.77), (cx - 0.135, 0.87), (cx, 0.965), (cx + 0.135, 0.87), (cx + 0.15, 0.77)]
    )
    head.fill("skin", neckline, 0.010)
    chain = smooth(
        [(cx - 0.095, 0.785), (cx - 0.075, 0.855), (cx, 0.9), (cx + 0.075, 0.855), (cx + 0.095, 0.785)], per=3
    )
    for x, y in chain[::1]:
        head.fill("pearl", ellipse((float(x), float(y)), (0.0145, 0.0145), 10), 0.004)
    head.fill("pearl", ellipse((cx, 0.922), (0.024, 0.024), 14), 0.006)


def _jersey(head: Head, cx: float, half: float) -> None:
    _shoulders(head, cx, half, "accent")
    for k in (-1.0, 1.0):
        stripe = [(0.10, 0.79), (0.165, 0.805), (0.185, 1.6), (0.12, 1.6)]
        head.fill("shirt", _mirror(stripe, cx, k), 0.006)
    stripe = [(0.0, 0.82), (0.035, 0.85), (0.035, 1.6), (0.0, 1.6)]
    for k in (-1.0, 1.0):
        head.fill("shirt", _mirror(stripe, cx, k), 0.0)
    neckline = [(cx - 0.1, 0.765), (cx + 0.1, 0.765), (cx, 0.9)]
    head.fill("shirt", np.asarray([(cx - 0.125, 0.765), (cx + 0.125, 0.765), (cx, 0.94)]), 0.008)
    head.fill("skin", np.asarray(neckline), 0.008)
