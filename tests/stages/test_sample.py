"""Sampling: one picture per (prompt, seed), from base and adapters, whatever else is drawn with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import small_base
import yaml
from PIL import Image

torch = pytest.importorskip("torch")

from benchmarks import gate  # noqa: E402
from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError  # noqa: E402
from laureate.core.files import sha256_file  # noqa: E402
from laureate.formats import prompts, samples  # noqa: E402
from laureate.networks.diffusion import base_model, encoding  # noqa: E402
from laureate.networks.lora import adapter_files, injection  # noqa: E402
from laureate.networks.lora.adapter import Adapter  # noqa: E402
from laureate.sampling import pipeline, sampler  # noqa: E402
from laureate.stages import sample  # noqa: E402

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]


@pytest.fixture(scope="module")
def made(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study with an adapter as training leaves it, but with weights that change the picture a lot."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    found, adapter = base_model.find(folder / "base"), Adapter(2, 2.0)
    layers = injection.attach(found.unet(), [adapter], TARGETS, seed=0)
    with torch.no_grad():
        for layer in layers.values():
            layer.own("b", 0).normal_(generator=torch.Generator().manual_seed(1))
    target = folder / paths.ADAPTERS / "rank-2"
    adapter_files.save(target, adapter_files.export(layers, 0), adapter, list(layers))
    return folder


@pytest.fixture
def study(made: Path, working_copy: Callable[[Path], Path]) -> params.Params:
    """The parameters of a copy of it, which is the working folder."""
    working_copy(made)
    return params.load()


def changed(study: params.Params, **values: object) -> params.Params:
    """The study with other values in its sample section."""
    return study.model_copy(update={"sample": study.sample.model_copy(update=values)})


def pictures(model: str) -> dict[str, np.ndarray]:
    """File name => HWC uint8."""
    found = {}
    for path in sorted((paths.SAMPLES / model).glob("*.png")):
        with Image.open(path) as image:
            assert image.mode == "RGB"
            found[path.name] = np.array(image)
    return found


def test_one_picture_per_prompt_and_seed_and_a_manifest(study: params.Params) -> None:
    sample.run(study, model="rank-2")
    names = ["man_1.png", "man_2.png", "woman_1.png", "woman_2.png"]
    drawn = pictures("rank-2")
    assert list(drawn) == names
    assert {picture.shape for picture in drawn.values()} == {(32, 32, 3)}
    manifest = json.loads((paths.SAMPLES / "rank-2" / "manifest.json").read_text())
    assert [row["file"] for row in manifest["pictures"]] == names
    assert manifest["pictures"][3] == {
        "file": "woman_2.png",
        "prompt": "woman",
        "text": "A woman.",
        "seed": 2,
        "training": 42,
    }
    assert manifest["model"] == "rank-2"
    assert manifest["base"] == base_model.find("base").fingerprint
    assert manifest["adapter"] == sha256_file(paths.ADAPTERS / "rank-2" / paths.ADAPTER_WEIGHTS)
    assert manifest["settings"]["resolution"] == 32


def test_prompts_without_the_style_phrase_are_drawn_from_the_same_noise(study: params.Params) -> None:
    """Beside the others, which stay as they are; and none where none is wanted."""
    rows = yaml.safe_load(Path("data/prompts.yaml").read_text())
    rows[0]["text"] = f"A man, {study.prepare.style}."
    Path("data/prompts.yaml").write_text(yaml.safe_dump(rows))
    sample.run(changed(study, plain=0), model="rank-2")
    before = pictures("rank-2")
    assert samples.read("rank-2", paths.PLAIN).pictures == []
    sample.run(study, model="rank-2")
    after = pictures("rank-2")
    assert all(np.array_equal(before[name], after[name]) for name in before)
    manifest = samples.read("rank-2", paths.PLAIN)
    (row,) = manifest.pictures
    assert row == samples.read("rank-2").pictures[0] | {"text": "A man."}  # also the training that drew it
    assert manifest.adapter == samples.read("rank-2").adapter
    found = base_model.find("base")
    pair = [(prompts.Prompt("man", "A man.", "seed"), 1)]
    (alone,) = pipeline.draw(found, paths.ADAPTERS / "rank-2", pair, study)
    with Image.open(paths.PLAIN / "rank-2/man_1.png") as image:
        assert np.array_equal(np.asarray(alone), np.asarray(image))


def test_batches_side_by_side_are_the_batches_one_by_one(study: params.Params) -> None:
    """Every byte, with one thread for each; texts and times are those of the own batch."""
    found, settings = base_model.find("base"), study.sample.model_copy(update={"steps": 3})
    unet = pipeline.load_unet(found, None, settings)
    source = torch.Generator().manual_seed(1)
    noise = torch.randn(10, 4, 8, 8, generator=source)
    text = torch.randn(10, 77, unet.config.cross_attention_dim, generator=source)

    def drawn(workers: int) -> list[torch.Tensor]:
        batches = sampler.sample(
            unet, sampler.solver(found.scheduler, "dpm++"), text, text[:1], noise,
            steps=3, guidance=2.0, batch=2, interval=(0.3, 1.0), side_by_side=workers,
        )  # fmt: skip
        return list(batches)

    assert all(torch.equal(a, b) for a, b in zip(drawn(1), drawn(3), strict=True))
    assert all(not module.one_time for module in unet.modules() if hasattr(module, "one_time"))


def test_the_baseline_starts_from_the_same_noise_without_the_adapter(study: params.Params) -> None:
    sample.run(study, model="baseline")
    sample.run(study, model="rank-2")
    before, after = pictures("baseline"), pictures("rank-2")
    assert before.keys() == after.keys()
    assert all((before[name] != after[name]).any() for name in before)
    manifest = json.loads((paths.SAMPLES / "baseline" / "manifest.json").read_text())
    assert manifest["adapter"] is None
    shape = (4, 8, 8)
    assert torch.equal(pipeline.starting_noise("man", 1, shape), pipeline.starting_noise("man", 1, shape))
    assert not torch.equal(pipeline.starting_noise("man", 1, shape), pipeline.starting_noise("man", 2, shape))
    assert not torch.equal(
        pipeline.starting_noise("man", 1, shape), pipeline.starting_noise("woman", 1, shape)
    )


def test_a_picture_does_not_depend_on_the_others(study: params.Params) -> None:
    """The same bytes after a prompt is added, a seed is dropped and the order is turned."""
    sample.run(study, model="rank-2")
    before = pictures("rank-2")
    rows = yaml.safe_load(Path("data/prompts.yaml").read_text())
    rows.insert(0, {"id": "child", "text": "A child.", "set": "seed", "attributes": {}})
    Path("data/prompts.yaml").write_text(yaml.safe_dump(rows))
    sample.run(changed(study, seeds=[2, 3]), model="rank-2")
    after = pictures("rank-2")
    assert len(after) == 6, "what was drawn before is gone"
    for name in ("man_2.png", "woman_2.png"):
        assert np.array_equal(before[name], after[name])


def test_sampling_again_gives_the_same_bytes(study: params.Params) -> None:
    folder = paths.SAMPLES / "rank-2"
    sample.run(study, model="rank-2")
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    sample.run(study, model="rank-2")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_batch_does_not_show(study: params.Params, precision: str) -> None:
    """By a grey level at most: a kernel that is chosen by the size of a batch may round differently.

    bfloat16 has eight bits to round to, so there a difference of one kernel grows over the steps.
    """
    sample.run(changed(study, precision=precision), model="rank-2")
    before = pictures("rank-2")
    for batch in (1, 2, 4, 7):
        sample.run(changed(study, precision=precision, batch=batch), model="rank-2")
        after = pictures("rank-2")
        assert after.keys() == before.keys()
        for name, picture in after.items():
            away = np.abs(picture.astype(int) - before[name])
            assert away.max() <= (1 if precision == "float32" else 64)
            assert away.mean() <= (0.01 if precision == "float32" else 4)


@pytest.mark.parametrize("scheduler", ["dpm++", "ddim"])
@pytest.mark.parametrize("model", ["baseline", "rank-2"])
def test_the_pictures_are_those_of_diffusers_pipeline(
    study: params.Params, scheduler: str, model: str
) -> None:
    """The gate: StableDiffusionPipeline, with load_lora_weights, from the same starting noise in float32."""
    here = changed(study, scheduler=scheduler, steps=4, negative_prompt="A hat.")
    asked = prompts.load(here.sample.prompts)
    pairs = [(prompt, seed) for prompt in asked for seed in here.sample.seeds]
    adapter = None if model == "baseline" else paths.ADAPTERS / model
    far = gate.compare(base_model.find("base"), adapter, pairs, here, batch=3)
    assert far["latent_error"] < 1e-4
    assert far["psnr"] > 60
    assert far["peer_psnr"] == 99, "in float32 the peer is compared with itself"


@pytest.mark.parametrize("interval", [[0.3, 0.9], [0.0, 0.5], [0.6, 1.0]])
def test_an_interval_of_guidance_is_a_callback_of_diffusers_pipeline(
    study: params.Params, interval: list[float]
) -> None:
    """The same pictures as the pipeline whose guidance a callback turns on and off between steps; and others
    than with guidance throughout."""
    here = changed(study, steps=6, guidance_interval=interval, negative_prompt="A hat.")
    pairs = [(prompt, 1) for prompt in prompts.load(here.sample.prompts)]
    found, adapter = base_model.find("base"), paths.ADAPTERS / "rank-2"
    far = gate.compare(found, adapter, pairs, here, batch=2)
    assert far["latent_error"] < 1e-4
    assert far["psnr"] > 60
    throughout = changed(here, guidance_interval=[0.0, 1.0])
    one, other = (torch.cat(list(pipeline.latents(found, adapter, pairs, own))) for own in (here, throughout))
    assert float((one - other).abs().max()) > 0.01


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_batch_does_not_show_without_guidance_either(study: params.Params, precision: str) -> None:
    """As `test_the_batch_does_not_show`, where most steps have half the rows."""
    here = changed(study, precision=precision, guidance_interval=[0.4, 0.6])
    sample.run(here, model="rank-2")
    before = pictures("rank-2")
    for batch in (1, 3, 7):
        sample.run(changed(here, batch=batch), model="rank-2")
        for name, picture in pictures("rank-2").items():
            away = np.abs(picture.astype(int) - before[name])
            assert away.max() <= (1 if precision == "float32" else 64)
            assert away.mean() <= (0.01 if precision == "float32" else 4)


def test_the_gate_sees_another_picture(study: params.Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the adapter, or from other noise, the numbers are bad."""
    pairs = [(prompt, 1) for prompt in prompts.load(study.sample.prompts)]
    found, adapter = base_model.find("base"), paths.ADAPTERS / "rank-2"
    monkeypatch.setattr(adapter_files, "merge", lambda *arguments: None)
    far = gate.compare(found, adapter, pairs, study, batch=2)
    assert far["latent_error"] > 0.01
    assert far["psnr"] < 50


