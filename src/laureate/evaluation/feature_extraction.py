"""Asking the judges of a study about one model's pictures: what they say, as evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from laureate.core.errors import LaureateError
from laureate.evaluation import scores
from laureate.evaluation.evidence import FEATURES, Evidence
from laureate.evaluation.scores.base import Array

if TYPE_CHECKING:
    from laureate.evaluation.judges.batching import Seen
    from laureate.evaluation.judges.panel import Bench, PictureSet

STYLE_LAYERS = 2  # the shallowest layers, whose Gram matrices are the style features


def gather(
    bench: Bench,
    sets: Mapping[str, PictureSet],
    *,
    model: str,
    names: Sequence[str],
    texts: tuple[Sequence[str], Sequence[str]],
    clusters: Sequence[str],
    asked: Sequence[Mapping[str, str]],
    style: str,
) -> Evidence:
    """Ask the judges about `sets`: generated (n pictures), holdout (m) and train (t).

    `names`: what tells one picture of a model from another, such as prompt and seed: pictures of one name are
    compared; `clusters`: their prompts; `texts`: each generated picture's prompt, and the prompt without its
    style phrase; `asked`: attribute => class, what was asked of it; `style`: the class of the style to learn.
    """
    x, y, t = sets["generated"], sets["holdout"], sets["train"]
    found: dict[str, tuple[Array, Array]] = {}
    for role in FEATURES:
        seen, real = bench.see(role, x), bench.see(role, y)
        if seen is not None and real is not None:
            found[role] = (of_role(role, seen), of_role(role, real))
    looks, words, contents = bench.see("looks", x), bench.texts(texts[0]), bench.texts(texts[1])
    values: dict[str, Array] = {}
    pictures = bench.see("text", x)
    if pictures is not None and words is not None and contents is not None:
        values["clip"] = scores.clip_score(pictures["features"], words)
        values["clip_content"] = scores.clip_content(pictures["features"], contents)
    reading = bench.see("attributes", x)
    if reading is not None:
        values["style_read"] = style_read(heads_of(reading), bench.classes(), style)
        values["content"] = content_read(heads_of(reading), bench.classes(), asked)
    arrays: dict[str, Array] = {}
    layers = [bench.see("lpips", part) for part in (x, y, t)]
    if layers[0] is not None and layers[1] is not None and layers[2] is not None:
        a, b, c = (lpips_of(seen) for seen in layers if seen is not None)
        arrays["lpips"] = scores.lpips(a, b)
        if x.digest != t.digest:  # training pictures are no news to themselves
            arrays["train"] = scores.lpips(a, c)
            arrays["chance"] = scores.lpips(b, c).min(axis=1)
        values["lpips_diversity"] = scores.lpips_diversity(a, clusters)
    heads = {name: p for name, p in heads_of(looks or {}).items() if name != "style"}
    return Evidence(model, list(names), list(clusters), found, values, heads, arrays, bench.record())


def of_role(role: str, seen: Seen) -> Array:
    """The features that a role looks at."""
    return scores.style_features(layers_of(seen)[:STYLE_LAYERS]) if role == "style" else seen["features"]


def layers_of(seen: Seen) -> list[Array]:
    """A judge's feature maps, shallow to deep."""
    return [seen[f"layers/{index}"] for index in range(sum(name.startswith("layers/") for name in seen))]


def lpips_of(seen: Seen) -> list[Array]:
    """A judge's LPIPS embedding, with its channel weights where it has learned ones."""
    layers = layers_of(seen)
    weights = [seen[f"weights/{index}"] for index in range(len(layers))] if "weights/0" in seen else None
    return scores.lpips_embedding(layers, weights)


def heads_of(seen: Seen) -> dict[str, Array]:
    """Head => class probabilities (n, k)."""
    return {
        name.removeprefix("probabilities/"): p
        for name, p in seen.items()
        if name.startswith("probabilities/")
    }


def style_read(
    probabilities: Mapping[str, Array], classes: Mapping[str, Sequence[str]], style: str
) -> NDArray[np.float64]:
    """(n,) float64: 1 where the most likely class of the head "style" is `style`, else 0."""
    if style not in classes.get("style", ()):
        known = ", ".join(classes.get("style", ()))
        raise LaureateError(f"evaluate.style is {style!r}, but the vision judge knows the styles {known}")
    likely = probabilities["style"].argmax(axis=1)
    return np.asarray(likely == list(classes["style"]).index(style), dtype=np.float64)


def content_read(
    probabilities: Mapping[str, Array],
    classes: Mapping[str, Sequence[str]],
    asked: Sequence[Mapping[str, str]],
) -> NDArray[np.float64]:
    """(n, attributes) float64: 1 where what was asked is read, 0 where another class is, NaN not asked."""
    heads = [name for name in classes if name != "style"]
    found = np.full((len(asked), len(heads)), np.nan)
    for column, name in enumerate(heads):
        likely = probabilities[name].argmax(axis=1)
        for row, wanted in enumerate(asked):
            if name in wanted:
                found[row, column] = float(classes[name][likely[row]] == wanted[name])
    return found


def content_of(text: str, style: str) -> str:
    """A prompt without its style phrase: "A man, in the style of X." => "A man."."""
    head, found, tail = text.partition(style)
    return (head.rstrip(" ,") + tail).strip() if found else text


def looks(bench: Bench, sets: Mapping[str, PictureSet]) -> tuple[Array, Array] | None:
    """Features of the generated and of the training pictures, for the original protocol's FID."""
    seen = [bench.see("looks", sets[part]) for part in ("generated", "train")]
    return None if seen[0] is None or seen[1] is None else (seen[0]["features"], seen[1]["features"])
