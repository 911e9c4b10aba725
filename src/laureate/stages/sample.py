"""sample: one picture per (prompt, seed), from the base alone or with one adapter.

The starting noise depends on prompt and seed only, so the same picture of two models differs by the model.
"""

import sys
from pathlib import Path

from laureate.config.params import Params
from laureate.core.errors import LaureateError
from laureate.core.files import fresh_folder, sha256_file
from laureate.core.paths import ADAPTER_WEIGHTS, ADAPTERS, PLAIN, SAMPLES
from laureate.core.progress import progress
from laureate.formats import prompts, samples
from laureate.imaging.blank import is_blank
from laureate.networks.diffusion import base_model, prompt_length
from laureate.sampling.pipeline import check_adapter, draw
from laureate.torch_utils import device


def run(params: Params, model: str) -> None:
    """models/lora/MODEL (nothing for `baseline`) => data/samples/MODEL: PROMPT_SEED.png and manifest.json.

    data/plain/MODEL has the same of `sample.plain` prompts without their style phrase, from the same noise:
    what an adapter changes in pictures that nobody asked the style for.

    Raises LaureateError for bad prompt files, a missing adapter, one that was trained on another base, and
    pictures of one colour beyond the share that `sample.blank` allows.
    """
    asked = prompts.load(params.sample.prompts)
    found = base_model.expected(params.base)
    adapter = None if model == "baseline" else ADAPTERS / model
    if adapter:
        check_adapter(adapter, found)
    texts = {prompt.id: prompt.text for prompt in asked}
    for line in prompt_length.sentences(found.tokenizer(), texts, params.prepare.style):
        print(line, file=sys.stderr)
    pairs = [(prompt, seed) for prompt in asked for seed in params.sample.seeds]
    without = prompts.plain(asked, params.prepare.style, params.sample.plain)
    plain = [(prompt, params.sample.seeds[0]) for prompt in without]
    with fresh_folder(SAMPLES / model) as folder, fresh_folder(PLAIN / model) as beside:
        draw_set(folder, model, found, adapter, pairs, params)
        draw_set(beside, model, found, adapter, plain, params, " without the style phrase")


def draw_set(
    folder: Path,
    model: str,
    base: base_model.Base,
    adapter: Path | None,
    pairs: list[tuple[prompts.Prompt, int]],
    params: Params,
    which: str = "",
) -> None:
    """Draw one picture per (prompt, seed) into `folder`, and write its manifest; `which`: in words."""
    names = [f"{prompt.id}_{seed}.png" for prompt, seed in pairs]
    pictures = draw(base, adapter, pairs, params) if pairs else iter(())
    blank = []
    for name, picture in zip(names, progress(pictures, len(names), f"sample {model}{which}"), strict=True):
        picture.save(folder / name)
        if is_blank(picture):
            blank.append(name)
    check_blank(blank, len(names), params)
    manifest = samples.Samples(
        model=model,
        base=base.fingerprint,
        base_source=base.source,
        adapter=sha256_file(adapter / ADAPTER_WEIGHTS) if adapter else None,
        settings={
            **params.sample.model_dump(exclude={"prompts", "seeds", "plain"}),
            "precision": device.name_of(device.precision(params.sample.precision, device.pick())),
            "resolution": params.drawn_at,
        },
        pictures=[
            {"file": name, "prompt": prompt.id, "text": prompt.text, "seed": seed}
            for name, (prompt, seed) in zip(names, pairs, strict=True)
        ],
    )
    samples.write(folder, manifest)


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
