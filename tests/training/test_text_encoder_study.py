"""A study that trains the text encoder too: what its stages leave, who reads it, what is drawn with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_base
import yaml
from trained import changed, forget, outputs

torch = pytest.importorskip("torch")

from laureate.commands import export  # noqa: E402
from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.core.errors import LaureateError, ParameterError  # noqa: E402
from laureate.networks.diffusion import base_model, encoding  # noqa: E402
from laureate.networks.lora import adapter_files, injection  # noqa: E402
from laureate.networks.lora.adapter import TEXT, UNET, Adapter  # noqa: E402
from laureate.sampling import generator, pipeline  # noqa: E402
from laureate.stages import encode, sample, train  # noqa: E402
from laureate.torch_utils import safetensors_io  # noqa: E402
from laureate.training import objective, trainer  # noqa: E402

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LAYERS = ["q_proj", "k_proj", "v_proj", "out_proj"]


def ask() -> params.Params:
    """Have params.yaml of the working folder ask for the text encoder too."""
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["train"] |= {"text_encoder": LAYERS, "learning_rate": 1.0e-2}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    return params.load()


@pytest.fixture
def study(study: params.Params) -> params.Params:
    """The small study, encoded, that trains the text encoder too."""
    return ask()


# --- the stage ---


def test_a_run_that_was_stopped_ends_in_the_same_bytes(
    study: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    train.run(study, rank=2)
    train.run(study, rank=4)
    whole = outputs(2, 4)
    forget()
    original, taken = trainer.Trainer.step, []

    def step(self: trainer.Trainer, examples: objective.Examples, number: int) -> Any:
        taken.append(number)
        if taken.count(9) == 1 and number == 9:
            raise KeyboardInterrupt
        return original(self, examples, number)

    monkeypatch.setattr(trainer.Trainer, "step", step)
    with pytest.raises(KeyboardInterrupt):
        train.run(study, rank=2)
    train.run(study, rank=2)
    train.run(study, rank=4)
    assert taken == [*range(10), *range(8, 14)], "it goes on after the checkpoint of step 8"
    assert outputs(2, 4) == whole
    config = json.loads((paths.ADAPTERS / "rank-2" / "config.json").read_text())
    assert config["train"]["text_encoder"] == LAYERS
    train.run(changed(study, text_encoder=["q_proj"]), rank=2)
    assert taken[16:] == list(range(14)), "another result"
    state, _ = adapter_files.load(paths.ADAPTERS / "rank-2")
    assert sum(name.startswith("text_encoder.") for name in state) == 2


def test_off_is_what_it_was_before_there_was_such_a_key(study: params.Params) -> None:
    off = changed(study, text_encoder=[])
    train.run(off, rank=2)
    path = paths.ADAPTERS / "rank-2" / paths.ADAPTER_WEIGHTS
    adapter, curve = path.read_bytes(), outputs(2)[2]
    assert all(name.startswith("unet.") for name in adapter_files.load(path.parent)[0])
    assert {
        key.partition(".")[0] for key in json.loads(safetensors_io.metadata(path)[adapter_files.METADATA])
    } == {"unet"}
    forget()
    values = yaml.safe_load(Path("params.yaml").read_text())
    del values["train"]["text_encoder"]
    Path("params.yaml").write_text(yaml.safe_dump(values))
    data, header = safetensors_io.load(encode.ENCODED), safetensors_io.metadata(encode.ENCODED)
    kept = {name: tensor for name, tensor in data.items() if not name.endswith(".ids")}
    safetensors_io.save(encode.ENCODED, kept, header)
    train.run(params.load(), rank=2)
    assert (path.read_bytes(), outputs(2)[2]) == (adapter, curve)
    with pytest.raises(
        LaureateError, match=r"no token ids for train\.text_encoder; run `laureate encode` again"
    ):
        train.run(study, rank=2)
    with pytest.raises(ValueError, match="belongs to"):  # an error of ours, not of the user
        objective.Objective(None, None, study.train, torch.zeros(1), 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["q_proj", "to_q"], r"train\.text_encoder: 'to_q' is not the name of a layer of the text encoder; .*"
         r"end in fc1, fc2, k_proj, out_proj, q_proj, v_proj"),
        (["layer_norm1"], r"train\.text_encoder: 'layer_norm1' is the LayerNorm .*only linear"),
    ],
)  # fmt: skip
def test_a_wrong_name_is_refused(study: params.Params, names: list[str], sentence: str) -> None:
    with pytest.raises(LaureateError, match=sentence):
        train.run(changed(study, text_encoder=names), rank=2)
    assert not paths.ADAPTERS.exists()


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("q_proj", r"train\.text_encoder must be a list, got 'q_proj'"),
        ([3], r"train\.text_encoder\[0\] must be text, got 3"),
        (None, r"train\.text_encoder must be a list, got nothing"),
    ],
)
def test_a_wrong_value_is_refused(study: params.Params, value: Any, sentence: str) -> None:
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["train"]["text_encoder"] = value
    with pytest.raises(ParameterError, match=sentence):
        params.parse(yaml.safe_dump(values), "params.yaml")


# --- the file, and what it is read by ---


@pytest.fixture(scope="module")
def made(encoded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study, trained."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(encoded, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        asked = ask()
        for rank in (2, 4):
            train.run(asked, rank)
    return folder


@pytest.fixture
def done(made: Path, working_copy: Callable[[Path], Path]) -> params.Params:
    """The parameters of a copy of it, which is the working folder."""
    working_copy(made)
    return params.load()


def heard(unet: Any, encoder: Any) -> tuple[Any, Any]:
    """What the text encoder makes of a caption, and what the UNet makes of that."""
    generator = torch.Generator().manual_seed(1)
    x, t = torch.randn(2, 4, 8, 8, generator=generator), torch.tensor([10, 900])
    ids = encoding.token_ids(base_model.find("base").tokenizer(), ["A man.", "A woman with glasses."])
    with torch.no_grad():
        text = encoder(ids.long())[0]
        return text, unet(x, t, encoder_hidden_states=text).sample


@pytest.mark.parametrize("form", ["ours", "diffusers", "kohya", "comfyui"])
@pytest.mark.parametrize(
    "settings", [{}, {"variant": "dora"}, {"variant": "rslora", "init": "pissa", "alpha": 1.5}]
)
def test_diffusers_loads_both_parts(done: params.Params, form: str, settings: dict[str, Any]) -> None:
    """From the adapter's folder and from every exported form: the same embeddings and outputs as ours."""
    from diffusers import StableDiffusionPipeline

    if settings:
        forget()
        train.run(changed(done, **settings), 2)
    path = paths.ADAPTERS / "rank-2"
    if form != "ours":
        path = Path(f"exports/{form}.safetensors")
        if form != "diffusers" and settings.get("variant") == "dora":
            with pytest.raises(LaureateError, match="DoRA has no form"):
                export.run(done, 2, form, str(path))
            return
        export.run(done, 2, form, str(path))
    found = base_model.find("base")
    unet, encoder = found.unet(), found.text_encoder()
    before = heard(unet, encoder)
    loaded = adapter_files.load(paths.ADAPTERS / "rank-2")
    adapter_files.merge(unet, *loaded)
    between = heard(unet, encoder)
    assert torch.equal(between[0], before[0]), "each part by itself"
    adapter_files.merge(encoder, *loaded, TEXT)
    ours = heard(unet, encoder)
    theirs_loaded = StableDiffusionPipeline.from_pretrained(found.folder)
    theirs_loaded.load_lora_weights(path)
    theirs = heard(theirs_loaded.unet, theirs_loaded.text_encoder)
    for mine, other, plain in zip(ours, theirs, before, strict=True):
        torch.testing.assert_close(other, mine, atol=1e-4, rtol=0)
        assert (mine - plain).abs().max() > 1e-2, "training should have done something"


