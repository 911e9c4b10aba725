"""Extract one model's features: all judges of a study over its pictures, as evidence."""

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
    from laureate.evaluation.judges.batching import JudgeOutput
    from laureate.evaluation.judges.panel import Panel, PictureSet

STYLE_LAYERS = 2  # the shallowest layers, whose Gram matrices are the style features


def extract_evidence(
    panel: Panel,
    sets: Mapping[str, PictureSet],
    *,
    model: str,
    names: Sequence[str],
    texts: tuple[Sequence[str], Sequence[str]],
    clusters: Sequence[str],
    attributes: Sequence[Mapping[str, str]],
    style: str,
    of_portraits: bool = False,
) -> Evidence:
    """The evidence of one model from the sets "generated" (n pictures), "holdout" (m) and "train" (t).

    `names`: what tells one picture of a model from another, such as prompt and seed: pictures of equal names
    are compared between models; `clusters`: their prompts; `texts`: each generated picture's prompt, and the
    prompt without its style phrase; `attributes`: attribute => class that its prompt names; `style`: the
    class of the style to learn; `of_portraits`: the pictures are training portraits themselves, so that
    their distance to these says nothing.
    """
    x, y, t = sets["generated"], sets["holdout"], sets["train"]
    features: dict[str, tuple[Array, Array]] = {}
    for role in FEATURES:
        of_x, of_y = panel.extract(role, x), panel.extract(role, y)
        if of_x is not None and of_y is not None:
            features[role] = (role_features(role, of_x), role_features(role, of_y))
    features |= panel_features(panel, x, y)
    looks, words, contents = panel.extract("looks", x), panel.texts(texts[0]), panel.texts(texts[1])
    values: dict[str, Array] = {}
    pictures = panel.extract("text", x)
    if pictures is not None and words is not None and contents is not None:
        values["clip"] = scores.clip_score(pictures["features"], words)
        values["clip_content"] = scores.clip_content(pictures["features"], contents)
    reading = panel.extract("attributes", x)
    if reading is not None:
        values["style_read"] = style_read(heads_of(reading), panel.classes(), style)
        values["content"] = content_read(heads_of(reading), panel.classes(), attributes)
    arrays: dict[str, Array] = {}
    layers = [panel.extract("lpips", part) for part in (x, y, t)]
    if layers[0] is not None and layers[1] is not None and layers[2] is not None:
        a, b, c = (lpips_of(output) for output in layers if output is not None)
        arrays["lpips"] = scores.lpips(a, b)
        if not of_portraits:
            arrays["train"] = scores.lpips(a, c)
            arrays["chance"] = scores.lpips(b, c).min(axis=1)
        values["lpips_diversity"] = scores.lpips_diversity(a, clusters)
    heads = {name: p for name, p in heads_of(looks or {}).items() if name != "style"}
    return Evidence(model, list(names), list(clusters), features, values, heads, arrays, panel.record())


def panel_features(panel: Panel, x: PictureSet, y: PictureSet) -> dict[str, tuple[Array, Array]]:
    """Features of the panel's judges besides that of `looks`, of the pictures `x` and the references `y`.

    panel_KIND => features; panel_KIND_style => style features, where the judge has layers.
    """
    features = {}
    for name in panel.extra:
        kind = panel.evaluate.judges[name].kind
        outputs = [panel.of_judge(name, part) for part in (x, y)]
        features[f"panel_{kind}"] = (outputs[0]["features"], outputs[1]["features"])
        if "layers/0" in outputs[0]:
            of_x, of_y = (role_features("style", output) for output in outputs)
            features[f"panel_{kind}_style"] = (of_x, of_y)
    return features


def role_features(role: str, output: JudgeOutput) -> Array:
    """The features (n, d) that a role's distances are computed from."""
    return scores.style_features(layers_of(output)[:STYLE_LAYERS]) if role == "style" else output["features"]


def layers_of(output: JudgeOutput) -> list[Array]:
    """A judge's feature maps, shallow to deep."""
    return [output[f"layers/{index}"] for index in range(sum(name.startswith("layers/") for name in output))]


def lpips_of(output: JudgeOutput) -> list[Array]:
    """A judge's LPIPS embedding, with its channel weights where it has learned ones."""
    layers = layers_of(output)
    weights = [output[f"weights/{index}"] for index in range(len(layers))] if "weights/0" in output else None
    return scores.lpips_embedding(layers, weights)


def heads_of(output: JudgeOutput) -> dict[str, Array]:
    """Head => class probabilities (n, k)."""
    return {
        name.removeprefix("probabilities/"): p
        for name, p in output.items()
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
    attributes: Sequence[Mapping[str, str]],
) -> NDArray[np.float64]:
    """(n, heads) float64: 1 where the most likely class is that of the prompt, 0 where it is another, NaN
    where the prompt does not name the attribute.

    `attributes`: of each picture, attribute => class that its prompt names.
    """
    heads = [name for name in classes if name != "style"]
    agrees = np.full((len(attributes), len(heads)), np.nan)
    for column, name in enumerate(heads):
        likely = probabilities[name].argmax(axis=1)
        for row, wanted in enumerate(attributes):
            if name in wanted:
                agrees[row, column] = float(classes[name][likely[row]] == wanted[name])
    return agrees


def original_fid_features(panel: Panel, sets: Mapping[str, PictureSet]) -> tuple[Array, Array] | None:
    """Features of the generated and of the training pictures, for the original protocol's FID; None without a
    judge."""
    x, t = (panel.extract("looks", sets[part]) for part in ("generated", "train"))
    return None if x is None or t is None else (x["features"], t["features"])
