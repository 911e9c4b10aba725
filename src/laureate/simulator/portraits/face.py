"""Draw eyes, brows, nose, mouth and glasses, which show the expression."""

from __future__ import annotations

import numpy as np

from laureate.simulator.portraits.attributes import Attributes
from laureate.simulator.portraits.geometry import ellipse, smooth
from laureate.simulator.portraits.marks import Head

EYE_X, EYE_Y = 0.43, -0.06

# expression -> (inner brow y, middle brow y, outer brow y), in head units
_BROWS = {
    "calm": (-0.30, -0.37, -0.28),
    "smile": (-0.31, -0.40, -0.29),
    "laugh": (-0.34, -0.47, -0.33),
    "serious": (-0.255, -0.275, -0.25),
    "angry": (-0.14, -0.28, -0.40),
    "shock": (-0.46, -0.60, -0.44),
}


def draw(head: Head, who: Attributes) -> None:
    """Eyes, brows and nose."""
    for side in (-1.0, 1.0):
        _eye(head, who, side)
        _brow(head, who, side)
    _nose(head)
    if who.expression in ("smile", "laugh"):
        for side in (-1.0, 1.0):
            cheek = [(0.36 * side, 0.34), (0.56 * side, 0.46), (0.56 * side, 0.62)]
            head.stroke("fold", head.feature(smooth(cheek)), 0.008)
    if who.expression == "angry":
        for side in (-1.0, 1.0):
            head.stroke("fold", head.feature([(0.07 * side, -0.34), (0.06 * side, -0.2)]), 0.009)
    if who.expression == "shock":
        for y in (-0.72, -0.8):
            head.stroke("fold", head.feature(smooth([(-0.3, y), (0.0, y - 0.03), (0.3, y)])), 0.006)


def _eye(head: Head, who: Attributes, side: float) -> None:
    x, y = EYE_X * side, EYE_Y
    mood = who.expression
    if mood in ("calm", "laugh"):  # closed: lids down for calm, arched up for laughter
        bend = 0.075 if mood == "calm" else -0.11
        lid = smooth(
            [
                (x - 0.24, y),
                (x - 0.12, y + bend * 0.8),
                (x, y + bend),
                (x + 0.12, y + bend * 0.8),
                (x + 0.24, y),
            ]
        )
        head.stroke("lid", head.feature(lid), 0.016, 0.4, 0.4)
        if who.gender == "woman":
            tip = 0.24 * side
            head.stroke(
                "lid",
                head.feature([(x + tip * 0.8, y + bend * 0.4), (x + tip * 1.4, y - 0.04)]),
                0.011,
                1.0,
                0.3,
            )
        return
    tall = {"smile": 0.095, "serious": 0.075, "angry": 0.07, "shock": 0.17}[mood]
    wide = 0.2 if mood == "shock" else 0.25
    white = smooth(
        [(x - wide, y), (x - wide * 0.5, y - tall), (x + wide * 0.5, y - tall), (x + wide, y), (x, y + tall)],
        closed=True,
        per=4,
    )
    head.fill("eye", head.feature(white), 0.005 if mood != "shock" else 0.009)
    look = 0.35 * head.turn
    iris = ellipse((x + look, y - 0.01), (0.095, 0.095 * head.w / head.h * 1.05), 16)
    head.fill("iris", head.feature(iris))
    glint = ellipse((x + look - 0.03 * head.shadow, y - 0.035), (0.028, 0.024), 8)
    head.fill("eye", head.feature(glint))
    slope = 0.06 * side if mood == "angry" else 0.0
    upper = [
        (x - wide - 0.02, y + 0.01 - slope),
        (x - wide * 0.4, y - tall),
        (x + wide * 0.4, y - tall),
        (x + wide + 0.02, y + 0.01 + slope),
    ]
    head.stroke("lid", head.feature(smooth(upper)), 0.014, 0.4, 0.4)
    if who.gender == "woman":
        out = wide * side
        head.stroke(
            "lid", head.feature([(x + out * 0.8, y - 0.05), (x + out * 1.5, y - 0.13)]), 0.012, 1.0, 0.3
        )


def _brow(head: Head, who: Attributes, side: float) -> None:
    inner, middle, outer = _BROWS[who.expression]
    thick = 0.014 if who.gender == "woman" else 0.025
    if who.expression in ("angry", "serious"):
        thick *= 1.25
    points = [(0.17 * side, inner), (0.42 * side, middle), (0.68 * side, outer)]
    head.stroke("brow", head.feature(smooth(points)), thick, 0.7, 0.25)


