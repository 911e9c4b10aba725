"""`laureate votes`: what people prefer, from the files that the report page's blind vote saves.

    laureate votes FILE…

Works anywhere. In the folder of a study it also says how well each score agrees with the people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laureate.core.errors import LaureateError
from laureate.core.files import write_json
from laureate.core.paths import COMPARISON, EVIDENCE
from laureate.formats import vote_file
from laureate.formats.vote_file import Vote

if TYPE_CHECKING:
    import pandas as pd

    from laureate.comparison.preferences import Strength
    from laureate.comparison.rater_agreement import RaterAgreement
    from laureate.comparison.scores_and_people import Correlation
    from laureate.evaluation.scores.base import Doubles

DRAWS = 1000  # bootstrap resamples


def run(files: Sequence[str], table: str | None = None, json_file: str | None = None) -> None:
    """Print strengths, agreement and correlations of the votes in `files`; `json_file`: write them there.

    `table`: the comparison table whose scores are held against the people (default: that of this folder,
    where there is one). Raises LaureateError for a file that is no vote file and for votes that compare
    nothing with something.
    """
    votes = vote_file.read_all(files)
    scores = _table(table)
    import numpy as np  # late, with all that follows: a wrong file has stopped us by now

    from laureate.comparison import preferences, rater_agreement, scores_and_people

    of = preferences.comparisons(votes, [] if scores is None else list(scores.index))
    strengths, drawn = preferences.strengths(of, DRAWS)
    agreement = rater_agreement.agreement(votes, DRAWS)
    correlations: list[Correlation] = []
    draws = None
    if scores is not None:
        draws = study_draws(of.models)
        values = {one.model: one.value for one in strengths}
        point = np.array([values[name] for name in of.models])
        correlations = scores_and_people.correlations(of.models, point, drawn, scores, draws)
    for line in lines(votes, strengths, agreement, correlations, scores, draws is not None):
        print(line)
    if json_file is not None:
        write_json(json_file, as_json(votes, strengths, agreement, correlations))


def study_draws(models: Sequence[str]) -> Mapping[str, Mapping[str, Doubles]] | None:
    """Model => score => its values over resamples, from data/evidence; None unless all models have theirs."""
    from laureate.evaluation import evidence

    paths = {name: EVIDENCE / f"{name}.safetensors" for name in models}
    if not all(path.is_file() for path in paths.values()):
        return None
    return {name: evidence.load(path, name).draws for name, path in paths.items()}


def lines(
    votes: Sequence[Vote],
    strengths: Sequence[Strength],
    agreement: RaterAgreement | None,
    correlations: Sequence[Correlation],
    table: pd.DataFrame | None,
    with_draws: bool,
) -> list[str]:
    """The result as text: sentences and two Markdown tables."""
    from laureate.comparison import results_table

    raters = len({vote.rater for vote in votes})
    tied = [results_table.title(one.model).lower() for one in strengths if one.tied][1:]
    best = results_table.title(strengths[0].model).lower()
    text = [
        f"{_count(len(votes), 'vote')} by {_count(raters, 'rater')} on {_count(len(strengths), 'model')}.",
        f"People prefer {best}"
        + (f"; not shown to be weaker: {', '.join(tied)}." if tied else ", and every other is weaker."),
    ]
    if raters == 1:
        text.append("With one rater the intervals say nothing of other people's taste.")
    text += ["", "| model | strength | 95 % | wins | 95 % | votes |", "|---|--:|--:|--:|--:|--:|"]
    for one in strengths:
        strength, interval = results_table.format_interval(one.value, one.low, one.high)
        share, around = results_table.format_interval(one.share, one.share_low, one.share_high, True)
        mark = "≈ " if one.tied else ""
        title = results_table.title(one.model)
        text.append(f"| {title} | {mark}{strength} | {interval} | {share} | {around} | {one.votes} |")
    text += ["", _agreement(agreement, raters)]
    if table is None:
        text += ["", f"No score is compared with people: {COMPARISON} is not in this folder."]
    elif not correlations:
        text += ["", "No score is compared with people: fewer than three of these models are in the table."]
    else:
        what = (
            "votes and of the study's prompts and portraits" if with_draws else "votes; scores count as exact"
        )
        text += ["", f"Kendall's τ of each score with people; intervals over resamples of {what}."]
        text += ["", "| score | τ | 95 % |", "|---|--:|--:|"]
        for found in correlations:
            tau, low, high = (
                f"{value:+.2f}".replace("-", "−") for value in (found.tau, found.low, found.high)
            )
            text.append(f"| {found.score.label} | {tau} | {low} to {high} |")
    return text


def as_json(
    votes: Sequence[Vote],
    strengths: Sequence[Strength],
    agreement: RaterAgreement | None,
    correlations: Sequence[Correlation],
) -> dict[str, Any]:
    """Everything that was found as JSON values."""
    return {
        "study": votes[0].study,
        "votes": len(votes),
        "raters": sorted({vote.rater for vote in votes}),
        "strengths": [asdict(one) for one in strengths],
        "agreement": None if agreement is None else asdict(agreement),
        "correlations": [
            {"score": one.score.key, "tau": one.tau, "low": one.low, "high": one.high, "models": one.models}
            for one in correlations
        ],
    }


def _table(path: str | None) -> pd.DataFrame | None:
    """The comparison table of `path`, or of this folder where it is there."""
    from laureate.comparison import results_table

    if path is None and not COMPARISON.is_file():
        return None
    place = Path(path or COMPARISON)
    if not place.is_file():
        raise LaureateError(f"{place} does not exist; give the metrics/comparison.csv of the study")
    return results_table.read_csv(place)


def _agreement(found: RaterAgreement | None, raters: int) -> str:
    if found is None:
        why = "one rater" if raters == 1 else "fewer than two comparisons were seen by two raters"
        return f"No agreement between raters can be computed: {why}."
    alpha, low, high = (f"{value:.2f}".replace("-", "−") for value in (found.alpha, found.low, found.high))
    return (
        f"Agreement between raters: Krippendorff's α {alpha} (95 % {low} to {high}), over "
        f"{found.comparisons} comparisons that at least two of them have seen; 1 is perfect, 0 as by chance."
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
