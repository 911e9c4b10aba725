"""Export with `--arm`, `--step`, `--strength`, and `laureate shrink`: what other programs then draw."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_base
import yaml

torch = pytest.importorskip("torch")

from laureate import cli  # noqa: E402
from laureate.commands import adapter_choice, export  # noqa: E402
from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.core.files import write_json  # noqa: E402
from laureate.networks.lora import adapter_files, shrink  # noqa: E402
from laureate.sampling.choosing import choice  # noqa: E402
from laureate.stages import train  # noqa: E402
from laureate.torch_utils import safetensors_io  # noqa: E402


@pytest.fixture(scope="module")
def made(encoded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study with rank 4, two seeds and a snapshot, trained so that it shows."""
    folder = tmp_path_factory.mktemp("arms")
    shutil.copytree(encoded, folder, dirs_exist_ok=True)
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["train"] |= {"seeds": [42, 43], "snapshots": [5], "learning_rate": 0.1, "pack": False}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train.run(params.load(), 4)
        choose({"learning_rate": 0.1, "step": 14, "strength": 1.0})
    return folder


def choose(content: dict[str, Any]) -> None:
    """Write a choice of rank 4."""
    write_json(paths.choice_file(4), content)


@pytest.fixture
def study(made: Path, working_copy: Callable[[Path], Path]) -> Path:
    """A copy of it, which is the working folder."""
    return working_copy(made)


