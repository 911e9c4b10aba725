"""The split: a laureate keeps its part, groups are even, leakage is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laureate.config.params import load
from laureate.core.errors import LaureateError
from laureate.dataset import split
from laureate.formats.imagefolder import PARTS
from laureate.simulator.museum.collection import collection

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)


@given(st.sets(names, max_size=30), st.sets(names, max_size=30), st.floats(0, 1), st.integers(0, 9))
def test_a_laureate_never_changes_side_when_others_come(
    some: set[str], more: set[str], share: float, seed: int
) -> None:
    before = {name: split.part_of(name, share, seed) for name in some}
    after = {name: split.part_of(name, share, seed) for name in some | more}
    assert all(after[name] == side for name, side in before.items())


@given(st.integers(0, 2000), st.integers(20, 200), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_of_every_run_of_awards_about_the_same_share_is_held_out(
    start: int, count: int, share: float, seed: int
) -> None:
    held = sum(split.part_of(str(i), share, seed) == "holdout" for i in range(start, start + count))
    assert abs(held - share * count) <= 4  # by chance it would be 7 in one case of twenty


def test_the_split_meets_its_share_and_depends_on_the_seed() -> None:
    for ids in ([str(number) for number in range(2000)], [f"portrait {number}" for number in range(2000)]):
        held = {seed: {i for i in ids if split.part_of(i, 0.3, seed) == "holdout"} for seed in (1, 2)}
        assert abs(len(held[1]) / len(ids) - 0.3) < 0.04
        assert held[1] != held[2]
        assert {split.part_of(i, 0.0, 1) for i in ids} == {"train"}
        assert {split.part_of(i, 1.0, 1) for i in ids} == {"holdout"}


people = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(1, 1000).map(str),
            "gender": st.sampled_from(["female", "male", None]),
            "category": st.sampled_from(["phy", "che"]),
            "year": st.none() | st.integers(2000, 2009),
        }
    ),
    unique_by=lambda row: row["id"],
    max_size=60,
)


@given(people, st.floats(0.1, 0.9))
def test_the_most_even_seed_is_more_even_than_others(rows: list[dict[str, Any]], share: float) -> None:
    groups = split.strata(rows)
    assert all(len(members) >= 8 for members in groups.values())
    assert set(groups.get("all", [])) <= {row["id"] for row in rows}

    def off(seed: int) -> float:
        return sum(z * z for z in split.unevenness(groups, share, seed).values())

    best = split.even_seed(groups, share, range(12))
    assert all(off(best) <= off(seed) for seed in range(12))


def test_the_shipped_split_is_even_over_gender_prize_and_years(root: Path) -> None:
    wanted = load(root / "params.yaml").prepare
    rows = [
        {"id": p.id, "gender": p.gender, "category": prize.category, "year": prize.year}
        for p in collection()
        for prize in p.prizes
        if prize.portrait and prize.portrait.credit.startswith("Ill.")
    ]
    apart = split.unevenness(split.strata(rows), wanted.holdout, wanted.seed)
    assert {"all", "female", "male", "phy", "eco"} <= apart.keys()
    assert max(map(abs, apart.values())) < 2


@given(st.integers(0, 9), st.floats(0.1, 0.5), st.floats(0, 0.4))
def test_more_held_out_keeps_those_that_were(number: int, share: float, more: float) -> None:
    if split.part_of(str(number), share, 7) == "holdout":
        assert split.part_of(str(number), share + more, 7) == "holdout"


def test_the_guards_name_what_is_wrong() -> None:
    rows = {side: [{"file_name": f"{side}.png", "id": side}] for side in PARTS}
    hashes = {"train.png": np.zeros(256, bool), "holdout.png": np.ones(256, bool)}
    split.check_split(rows, hashes, {"train": 1, "holdout": 1}, near=0.1)
    with pytest.raises(LaureateError, match=r"holdout has 1 pictures, at least 2.*prepare\.min_holdout"):
        split.check_split(rows, hashes, {"train": 1, "holdout": 2}, near=0.1)
    for bits, share in ((0, "0%"), (25, "10%")):
        hashes["holdout.png"] = np.arange(256) < bits
        with pytest.raises(
            LaureateError,
            match=rf"train/train\.png and holdout/holdout\.png are .*{share} of their perceptual",
        ):
            split.check_split(rows, hashes, {"train": 1, "holdout": 1}, near=0.1)
    hashes["holdout.png"] = np.arange(256) < 26
    split.check_split(rows, hashes, {"train": 1, "holdout": 1}, near=0.1)
    rows["holdout"][0]["id"] = "train"
    with pytest.raises(LaureateError, match="laureate train is in both parts"):
        split.check_split(rows, hashes, {"train": 1, "holdout": 1}, near=0.1)


@pytest.mark.parametrize("prompt", ["A man, in the style.", "a MAN in the style"])
def test_a_prompt_that_is_a_training_caption_is_refused(prompt: str) -> None:
    with pytest.raises(LaureateError, match=r"is the training caption of 1\.png"):
        split.check_prompts([{"file_name": "1.png", "text": "A man, in the style."}], ["A woman.", prompt])


@pytest.mark.parametrize(
    ("caption", "prompt"),
    [
        ("Мужчина в очках.", "Женщина в шляпе."),
        ("Ένας άντρας.", "Μια γυναίκα."),
        ("眼鏡の男。", "帽子の女。"),
    ],
)
def test_captions_and_prompts_in_other_scripts_are_told_apart(caption: str, prompt: str) -> None:
    rows = [{"file_name": "1.png", "text": caption}]
    split.check_prompts(rows, [prompt])
    with pytest.raises(LaureateError, match=r"is the training caption of 1\.png"):
        split.check_prompts(rows, [prompt, caption.upper().rstrip(".。")])
