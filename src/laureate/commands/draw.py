"""`laureate draw`: a prompt drawn by the base and by adapters, side by side, from the same noise."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import write_bytes
from laureate.core.progress import progress
from laureate.sampling.generator import Generator, file_name

MOST = 64  # pictures of one model in one call


def run(
    params: Params,
    prompt: str,
    models: list[str] | None = None,
    strength: float | None = None,
    guidance: float | None = None,
    steps: int | None = None,
    seed: int = 1,
    n: int = 1,
    out: str = "drawings",
) -> list[Path]:
    """Write `n` pictures of every model as PNG, each with how it was drawn in its texts; gives the PNGs.

    They are `out`/PROMPT-MODEL-SEED.png, PROMPT being the start of the prompt's SHA-256. Pictures of one seed
    start from the same noise. Everything is checked before a model is loaded. Raises LaureateError: an empty
    prompt, an unknown, untrained or foreign model, a value outside its range, a file that is there already.
    """
    if not prompt.strip():
        raise LaureateError("the prompt is empty: say what the picture is to show")
    if not 1 <= n <= MOST:
        raise LaureateError(f"--n is {n}: it must be between 1 and {MOST}")
    if not 0 <= seed <= 2**32 - n:
        raise LaureateError(f"--seed is {seed}: it must be between 0 and {2**32 - n}")
    generator = Generator(params)
    settings = generator.settings(guidance=guidance, steps=steps, strength=strength)
    wanted = [(model, seed + i) for model in dict.fromkeys(models or [params.selected]) for i in range(n)]
    targets = [Path(out) / file_name(prompt, model, each) for model, each in wanted]
    for target, (model, _) in zip(targets, wanted, strict=True):
        generator.check(model)
        if target.exists():
            raise LaureateError(f"{target} is there already: remove it, or name another folder with --out")
    size, written = (params.drawn_at, params.drawn_at), []
    try:
        for target, (model, each) in progress(zip(targets, wanted, strict=True), len(wanted), "draw"):
            (picture,) = generator.draw(model, prompt, [each], size, settings)
            written.append(target)
            write_bytes(target, generator.png(picture, model, prompt, each, settings))
    except OSError as error:
        for target in written:
            with suppress(OSError):  # the one that failed
                target.unlink()
        raise LaureateError(f"{written[-1]} cannot be written: {error.strerror or error}") from None
    for target in targets:
        print(target)
    return targets
