"""Studies drawn again and again from the oracle's pictures: how often do interval and adviser tell the truth?

A study takes prompts from the pool, with all their pictures, and references from the portraits, all without
replacement, and goes the way of a real one: the same scores, intervals and adviser. Nothing is trained or
drawn anew. Pure functions of what the judges saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from laureate.comparison import rank_selection
from laureate.core.progress import progress
from laureate.embedded.oracle.pool_features import Looks
from laureate.evaluation import scores
from laureate.evaluation.scores import Estimate, Score
from laureate.evaluation.scores.kernel_distances import SCALE, SIGMA

INTERVALS = ("kid", "cmmd", "style", "lpips", "clip", "clip_content", "is", "style_read", "content", "fid")
SHARES = ("style_read", "content")  # between 0 and 1
CRITERIA = ("kid", "cmmd", "style", "lpips")
BLOCK = 1000
Rows = NDArray[np.intp]
Array = NDArray[np.floating]
Doubles = NDArray[np.float64]
BlockKernel = Callable[[Doubles, Doubles], Doubles]


@dataclass(frozen=True)
class Seen:
    """One model's pictures in the pool, prompt by prompt: what judges saw, and values of each by itself."""

    looks: Looks
    lpips: NDArray[np.float32]  # (n, r): to the first r portraits
    clip: Array  # (n,) CLIP score with the prompt,
    clip_content: Array  # and with the prompt less its style
    content: Array  # (n, attributes) 1 read back, 0 not, NaN not asked
    style_read: Array  # (n,) 1 where the judge reads the style


@dataclass(frozen=True)
class Study:
    """Which prompts of the pool and which portraits a redrawn study has, and how many pictures per prompt."""

    prompts: Rows
    portraits: Rows
    seeds: int


@dataclass(frozen=True)
class World:
    """Everything the studies are drawn from."""

    models: Mapping[str, Seen]  # the baseline first, then rank-N
    portraits: Looks
    per_prompt: int  # pictures

    @property
    def prompts(self) -> int:
        """How many prompts every model has."""
        return next(iter(self.models.values())).looks.count // self.per_prompt

    @property
    def drawable(self) -> int:
        """How many portraits a study can draw from: those that have an LPIPS."""
        return next(iter(self.models.values())).lpips.shape[1]


