"""Folders compared: what pairs them, what is told apart, what to take, and conditions for CI."""

from dataclasses import replace

import numpy as np
import pytest

from laureate.comparison import folder_advice, folder_scores, folder_table, results_table
from laureate.comparison.folder_scores import FLOOR, Settings
from laureate.core.errors import LaureateError
from laureate.evaluation import scores
from laureate.evaluation.feature_stream import Pictures

SETTINGS = Settings(draws=200, seed=1, neighbours=3)
KEYS = [(f"prompt {i // 2}", i % 2) for i in range(60)]
Key = tuple[str | None, int | None]


def pictures(
    name: str, away: float, seed: int, keys: list[Key] = KEYS, other: float | None = None
) -> Pictures:
    """Features of a model `away` from the references in one judge's eyes, and `other` in another's."""
    common, own = np.random.default_rng(7), np.random.default_rng(seed)
    content = common.normal(size=(200, 8))[: len(keys)]
    seen = {}
    for judge, distance in (("imagenet", away), ("vision", away if other is None else other)):
        x = 0.8 * content + 0.6 * own.normal(size=content.shape) + distance
        seen[judge] = {"looks": x.astype(np.float32)}
    return Pictures(name, keys, seen)


REFERENCES = pictures("references", 0.0, 0, [(None, None)] * 40)


def table(*models: Pictures, beside: tuple[Pictures, ...] = ()) -> folder_table.Table:
    return folder_table.compare(list(models), REFERENCES, [], SETTINGS, beside)


def of_keys(*keys: Key) -> Pictures:
    return pictures("x", 0.0, 0, list(keys))


@pytest.mark.parametrize(
    ("one", "other", "what", "rows"),
    [
        ([("a", 1), ("b", 1), ("b", 2)], [("b", 2), ("a", 1), ("c", 1)], "prompt and seed", ([0, 2], [1, 0])),
        ([("a", 1), ("b", 1)], [("c", 1), ("d", 1)], "nothing", ([0, 1], [0, 1])),
        ([("a", None), ("b", None), ("a", None)], [("b", None), ("a", None), ("a", None)], "prompt",
         ([0, 2, 1], [1, 2, 0])),
        ([("a", 1), ("b", 1)], [("b", 5), ("a", 6)], "prompt", ([0, 1], [1, 0])),
        ([(None, 1), (None, 2)], [(None, 2), (None, 1)], "seed", ([0, 1], [1, 0])),
        ([("a", 1), ("b", 2)], [(None, 2), (None, 1)], "nothing", ([0, 1], [0, 1])),
        ([("a", 1), ("a", 1), ("b", 2)], [("a", 1), ("b", 2), ("c", 3)], "nothing", ([0, 1, 2], [0, 1, 2])),
        ([(None, None)] * 2, [("a", 1), ("b", 1)], "nothing", ([0, 1], [0, 1])),
    ],
)  # fmt: skip
def test_what_pairs_two_sets(
    one: list[Key], other: list[Key], what: str, rows: tuple[list[int], list[int]]
) -> None:
    assert folder_table.common(of_keys(*one), of_keys(*other)) == (what, *rows)


def test_rows_that_are_paired_have_the_same_clusters() -> None:
    rng = np.random.default_rng(3)
    one, other = pictures("a", 0, 1), pictures("b", 0, 2, [KEYS[i] for i in rng.permutation(60)[:45]])
    _, rows, others = folder_table.common(one, other)
    assert len(rows) == 45
    assert one.only(rows).keys == other.only(others).keys


def test_a_planted_difference_is_found_and_its_sign_is_right() -> None:
    found = table(pictures("base", 0.8, 1), pictures("near", 0.2, 2), pictures("as near", 0.2, 3))
    of_kid = [d for d in found.differences if d.judge == "imagenet" and d.score == "kid"]
    first = {d.model: d for d in of_kid if d.role == "first"}
    assert set(first) == {"near", "as near"}
    assert all(d.against == "base" and d.paired_by == "prompt and seed" and d.n == 60 for d in first.values())
    assert all(d.high < 0 and d.p_holm < 0.05 for d in first.values())
    marks = {name: found.mark("imagenet", "kid", name) for name in ("base", "near", "as near")}
    assert marks == {"base": "", "near": results_table.TIED, "as near": results_table.TIED}
    best = min(first.values(), key=lambda d: d.value).model
    advice = folder_advice.advise(found)
    assert advice[0].startswith(f"Take {best}: by the judge imagenet it is nearest")
    assert "is not told apart from it" in advice[0]


def test_pairing_tells_more_than_no_pairing() -> None:
    nameless: list[Key] = [(None, None)] * 60
    paired = table(pictures("a", 0.30, 1), pictures("b", 0.36, 2))
    alone = table(pictures("a", 0.30, 1, nameless), pictures("b", 0.36, 2, nameless))
    one, other = (next(d for d in t.differences if d.score == "kid") for t in (paired, alone))
    assert (one.paired_by, other.paired_by) == ("prompt and seed", "nothing")
    assert one.value == other.value
    assert one.high - one.low < other.high - other.low


def test_judges_that_see_it_otherwise_are_named() -> None:
    found = table(pictures("a", 0.1, 1, other=0.9), pictures("b", 0.9, 2, other=0.1))
    assert folder_advice.advise(found)[:2] == [
        "Take a: by the judge imagenet it is nearest to the references, not by chance.",
        "The judge vision disagrees: by it b is nearer than a, not by chance.",
    ]
    same = table(pictures("a", 0.1, 1), pictures("b", 0.9, 2))
    assert folder_advice.advise(same)[1] == "The judge vision agrees."


