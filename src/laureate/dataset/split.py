"""Which pictures train and which are held out, and what would make that a lie. Pure functions of values."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

from laureate.core.errors import LaureateError
from laureate.formats.imagefolder import PARTS
from laureate.formats.jsonl import Row
from laureate.formats.text import comparable
from laureate.imaging.near_duplicates import Hash, distance

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / 1.618...


def side(laureate: str, holdout: float, seed: int) -> str:
    """`train` or `holdout`, by laureate's id and seed alone; `holdout` is the share to hold out, 0..1.

    So a laureate never changes side, whoever comes or goes, and all pictures of one are on one side. Ids are
    numbers given in the order of the awards, and multiples of the golden ratio fill the circle evenly
    (Fibonacci hashing; Knuth, The Art of Computer Programming 3, section 6.4): of every run of neighbours, so
    of every time and prize, about the same share is held out. Of another id its last number counts, and
    what stands around it makes a circle of its own.
    """
    around, number = laureate, 0
    if found := re.search(r"(\d{1,18})(\D*)$", laureate, re.ASCII):
        around, number = laureate[: found.start()] + found[2], int(found[1])
    turn = (_hash64(f"split {seed} {around}".rstrip()) + number * GOLDEN) % 2**64
    return "holdout" if turn < holdout * 2**64 else "train"


def strata(rows: Sequence[Row]) -> dict[str, list[str]]:
    """What a split should be even over => the ids of its laureates: all, gender, prize, five years.

    A group of fewer than eight is left to chance.
    """
    groups: dict[str, set[str]] = {}
    for row in rows:
        year = row.get("year")
        era = f"{int(year) // 5 * 5} to {int(year) // 5 * 5 + 4}" if year else None
        for name in ("all", row.get("gender"), row.get("category"), era):
            if name:
                groups.setdefault(str(name), set()).add(str(row["id"]))
    return {name: sorted(members) for name, members in groups.items() if len(members) >= 8}


def unevenness(groups: Mapping[str, Sequence[str]], holdout: float, seed: int) -> dict[str, float]:
    """Group => how far its share on the held-out side is from `holdout`, in standard deviations of chance."""
    apart = {}
    for name, members in groups.items():
        held = sum(side(member, holdout, seed) == "holdout" for member in members)
        spread = (len(members) * holdout * (1 - holdout)) ** 0.5
        apart[name] = (held - len(members) * holdout) / spread if spread else 0.0
    return apart


def even_seed(groups: Mapping[str, Sequence[str]], holdout: float, seeds: Iterable[int] = range(200)) -> int:
    """The seed with the most even split (rerandomisation; Morgan and Rubin 2012, Annals of Statistics 40).

    A split that is even by force would move laureates when others come; one that is drawn until it is even,
    and then kept by its seed, does not.
    """
    return min(seeds, key=lambda seed: sum(z * z for z in unevenness(groups, holdout, seed).values()))


def check_split(
    rows: Mapping[str, Sequence[Row]],
    hashes: Mapping[str, Hash],
    least: Mapping[str, int],
    near: float,
) -> None:
    """The guards of a split: `rows` and `least` by side; `hashes` maps a file to its perceptual hash.

    Raises LaureateError for too few pictures on a side, for a laureate on both, and for a picture on both:
    two whose hashes differ in at most the share `near` of their bits.
    """
    for name in PARTS:
        if len(rows[name]) < least[name]:
            raise LaureateError(
                f"{name} has {len(rows[name])} pictures, at least {least[name]} are wanted: "
                f"bring more, or change prepare.min_{name} or prepare.holdout"
            )
    both = {row["id"] for row in rows["train"]} & {row["id"] for row in rows["holdout"]}
    if both:
        raise LaureateError(f"laureate {min(both)} is on both sides of the split")
    for held in rows["holdout"]:
        for row in rows["train"]:
            apart = distance(hashes[held["file_name"]], hashes[row["file_name"]])
            if apart <= near:
                raise LaureateError(
                    f"train/{row['file_name']} and holdout/{held['file_name']} are the same picture or "
                    f"nearly so ({apart:.0%} of their perceptual hash differs): take one away, or lower "
                    "prepare.near"
                )


def check_prompts(rows: Sequence[Row], prompts: Iterable[str]) -> None:
    """Raise LaureateError when a prompt is a training caption: a score would then measure memory."""
    captions = {comparable(row["text"]): row["file_name"] for row in rows}
    for prompt in prompts:
        file = captions.get(comparable(prompt))
        if file is not None:
            raise LaureateError(f"the prompt {prompt!r} is the training caption of {file}: change the prompt")


def _hash64(text: str) -> int:
    """64 bits of SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
