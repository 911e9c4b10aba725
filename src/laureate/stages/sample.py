"""sample: one picture per (prompt, seed), from the base alone or with one adapter.

The starting noise depends on prompt and seed only, so the same picture of two models differs by the model.
Prompt number i is drawn by the adapter of training seed i mod S, of every rank alike.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import fresh_folder, sha256_file
from laureate.core.paths import ADAPTER_WEIGHTS, PLAIN, SAMPLES, adapter_folder
from laureate.core.progress import progress
from laureate.formats import prompts, samples
from laureate.imaging.blank import is_blank
from laureate.networks.diffusion import base_model, prompt_length
from laureate.sampling import seed_shares
from laureate.sampling.choosing import choice
from laureate.sampling.pipeline import check_adapter, draw
from laureate.torch_utils import device


def run(params: Params, model: str) -> None:
    """models/lora/MODEL and its choice in metrics/choices (nothing for `baseline`) => data/samples/MODEL:
    PROMPT_SEED.png and manifest.json. Learning rate, step and strength are the chosen ones.

    data/plain/MODEL has the same of `sample.plain` prompts without their style phrase, from the same noise:
    what an adapter changes in pictures that nobody asked the style for.

    Where there are several training seeds, the prompts are shared out over the adapters of them all. Raises
    LaureateError for bad prompt files, a missing adapter, one that was trained on another base, and pictures
    of one colour beyond the share that `sample.blank` allows.
    """
    asked = prompts.load(params.sample.prompts)
    found = base_model.expected(params.base)
    params, adapters = chosen_of(params, model, found)
    texts = {prompt.id: prompt.text for prompt in asked}
    if params.sample.long_prompts == "cut":
        for line in prompt_length.sentences(found.tokenizer(), texts, params.prepare.style):
            print(line, file=sys.stderr)
    pairs = [(prompt, seed) for prompt in asked for seed in params.sample.seeds]
    shares = dict(zip(texts, shares_of(params, adapters, len(asked)), strict=True))
    without = prompts.plain(asked, params.prepare.style, params.sample.plain)
    plain = [(prompt, params.sample.seeds[0]) for prompt in without]
    with fresh_folder(SAMPLES / model) as folder, fresh_folder(PLAIN / model) as beside:
        draw_set(folder, model, found, adapters, pairs, shares, params)
        draw_set(beside, model, found, adapters, plain, shares, params, " without the style phrase")


def draw_set(
    folder: Path,
    model: str,
    base: base_model.Base,
    adapters: Mapping[int, Path],
    pairs: list[tuple[prompts.Prompt, int]],
    shares: Mapping[str, int | None],
    params: Params,
    which: str = "",
) -> None:
    """Draw one picture per (prompt, seed) into `folder`, and write its manifest; `which`: in words."""
    blank = []
    pictures = drawn(base, adapters, pairs, shares, params)
    for name, picture in progress(pictures, len(pairs), f"sample {model}{which}"):
        picture.save(folder / name)
        if is_blank(picture):
            blank.append(name)
    check_blank(sorted(blank), len(pairs), params)
    hashes = {seed: sha256_file(place / ADAPTER_WEIGHTS) for seed, place in adapters.items()}
    manifest = samples.Samples(
        model=model,
        base=base.fingerprint,
        base_source=base.source,
        adapter=next(iter(hashes.values()), None),
        adapters={str(seed): digest for seed, digest in hashes.items()},
        settings={
            **params.sample.model_dump(exclude={"prompts", "seeds", "plain"}),
            "precision": device.name_of(device.precision(params.sample.precision, device.pick())),
            "resolution": params.drawn_at,
        },
        pictures=[
            {
                "file": name_of(prompt, seed), "prompt": prompt.id, "text": prompt.text, "seed": seed,
                **({} if shares[prompt.id] is None else {"training": shares[prompt.id]}),
            }
            for prompt, seed in pairs
        ],
    )  # fmt: skip
    samples.write(folder, manifest)


def chosen_of(params: Params, model: str, found: base_model.Base) -> tuple[Params, dict[int, Path]]:
    """The parameters with the chosen strength, and training seed => folder of the chosen weights; nothing for
    `baseline`. Says which seeds have failed.

    Raises LaureateError for a choice that is not made, and an adapter that is missing or was trained on
    another base.
    """
    if model == "baseline":
        return params, {}
    rank = int(model.removeprefix("rank-"))
    check_adapter(adapter_folder(rank), found)
    chosen = choice.read(params, rank)
    failed = seed_shares.failures({arm.seed: adapter_folder(rank) / arm.place for arm in chosen.arms})
    for seed, reason in failed.items():
        print(
            f"{model}: training seed {seed} has failed ({reason}); the others draw its prompts",
            file=sys.stderr,
        )
    folders = {arm.seed: chosen.folder(arm) for arm in chosen.arms if arm.seed not in failed}
    for folder in folders.values():
        check_adapter(folder, found)
    sample = params.sample.model_copy(update={"strength": chosen.candidate.strength})
    return params.model_copy(update={"sample": sample}), folders


def shares_of(params: Params, adapters: Mapping[int, Path], count: int) -> Sequence[int | None]:
    """The training seed that draws each of `count` prompts; None for the base alone."""
    if not adapters:
        return [None] * count
    return seed_shares.share_out(count, params.train.seeds, set(params.train.seeds) - set(adapters))


def drawn(
    found: base_model.Base,
    adapters: Mapping[int, Path],
    pairs: list[tuple[prompts.Prompt, int]],
    shares: Mapping[str, int | None],
    params: Params,
) -> Iterator[tuple[str, Any]]:
    """Yield the name and the RGB picture of every (prompt, seed), adapter by adapter."""
    order: list[int | None] = [*adapters] or [None]
    for training in order:
        own = [(prompt, seed) for prompt, seed in pairs if shares[prompt.id] == training]
        if own:
            pictures = draw(found, None if training is None else adapters[training], own, params)
            yield from zip((name_of(*pair) for pair in own), pictures, strict=True)


def name_of(prompt: prompts.Prompt, seed: int) -> str:
    """The file name of a picture."""
    return f"{prompt.id}_{seed}.png"


def check_blank(blank: list[str], count: int, params: Params) -> None:
    """Raise LaureateError if more than `sample.blank` of the pictures are of one colour; name any at all."""
    if not blank:
        return
    said = f"{len(blank)} of {count} pictures are of one colour (the first is {blank[0]})"
    if len(blank) > params.sample.blank * count:
        raise LaureateError(
            f"{said}, more than sample.blank allows: numbers overflowed; set sample.precision to float32, or "
            "lower train.learning_rate and train again"
        )
    print(f"{said}; see sample.blank", file=sys.stderr)