def test_what_is_written_is_what_the_trainer_has(study: params.Params, tmp_path: Path) -> None:
    """The stack itself against the file that is made of it, on both parts."""
    found = base_model.find("base")
    adapter = Adapter(3, 6.0)
    unet, encoder = found.unet(), found.text_encoder()
    layers = injection.attach(unet, [adapter], study.train.targets, 0)
    layers |= injection.attach(encoder, [adapter], [*LAYERS, "fc1", "fc2"], 0, TEXT)
    with torch.no_grad():
        for layer in layers.values():
            layer.own("b", 0).normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    adapter_files.save(tmp_path / "adapter", adapter_files.export(layers, 0), adapter, list(layers))
    merged = found.unet(), found.text_encoder()
    for net, part in zip(merged, (UNET, TEXT), strict=True):
        adapter_files.merge(net, *adapter_files.load(tmp_path / "adapter"), part)
    for mine, other in zip(heard(unet, encoder), heard(*merged), strict=True):
        torch.testing.assert_close(other, mine, atol=1e-4, rtol=0)


def test_the_names_are_those_that_other_programs_look_for(done: params.Params) -> None:
    from diffusers import StableDiffusionPipeline as Pipeline
    from peft import LoraConfig

    found, path = base_model.find("base"), paths.ADAPTERS / "rank-2"
    state, _ = adapter_files.load(path)
    text = {name: tensor for name, tensor in state.items() if adapter_files.has({name: tensor}, TEXT)}
    layer = "text_encoder.text_model.encoder.layers.0.self_attn"
    assert set(text) == {f"{layer}.{name}.lora_{half}.weight" for name in LAYERS for half in "AB"}
    said = json.loads(safetensors_io.metadata(path / paths.ADAPTER_WEIGHTS)[adapter_files.METADATA])
    # as diffusers writes it, given PEFT's configurations
    given = {f"{part}_lora_adapter_metadata": LoraConfig(r=2, target_modules=LAYERS).to_dict()
             for part in ("unet", "text_encoder")}  # fmt: skip
    given["unet_lora_layers"] = {name.removeprefix("unet."): state[name] for name in set(state) - set(text)}
    given["text_encoder_lora_layers"] = {name.removeprefix("text_encoder."): text[name] for name in text}
    for configuration in (given["unet_lora_adapter_metadata"], given["text_encoder_lora_adapter_metadata"]):
        configuration |= {
            key: sorted(value) for key, value in configuration.items() if isinstance(value, set)
        }
    Pipeline.save_lora_weights("theirs", **given)
    theirs = json.loads(safetensors_io.metadata(f"theirs/{paths.ADAPTER_WEIGHTS}")[adapter_files.METADATA])
    assert set(said) <= set(theirs)
    assert {key: said[key] for key in said if key.startswith("text_encoder")} == {
        "text_encoder.r": theirs["text_encoder.r"],
        "text_encoder.lora_alpha": 2,
        "text_encoder.target_modules": [f"encoder.layers.0.self_attn.{name}" for name in sorted(LAYERS)],
    }
    assert set(safetensors_io.header(f"theirs/{paths.ADAPTER_WEIGHTS}")) - {"__metadata__"} == set(state)
    export.run(done, 2, "kohya", "kohya.safetensors")
    names = set(safetensors_io.header("kohya.safetensors"))
    stem = "lora_te_text_model_encoder_layers_0_self_attn"
    ends = ("lora_down.weight", "lora_up.weight", "alpha")
    assert {name for name in names if name.startswith("lora_te")} == {
        f"{stem}_{name}.{end}" for name in LAYERS for end in ends
    }
    assert found.fingerprint == safetensors_io.metadata("kohya.safetensors")["laureate.base"]