def studies(
    world: World, count: int, prompts: int, seeds: int, references: int, seed: int
) -> Iterator[Study]:
    """`count` studies of so many prompts, pictures per prompt and references."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        chosen = rng.choice(world.prompts, prompts, replace=False)
        yield Study(chosen, rng.choice(world.drawable, references, replace=False), seeds)


def measures(world: World, model: str, study: Study, keys: Sequence[str] = INTERVALS) -> dict[str, Score]:
    """The scores of one model in one study, as the stage evaluate takes them."""
    seen, real = world.models[model], world.portraits
    rows = (study.prompts[:, None] * world.per_prompt + np.arange(study.seeds)).ravel()
    at, looks = study.portraits, seen.looks
    heads = [p for name, p in looks.probabilities.items() if name != "style"]
    make: dict[str, Callable[[], Score]] = {
        "fid": lambda: scores.Frechet(looks.features[rows], real.features[at]),
        "kid": lambda: scores.polynomial_kernel(looks.features[rows], real.features[at]),
        "cmmd": lambda: scores.clip_kernel(looks.clip[rows], real.clip[at]),
        "style": lambda: scores.polynomial_kernel(looks.style[rows], real.style[at]),
        "lpips": lambda: scores.mean_over_pairs(seen.lpips[np.ix_(rows, at)]),
        "clip": lambda: scores.mean_over_pictures(seen.clip[rows]),
        "clip_content": lambda: scores.mean_over_pictures(seen.clip_content[rows]),
        "is": lambda: scores.Inception([p[rows] for p in heads]),
        "style_read": lambda: scores.mean_over_pictures(seen.style_read[rows]),
        "content": lambda: scores.mean_over_pictures(seen.content[rows]),
    }
    return {key: make[key]() for key in keys}


def resamples_of(study: Study, draws: int, seed: int) -> scores.Resamples:
    """The resamples that all models of a study share."""
    prompts = np.repeat(np.arange(len(study.prompts)), study.seeds).tolist()
    return scores.resample(prompts, len(study.portraits), draws, seed)


def truths(world: World) -> dict[str, dict[str, float]]:
    """The same scores of the whole pool against all portraits, what a study estimates => model => key =>
    value.

    LPIPS is a squared distance, so its mean over all pairs follows from the mean embeddings. FID and IS keep
    the small bias of the pool's own size.
    """
    real = world.portraits
    spaces: dict[str, tuple[str, BlockKernel]] = {
        "kid": ("features", polynomial),
        "cmmd": ("clip", gaussian),
        "style": ("style", polynomial),
    }
    own = {key: _within(getattr(real, name), kernel) for key, (name, kernel) in spaces.items()}
    found = {}
    for model, seen in progress(world.models.items(), len(world.models), "what is true"):
        looks = seen.looks
        heads = [p for name, p in looks.probabilities.items() if name != "style"]
        found[model] = {
            "fid": scores.frechet_distance(looks.features, real.features),
            "lpips": lpips_to_all(looks, real),
            "clip": float(seen.clip.mean()),
            "clip_content": float(seen.clip_content.mean()),
            "is": scores.Inception(heads)(),
            "style_read": float(seen.style_read.mean()),
            "content": float(np.nanmean(seen.content)),
        }
        for key, (name, kernel) in spaces.items():
            x, y = getattr(looks, name), getattr(real, name)
            between = _total(x, y, kernel) / (len(x) * len(y))
            found[model][key] = _within(x, kernel) + own[key] - 2 * between
    return found


def polynomial(a: Doubles, b: Doubles) -> Doubles:
    """The kernel of `scores.polynomial_kernel`, one block."""
    found: Doubles = (a @ b.T / a.shape[1] + 1) ** 3
    return found


def gaussian(a: Doubles, b: Doubles) -> Doubles:
    """The kernel of `scores.clip_kernel` on unit vectors, one block."""
    found: Doubles = SCALE * np.exp((a @ b.T - 1) / SIGMA**2)
    return found


def _total(x: Array, y: Array, kernel: BlockKernel) -> float:
    """The kernel summed over all pairs, block by block: 10,000 portraits have 100,000,000."""
    a, b = x.astype(np.float64), y.astype(np.float64)
    total = 0.0
    for start in range(0, len(a), BLOCK):
        total += float(kernel(a[start : start + BLOCK], b).sum())
    return total


def _within(x: Array, kernel: BlockKernel) -> float:
    """Its mean over pairs of different pictures."""
    ones = np.asarray(x, dtype=np.float64)
    itself = sum(float(kernel(one[None], one[None])[0, 0]) for one in ones)
    return (_total(x, x, kernel) - itself) / (len(x) * (len(x) - 1))


def lpips_to_all(x: Looks, y: Looks) -> float:
    """Mean LPIPS over all pairs, as mean |a|² + mean |b|² − 2 ⟨mean a, mean b⟩ over the layers."""
    inner = sum(float(a @ b) for a, b in zip(x.embedding_sum, y.embedding_sum, strict=True))
    return x.embedding_squares / x.count + y.embedding_squares / y.count - 2 * inner / (x.count * y.count)


@dataclass
class Coverage:
    """One score of one model over many studies."""

    true: float
    values: list[float]
    held: dict[str, list[bool]]  # kind of interval => whether it held the truth, per study
    widths: list[float]

    def add(self, found: Estimate, plain: tuple[float, float], unseen: tuple[float, float]) -> None:
        """Take note of a study. `unseen`: the shares of the pool's prompts and portraits that it did not
        draw.

        A study that draws a tenth of a pool is nearer to the pool than to the population, so its intervals
        are narrowed by as much (the finite-population correction) before they are asked whether they hold the
        pool's value.
        """
        from scipy.stats import t

        variance = found.from_prompts + found.from_references
        seen_less = (
            np.sqrt((found.from_prompts * unseen[0] + found.from_references * unseen[1]) / variance)
            if variance > 0
            else 1.0
        )
        half = t.ppf(0.975, found.freedom) * found.error
        kinds = {
            "interval": (found.low, found.high),
            "plain": plain,
            "jackknife": (found.value - half, found.value + half),
        }
        self.values.append(found.value)
        self.widths.append(found.high - found.low)
        for kind, (low, high) in kinds.items():
            reach = (self.true - found.value) / seen_less
            self.held.setdefault(kind, []).append(bool(low - found.value <= reach <= high - found.value))

    def summary(self) -> dict[str, float | int | None]:
        """Numbers for the table."""
        bias = float(np.mean(self.values) - self.true)
        return {
            "true": self.true,
            "bias": bias,
            "spread": float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None,
            "width": float(np.mean(self.widths)),
            "studies": len(self.values),
        } | {f"cover_{kind}": float(np.mean(held)) for kind, held in self.held.items()}


def cover(
    world: World,
    drawn: Iterable[Study],
    truths: Mapping[str, Mapping[str, float]],
    draws: int,
    keys: Sequence[str],
) -> dict[str, dict[str, Coverage]]:
    """Interval coverage of every score of every model => key => model => `Coverage`."""
    found = {key: {model: Coverage(truths[model][key], [], {}, []) for model in world.models} for key in keys}
    for number, study in enumerate(drawn):
        resamples = resamples_of(study, draws, number)
        unseen = 1 - len(study.prompts) / world.prompts, 1 - len(study.portraits) / world.portraits.count
        for model in world.models:
            for key, score in measures(world, model, study, keys).items():
                one = scores.estimate(score, resamples)
                if key in SHARES and one.low == one.high:  # all agree: resampling them shows no spread
                    low, high = scores.wilson_interval(one.value, len(study.prompts))
                    one = replace(one, low=low, high=high)
                values = resamples.draws(score)
                low, high = np.quantile(values - values.mean() + one.value, [0.025, 0.975])
                found[key][model].add(one, (float(low), float(high)), unseen)
    return found


@dataclass(frozen=True)
class Advised:
    """What the adviser said in a study."""

    rank: int | None
    right: bool  # the true best or one that is truly within the margin of it
    enough: bool
    best: int


def tied(truths: Mapping[str, Mapping[str, float]], key: str, margin: float) -> tuple[int, set[int]]:
    """The true best rank by a score where lower is better, and all that are truly within the margin of it."""
    base = truths["baseline"][key]
    ranks = {
        int(model.removeprefix("rank-")): value[key] for model, value in truths.items() if model != "baseline"
    }
    best = min(ranks, key=ranks.__getitem__)
    allowed = ranks[best] + margin * (base - ranks[best])
    return best, {rank for rank, value in ranks.items() if value <= allowed}


def ask(
    world: World,
    drawn: Iterable[Study],
    truths: Mapping[str, Mapping[str, float]],
    key: str,
    margin: float = rank_selection.MARGIN,
) -> list[Advised]:
    """What the adviser says in every study, by one score."""
    _, right = tied(truths, key, margin)
    found = []
    for study in drawn:
        resamples = resamples_of(study, 2, 0)  # tests need no draws
        by_model = {model: measures(world, model, study, [key])[key] for model in world.models}
        base = by_model.pop("baseline")
        ranks = {int(model.removeprefix("rank-")): score for model, score in by_model.items()}
        said = rank_selection.advise(ranks, base, resamples, margin=margin)
        found.append(Advised(said.rank, said.rank in right, said.enough, said.best))
    return found
