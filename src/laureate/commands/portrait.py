"""`laureate portrait`: a photo of a person redrawn in the style of the study, by one of its adapters."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import write_bytes, write_json
from laureate.img2img import photo as photos
from laureate.img2img.generator import Portrait, PortraitGenerator
from laureate.img2img.photo import Background, Start
from laureate.img2img.pipeline import STRENGTHS, Settings

OUT = Path("portraits")
MOST = 64  # portraits of one call


def run(
    params: Params,
    photo: str,
    model: str | None = None,
    prompt: str | None = None,
    strength: float | None = None,
    guidance: float | None = None,
    steps: int | None = None,
    seed: int = 1,
    n: int = 1,
    background: Background = "paper",
    start: Start = "ink",
    mask: str | None = None,
    box: str | None = None,
    out: str | None = None,
    control: str | None = None,
    control_end: float = 0.3,
) -> list[Path]:
    """Write `n` portraits of a photo as PNG, each with a JSON file of how it was made; gives the PNGs.

    By default portraits/PHOTO-MODEL-SEED.png, PHOTO being the start of the photo's SHA-256. Everything is
    checked before a model is loaded, and everything is drawn before a file is written. The photo is read
    once and neither copied nor named in an output. Raises LaureateError; docs/portrait.md lists for what.
    """
    if not 1 <= n <= MOST:
        raise LaureateError(f"--n is {n}: it must be between 1 and {MOST}")
    if not 0 <= seed <= 2**32 - n:
        raise LaureateError(f"--seed is {seed}: it must be between 0 and {2**32 - n}")
    generator = PortraitGenerator(params, control)
    model = model or params.selected
    generator.check(model)
    strength = STRENGTHS[start] if strength is None else strength
    given = {"strength": strength, "guidance": guidance, "steps": steps, "control_end": control_end}
    settings: Settings = generator.settings("not known yet" if prompt is None else prompt, **given)
    seen = photos.load(
        _read(photo),
        params.prepare,
        params.drawn_at,
        params.crawl.megapixels,
        generator.paper_colour,
        background=background,
        mask=None if mask is None else _read(mask),
        box=None if box is None else photos.read_box(box),
        ink=start == "ink",
        name=photo,
    )
    seeds = list(range(seed, seed + n))
    targets = _targets(out, f"{seen.sha256[:12]}-{model}", seeds)
    if prompt is None:
        prompt = generator.caption(seen)
    print(f"prompt: {prompt}\nsquare: {seen.square}\nground: {seen.ground}", flush=True)
    drawn = generator.draw(seen, model, generator.settings(prompt, **given), seeds)
    _write(targets, drawn)
    for target, portrait in zip(targets, drawn, strict=True):
        off = portrait.record["paper"]["distance"]
        print(f"{target}: {settings.run} of {settings.steps} steps, the paper is off by {off:g} levels")
    return targets


def _targets(out: str | None, name: str, seeds: list[int]) -> list[Path]:
    """One PNG per seed: `out`, or with several seeds `out` with the seed after its stem.

    Raises LaureateError if `out` is no PNG, or if one of the files, or the JSON beside it, is there.
    """
    if out is None:
        found = [OUT / f"{name}-{seed}.png" for seed in seeds]
    elif Path(out).suffix.lower() != ".png":
        raise LaureateError(f"--out is {out}: portraits are written as PNG, so name a file that ends in .png")
    else:
        path = Path(out)
        several = len(seeds) > 1
        found = [path.with_name(f"{path.stem}-{seed}.png") if several else path for seed in seeds]
    for target in found:
        for file in (target, target.with_suffix(".json")):
            if file.exists() and not (file != target and _is_left_over(file)):
                raise LaureateError(f"{file} is there already: remove it, or name another file with --out")
    return found


def _is_left_over(file: Path) -> bool:
    """Whether a JSON file is the record of a portrait whose PNG a killed run did not write."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("generated") is True and "seed" in found


def _write(targets: list[Path], drawn: list[Portrait]) -> None:
    """Write every portrait and its record, or none of them. Raises LaureateError where that fails."""
    written: list[Path] = []
    try:
        for target, portrait in zip(targets, drawn, strict=True):
            # the PNG last: a run that is killed here leaves a record that the next one overwrites
            for file, data in ((target.with_suffix(".json"), portrait.record), (target, portrait.png())):
                written.append(file)
                if isinstance(data, bytes):
                    write_bytes(file, data)
                else:
                    write_json(file, data)
    except OSError as error:
        for file in written:
            with suppress(OSError):  # the one that failed
                file.unlink()
        raise LaureateError(f"{written[-1]} cannot be written: {error.strerror or error}") from None


def _read(path: str) -> bytes:
    """A file's bytes. Raises LaureateError where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise LaureateError(f"{path} cannot be read: {error.strerror or error}") from None
