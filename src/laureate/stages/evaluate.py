"""Stage evaluate: one model's pictures, or portraits for the noise floor, against the held-out portraits."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate import external, prompts
from laureate.errors import LaureateError
from laureate.files import write_json
from laureate.params import Params
from laureate.places import EXTERNAL
from laureate.progress import progress

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from laureate.judges import Reading

DATASET, SAMPLES, METRICS = Path("data/dataset"), Path("data/samples"), Path("metrics/models")
SHARES = ("style_read", "content")  # between 0 and 1

Score = Callable[..., float]


@dataclass(frozen=True)
class Picture:
    """One picture to judge, and what was asked of it."""

    file: Path
    text: str
    prompt: str  # pictures of one prompt are one cluster of the bootstrap
    asked: dict[str, str]  # attribute => class; empty where nothing is known


def run(params: Params, model: str) -> None:
    """Score `model` ("noise-floor", "baseline", "rank-N") into metrics/models/NAME.json."""
    asked = prompts.load(params.sample.prompts)
    attributes = {prompt.id: prompt.attributes for prompt in asked}
    if model == "noise-floor":
        generated = real_pictures("train")
    elif model in params.external:
        generated = external_pictures(model, asked)
    else:
        generated = sampled_pictures(model, attributes)
    references = real_pictures("holdout")
    seen, real = _open(generated), _open(references)
    from laureate.judges import ClipJudge, VisionJudge  # late: a missing file has stopped us by now

    clip, vision = ClipJudge.load(params.evaluate.clip), VisionJudge.load(params.evaluate.vision)
    contents = [content_of(picture.text, params.prepare.style) for picture in generated]
    features = clip.pictures(seen), clip.texts([p.text for p in generated]), clip.texts(contents)
    asked_of = [picture.asked for picture in generated]
    scores = measures(
        vision.read(seen), vision.read(real), features, asked_of, vision.classes, params.evaluate.style
    )
    values: dict[str, float | int | None] = {"n_generated": len(generated), "n_reference": len(references)}
    clusters = [picture.prompt for picture in generated]
    for key, score in progress(scores.items(), len(scores), f"evaluate {model}"):
        values |= with_interval(key, score, clusters, len(references), params)
    write_json(METRICS / f"{model}.json", values)


def measures(
    reading: Reading,
    reference: Reading,
    clip: tuple[np.ndarray, np.ndarray, np.ndarray],
    asked: Sequence[dict[str, str]],
    classes: dict[str, tuple[str, ...]],
    style: str,
) -> dict[str, Score | None]:
    """Every score as a function of (rows, others): which pictures and which references it is taken over.

    `reading` and `reference` are the vision judge's, of n pictures and of m held-out portraits; `clip` are
    features (n, d) of the pictures, of their texts, and of the texts without the style phrase; `asked` are n
    dicts attribute => class. None: the score has no meaning here.
    """
    from laureate import scores

    embedded = scores.lpips_embedding(reading.layers), scores.lpips_embedding(reference.layers)
    return {
        "fid": scores.Frechet(reading.features, reference.features),
        "kid": scores.polynomial_kernel(reading.features, reference.features),
        "lpips": scores.mean_over_pairs(scores.lpips(*embedded)),
        "clip": scores.mean_over_pictures(scores.clip_score(clip[0], clip[1])),
        "clip_content": scores.mean_over_pictures(scores.clip_content(clip[0], clip[2])),
        "is": inception(reading.probabilities),
        "style_read": share(style_read(reading, classes, style)),
        "content": share(content_read(reading, classes, asked)),
    }


def with_interval(
    key: str, score: Score | None, clusters: Sequence[str], references: int, params: Params
) -> dict[str, float | None]:
    """One score over all pictures, with its 95 % interval => {KEY, KEY_low, KEY_high}, six digits."""
    from laureate.scores import bootstrap, wilson_interval

    if score is None:
        return {key: None, f"{key}_low": None, f"{key}_high": None}
    value = score()
    low, high = bootstrap(score, clusters, references, params.evaluate.bootstrap, params.evaluate.seed)
    if key in SHARES:
        if low == high:  # all pictures agree: resampling them shows no spread
            low, high = wilson_interval(value, len(set(clusters)))
        low, high = max(0.0, low), min(1.0, high)
    return {k: float(f"{v:.6g}") for k, v in ((key, value), (f"{key}_low", low), (f"{key}_high", high))}


def style_read(reading: Reading, classes: dict[str, tuple[str, ...]], style: str) -> np.ndarray:
    """(n,) float64: 1 where the most likely class of the head "style" is `style`, else 0."""
    if style not in classes.get("style", ()):
        known = ", ".join(classes.get("style", ()))
        raise LaureateError(f"evaluate.style is {style!r}, but the vision judge knows the styles {known}")
    return (reading.probabilities["style"].argmax(axis=1) == classes["style"].index(style)).astype(float)


def content_read(
    reading: Reading, classes: dict[str, tuple[str, ...]], asked: Sequence[dict[str, str]]
) -> np.ndarray:
    """(n, attributes) float64: 1 where what was asked is read, 0 where another class is, NaN not asked."""
    import numpy as np

    heads = [name for name in classes if name != "style"]
    found = np.full((len(asked), len(heads)), np.nan)
    for column, name in enumerate(heads):
        likely = reading.probabilities[name].argmax(axis=1)
        for row, wanted in enumerate(asked):
            if name in wanted:
                found[row, column] = float(classes[name][likely[row]] == wanted[name])
    return found


def inception(probabilities: dict[str, np.ndarray]) -> Score:
    """The Inception Score, as a geometric mean over the attribute heads, of the pictures named by rows.

    The score was made for one head of 1,000 classes; the embedded judge has one head per attribute, and the
    mean of their mutual informations keeps the score's range: 1 to the number of classes of a head. The head
    "style" is left out: a model that has learnt its style well has no variety there.
    """
    import numpy as np

    from laureate.scores import inception_score

    heads = [p for name, p in probabilities.items() if name != "style"]

    def score(rows: Any = None, others: Any = None) -> float:
        values = [inception_score(p if rows is None else p[rows]) for p in heads]
        return float(np.exp(np.mean(np.log(values))))

    return score


def share(values: np.ndarray) -> Score | None:
    """The mean of what is known, or None where nothing is: real portraits were asked for nothing."""
    import numpy as np

    from laureate.scores import mean_over_pictures

    return mean_over_pictures(values) if np.isfinite(values).any() else None


def content_of(text: str, style: str) -> str:
    """A prompt without its style phrase: "A man, in the style of X." => "A man."."""
    head, found, tail = text.partition(style)
    return (head.rstrip(" ,") + tail).strip() if found else text


def sampled_pictures(model: str, asked: dict[str, dict[str, str]]) -> list[Picture]:
    """The pictures that data/samples/NAME/manifest.json lists, with the attributes of their prompts."""
    manifest = SAMPLES / model / "manifest.json"
    try:
        rows = json.loads(manifest.read_text(encoding="utf-8"))["pictures"]
    except FileNotFoundError:
        raise LaureateError(
            f"{manifest} does not exist; run `laureate sample --model {model}` first"
        ) from None
    return [
        Picture(SAMPLES / model / row["file"], row["text"], row["prompt"], asked.get(row["prompt"], {}))
        for row in rows
    ]


def external_pictures(model: str, asked: Sequence[prompts.Prompt]) -> list[Picture]:
    """The pictures of data/external/NAME that are there, with the attributes of their prompts."""
    attributes = {prompt.id: prompt.attributes for prompt in asked}
    return [
        Picture(EXTERNAL / model / row["file"], row["text"], row["prompt"], attributes[row["prompt"]])
        for row in external.read(model, asked).drawn
    ]


def real_pictures(part: str) -> list[Picture]:
    """The portraits of data/dataset/PART with their captions, each a cluster of its own."""
    listing = DATASET / part / "metadata.jsonl"
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise LaureateError(f"{listing} does not exist; run `laureate prepare` first") from None
    rows = [json.loads(line) for line in lines if line.strip()]
    return [Picture(DATASET / part / row["file_name"], row["text"], row["file_name"], {}) for row in rows]


def _open(pictures: Sequence[Picture]) -> list[Image]:
    """RGB, loaded. Raises LaureateError naming a file that is missing or broken."""
    from PIL import Image

    found = []
    for picture in pictures:
        try:
            with Image.open(picture.file) as image:
                found.append(image.convert("RGB"))
        except OSError as error:
            raise LaureateError(
                f"{picture.file} cannot be read as a picture ({error}); make it again"
            ) from None
    return found
