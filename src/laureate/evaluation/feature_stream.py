"""Features of any number of pictures in bounded memory: files are decoded in batches, only features stay."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from laureate.core.errors import LaureateError
from laureate.evaluation import sanity_checks, scores
from laureate.evaluation.feature_extraction import STYLE_LAYERS, layers_of
from laureate.evaluation.scores.base import Array
from laureate.imaging.image_io import PictureError, decode, resized, square

if TYPE_CHECKING:
    from PIL.Image import Image

    from laureate.evaluation.judges.batching import Judge
    from laureate.formats.generated_folder import Entry

BATCH = 32  # pictures decoded and looked at at once
FEW = 20  # references: fewer are remarked on
RoleFeatures = dict[str, Array]  # "looks" (n, d) and "style" (n, k) float32, where a judge has them


@dataclass(frozen=True)
class Pictures:
    """A set of n pictures as every judge sees it, and what each picture answers to."""

    name: str
    keys: Sequence[tuple[str | None, int | None]]  # (prompt, seed) of each picture, None where not known
    seen: Mapping[str, RoleFeatures]  # judge => looks (n, d), style (n, k)
    text_scores: Mapping[str, Array] = field(default_factory=dict)  # judge => CLIP score per picture (n,)

    @property
    def clusters(self) -> list[Hashable]:
        """What is resampled together: pictures of a prompt, or single ones where no two prompts are known."""
        prompts = {prompt for prompt, _ in self.keys}
        if None in prompts or len(prompts) < 2:
            return list(range(len(self.keys)))
        return [prompt for prompt, _ in self.keys]

    def only(self, rows: Sequence[int]) -> Pictures:
        """These rows alone, in this order."""
        index = list(rows)
        return Pictures(
            self.name,
            [self.keys[row] for row in index],
            {judge: {role: x[index] for role, x in roles.items()} for judge, roles in self.seen.items()},
            {judge: values[index] for judge, values in self.text_scores.items()},
        )


@dataclass
class ReadLog:
    """What reading a set of files left: those that could be read, and what was noticed about them."""

    entries: list[Entry] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)  # SHA-256 of each one's size and pixels
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    blank: list[Path] = field(default_factory=list)


def extract(judges: Mapping[str, Judge], batches: Iterable[Sequence[Image]]) -> dict[str, RoleFeatures]:
    """What every judge makes of RGB pictures that come in batches => judge => its features of all of them.

    A batch is let go before the next is taken. Feature maps are reduced to style features (Gram matrices of
    the first layers) at once: they are a hundred times as large.
    """
    kept: dict[str, dict[str, list[Array]]] = {name: {} for name in judges}
    for batch in batches:
        for name, judge in judges.items():
            seen = judge.extract(batch)
            if "features" in seen:
                kept[name].setdefault("looks", []).append(np.array(seen["features"]))
            layers = layers_of(seen)[:STYLE_LAYERS]
            if layers:
                kept[name].setdefault("style", []).append(style_of(layers))
    return {name: {role: np.concatenate(v) for role, v in roles.items()} for name, roles in kept.items()}


def style_of(layers: Sequence[Array]) -> Array:
    """`scores.style_features` as an array of its own, not a view into the maps."""
    return np.array(scores.style_features(layers))


def extract_set(
    name: str,
    entries: Iterable[Entry],
    judges: Mapping[str, Judge],
    text_judges: Sequence[str] = (),
    side: int | None = None,
    unreadable: Sequence[tuple[Path, str]] = (),
) -> tuple[Pictures, ReadLog]:
    """Decode a set of pictures, at most `BATCH` at once, and ask every judge about them.

    `text_judges`: those that read text too and score a set whose prompts are all known; `side`: pixels, see
    `common_side`; `unreadable`: files that were left out before. Raises LaureateError where fewer than two
    pictures can be read, and for features that are not finite.
    """
    log = ReadLog(unreadable=list(unreadable))
    seen = extract(judges, decoded(entries, log, side))
    if len(log.entries) < sanity_checks.MIN_PICTURES:
        raise LaureateError(_too_few(name, log))
    files = [entry.file for entry in log.entries]
    for judge, roles in seen.items():
        for values in roles.values():
            sanity_checks.check_finite(values, files, f"the judge {judge}")
    keys = [(entry.made.prompt, entry.made.seed) for entry in log.entries]
    prompts = [prompt for prompt, _ in keys if prompt is not None]
    texts = {}
    if len(prompts) == len(keys):
        for judge in text_judges:
            texts[judge] = _text_scores(judges[judge], seen[judge]["looks"], prompts)
    return Pictures(name, keys, seen, texts), log


def decoded(entries: Iterable[Entry], log: ReadLog, side: int | None = None) -> Iterator[list[Image]]:
    """RGB pictures in batches of `BATCH`; what cannot be decoded is noted in `log` and left out."""
    batch: list[Image] = []
    for entry in entries:
        try:
            picture = decode(entry.file.read_bytes())
        except (PictureError, OSError) as error:
            log.unreadable.append((entry.file, str(error)))
            continue
        extrema: Any = picture.getextrema()
        if all(low == high for low, high in extrema):
            log.blank.append(entry.file)
        log.digests.append(hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).digest())
        log.entries.append(entry)
        batch.append(picture if side is None else resized(square(picture, 0.5), side))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def common_side(entries: Sequence[Entry]) -> tuple[int | None, str]:
    """Pixels of a side that all pictures are brought to, and a sentence; (None, "") where they are alike."""
    sizes = {entry.size: entry.file.name for entry in reversed(entries)}
    if len(sizes) <= 1 and all(width == height for width, height in sizes):
        return None, ""
    side = min(min(size) for size in sizes)
    first = sorted(sizes, key=min)[:3]
    listed = ", ".join(f"{width} x {height} ({sizes[width, height]})" for width, height in first)
    more = f" and {len(sizes) - 3} more" if len(sizes) > 3 else ""
    return side, (
        f"Pictures have {len(sizes)} size{'s' if len(sizes) > 1 else ''}, {listed}{more}: each is cut to its "
        f"middle square and brought to {side} pixels, the smallest side, so that none is sharper than others."
    )


def remarks(name: str, log: ReadLog, references: bool = False) -> list[str]:
    """What to know about one set of pictures, a sentence each."""
    found = []
    if log.unreadable:
        found.append(f"{name}: {_left_out(log)}.")
    if log.blank:
        found.append(
            f"{name}: {len(log.blank)} of {len(log.entries)} pictures have one colour only, such as "
            f"{log.blank[0]}; they are scored as they are."
        )
    if references and len(log.entries) < FEW:
        found.append(f"{len(log.entries)} references are few, so intervals are wide: take 30 or more.")
    return found


def shared_pictures(log: Mapping[str, ReadLog]) -> list[str]:
    """Sets that share pictures, pixel by pixel, a sentence each: that makes their distance too small."""
    found, names = [], list(log)
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            shared = len(set(log[name].digests) & set(log[other].digests))
            if shared:
                which = "1 picture" if shared == 1 else f"{shared} pictures"
                found.append(
                    f"{name} and {other} share {which}, pixel by pixel: their distance is too small."
                )
    return found


def _text_scores(judge: Any, pictures: Array, prompts: Sequence[str]) -> Array:
    """CLIP score of each picture (n,); a prompt is read once."""
    different = list(dict.fromkeys(prompts))
    place = {prompt: row for row, prompt in enumerate(different)}
    texts: Callable[[Sequence[str]], Array] = judge.texts
    return scores.clip_score(pictures, texts(different)[[place[prompt] for prompt in prompts]])


def _too_few(name: str, log: ReadLog) -> str:
    count = len(log.entries)
    why = f"; {_left_out(log)}" if log.unreadable else ""
    pictures = "picture" if count == 1 else "pictures"
    return f"{name} has {count} {pictures} that can be read, and a score needs two or more{why}"


def _left_out(log: ReadLog) -> str:
    file, why = log.unreadable[0]
    count = len(log.unreadable)
    files = "1 file that cannot be read is" if count == 1 else f"{count} files that cannot be read are"
    return f"{files} left out{', such as' if count > 1 else ':'} {file}: {why}"
