"""Split into train and holdout by laureate, and check the split for leakage."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

from laureate.core.errors import LaureateError
from laureate.formats.caption_tables import number_of
from laureate.formats.imagefolder import PARTS
from laureate.formats.jsonl import Row
from laureate.formats.text import comparable
from laureate.imaging.near_duplicates import Hash, distance

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / 1.618...


def part_of(laureate: str, holdout: float, seed: int) -> str:
    """`train` or `holdout`, by laureate's id and seed alone; `holdout` is the share to hold out, 0..1.

    A laureate therefore keeps the part when others are added or removed, and all pictures of one are in one
    part. Ids are numbers in the order of the awards, and multiples of the golden ratio fill the interval
    evenly (Fibonacci hashing; Knuth, The Art of Computer Programming 3, section 6.4): of consecutive ids,
    that is of every period and prize, about the same share is held out. Of an id that is no number, the last
    number in it is used, and the text around it selects an offset of its own.
    """
    around, number = laureate, 0
    if match := re.search(r"(\d{1,18})(\D*)$", laureate, re.ASCII):
        around, number = laureate[: match.start()] + match[2], int(match[1])
    turn = (_hash64(f"split {seed} {around}".rstrip()) + number * GOLDEN) % 2**64
    return "holdout" if turn < holdout * 2**64 else "train"


def strata(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Group (all, a gender, a prize, five years) => the ids of its laureates, sorted.

    Groups of fewer than eight laureates are not returned: chance dominates their share.
    """
    groups: dict[str, set[str]] = {}
    for row in rows:
        year = number_of(row.get("year"))
        era = f"{year // 5 * 5} to {year // 5 * 5 + 4}" if year else None
        for name in ("all", row.get("gender"), row.get("category"), era):
            if name:
                groups.setdefault(str(name), set()).add(str(row["id"]))
    return {name: sorted(members) for name, members in groups.items() if len(members) >= 8}


def unevenness(groups: Mapping[str, Sequence[str]], holdout: float, seed: int) -> dict[str, float]:
    """Group => deviation of its held-out count from the expected one, in binomial standard deviations."""
    apart = {}
    for name, members in groups.items():
        held = sum(part_of(member, holdout, seed) == "holdout" for member in members)
        spread = (len(members) * holdout * (1 - holdout)) ** 0.5
        apart[name] = (held - len(members) * holdout) / spread if spread else 0.0
    return apart


def even_seed(groups: Mapping[str, Sequence[str]], holdout: float, seeds: Iterable[int] = range(200)) -> int:
    """The seed with the most even split (rerandomisation; Morgan and Rubin 2012, Annals of Statistics 40).

    A stratified split would move laureates when others are added; one that is chosen by its seed does not.
    """
    return min(seeds, key=lambda seed: sum(z * z for z in unevenness(groups, holdout, seed).values()))


def check_split(
    rows: Mapping[str, Sequence[Row]],
    hashes: Mapping[str, Hash],
    least: Mapping[str, int],
    near: float,
) -> None:
    """Check a split: `rows` and `least` (the fewest pictures) by part, `hashes` by file name.

    Raises LaureateError for too few pictures in a part, for a laureate in both, and for a picture in both:
    two whose perceptual hashes differ in at most the share `near` of their bits.
    """
    for name in PARTS:
        if len(rows[name]) < least[name]:
            raise LaureateError(
                f"{name} has {len(rows[name])} pictures, at least {least[name]} are needed: "
                f"add pictures, or change prepare.min_{name} or prepare.holdout"
            )
    both = {row["id"] for row in rows["train"]} & {row["id"] for row in rows["holdout"]}
    if both:
        raise LaureateError(f"laureate {min(both)} is in both parts of the split")
    for held in rows["holdout"]:
        for row in rows["train"]:
            apart = distance(hashes[held["file_name"]], hashes[row["file_name"]])
            if apart <= near:
                raise LaureateError(
                    f"train/{row['file_name']} and holdout/{held['file_name']} are the same picture or "
                    f"nearly so ({apart:.0%} of their perceptual hash differs): remove one, or lower "
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
