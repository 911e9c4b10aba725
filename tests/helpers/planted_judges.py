"""Panels of judges whose true orders of the ranks are planted."""

from collections.abc import Mapping

import numpy as np

from laureate.comparison import rank_selection
from laureate.comparison.rank_advice import Advice
from laureate.evaluation import scores

PROMPTS, REFERENCES = 40, 30
Judges = Mapping[str, tuple[dict[int, scores.Score], scores.Score]]
ORDER = {4: 3.0, 8: 2.0, 16: 0.0, 32: 1.0}
OTHER = {4: 0.0, 8: 1.0, 16: 3.0, 32: 2.0}


def panel(
    worse: Mapping[str, dict[int, float]], base: float = 10.0, noise: float = 0.2, seed: int = 0
) -> Judges:
    """Judges to whom rank r is worse than the best by worse[judge][r], and the base by `base`.

    Two pictures per prompt. A judge without ranks is blind: to it all is noise.
    """
    rng = np.random.default_rng(seed)
    ranks = next(iter(worse.values()))

    def of(more: float) -> scores.Score:
        own = np.repeat(noise * rng.normal(size=(PROMPTS, 1)), 2, axis=0)
        return scores.mean_over_pairs(np.full((1, REFERENCES), more) + own)

    judges = {}
    for name, planted in worse.items():
        far = base if planted else 0.0
        judges[name] = ({rank: of(planted.get(rank, 0.0)) for rank in ranks}, of(far))
    return judges


def advise(judges: Judges) -> Advice:
    """The rank adviser's result for these judges."""
    labels = [number // 2 for number in range(2 * PROMPTS)]
    return rank_selection.advise_panel(judges, scores.resample(labels, REFERENCES, draws=200))
