"""Write the prompts of the embedded world.

    python -m laureate.embedded.prompt_writer > data/prompts-embedded.yaml
    python -m laureate.embedded.prompt_writer choose > data/prompts-choose.yaml

The second file is what `laureate choose` draws: none of its prompts is in the first.

Each prompt describes a random person by three to five attributes that a judge can read in a portrait in the
laureates' style.
"""

from __future__ import annotations

import sys

import numpy as np

from laureate.formats.prompts import Prompt
from laureate.simulator.portraits import captions, styles
from laureate.simulator.portraits.attributes import Attributes, random_attributes

COUNT, SEED = 40, 1901
CHOOSE_COUNT, CHOOSE_SEED = 36, 1969  # divided by two or three training seeds, and in halves
CAPTIONS = {"man-smile-sweater"}  # equals a caption of the museum: `prepare` refuses such a prompt
# how often an attribute is chosen, relative to the others; 1 for those that are not listed
WEIGHTS = {"face": 0.3, "pose": 0.5, "glasses": 2.0, "facial_hair": 2.0, "headwear": 2.0}
HEADER = (
    "# Prompts of the embedded world, written by `python -m laureate.embedded.prompt_writer`; "
    "see data/prompts.yaml.\n"
)
CHOOSE_HEADER = (
    "# What `laureate choose` draws, written by `python -m laureate.embedded.prompt_writer choose`: none of "
    "the prompts\n# that the table is made of; see data/prompts.yaml.\n"
)


def study(count: int = COUNT, seed: int = SEED) -> list[Prompt]:
    """`count` different prompts, the same for the same seed. No prompt names what is absent ("no hat") or the
    light, which people seldom mention."""
    rng = np.random.default_rng(seed)
    prompts: dict[str, Prompt] = {}
    while len(prompts) < count:
        who = random_attributes(rng)
        chosen = _chosen_attributes(who, rng)
        slug = "-".join(
            value.replace(" ", "-") for name, value in chosen.items() if name not in ("pose", "face")
        )
        text = captions.prompt(who, styles.LAUREATE, chosen)
        if slug not in CAPTIONS:
            prompts.setdefault(slug, Prompt(slug, text, "study", chosen))
    return list(prompts.values())


def choosing() -> list[Prompt]:
    """Prompts to choose with: none has an id or a text of `study`."""
    known = study()
    taken = {prompt.id for prompt in known} | {prompt.text for prompt in known}
    new = study(CHOOSE_COUNT + COUNT, CHOOSE_SEED)
    return [prompt for prompt in new if not {prompt.id, prompt.text} & taken][:CHOOSE_COUNT]


def _chosen_attributes(who: Attributes, rng: np.random.Generator) -> dict[str, str]:
    """Gender and two to four more attributes of `who`, in the order of the vocabulary."""
    present = {name: value for name, value in who.to_dict().items() if value not in ("none", "facing")}
    readable = styles.readable(who, styles.LAUREATE) - {"gender", "light"}
    candidates = [name for name in present if name in readable]
    if "hair_colour" in candidates:  # only together with the kind of hair
        candidates.remove("hair_colour")
    count = min(len(candidates), int(rng.integers(2, 5)))
    weights = np.array([WEIGHTS.get(name, 1.0) for name in candidates])
    chosen = {
        "gender",
        *rng.choice(candidates, size=count, replace=False, p=weights / weights.sum()).tolist(),
    }
    if "hair" in chosen and "hair_colour" in readable and len(chosen) < 5:
        chosen.add("hair_colour")
    return {name: value for name, value in present.items() if name in chosen}


def as_yaml(prompts: list[Prompt], header: str = HEADER) -> str:
    """The prompts as a YAML list, in the form of data/prompts.yaml."""
    rows = []
    for prompt in prompts:
        attributes = ", ".join(f"{name}: {value}" for name, value in prompt.attributes.items())
        rows.append(
            f"- id: {prompt.id}\n  text: {prompt.text}\n  set: {prompt.set}\n  attributes: {{{attributes}}}\n"
        )
    return header + "".join(rows)


if __name__ == "__main__":
    wanted = (choosing(), CHOOSE_HEADER) if sys.argv[1:] == ["choose"] else (study(), HEADER)
    print(as_yaml(*wanted), end="")