def _nose(head: Head) -> None:
    s = 1.0 if head.turn > 0.05 else -1.0 if head.turn < -0.05 else head.shadow
    bridge = [(0.07 * s, -0.1), (0.1 * s, 0.1), (0.24 * s, 0.3), (0.16 * s, 0.39), (-0.02 * s, 0.39)]
    head.stroke("nose", head.feature(smooth(bridge)), 0.011, 0.2, 0.5)
    head.stroke("nose", head.feature(smooth([(-0.2 * s, 0.28), (-0.23 * s, 0.35), (-0.13 * s, 0.39)])), 0.009)


def mouth(head: Head, who: Attributes) -> None:
    """The mouth, drawn over a beard; a moustache is drawn above it."""
    y, mood = 0.6, who.expression
    woman = who.gender == "woman"
    if mood == "laugh":
        shape = smooth(
            [
                (-0.42, y - 0.08),
                (0.0, y - 0.04),
                (0.42, y - 0.08),
                (0.26, y + 0.12),
                (0.0, y + 0.19),
                (-0.26, y + 0.12),
            ],
            closed=True,
        )
        head.fill("mouth", head.feature(shape), 0.012)
        teeth = smooth(
            [(-0.34, y - 0.06), (0.0, y - 0.03), (0.34, y - 0.06), (0.22, y + 0.05), (-0.22, y + 0.05)],
            closed=True,
            per=4,
        )
        head.fill("tooth", head.feature(teeth))
    elif mood == "shock":
        head.fill("mouth", head.feature(ellipse((0.0, y + 0.04), (0.17, 0.16), 24)), 0.010)
    else:
        bend, wide = {
            "calm": (0.025, 0.25),
            "smile": (0.12, 0.4),
            "serious": (0.0, 0.3),
            "angry": (-0.11, 0.34),
        }[mood]
        line = smooth(
            [
                (-wide, y - bend),
                (-wide * 0.5, y + bend * 0.4),
                (0.0, y + bend * 0.7),
                (wide * 0.5, y + bend * 0.4),
                (wide, y - bend),
            ]
        )
        if woman:
            upper = [
                (-wide * 0.85, y - bend * 0.8),
                (-0.07, y - 0.07 + bend * 0.5),
                (0.0, y - 0.05 + bend * 0.5),
                (0.07, y - 0.07 + bend * 0.5),
                (wide * 0.85, y - bend * 0.8),
            ]
            lower = [
                (wide * 0.5, y + 0.07 + bend * 0.4),
                (0.0, y + 0.11 + bend * 0.7),
                (-wide * 0.5, y + 0.07 + bend * 0.4),
            ]
            head.fill("lip", head.feature(smooth(upper + lower, closed=True, per=4)), 0.006)
        head.stroke("mouth", head.feature(line), 0.014, 0.35, 0.35)
        if mood in ("serious", "angry") and not woman:
            head.stroke(
                "fold", head.feature(smooth([(-0.13, y + 0.14), (0.0, y + 0.12), (0.13, y + 0.14)])), 0.009
            )
    if who.facial_hair != "none":
        _moustache(head, y)


def _moustache(head: Head, y: float) -> None:
    top, low = y - 0.2, y - 0.06
    half = [
        (0.0, top + 0.03),
        (0.16, top),
        (0.36, top + 0.09),
        (0.5, low + 0.06),
        (0.3, low + 0.03),
        (0.1, low - 0.01),
        (0.0, low - 0.04),
    ]
    points = half + [(-x, v) for x, v in reversed(half)]
    head.fill("beard", head.feature(smooth(points, closed=True, per=4)), 0.006)


def glasses(head: Head, who: Attributes) -> None:
    """Frames, bridge and temples, over everything else on the face."""
    if who.glasses == "none":
        return
    tall = 0.32 * head.w / head.h * 1.02
    for side in (-1.0, 1.0):
        centre = (EYE_X * side, EYE_Y + 0.01)
        if who.glasses == "round":
            frame = ellipse(centre, (0.315, tall), 32)
        else:
            x, y, a, b = *centre, 0.33, tall * 0.78
            corners = [(x - a, y - b), (x + a, y - b), (x + a * 0.94, y + b), (x - a * 0.94, y + b)]
            frame = np.concatenate([np.linspace(corners[i], corners[(i + 1) % 4], 6)[:-1] for i in range(4)])
        closed = np.concatenate([frame, frame[:2]])
        head.stroke("frame", head.feature(closed), 0.017, 1.0, 1.0)
        temple = [(EYE_X * side + 0.32 * side, EYE_Y - 0.04), (1.0 * side - head.turn, EYE_Y - 0.06)]
        if side * head.turn < 0.1:
            head.stroke("frame", head.feature(temple), 0.013, 1.0, 1.0)
    head.stroke(
        "frame", head.feature(smooth([(-0.13, EYE_Y), (0.0, EYE_Y - 0.06), (0.13, EYE_Y)])), 0.014, 1.0, 1.0
    )
