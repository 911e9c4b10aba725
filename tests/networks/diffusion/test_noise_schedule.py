"""The diffusion process: properties of schedule, target, weights and sampling."""

from __future__ import annotations

from typing import Any

import pytest
import small_base
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from laureate.networks.diffusion import base_model, encoding, noise_schedule  # noqa: E402
from laureate.sampling import sampler  # noqa: E402
from laureate.torch_utils import rng  # noqa: E402

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CONFIG = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
}
times = st.integers(min_value=0, max_value=999)


def process(prediction: str, **more: Any) -> noise_schedule.NoiseSchedule:
    """SD's schedule with a prediction type."""
    return noise_schedule.from_config({**CONFIG, "prediction_type": prediction, **more})


def latents(seed: int, n: int = 2) -> Any:
    """Standard normal latents in float64, for exact algebra."""
    return torch.randn(n, 4, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(t=times, seed=st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_noise_and_target_determine_the_clean_latents(t: int, seed: int) -> None:
    clean, noise, step = latents(seed), latents(seed + 1), torch.tensor([t, t])
    for prediction in ("epsilon", "v_prediction"):
        schedule = noise_schedule.NoiseSchedule(process(prediction).alpha_bar.double(), prediction)
        noisy = noise_schedule.add_noise(schedule, clean, noise, step)
        wanted = noise_schedule.target(schedule, clean, noise, step)
        signal = schedule.alpha_bar[t]
        if prediction == "epsilon":
            back = (noisy - (1 - signal).sqrt() * wanted) / signal.sqrt()
        else:
            back = signal.sqrt() * noisy - (1 - signal).sqrt() * wanted
        torch.testing.assert_close(back, clean, atol=1e-7, rtol=1e-7)


@given(t=times, seed=st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_noise_and_target_are_those_of_diffusers(t: int, seed: int) -> None:
    from diffusers import DDPMScheduler

    clean, noise, step = latents(seed).float(), latents(seed + 1).float(), torch.tensor([t, t])
    theirs = DDPMScheduler(**CONFIG, prediction_type="v_prediction")
    ours = process("v_prediction")
    torch.testing.assert_close(
        noise_schedule.add_noise(ours, clean, noise, step), theirs.add_noise(clean, noise, step)
    )
    torch.testing.assert_close(
        noise_schedule.target(ours, clean, noise, step), theirs.get_velocity(clean, noise, step)
    )


@given(t=times, gamma=st.floats(0.1, 20), seed=st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_min_snr_weighs_the_error_of_the_clean_latents_by_the_clipped_snr(
    t: int, gamma: float, seed: int
) -> None:
    step = torch.tensor([t])
    for prediction in ("epsilon", "v_prediction"):
        schedule = process(prediction)
        clean, noise, output = (latents(seed + k, 1).float() for k in range(3))
        noisy = noise_schedule.add_noise(schedule, clean, noise, step)
        signal = float(schedule.alpha_bar[t])
        if prediction == "epsilon":
            guess = (noisy - (1 - signal) ** 0.5 * output) / signal**0.5
        else:
            guess = signal**0.5 * noisy - (1 - signal) ** 0.5 * output
        expected = min(signal / (1 - signal), gamma) * float((guess - clean).square().mean())
        got = float(noise_schedule.losses(schedule, output, clean, noise, step, gamma))
        assert got == pytest.approx(expected, rel=5e-3)


def test_without_gamma_every_time_step_weighs_the_same() -> None:
    schedule = process("v_prediction")
    clean, noise = latents(0, 5).float(), latents(1, 5).float()
    t = torch.tensor([0, 10, 500, 900, 999])
    output = noise_schedule.target(schedule, clean, noise, t) + 2
    torch.testing.assert_close(
        noise_schedule.losses(schedule, output, clean, noise, t, None), torch.full((5,), 4.0)
    )


def test_zero_terminal_snr_gives_finite_weights() -> None:
    for prediction in ("epsilon", "v_prediction"):
        schedule = process(prediction, rescale_betas_zero_snr=True)
        assert schedule.alpha_bar[-1] < 1e-6
        weight = noise_schedule.min_snr_weight(schedule, torch.arange(1000), 5.0)
        assert torch.isfinite(weight).all()
        assert ((weight >= 0) & (weight <= 1)).all()


def test_latents_have_the_moments_they_are_drawn_from() -> None:
    noise = torch.randn(20000, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    drawn = noise_schedule.draw_latents(
        torch.full_like(noise, 3), torch.full_like(noise, 4).log(), noise, 0.5
    )
    assert float(drawn.mean()) == pytest.approx(1.5, abs=0.03)
    assert float(drawn.std()) == pytest.approx(1.0, abs=0.03)


def test_generators_depend_on_their_key_only() -> None:
    draws = {
        key: torch.randn(4, generator=rng.generator(*key))
        for key in (("a", 1), ("a", 2), ("b", 1), ("a", 1, 1))
    }
    assert torch.equal(draws["a", 1], torch.randn(4, generator=rng.generator("a", 1)))
    flat = torch.stack(list(draws.values()))
    assert len(flat.unique(dim=0)) == len(draws)


# --- sampling -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> base_model.Base:
    """A small base."""
    return base_model.find(small_base.write(tmp_path_factory.mktemp("base")))


def draw(
    found: base_model.Base,
    unet: Any,
    rows: slice,
    solver: str = "ddim",
    guidance: float = 4.0,
    batch: int = 4,
) -> Any:
    """Pictures `rows` of eleven, NHWC uint8."""
    noise = torch.stack([torch.randn(4, 8, 8, generator=rng.generator("test", n)) for n in range(11)])
    embedded = encoding.embed(
        found.tokenizer(), found.text_encoder(), ["", *(f"Portrait number {n}" for n in range(11))]
    )
    parts = sampler.sample(
        unet,
        sampler.solver(found.scheduler, solver),
        embedded[1:][rows],
        embedded[:1],
        noise[rows],
        steps=4,
        guidance=guidance,
        batch=batch,
    )
    vae = found.vae()
    return torch.cat([encoding.decode(vae, part, found.scaling_factor) for part in parts])


@pytest.mark.parametrize("solver", ["ddim", "dpm++"])
def test_a_picture_does_not_depend_on_the_batch(found: base_model.Base, solver: str) -> None:
    unet = found.unet()
    together = draw(found, unet, slice(0, 11), solver)
    assert together.shape == (11, 32, 32, 3)
    assert together.dtype == torch.uint8
    assert len(together.flatten(1).unique(dim=0)) == 11
    # the same bytes whatever else is in the batch, and to rounding whatever its size
    assert torch.equal(together[5:7], draw(found, unet, slice(5, 7), solver))
    other = draw(found, unet, slice(0, 11), solver, batch=7).int()
    assert (together.int() - other).abs().max() <= 1
    assert (together.int() != other).float().mean() < 1e-3


@pytest.mark.parametrize(("solver", "guidance"), [("ddim", 4.0), ("ddim", 1.0), ("dpm++", 4.0)])
def test_pictures_are_those_of_stable_diffusion_pipeline(
    found: base_model.Base, solver: str, guidance: float
) -> None:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(found.folder)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = sampler.solver(found.scheduler, solver)
    noise = torch.stack([torch.randn(4, 8, 8, generator=rng.generator("test", n)) for n in range(2)])
    theirs = pipeline(
        ["Portrait number 0", "Portrait number 1"],
        height=32,
        width=32,
        num_inference_steps=4,
        guidance_scale=guidance,
        latents=noise,
        output_type="np",
    ).images
    ours = draw(found, found.unet(), slice(0, 2), solver, guidance)
    difference = (ours.double() - torch.from_numpy(theirs).double() * 255).abs()
    assert difference.max() <= 0.51, "half a step of rounding"


def test_the_text_guides(found: base_model.Base) -> None:
    unet = found.unet()
    weak, strong = (draw(found, unet, slice(0, 2), guidance=g).int() for g in (1.0, 6.0))
    assert (weak - strong).abs().max() > 2


def test_an_unknown_solver_is_a_mistake_of_ours(found: base_model.Base) -> None:
    with pytest.raises(ValueError, match="euler"):
        sampler.solver(found.scheduler, "euler")


def test_moments_and_decoding_are_those_of_the_vae(found: base_model.Base) -> None:
    vae = found.vae()
    images = torch.randint(
        0, 256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    mean, logvar = encoding.moments(vae, images)
    assert mean.shape == logvar.shape == (3, 4, 8, 8)
    assert mean.dtype == logvar.dtype == torch.float32
    decoded = encoding.decode(vae, mean * found.scaling_factor, found.scaling_factor)
    with torch.no_grad():
        expected = (vae.decode(mean).sample / 2 + 0.5).clamp(0, 1).mul(255).round()
    assert torch.equal(decoded.permute(0, 3, 1, 2).float(), expected)
