"""The stage choose on a study that was really trained: what it draws, keeps and writes, what sample takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

torch = pytest.importorskip("torch")

from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.core.files import sha256_file, write_json  # noqa: E402
from laureate.formats import samples  # noqa: E402
from laureate.sampling.choosing import choice  # noqa: E402
from laureate.stages import choose, sample  # noqa: E402

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def chosen() -> dict[str, Any]:
    """What choose wrote."""
    found: dict[str, Any] = json.loads(paths.choice_file(2).read_text())
    return found


def test_a_second_run_draws_nothing_and_writes_the_same_bytes(
    study: params.Params, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from laureate.sampling import pipeline

    choose.run(study, 2)
    first, said = paths.choice_file(2).read_bytes(), capsys.readouterr().err
    found = json.loads(first)
    drawn = sum(one["pictures"] for one in found["rounds"])
    assert f"{drawn} pictures drawn, 0 taken" in said
    assert [(one["by"], one["prompts"]) for one in found["rounds"]] == [
        ("held-out loss", 0), ("pictures", 4), ("pictures", 8),
    ]  # fmt: skip
    assert len(found["rounds"][0]["candidates"]) == 2 * 2 * 2
    assert all(row["loss"] is not None for row in found["rounds"][0]["candidates"])
    survivors = [row for row in found["rounds"][1]["candidates"] if row["out"] is None]
    assert len(survivors) <= 4 + 1, "half, and the naive one"
    for row in found["rounds"][1]["candidates"]:
        assert row["score"] is not None
        assert set(row["judges"]) == {"vision", "clip"}
    monkeypatch.setattr(pipeline, "latents", lambda *_: pytest.fail("it draws"))
    monkeypatch.setattr(pipeline, "pictures_of", lambda *_: pytest.fail("it decodes"))
    choose.run(study, 2)
    assert paths.choice_file(2).read_bytes() == first
    assert f"0 pictures drawn, {drawn} taken" in capsys.readouterr().err


def test_sample_draws_what_was_chosen(study: params.Params) -> None:
    with pytest.raises(LaureateError, match=r"rank-2\.json does not exist; run `laureate choose --rank 2`"):
        sample.run(study, "rank-2")
    write_json(paths.choice_file(2), {"learning_rate": 0.05, "step": 3, "strength": 0.5})
    sample.run(study, "rank-2")
    manifest = samples.read("rank-2")
    assert manifest.settings["strength"] == 0.5
    folders = {42: "arms/rate-0.05/step-3", 43: "arms/rate-0.05_seed-43/step-3"}
    assert manifest.adapters == {
        str(seed): sha256_file(paths.adapter_folder(2) / folder / paths.ADAPTER_WEIGHTS)
        for seed, folder in folders.items()
    }


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"learning_rate": 0.7, "step": 3, "strength": 0.5}, "names learning rate 0.7, step 3, strength 0.5"),
        ({"learning_rate": 0.05}, r"rank-2\.json is damaged"),
        ([], r"rank-2\.json is damaged"),
    ],
)
def test_a_choice_that_cannot_be_is_told(study: params.Params, content: Any, sentence: str) -> None:
    write_json(paths.choice_file(2), content)
    with pytest.raises(LaureateError, match=f"{sentence}.*`laureate choose --rank 2` again"):
        choice.read(study, 2)


def test_one_candidate_is_named_without_torch(study: params.Params) -> None:
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["train"] |= {"learning_rates": [], "snapshots": []}
    values["choose"] = {}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    code = (
        "import sys\nfrom laureate import cli\n"
        "assert cli.main(['choose', '--rank', '2']) == 0\nassert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    found = chosen()
    assert (found["learning_rate"], found["step"], found["strength"]) == (0.2, 6, 1.0)
    assert found["naive"] == {"learning_rate": 0.2, "step": 6, "strength": 1.0}
    assert (found["gain"], found["rounds"]) == (None, [])
    sample.run(params.load(), "rank-2")
    with_file = samples.read("rank-2")
    paths.choice_file(2).unlink()
    sample.run(params.load(), "rank-2")
    assert samples.read("rank-2") == with_file, "the only candidate needs no file"


def test_a_prompt_of_the_table_is_refused(study: params.Params) -> None:
    rows = yaml.safe_load(Path("data/prompts-choose.yaml").read_text())
    rows[3] |= {"text": "A man."}
    Path("data/prompts-choose.yaml").write_text(yaml.safe_dump(rows))
    with pytest.raises(LaureateError, match=r"prompts-choose\.yaml, row 4: 'A man\.' was used before"):
        choose.run(study, 2)


def fail(arm: str) -> None:
    """Make an arm one whose training failed."""
    folder = paths.adapter_folder(2) / arm
    config = json.loads((folder / "config.json").read_text())
    reason = {"step": 3, "reason": "the loss is nan at step 3"}
    write_json(folder / "config.json", config | {"failed": reason})
    (folder / paths.ADAPTER_WEIGHTS).unlink()


def test_a_failed_seed_is_named_and_its_rate_is_left_out(
    study: params.Params, capsys: pytest.CaptureFixture[str]
) -> None:
    fail("arms/rate-0.05_seed-43")
    choose.run(study, 2)
    said = "training seed 43 has failed with learning rate 0.05 (the loss is nan at step 3)"
    assert said in capsys.readouterr().err
    found = chosen()
    assert found["failed"] == [{"learning_rate": 0.05, "seed": 43, "reason": "the loss is nan at step 3"}]
    assert found["learning_rate"] == 0.2
    out = {(row["learning_rate"], row["out"]) for row in found["rounds"][0]["candidates"]}
    assert out == {(0.2, None), (0.05, "training seed 43 failed: the loss is nan at step 3")}


def test_a_rank_of_which_every_training_failed_says_so(study: params.Params) -> None:
    for arm in ("", "arms/seed-43", "arms/rate-0.05", "arms/rate-0.05_seed-43"):
        fail(arm)
    with pytest.raises(LaureateError, match=r"every training of the rank has failed .*lower train.learning"):
        choose.run(study, 2)
