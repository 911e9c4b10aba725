"""From what judges see to every score: which features, distances and shares go into which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from laureate import scores
from laureate.errors import LaureateError
from laureate.evidence import FEATURES, Evidence
from laureate.scores import Score
from laureate.scores.arrays import Array

if TYPE_CHECKING:
    from laureate.judges.bench import Bench, PictureSet
    from laureate.judges.seeing import Seen
    from laureate.params import Evaluate

EARLY = 2  # layers, the shallowest, whose Gram matrices are the style
SHARES = ("precision", "recall", "memorisation", "style_read", "content")  # between 0 and 1
KEYS = (
    "fid", "kid", "cmmd", "dino", "precision", "recall", "is", "lpips", "lpips_diversity", "memorisation",
    "style", "style_read", "content", "clip", "clip_content",
)  # fmt: skip


def gather(
    bench: Bench,
    sets: Mapping[str, PictureSet],
    *,
    model: str,
    texts: tuple[Sequence[str], Sequence[str]],
    clusters: Sequence[str],
    asked: Sequence[Mapping[str, str]],
    style: str,
) -> Evidence:
    """Ask the judges about `sets`: generated (n pictures), holdout (m) and train (t).

    `texts`: each generated picture's prompt, and the prompt without its style phrase; `asked`: attribute =>
    class, what was asked of it; `style`: the class of the style to learn.
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
    names = [file.name for file in x.files]
    return Evidence(model, names, list(clusters), found, values, heads, arrays, bench.record())


def scores_of(evidence: Evidence, neighbours: int) -> dict[str, Score | None]:
    """Every score, ready to be taken over any resample. None: no judge for it, or it has no meaning here.

    `neighbours`: to which nearest neighbour a picture's surroundings reach, in precision and recall.
    """
    found: dict[str, Score | None] = dict.fromkeys(KEYS)
    sets = evidence.sets
    if "looks" in sets:
        found["fid"] = scores.Frechet(*sets["looks"])
        found["kid"] = scores.polynomial_kernel(*sets["looks"])
        found["precision"] = scores.Manifold(*sets["looks"], "precision", neighbours)
        found["recall"] = scores.Manifold(*sets["looks"], "recall", neighbours)
    if "cmmd" in sets:
        found["cmmd"] = scores.clip_kernel(*sets["cmmd"])
    if "dino" in sets:
        found["dino"] = scores.polynomial_kernel(*sets["dino"])
    if "style" in sets:
        found["style"] = scores.polynomial_kernel(*sets["style"])
    if evidence.heads:
        found["is"] = scores.Inception(list(evidence.heads.values()))
    if "lpips" in evidence.arrays:
        found["lpips"] = scores.mean_over_pairs(evidence.arrays["lpips"])
    if "train" in evidence.arrays:
        nearest = evidence.arrays["train"].min(axis=1)
        found["memorisation"] = scores.Memorisation.of_distances(nearest, evidence.arrays["chance"])
    for key, values in evidence.values.items():
        if np.isfinite(values).any():  # real portraits were asked for nothing
            found[key] = scores.mean_over_pictures(values)
    return found


def original(
    evidence: Evidence, rows: Sequence[int], looks: tuple[Array, Array] | None
) -> dict[str, float | int | None]:
    """The protocol of the study that this one follows: one picture per prompt of the set "seed", no interval.

    `rows`: those pictures, by file name; `looks`: features of all pictures and of the training pictures. Its
    FID is to the training pictures, its LPIPS between two sorted listings of files that have nothing to do
    with each other. It is here so that both tables can be put side by side, not because it should be
    believed.
    """
    found: dict[str, float | int | None] = dict.fromkeys(("seed_fid", "seed_lpips", "seed_clip", "seed_is"))
    found["seed_n"] = len(rows)
    if len(rows) < 2:
        return found
    if looks is not None:
        found["seed_fid"] = scores.frechet_distance(looks[0][list(rows)], looks[1])
    if "train" in evidence.arrays:
        pairs = zip(rows, range(evidence.arrays["train"].shape[1]), strict=False)
        found["seed_lpips"] = float(np.mean([evidence.arrays["train"][row, other] for row, other in pairs]))
    if "clip" in evidence.values:
        found["seed_clip"] = float(evidence.values["clip"][list(rows)].mean())
    if evidence.heads:
        found["seed_is"] = scores.Inception([p[list(rows)] for p in evidence.heads.values()])()
    return {key: value if value is None else rounded(value) for key, value in found.items()}


def rounded(value: float) -> float:
    """Six digits: what the arithmetic of another machine would agree with."""
    return value if isinstance(value, int) else float(f"{value:.6g}")


def of_role(role: str, seen: Seen) -> Array:
    """The features that a role looks at."""
    return scores.style_features(layers_of(seen)[:EARLY]) if role == "style" else seen["features"]


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


def style_read(probabilities: Mapping[str, Array], classes: Mapping[str, Sequence[str]], style: str) -> Array:
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
) -> Array:
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


def with_interval(
    key: str, score: Score | None, evidence: Evidence, references: int, evaluate: Evaluate
) -> tuple[dict[str, float | None], Any]:
    """One score over all pictures with its 95 % interval => ({KEY, KEY_low, KEY_high}, its draws).

    The draws are the score over every resample, in an order that models with the same prompts share.
    """
    if score is None:
        return {key: None, f"{key}_low": None, f"{key}_high": None}, None
    value = score()
    low, high, draws = _interval(score, evidence.clusters, references, evaluate.bootstrap, evaluate.seed)
    if key in SHARES:
        if low == high:  # all pictures agree: resampling them shows no spread
            low, high = scores.wilson_interval(value, len(set(evidence.clusters)))
        low, high = max(0.0, low), min(1.0, high)
    found = {key: value, f"{key}_low": low, f"{key}_high": high}
    return {name: rounded(number) for name, number in found.items()}, draws


def _interval(score: Score, clusters: Sequence[str], references: int, draws: int, seed: int) -> Any:
    members: dict[Any, list[int]] = {}
    for row, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(row)
    groups = list(members.values())
    rng = np.random.default_rng(seed)
    u, v = np.zeros((draws, len(clusters))), np.zeros((draws, references))
    for draw in range(draws):
        for i in rng.integers(len(groups), size=len(groups)):
            u[draw, groups[i]] += 1
        v[draw] = np.bincount(rng.integers(references, size=references), minlength=references)
    values = score.resampled(u, v)
    value = score()
    good = values[np.isfinite(values)]
    low, high = np.quantile(good - good.mean() + value, [0.025, 0.975])
    return float(min(low, value)), float(max(high, value)), values