def outputs(path: Path | None = None, merged: tuple[Any, ...] = ()) -> Any:
    """What the base's UNet answers, with a file loaded by diffusers or with an adapter merged."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained("base")
    if path:
        pipeline.load_lora_weights(str(path.parent), weight_name=path.name, local_files_only=True)
    if merged:
        adapter_files.merge(pipeline.unet, *merged)
    x, t, text = small_base.inputs(2)
    with torch.no_grad():
        return pipeline.unet(x, t, encoder_hidden_states=text).sample


@pytest.mark.parametrize("to", ["diffusers", "kohya"])
def test_other_programs_get_the_step_and_the_strength(study: Path, to: str) -> None:
    words = ["export", "--rank", "4", "--to", to, "--step", "5", "--strength", "0.6", "--arm", "seed-43"]
    assert cli.main(words) == 0
    path = study / f"exports/rank-4_seed-43_step-5_strength-0.6-{to}.safetensors"
    state, adapter = adapter_files.load(paths.adapter_folder(4) / "arms/seed-43/step-5")
    weaker = replace(adapter, alpha=0.6 * adapter.alpha)
    torch.testing.assert_close(outputs(path), outputs(merged=(state, weaker)), atol=1e-4, rtol=0)
    assert (outputs(path) - outputs(merged=(state, adapter))).abs().max() > 1e-3
    header = safetensors_io.metadata(path)
    found = {key: header[f"laureate.{key}"] for key in ("arm", "step", "strength")}
    assert found == {"arm": "seed-43", "step": "5", "strength": "0.6"}


def test_without_options_it_is_the_main_arm_after_its_last_step(study: Path) -> None:
    choice = adapter_choice.choose(4)
    assert (choice.folder, choice.name, choice.strength) == (paths.adapter_folder(4), "rank-4", 1.0)
    assert adapter_choice.choose(4, step=14) == choice, "the last step by its number"
    export.run(params.load(), 4, "diffusers")
    exported = safetensors_io.load("exports/rank-4-diffusers.safetensors")
    for name, tensor in adapter_files.load(paths.adapter_folder(4))[0].items():
        assert torch.equal(exported[name], tensor)


def test_without_options_it_is_what_was_chosen(study: Path) -> None:
    choose({"learning_rate": 0.1, "step": 5, "strength": 0.7})
    loaded = params.load()
    loaded = loaded.model_copy(update={"choose": params.Choose(strengths=[0.7])})
    chosen = choice.read(loaded, 4)
    one = adapter_choice.choose(4, chosen=chosen)
    assert (one.folder, one.name, one.strength) == (paths.adapter_folder(4) / "step-5", "rank-4", 0.7)
    assert adapter_choice.choose(4, step=5, chosen=chosen) == one
    other = adapter_choice.choose(4, arm="main", strength=1.0, chosen=chosen)
    assert (other.folder, other.name, other.chosen) == (paths.adapter_folder(4), "rank-4_main", False)
    assert adapter_choice.choose(4, step=14, chosen=chosen).name == "rank-4_strength-0.7"
    export.run(loaded, 4, "diffusers")
    header = safetensors_io.metadata("exports/rank-4-diffusers.safetensors")
    assert (header["laureate.step"], header["laureate.strength"]) == ("5", "0.7")
    shorter = paths.adapter_folder(4) / "step-5"
    torch.testing.assert_close(
        outputs(Path("exports/rank-4-diffusers.safetensors").absolute()),
        outputs(merged=adapter_files.load(shorter, 0.7)),
        atol=1e-4,
        rtol=0,
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"step": 6}, r"the weights after step 6 of rank 4 are not kept, those after 5, 14 are"),
        ({"arm": "seed-7"}, r"there is no arm seed-7 of rank 4 \(kept: seed-43\)"),
        ({"strength": 0.0}, r"--strength 0 must be above 0 and at most 2"),
        ({"strength": float("nan")}, r"--strength nan must be above 0"),
        ({"arm": "../rank-2"}, r"there is no arm \.\./rank-2"),
    ],
)
def test_what_is_not_kept_is_told(study: Path, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LaureateError, match=sentence):
        adapter_choice.choose(4, **options)


def test_an_arm_that_failed_is_told(study: Path) -> None:
    path = paths.adapter_folder(4) / "arms/seed-43/config.json"
    config = json.loads(path.read_text()) | {"failed": {"step": 3, "reason": "the loss is nan at step 3"}}
    path.write_text(json.dumps(config))
    with pytest.raises(
        LaureateError, match="arm seed-43 of rank 4 has no weights: the loss is nan at step 3"
    ):
        adapter_choice.choose(4, arm="seed-43")


@pytest.mark.parametrize("budget", ["layer", "global"])
def test_shrink_writes_an_adapter_that_diffusers_loads(study: Path, budget: str) -> None:
    assert cli.main(["shrink", "--rank", "4", "--to", "2", "--budget", budget]) == 0
    folder = study / f"exports/rank-4-to-2{'-global' * (budget == 'global')}"
    state, adapter = adapter_files.load(paths.adapter_folder(4))
    updates = shrink.updates_of(state, adapter)
    cut = adapter_files.load(folder)
    merged = outputs(merged=cut)
    torch.testing.assert_close(outputs(folder / paths.ADAPTER_WEIGHTS), merged, atol=1e-4, rtol=0)
    far, near = ((outputs(merged=each) - outputs(merged=(state, adapter))).abs().mean() for each in ((), cut))
    assert near < far, "nearer to the adapter than the base is"
    config = json.loads((folder / "config.json").read_text())
    before = json.loads((paths.adapter_folder(4) / "config.json").read_text())
    assert config["rank"] == 2
    assert {key: value for key, value in config.items() if key not in ("rank", "cut")} == {
        key: value for key, value in before.items() if key != "rank"
    }
    kept = shrink.kept_share(updates, shrink.ranks_of(updates, 2, budget))  # type: ignore[arg-type]
    assert config["cut"]["kept"] == pytest.approx(kept, abs=1e-6)
    assert (config["cut"]["rank"], config["cut"]["budget"]) == (4, budget)


def test_shrink_refuses_what_makes_no_sense(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["shrink", "--rank", "4", "--to", "4"]) == 2
    assert "--to 4 must be above 0 and below the rank of the adapter, 4" in capsys.readouterr().err
    assert cli.main(["shrink", "--rank", "4", "--to", "2", "--out", "models/lora/rank-4"]) == 1
    assert "is the adapter that is cut" in capsys.readouterr().err
    assert adapter_files.load(paths.adapter_folder(4))[1].rank == 4


def test_a_kohya_file_of_a_global_budget_has_an_alpha_per_layer(study: Path) -> None:
    cli.main(["shrink", "--rank", "4", "--to", "2", "--budget", "global", "--out", "cut"])
    state, adapter = adapter_files.load("cut")
    converted = export.kohya(state, adapter)
    for key, tensor in converted.items():
        if key.endswith("lora_down.weight"):
            alpha = converted[f"{key.removesuffix('.lora_down.weight')}.alpha"]
            assert float(alpha) / tensor.shape[0] == pytest.approx(adapter.scale)
