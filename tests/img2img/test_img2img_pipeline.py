"""Image to image: the same as diffusers called by hand, the steps that run, a ControlNet's wiring."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_base
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.core.files import write_json
from laureate.img2img import generator, photo, pipeline
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_files
from laureate.sampling import sampler

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
PHOTO = "f" * 64


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base and an adapter whose weights are random and not zero."""
    folder = small_base.study(tmp_path_factory.mktemp("drawn"))
    found = base_model.find(folder / "base")
    target = folder / "models/lora/rank-2"
    adapter_files.save(target, *small_base.adapter(found.unet(), 2, 2.0), small_base.TARGETS)
    write_json(target / "config.json", {"base": found.fingerprint})
    return folder


@pytest.fixture
def found(study: Path, monkeypatch: pytest.MonkeyPatch) -> base_model.Base:
    monkeypatch.chdir(study)
    return base_model.find("base")


def start(seed: int = 2) -> Image.Image:
    colours = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return Image.fromarray(colours).resize((32, 32), Image.Resampling.BICUBIC)


def parts(found: base_model.Base, scheduler: str = "dpm++") -> tuple[Any, ...]:
    solver = sampler.solver(found.scheduler, scheduler)
    return found.unet(), found.text_encoder(), found.tokenizer(), found.vae(), solver


@pytest.mark.parametrize("scheduler", ["dpm++", "ddim"])
def test_a_portrait_is_what_diffusers_gives_when_called_by_hand(
    found: base_model.Base, scheduler: str
) -> None:
    """Bit for bit: the pipeline of the folder, the adapter loaded and fused by diffusers and PEFT."""
    from diffusers import StableDiffusionImg2ImgPipeline

    values = params.load().model_dump()
    values["sample"]["scheduler"] = scheduler
    drawing = generator.PortraitGenerator(params.Params.model_validate(values))
    settings = drawing.settings("A woman with a hat.", strength=0.6, steps=5, guidance=3.0)
    seen = photo.Photo(PHOTO, start(), start(), "kept")
    ours = [portrait.picture for portrait in drawing.draw(seen, "rank-2", settings, [7, 8])]

    by_hand = StableDiffusionImg2ImgPipeline.from_pretrained("base", local_files_only=True)
    by_hand.set_progress_bar_config(disable=True)
    by_hand.scheduler = sampler.solver(found.scheduler, scheduler)
    by_hand.load_lora_weights("models/lora/rank-2", local_files_only=True)
    by_hand.fuse_lora()
    by_hand.unload_lora_weights()
    for seed, mine in zip((7, 8), ours, strict=True):
        theirs = by_hand(
            "A woman with a hat.",
            image=start(),
            strength=0.6,
            num_inference_steps=5,
            guidance_scale=3.0,
            negative_prompt="",
            generator=pipeline.noise(PHOTO, seed),
        ).images[0]
        assert theirs.tobytes() == mine.tobytes()


def test_the_adapter_the_seed_the_photo_the_prompt_and_the_strength_all_count(
    found: base_model.Base,
) -> None:
    drawing = generator.PortraitGenerator(params.load())

    def drawn(model: str = "rank-2", seed: int = 1, digest: str = PHOTO, **given: Any) -> bytes:
        settings = drawing.settings(given.pop("prompt", "A hat."), **({"steps": 8} | given))
        seen = photo.Photo(digest, start(), start(), "kept")
        return drawing.draw(seen, model, settings, [seed])[0].picture.tobytes()

    usual = drawn()
    assert drawn() == usual
    others = [
        drawn("baseline"),
        drawn(seed=2),
        drawn(digest="0" * 64),
        drawn(prompt="A scarf."),
        drawn(strength=1.0),
        drawn(guidance=9.0),
    ]
    assert len({usual, *others}) == 7


def test_a_portrait_does_not_depend_on_those_before_it(found: base_model.Base) -> None:
    pipe = pipeline.build(*parts(found))
    settings = pipeline.Settings("A hat.", steps=8)
    several = pipeline.draw(pipe, start(), PHOTO, settings, [1, 2, 3])
    alone = pipeline.draw(pipe, start(), PHOTO, settings, [3])
    assert several[2].tobytes() == alone[0].tobytes()


def test_more_strength_goes_further_from_the_photo(found: base_model.Base) -> None:
    """Held against the portrait of a single step, which is nearly what the VAE makes of the photo."""
    pipe = pipeline.build(*parts(found))
    seen = []
    for strength in (0.05, 0.3, 0.6, 1.0):
        settings = pipeline.Settings("A hat.", strength=strength, steps=20)
        drawn = pipeline.draw(pipe, start(), PHOTO, settings, [1])[0]
        seen.append(np.asarray(drawn, dtype=float))
    apart = [float(np.abs(one - seen[0]).mean()) for one in seen]
    assert apart == sorted(apart)
    assert len(set(apart)) == 4


