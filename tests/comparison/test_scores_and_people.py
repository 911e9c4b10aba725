"""Each score's rank correlation with people: planted orders, directions, missing scores, intervals."""

import numpy as np
import pandas as pd
import pytest

from laureate.comparison import results_table, scores_and_people

MODELS = ["baseline", "rank-4", "rank-8", "rank-16"]
PEOPLE = np.array([-1.0, -0.2, 0.2, 1.0])
DRAWN = PEOPLE + 0.01 * np.random.default_rng(0).normal(size=(200, 4))


def table(**values: list[float | None]) -> pd.DataFrame:
    """A comparison table of `MODELS` with these scores, all others missing."""
    frame = pd.DataFrame(
        index=pd.Index(MODELS, name="model"), columns=list(results_table.DTYPES)[1:], dtype=object
    )
    for key, column in values.items():
        frame[key] = column
    return frame.astype({key: kind for key, kind in results_table.DTYPES.items() if key != "model"})


def test_a_score_that_orders_as_people_do_has_1_and_the_reverse_minus_1_whatever_its_direction() -> None:
    found = scores_and_people.correlations(
        MODELS,
        PEOPLE,
        DRAWN,
        table(kid=[0.9, 0.5, 0.4, 0.1], clip=[10.0, 20.0, 30.0, 40.0], fid=[1.0, 2.0, 3.0, 4.0]),
    )
    assert [(one.score.key, one.tau) for one in found] == [("kid", 1.0), ("clip", 1.0), ("fid", -1.0)]
    assert all((one.low, one.high, one.models) == (one.tau, one.tau, 4) for one in found)


def test_models_without_the_score_are_left_out_and_so_are_scores_of_two() -> None:
    found = scores_and_people.correlations(
        MODELS, PEOPLE, DRAWN, table(kid=[None, 0.5, 0.4, 0.1], clip=[None, None, 1.0, 2.0])
    )
    assert [(one.score.key, one.models) for one in found] == [("kid", 3)]
    other = scores_and_people.correlations(["x", *MODELS[1:]], PEOPLE, DRAWN, table(kid=[0.9, 0.5, 0.4, 0.1]))
    assert [one.models for one in other] == [3]


def test_the_study_s_own_uncertainty_widens_the_interval() -> None:
    values = table(kid=[0.9, 0.5, 0.45, 0.4])
    rng = np.random.default_rng(1)
    draws = {name: {"kid": values.loc[name, "kid"] + 0.1 * rng.normal(size=300)} for name in MODELS}
    (exact,) = scores_and_people.correlations(MODELS, PEOPLE, DRAWN, values)
    (wide,) = scores_and_people.correlations(MODELS, PEOPLE, DRAWN, values, draws)
    assert exact.low == exact.tau == wide.tau == 1.0
    assert wide.low < 0.5
    few = {name: draws[name] for name in MODELS[:2]}  # not of all: the score is taken for exact
    assert scores_and_people.correlations(MODELS, PEOPLE, DRAWN, values, few) == [exact]


def test_people_who_cannot_tell_the_models_apart_give_a_wide_interval() -> None:
    unsure = np.random.default_rng(0).normal(size=(400, 4))
    (one,) = scores_and_people.correlations(MODELS, PEOPLE, unsure, table(kid=[0.9, 0.5, 0.4, 0.1]))
    assert one.low == pytest.approx(-0.67, abs=0.34)
    assert one.high == 1.0
