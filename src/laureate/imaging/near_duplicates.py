"""Find near-duplicates (resized, saved again, a little lighter) by a perceptual hash.

The hash is pHash (Zauner, 2010, section 3.2.1) by the package `imagehash`: the signs of the 16 x 16 lowest
frequencies of a picture against their median, 256 bits. Two unlike pictures differ in about half of them.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
BITS = SIDE * SIDE
Hash = NDArray[np.bool_]


def perceptual_hash(picture: Image.Image) -> Hash:
    """An RGB picture of any size => (256,) bool."""
    import imagehash

    return np.asarray(imagehash.phash(picture, hash_size=SIDE).hash, dtype=np.bool_).reshape(-1)


def distance(one: Hash, other: Hash) -> float:
    """The share of bits in which two hashes differ, 0..1."""
    return float(np.count_nonzero(one != other)) / BITS


def near_duplicates(hashes: Mapping[str, Hash], near: float) -> Iterable[tuple[str, str]]:
    """(name, original) for every picture that nearly equals an earlier one, its original, in the mapping.

    Two pictures are near-duplicates when their hashes differ in at most the share `near` of their bits. An
    original is never itself a near-duplicate of an earlier picture.
    """
    originals: list[str] = []
    known = np.zeros((len(hashes), BITS), dtype=np.bool_)
    for name, bits in hashes.items():
        apart = np.count_nonzero(known[: len(originals)] != bits, axis=1) / BITS
        if len(originals) and apart.min() <= near:
            yield name, originals[int(apart.argmin())]
            continue
        known[len(originals)] = bits
        originals.append(name)