@given(st.integers(1, 200), st.floats(0.001, 1))
def test_the_steps_that_run_are_those_that_diffusers_counts(steps: int, strength: float) -> None:
    class Scheduler:
        order, timesteps = 1, list(range(steps))

    class Pipe:
        scheduler = Scheduler()

    from diffusers import StableDiffusionImg2ImgPipeline

    timesteps, count = StableDiffusionImg2ImgPipeline.get_timesteps(Pipe(), steps, strength, "cpu")
    settings = pipeline.Settings("A hat.", strength=strength, steps=steps)
    assert settings.run == count == len(timesteps)
    if count == 0:
        with pytest.raises(LaureateError, match="no step is left at strength"):
            settings.check()
    else:
        settings.check()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"strength": 0.0}, "strength is 0: it must be more than 0 and at most 1"),
        ({"strength": 1.01}, "strength is 1.01"),
        ({"strength": -1.0}, "strength is -1"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 4, "strength": 0.2}, "no step is left at strength 0.2 of 4 steps"),
        ({"guidance": 0.5}, "guidance is 0.5"),
        ({"guidance": float("nan")}, "guidance is nan"),
        ({"prompt": " "}, "the prompt is empty"),
        ({"prompt": "a \udcff"}, "no UTF-8 text"),
        ({"control_end": 0.0}, "line art's end"),
    ],
)
def test_settings_out_of_range_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(LaureateError, match=says):
        pipeline.Settings(**({"prompt": "A hat."} | given)).check()


def test_a_blank_portrait_is_refused(found: base_model.Base) -> None:
    unet, encoder, tokenizer, vae, solver = parts(found)
    with torch.no_grad():
        vae.decoder.conv_out.weight.zero_()
    pipe = pipeline.build(unet, encoder, tokenizer, vae, solver)
    with pytest.raises(LaureateError, match="the portrait with seed 4 is blank"):
        pipeline.draw(pipe, start(), PHOTO, pipeline.Settings("A hat.", steps=8), [4])


def controlnet(found: base_model.Base) -> Any:
    """An untrained ControlNet of the base: its zero convolutions add nothing (Zhang et al. 2023)."""
    from diffusers import ControlNetModel

    with torch.random.fork_rng():
        torch.manual_seed(1)
        # as many strides as the VAE has, so that the line art comes down to the size of the latents
        return ControlNetModel.from_unet(found.unet(), conditioning_embedding_out_channels=(16, 16, 16))


def test_an_untrained_controlnet_leaves_the_portrait_as_it_is(found: base_model.Base) -> None:
    settings = pipeline.Settings("A hat.", steps=8, control_end=1.0)
    plain = pipeline.draw(pipeline.build(*parts(found)), start(), PHOTO, settings, [1])[0]
    net = controlnet(found)
    wired = pipeline.build(*parts(found), net)
    lines = start(9)
    assert pipeline.draw(wired, start(), PHOTO, settings, [1], lines)[0].tobytes() == plain.tobytes()

    # and it is really asked: once its convolutions are not zero, portrait and line art do count
    with torch.no_grad():
        for block in [*net.controlnet_down_blocks, net.controlnet_mid_block]:
            block.weight.normal_(generator=torch.Generator().manual_seed(0), std=0.3)
        net.controlnet_cond_embedding.conv_out.weight.normal_(
            generator=torch.Generator().manual_seed(0), std=0.3
        )
    changed = pipeline.draw(wired, start(), PHOTO, settings, [1], lines)[0].tobytes()
    assert changed != plain.tobytes()
    assert pipeline.draw(wired, start(), PHOTO, settings, [1], start(10))[0].tobytes() != changed
    early = pipeline.Settings("A hat.", steps=8, control_end=0.3)
    assert pipeline.draw(wired, start(), PHOTO, early, [1], lines)[0].tobytes() != changed


def test_a_controlnet_of_a_folder_is_wired_by_the_generator(found: base_model.Base, tmp_path: Path) -> None:
    controlnet(found).save_pretrained(tmp_path / "control")
    settings = pipeline.Settings("A hat.", steps=8)
    seen = photo.Photo(PHOTO, start(), start(), "kept")
    plain = generator.PortraitGenerator(params.load()).draw(seen, "rank-2", settings, [1])[0]
    wired = generator.PortraitGenerator(params.load(), tmp_path / "control")
    drawn = wired.draw(seen, "rank-2", settings, [1])[0]
    assert drawn.picture.tobytes() == plain.picture.tobytes()
    assert plain.record["control"] is None
    assert drawn.record["control"] == {"control_scale": 1.0, "control_end": 0.3}
    with pytest.raises(LaureateError, match="holds no ControlNet"):
        generator.PortraitGenerator(params.load(), tmp_path)
    (tmp_path / "control/config.json").write_text("{}")
    with pytest.raises(LaureateError, match="cannot be loaded as a ControlNet"):
        generator.PortraitGenerator(params.load(), tmp_path / "control").draw(seen, "rank-2", settings, [1])
