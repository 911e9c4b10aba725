"""The training drawings: pixels, labels, and captions.

The cache holds `pixels.u8` (count, size, size, 3) uint8, mapped and never read whole; `labels.npy`
(count, heads) int8, the class of every head, and `readable.npy` (count, heads) bool.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from laureate.core.progress import progress
from laureate.embedded.pretraining.config import Draw
from laureate.formats.vocabulary import VOCABULARY
from laureate.simulator.portraits import attributes, captions, portrait, styles
from laureate.simulator.portraits.attributes import Attributes

HEADS: dict[str, tuple[str, ...]] = {**VOCABULARY, "style": styles.STYLES}
CHUNK = 250


@dataclass(frozen=True)
class Drawings:
    """The training data; arrays are indexed by drawing."""

    pixels: NDArray[np.uint8]  # (n, size, size, 3)
    labels: NDArray[np.int8]  # (n, heads): index into HEADS[name]
    readable: NDArray[np.bool_]  # (n, heads)

    def of_base(self) -> NDArray[np.int64]:
        """Indices of the drawings in the base's styles."""
        style = self.labels[:, list(HEADS).index("style")]
        return np.flatnonzero(style != styles.STYLES.index(styles.LAUREATE))


def person(seed: int, index: int, laureate: float) -> tuple[Attributes, str, np.random.Generator]:
    """The person and style of drawing `index`, and the random generator, which then draws its captions."""
    rng = np.random.default_rng([seed, index])
    who = attributes.random_attributes(rng)
    if rng.random() < laureate:
        return who, styles.LAUREATE, rng
    return who, styles.BASE_STYLES[int(rng.integers(len(styles.BASE_STYLES)))], rng


def labels_of(who: Attributes, style: str) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """The class of every head, and which of them can be seen: (heads,) int8 and (heads,) bool."""
    classes = {**who.to_dict(), "style": style}
    visible = styles.readable(who, style) | {"style"}
    label = np.array([HEADS[name].index(classes[name]) for name in HEADS], np.int8)
    return label, np.array([name in visible for name in HEADS])


def _draw_chunk(
    start: int, stop: int, settings: Draw, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.int8], NDArray[np.bool_]]:
    pixels = np.empty((stop - start, size, size, 3), np.uint8)
    labels = np.empty((stop - start, len(HEADS)), np.int8)
    readable = np.empty((stop - start, len(HEADS)), bool)
    for row, index in enumerate(range(start, stop)):
        who, style, _ = person(settings.seed, index, settings.laureate)
        pixels[row] = np.asarray(portrait.draw(who, style, settings.seed * 10_000_000 + index, (size, size)))
        labels[row], readable[row] = labels_of(who, style)
    return pixels, labels, readable


def draw(cache: Path, settings: Draw, size: int, processes: int) -> None:
    """Draw everything into `cache`, in parallel; the bytes do not depend on `processes`."""
    cache.mkdir(parents=True, exist_ok=True)
    pixels = np.memmap(cache / "pixels.u8", np.uint8, "w+", shape=(settings.count, size, size, 3))
    labels = np.empty((settings.count, len(HEADS)), np.int8)
    readable = np.empty((settings.count, len(HEADS)), bool)
    starts = range(0, settings.count, CHUNK)
    stops = [min(start + CHUNK, settings.count) for start in starts]
    with ProcessPoolExecutor(processes) as pool:
        chunks = pool.map(_draw_chunk, starts, stops, [settings] * len(stops), [size] * len(stops))
        for start, stop, chunk in progress(zip(starts, stops, chunks, strict=True), len(stops), "draw"):
            pixels[start:stop], labels[start:stop], readable[start:stop] = chunk
    pixels.flush()
    np.save(cache / "labels.npy", labels)
    np.save(cache / "readable.npy", readable)


def load(cache: Path, settings: Draw, size: int) -> Drawings:
    """Open the files that `draw` wrote."""
    shape = (settings.count, size, size, 3)
    pixels = np.memmap(cache / "pixels.u8", np.uint8, "r", shape=shape)
    return Drawings(pixels, np.load(cache / "labels.npy"), np.load(cache / "readable.npy"))


def counts(labels: NDArray[np.int8]) -> dict[str, dict[str, int]]:
    """How many drawings show each class of each head."""
    by_head = {}
    for column, (name, classes) in enumerate(HEADS.items()):
        numbers = np.bincount(labels[:, column], minlength=len(classes))
        by_head[name] = {value: int(number) for value, number in zip(classes, numbers, strict=True)}
    return by_head


def write_captions(
    settings: Draw, keep: tuple[float, ...] = (0.9, 0.8, 0.8, 0.65, 0.45, 0.25)
) -> list[list[str]]:
    """`settings.captions` captions per drawing, from long to short."""
    by_drawing = []
    for index in progress(range(settings.count), settings.count, "captions"):
        who, style, rng = person(settings.seed, index, settings.laureate)
        by_drawing.append(
            [captions.caption(who, style, rng, keep=keep[k % len(keep)]) for k in range(settings.captions)]
        )
    return by_drawing