# --- drawing ---


def pictures(done: params.Params, folder: Path | None) -> np.ndarray:
    """All pictures of an adapter, or of the base, in one array."""
    found, asked = base_model.find("base"), sample.prompts.load(done.sample.prompts)
    pairs = [(prompt, seed) for prompt in asked for seed in done.sample.seeds]
    return np.stack([np.array(picture) for picture in pipeline.draw(found, folder, pairs, done)])


def test_the_text_part_changes_the_pictures(done: params.Params) -> None:
    whole, without = paths.ADAPTERS / "rank-2", Path("without")
    state, adapter = adapter_files.load(whole)
    of_unet = {name: tensor for name, tensor in state.items() if name.startswith("unet.")}
    adapter_files.save(without, of_unet, adapter, small_base.TARGETS)
    drawn = {folder: pictures(done, folder) for folder in (None, whole, without)}
    assert (drawn[whole] != drawn[without]).any()
    assert (drawn[without] != drawn[None]).any()
    assert (pictures(done, whole) == drawn[whole]).all()


def test_what_is_served_is_what_is_sampled(done: params.Params) -> None:
    """One model after the other, so that none hears with another one's ears."""
    loaded = generator.Generator(done)
    prompt = sample.prompts.load(done.sample.prompts)[0]
    for model in ("baseline", "rank-2", "rank-4", "baseline", "rank-2"):
        folder = None if model == "baseline" else paths.ADAPTERS / model
        wanted = pictures(done, folder)[: len(done.sample.seeds)]
        got = loaded.draw(model, prompt.text, list(done.sample.seeds), (32, 32))
        assert np.abs(np.stack([np.array(picture) for picture in got]) - wanted.astype(int)).max() <= 1, model
