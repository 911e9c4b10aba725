"""Build a person as an ordered list of marks, independent of the style."""

from __future__ import annotations

import numpy as np

from laureate.simulator.portraits import clothing, face, hair, headwear
from laureate.simulator.portraits.attributes import Attributes
from laureate.simulator.portraits.geometry import Points, ellipse, smooth
from laureate.simulator.portraits.marks import Head, Mark, Shade

FACE = {  # half-width, half-height, roundness of the jaw (2 is an ellipse, more is squarer)
    "oval": (0.178, 0.266, 1.85),
    "round": (0.228, 0.238, 2.15),
    "square": (0.206, 0.246, 4.4),
}


def face_outline(jaw: float, n: int = 56) -> Points:
    """Face in head units: an ellipse above, a superellipse of exponent `jaw` below, with a chin."""
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    c, s = np.cos(t), np.sin(t)
    power = np.where(s > 0, 2 / jaw, 1.0)
    x = np.sign(c) * np.abs(c) ** power
    y = np.sign(s) * np.abs(s) ** power
    narrowing = np.where(s > 0, 1 - 0.16 * np.clip(y, 0, 1) ** 1.5, 1.0)
    return np.stack([x * narrowing, y], axis=1)


def _little(rng: np.random.Generator) -> float:
    """A normal deviate within two standard deviations."""
    return float(np.clip(rng.standard_normal(), -2, 2))


def build(who: Attributes, rng: np.random.Generator) -> list[Mark]:
    """The marks of a portrait in drawing order; `rng` adds small variations."""
    woman = who.gender == "woman"
    w, h, jaw = FACE[who.face]
    grow = 1 + 0.025 * _little(rng)
    w, h = w * grow * (0.95 if woman else 1.0), h * grow
    turn = {"facing": 0.0, "left": -0.2, "right": 0.2}[who.pose]
    head = Head(
        w=w,
        h=h,
        centre=(0.5 + 0.012 * _little(rng), 0.455 + 0.007 * _little(rng)),
        tilt=0.02 * _little(rng) + 0.12 * turn,
        turn=turn,
        shadow=1.0 if who.light == "left" else -1.0,
    )
    outline = face_outline(jaw * (0.93 if woman else 1.0))
    hair.behind(head, who)
    _neck(head, woman)
    clothing.dress(head, who)
    _skull(head, outline)
    _shadow(head, outline)
    face.draw(head, who)
    hair.beard(head, who, outline)
    face.mouth(head, who)
    hair.front(head, who)
    face.glasses(head, who)
    headwear.draw(head, who)
    return head.marks


def _neck(head: Head, woman: bool) -> None:
    cx = head.centre[0]
    half, top = (0.075 if woman else 0.1), head.centre[1] + 0.55 * head.h
    left = smooth(
        [(cx - half, top), (cx - half * 0.96, 0.77), (cx - half * 1.5, 0.82), (cx - half * 2.0, 0.9)]
    )
    right = left[::-1] * (-1, 1) + (2 * cx, 0)
    head.fill("skin", np.concatenate([left, right]), 0.009)
    s = head.shadow
    shade = [(cx - 0.2 * half * s, top), (cx + 0.1 * half * s, 0.72), (cx + 0.35 * half * s, 0.95)]
    shade += [(cx + 3 * half * s, 0.95), (cx + 3 * half * s, top)]
    head.marks.append(Shade("skin", np.asarray(shade)))
    under = head.place([(-0.8, 0.8), (-0.4, 1.1), (0.0, 1.2), (0.4, 1.1), (0.8, 0.8)])
    head.marks.append(Shade("skin", smooth(under)))


def _skull(head: Head, outline: Points) -> None:
    for side in (-1.0, 1.0):
        if side * head.turn > 0.1:  # the far ear is hidden
            continue
        ear = ellipse((side * 1.02 - 0.25 * head.turn, 0.02), (0.15, 0.2), 18)
        head.fill("skin", head.place(ear), 0.010)
        inner = [
            (side * 1.06 - 0.25 * head.turn, -0.08),
            (side * 0.99, 0.0),
            (side * 1.05 - 0.25 * head.turn, 0.1),
        ]
        head.stroke("fold", head.place(smooth(inner)), 0.006)
    head.fill("skin", head.place(outline), 0.015)


def _shadow(head: Head, outline: Points) -> None:
    """The shadow side of the face: brow, cheek and jaw in one broken edge, and hatching along it."""
    s, t = head.shadow, head.turn
    edge = smooth(
        [
            (0.66 * s + t, -1.1),
            (0.56 * s + t, -0.62),
            (0.74 * s + t, -0.3),
            (0.78 * s + t, 0.0),
            (0.5 * s + t, 0.24),
            (0.56 * s + t, 0.5),
            (0.4 * s + t, 0.72),
            (0.1 * s + t, 0.86),
            (0.05 * s + t, 1.1),
        ]
    )
    far = np.array([(1.6 * s, 1.2), (1.6 * s, -1.2)])
    hatch = []
    for k in range(4):
        y = 0.16 + 0.15 * k
        reach = 0.30 - 0.03 * k
        start = (0.98 - 0.07 * k) * s
        hatch.append(
            head.place(
                smooth(
                    [(start, y - 0.04), (start - 0.5 * reach * s, y + 0.03), (start - reach * s, y + 0.14)]
                )
            )
        )
    head.marks.append(Shade("skin", head.place(np.concatenate([edge, far])), tuple(hatch)))
    nose = [
        (0.02 * s, -0.16),
        (0.06 * s, 0.1),
        (0.24 * s, 0.3),
        (0.12 * s, 0.42),
        (-0.02 * s, 0.36),
        (0.0, 0.1),
    ]
    head.marks.append(Shade("skin", head.feature(smooth(nose, closed=True, per=4))))
    socket = [(0.14 * s, -0.3), (0.2 * s, -0.04), (0.3 * s, -0.14), (0.56 * s, -0.22), (0.6 * s, -0.3)]
    head.marks.append(Shade("skin", head.feature(smooth(socket, closed=True, per=4))))