def test_lower_precision_draws_nearly_the_same(study: params.Params) -> None:
    sample.run(study, model="rank-2")
    before = pictures("rank-2")
    sample.run(changed(study, precision="bfloat16"), model="rank-2")
    for name, picture in pictures("rank-2").items():
        assert np.abs(picture.astype(int) - before[name]).mean() < 8


def test_a_failed_run_leaves_what_was_there(study: params.Params, monkeypatch: pytest.MonkeyPatch) -> None:
    sample.run(study, model="baseline")
    before = pictures("baseline")

    def broken(*arguments: object, **more: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(encoding, "decode", broken)
    with pytest.raises(RuntimeError):
        sample.run(study, model="baseline")
    assert pictures("baseline").keys() == before.keys()
    assert [path.name for path in paths.SAMPLES.iterdir()] == ["baseline"]


def test_a_missing_damaged_or_foreign_adapter_is_refused(study: params.Params) -> None:
    with pytest.raises(
        LaureateError, match=r"there is no file models/lora/rank-4/pytorch_lora_weights\.safetensors"
    ):
        sample.run(study, model="rank-4")
    shutil.rmtree("base")
    small_base.write(Path("base"), seed=1)
    with pytest.raises(
        LaureateError, match="rank-2 was trained on another base than base; run `laureate train` again"
    ):
        sample.run(study, model="rank-2")
    (paths.ADAPTERS / "rank-2" / paths.ADAPTER_CONFIG).unlink()
    with pytest.raises(
        LaureateError, match=r"config\.json is missing or damaged; run `laureate train` again"
    ):
        sample.run(study, model="rank-2")
    weights = paths.ADAPTERS / "rank-2" / paths.ADAPTER_WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(LaureateError, match=r"has \d+ bytes instead of \d+"):
        sample.run(study, model="rank-2")


def test_a_prompt_that_is_cut_is_named_with_the_style_it_loses(
    study: params.Params, capsys: pytest.CaptureFixture[str]
) -> None:
    style = study.prepare.style
    rows = [{"id": "long", "text": "A hat and a man, " * 40 + style, "set": "seed"}]
    Path("long.yaml").write_text(yaml.safe_dump(rows))
    sample.run(changed(study, prompts=["long.yaml"], seeds=[1]), "baseline")
    said = capsys.readouterr().err
    assert "the prompt long has" in said
    assert f"style phrase {style!r} is lost" in said