def test_models_of_one_kind_are_not_told_apart() -> None:
    advice = folder_advice.advise(table(pictures("a", 0.2, 1), pictures("b", 0.2, 2)))
    assert advice[0].startswith("These pictures do not tell the models apart")


def test_one_model_is_held_against_the_noise_floor() -> None:
    near, far = (folder_advice.advise(table(pictures("m", away, 4))) for away in (0.0, 0.9))
    assert near[0].startswith("m cannot be told from the references: its KID is ")
    assert far[0].startswith("m can be told from the references: its KID is ")


def test_the_noise_floor_is_about_nothing() -> None:
    row = next(row for row in table(pictures("m", 0.5, 1)).rows if row["model"] == FLOOR)
    assert (row["n"], row["n_reference"]) == (20, 20)
    assert row["kid_low"] < 0 < row["kid_high"]
    assert abs(row["kid"]) < 0.1 * (row["kid_high"] - row["kid_low"])
    assert row["fid"] > 0
    few = Pictures(
        "references", [(None, None)] * 3, {j: {"looks": s["looks"][:3]} for j, s in REFERENCES.seen.items()}
    )
    row = next(iter(folder_table.compare([pictures("m", 0.5, 1)], few, [], SETTINGS).rows))
    assert row["model"] == FLOOR
    assert row["kid"] is None


def test_what_is_beside_is_scored_and_does_not_compete() -> None:
    found = table(pictures("a", 0.5, 1), pictures("b", 0.6, 2), beside=(pictures("other portraits", 0.0, 9),))
    row = next(row for row in found.rows if row["model"] == "other portraits")
    assert row["kid"] < min(r["kid"] for r in found.rows if r["model"] in "ab")
    assert {d.model for d in found.differences} | {d.against for d in found.differences} == {"a", "b"}
    assert folder_advice.failures(found, ["kid < 0.05"]) == []


def test_the_values_are_those_of_the_formulas() -> None:
    model = pictures("m", 0.4, 5)
    row = next(r for r in table(model).rows if (r["model"], r["judge"]) == ("m", "vision"))
    x, y = model.seen["vision"]["looks"], REFERENCES.seen["vision"]["looks"]
    assert row["kid"] == pytest.approx(scores.kernel_distance(x, y), rel=1e-5)
    assert row["fid"] == pytest.approx(scores.frechet_distance(x, y), rel=1e-5)
    assert (row["precision"], row["recall"]) == pytest.approx(scores.precision_recall(x, y), rel=1e-5)
    assert row["style"] is row["clip"] is row["cmmd"] is None


def test_large_sets_keep_their_fid_and_have_no_interval_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = pictures("m", 0.4, 5)
    small = next(r for r in table(model).rows if r["model"] == "m")
    monkeypatch.setattr(folder_scores, "LARGE", 50)
    large = next(r for r in table(model).rows if r["model"] == "m")
    assert large["fid"] == pytest.approx(small["fid"])
    assert large["fid_low"] is large["precision"] is None
    assert {k: large[k] for k in ("kid", "kid_low", "kid_high")} == {
        k: small[k] for k in ("kid", "kid_low", "kid_high")
    }
    assert "| m | 60 |" in folder_table.to_markdown(table(model))


def test_a_prompt_with_more_pictures_weighs_as_one_cluster() -> None:
    keys: list[Key] = [("one", i) for i in range(40)] + [(f"p{i}", 0) for i in range(20)]
    assert len(set(pictures("m", 0, 1, keys).clusters)) == 21
    assert len(set(pictures("m", 0, 1, [("one", i) for i in range(60)]).clusters)) == 60


@pytest.mark.parametrize(
    ("condition", "fails"),
    [
        ("kid > 0.05", ["b"]), ("kid_low>0.05", ["b"]), ("vision.kid >= 1e3", []), (" n < 60 ", []),
        ("imagenet.fid > -1", ["a", "b"]), ("n <= 60", ["a", "b"]),
    ],
)  # fmt: skip
def test_conditions(condition: str, fails: list[str]) -> None:
    found = folder_advice.failures(table(pictures("a", 0.0, 1), pictures("b", 0.9, 2)), [condition])
    assert len(found) == len(fails)
    for sentence, model in zip(found, fails, strict=True):
        assert f"{condition.strip()} holds for {model}: " in sentence


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("kid", "cannot be read: write SCORE > NUMBER"),
        ("kidd > 1", "cannot be read"),
        ("model > 1", "cannot be read"),
        ("kid > 1e", "cannot be read"),
        ("kid = 1", "cannot be read"),
        ("dino.kid > 1", "the judges here are imagenet, vision"),
    ],
)
def test_conditions_that_are_none(condition: str, message: str) -> None:
    with pytest.raises(LaureateError, match=message):
        folder_advice.check_conditions([condition], ["imagenet", "vision"])


def test_a_condition_on_a_score_that_no_judge_gives() -> None:
    folder_advice.check_conditions(["clip < 20"], ["imagenet"])
    with pytest.raises(LaureateError, match="the judge imagenet gives no clip here"):
        folder_advice.failures(table(pictures("a", 0.0, 1)), ["clip < 20"])


def test_json_has_no_nan() -> None:
    found = table(pictures("a", 0.2, 1), pictures("b", 0.3, 2))
    broken = replace(found, differences=[replace(found.differences[0], low=float("nan"))])
    assert folder_table.as_json(broken)["differences"][0]["low"] is None
