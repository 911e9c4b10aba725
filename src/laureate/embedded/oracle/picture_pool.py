"""The picture pool: pictures of many prompts from every model, and many portraits, stored in parts.

Each part is named by a hash of all that it depends on: another adapter, step count or prompt gives another
name, and an interrupted run continues where it was.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laureate.config.params import Params, Prepare
from laureate.core.files import sha256_file, write_bytes
from laureate.core.paths import ADAPTER_WEIGHTS
from laureate.core.progress import progress
from laureate.embedded import prompt_writer
from laureate.formats.prompts import Prompt
from laureate.imaging import image_io
from laureate.networks.diffusion import base_model
from laureate.sampling import pipeline
from laureate.simulator.museum import collection, server
from laureate.torch_utils import device

Pixels = NDArray[np.uint8]  # (n, side, side, 3)
PROMPT_SEED = 2027  # of the prompts; the study's own come from another
MUSEUM_SEED = 4000  # of the first museum whose portraits are drawn; the study's own is another
PROMPTS_PER_PART, PORTRAITS_PER_PART = 25, 500
# keys of `sample` that a picture depends on
PICTURE_PARAMETERS = {
    "seeds",
    "steps",
    "guidance",
    "guidance_interval",
    "scheduler",
    "precision",
    "kernels",
    "negative_prompt",
    "strength",
}


@dataclass(frozen=True)
class Part:
    """Pictures that are made and stored together."""

    file: Path
    start: int
    stop: int

    def read(self) -> Pixels:
        """The pictures, (stop − start, side, side, 3) uint8."""
        pixels: Pixels = np.load(self.file, allow_pickle=False)
        return pixels


def fresh_prompts(count: int, known: Iterable[Prompt]) -> list[Prompt]:
    """`count` prompts of the embedded world's grammar, none of them among the `known`."""
    taken = {prompt.text for prompt in known}
    drawn = prompt_writer.study(count + len(taken), seed=PROMPT_SEED)
    return [prompt for prompt in drawn if prompt.text not in taken][:count]


def generated(
    params: Params, model: str, prompts: Sequence[Prompt], folder: Path, adapter: Path | None
) -> list[Part]:
    """Generate every prompt with every seed of the study from `model` => parts in order; rows are prompt by
    prompt.

    `adapter`: its folder; None: the base alone. Parts that exist are not made again. Raises LaureateError for
    an adapter that is missing or of another base.
    """
    base = base_model.expected(params.base)
    if adapter:
        pipeline.check_adapter(adapter, base)
    seeds = params.sample.seeds
    made_by = {
        "base": base.fingerprint,
        "adapter": sha256_file(adapter / ADAPTER_WEIGHTS) if adapter else None,
        "settings": params.sample.model_dump(include=PICTURE_PARAMETERS),
        "precision": device.name_of(device.precision(params.sample.precision, device.pick())),
        "resolution": params.drawn_at,
    }

    def part(start: int) -> Part:
        chosen = prompts[start : start + PROMPTS_PER_PART]
        key = _key(made_by | {"prompts": [(prompt.id, prompt.text) for prompt in chosen]})
        return Part(folder / model / f"{key}.npy", start * len(seeds), (start + len(chosen)) * len(seeds))

    parts = [part(start) for start in range(0, len(prompts), PROMPTS_PER_PART)]
    pairs = [(prompt, seed) for prompt in prompts for seed in seeds]
    missing = [p for p in parts if not p.file.exists()]
    if missing:
        wanted = [pair for p in missing for pair in pairs[p.start : p.stop]]
        drawn = progress(pipeline.draw(base, adapter, wanted, params), len(wanted), f"draw {model}")
        _store(missing, (np.asarray(picture) for picture in drawn))
    return parts


def portraits(params: Params, count: int, folder: Path, processes: int) -> list[Part]:
    """`count` portraits by the museum's artist, encoded and prepared as the study's are => parts in order.

    They belong to further museums with other seeds: other people, the same population.
    """
    made_by = {
        "prepare": _picture_parameters(params.prepare),
        "museum": [MUSEUM_SEED, server.SIZE, server.QUALITY],
    }
    parts = []
    for start in range(0, count, PORTRAITS_PER_PART):
        stop = min(start + PORTRAITS_PER_PART, count)
        key = _key(made_by | {"rows": [start, stop], "artist": sha256_file(Path(collection.__file__))})
        parts.append(Part(folder / "portraits" / f"{key}.npy", start, stop))
    missing = [p for p in parts if not p.file.exists()]
    if missing:
        pool_portraits = list(_portraits(count))
        wanted = [pool_portraits[row] for p in missing for row in range(p.start, p.stop)]
        with ProcessPoolExecutor(processes) as pool:
            drawn = pool.map(_prepared, wanted, [params.prepare] * len(wanted), chunksize=20)
            _store(missing, progress(drawn, len(wanted), "draw portraits"))
    return parts


def _portraits(count: int) -> Iterator[collection.Portrait]:
    """The first `count` portraits by the artist, museum after museum."""
    yielded = 0
    for seed in range(MUSEUM_SEED, MUSEUM_SEED + count):
        for person in collection.collection(seed):
            for prize in person.prizes:
                if prize.portrait and prize.portrait.credit == collection.ILLUSTRATOR:
                    if yielded == count:
                        return
                    yielded += 1
                    yield prize.portrait


def _prepared(portrait: collection.Portrait, wanted: Prepare) -> Pixels:
    """A portrait as the museum serves it, cropped and resized as `prepare` does: (side, side, 3) uint8."""
    whole = image_io.decode(server.drawn(portrait))
    return np.asarray(image_io.resized(image_io.square(whole, wanted.head), wanted.resolution, wanted.filter))


def _picture_parameters(wanted: Prepare) -> dict[str, Any]:
    """The parameters of `prepare` that a picture depends on."""
    return {"resolution": wanted.resolution, "filter": wanted.filter, "head": wanted.head}


def _store(parts: Sequence[Part], drawn: Iterable[Pixels]) -> None:
    """Write the parts one by one, as their pictures are made."""
    rest = iter(drawn)
    for part in parts:
        buffer = io.BytesIO()
        np.save(buffer, np.stack([next(rest) for _ in range(part.stop - part.start)]), allow_pickle=False)
        write_bytes(part.file, buffer.getvalue())


def _key(made_by: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:20]
