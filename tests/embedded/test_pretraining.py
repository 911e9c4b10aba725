"""The pre-training: its small parts, and one training that really learns."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from laureate.core.errors import ParameterError
from laureate.embedded.pretraining import (
    abstract_shapes,
    config,
    drawings,
    optimiser,
    quality,
    tokenizer,
    train_loop,
    unet,
    vae,
)
from laureate.formats.vocabulary import VOCABULARY
from laureate.simulator.portraits import captions, styles

SETTINGS = config.Training(steps=40, batch=8, learning_rate=0.02, warmup=5, ema=0.9)


# --- parameters ---


def test_the_shipped_parameters_are_valid(embedded: Path) -> None:
    assert config.load(embedded / "params.yaml").size == 128


@pytest.mark.parametrize(
    ("section", "key", "value"), [("vae", "stepz", 3), ("unet", "steps", "many"), ("draw", "laureate", 1.5)]
)
def test_a_wrong_parameter_is_named(
    embedded: Path, tmp_path: Path, section: str, key: str, value: object
) -> None:
    wrong = yaml.safe_load((embedded / "params.yaml").read_text(encoding="utf-8"))
    wrong[section][key] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(wrong), encoding="utf-8")
    with pytest.raises(ParameterError, match=rf"{section}\.{key}"):
        config.load(tmp_path / "params.yaml")


# --- data ---


def test_drawings_do_not_depend_on_how_many_draw(tmp_path: Path) -> None:
    few = config.Draw(count=6)
    for processes in (1, 2):
        drawings.draw(tmp_path / str(processes), few, 32, processes)
    one, two = (drawings.load(tmp_path / name, few, 32) for name in ("1", "2"))
    assert np.array_equal(one.pixels, two.pixels)
    assert np.array_equal(one.labels, two.labels)
    assert one.pixels.std() > 20


def test_labels_say_who_is_drawn() -> None:
    who, style, _ = drawings.person(1, 5, laureate=0.5)
    labels, readable = drawings.labels_of(who, style)
    said = {name: drawings.HEADS[name][label] for name, label in zip(drawings.HEADS, labels, strict=True)}
    assert said == {**who.to_dict(), "style": style}
    assert readable[list(drawings.HEADS).index("style")]


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_abstract_pictures_have_the_asked_size_and_repeat(seed: int) -> None:
    first, again = (abstract_shapes.picture(np.random.default_rng(seed), 24) for _ in range(2))
    assert first.shape == (24, 24, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)


@pytest.fixture(scope="module")
def words() -> object:
    return tokenizer.train(captions.words(1000), 1500)


@given(text=st.text(max_size=40))
@settings(max_examples=50, deadline=None)
def test_no_text_has_an_unknown_token(words: object, text: str) -> None:
    """The end token is also the unknown one: it must come at the end only."""
    assume(tokenizer.END not in text.lower())
    ids = words(text).input_ids  # type: ignore[operator]
    assert ids.index(words.eos_token_id) == len(ids) - 1  # type: ignore[attr-defined]


def test_other_texts_have_other_tokens(words: object) -> None:
    texts = sorted(set(captions.words(200, seed=3)))
    ids = {tuple(words(text).input_ids) for text in texts}  # type: ignore[operator]
    assert len(ids) == len(texts) > 100


def test_captions_need_few_tokens(words: object) -> None:
    texts = list(captions.words(50, seed=9))
    assert max(len(words(text).input_ids) for text in texts) <= tokenizer.LENGTH  # type: ignore[operator]


# --- losses ---


@given(level=st.floats(0.01, 0.99))
@settings(max_examples=20, deadline=None)
def test_velocity_gives_back_the_clean_picture(level: float) -> None:
    clean, noise = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    alphas = torch.tensor([level, level])
    noisy, velocity = unet.noised(clean, noise, alphas)
    torch.testing.assert_close(
        math.sqrt(level) * noisy - math.sqrt(1 - level) * velocity, clean, rtol=1e-4, atol=1e-5
    )


def test_clear_pictures_weigh_less_and_noise_least() -> None:
    weights = unet.velocity_weight(torch.tensor([0.999, 0.83, 0.5, 0.01]), gamma=5.0)
    assert weights.argmax() == 1  # where the signal-to-noise ratio is gamma
    assert bool((weights > 0).all())


def test_a_perfect_reconstruction_costs_nothing() -> None:
    picture = torch.rand(1, 3, 8, 8)
    assert vae.reconstruction_loss(picture, picture, edges=0.5) == 0
    assert vae.reconstruction_loss(picture, picture + 0.1, edges=0.5) > 0


# --- optimisation ---


@given(rows=st.integers(2, 40), columns=st.integers(2, 40))
@settings(max_examples=20, deadline=None)
def test_orthogonalised_matrices_have_singular_values_near_one(rows: int, columns: int) -> None:
    torch.manual_seed(rows * 100 + columns)
    basis, _ = torch.linalg.qr(torch.randn(max(rows, columns), min(rows, columns)))
    values = torch.linspace(0.3, 1, min(rows, columns))  # neither tiny nor equal
    matrix = basis * values
    found = torch.linalg.svdvals(optimiser.orthogonalise(matrix if rows >= columns else matrix.T))
    assert float(found.min()) > 0.5
    assert float(found.max()) < 1.4


def test_the_rate_rises_and_falls() -> None:
    rates = [train_loop.learning_rate(step, SETTINGS) for step in range(SETTINGS.steps)]
    assert rates[0] < rates[4]
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] < 0.05 * SETTINGS.learning_rate


def test_an_early_end_brings_the_rate_to_zero() -> None:
    ending = train_loop.Ending(start=100, span=20, top=0.5)
    assert [ending.rate(step) for step in (100, 110, 120, 130)] == [0.5, 0.25, 0.0, 0.0]


def net() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16))


def test_a_restored_optimiser_goes_on_alike() -> None:
    whole, parted = optimiser.FlatOptimiser(net(), SETTINGS), optimiser.FlatOptimiser(net(), SETTINGS)
    steps = [torch.randn(len(whole.gradient)) for _ in range(4)]
    for gradient in steps:
        whole.gradient.copy_(gradient)
        whole.step(0.01)
    for gradient in steps[:2]:
        parted.gradient.copy_(gradient)
        parted.step(0.01)
    again = optimiser.FlatOptimiser(net(), SETTINGS)
    assert again.restore(parted.state()) == 2
    for gradient in steps[2:]:
        again.gradient.copy_(gradient)
        again.step(0.01)
    assert torch.equal(again.master, whole.master)
    assert torch.equal(again.average, whole.average)


class Regression(train_loop.Task):
    """Learn a linear map: as small as a training can be."""

    def __init__(self, out: Path) -> None:
        self.settings, self.out = SETTINGS, out

    def build(self) -> nn.Module:
        return net()

    def loss(self, model: nn.Module, rng: np.random.Generator, batch: int) -> torch.Tensor:
        x = torch.from_numpy(rng.normal(size=(batch, 16)).astype(np.float32))
        return (model(x.bfloat16()).float() - x.flip(1)).square().mean()

    def save(self, model: nn.Module) -> None:
        assert next(model.parameters()).dtype == torch.float32
        self.out.write_text("saved", encoding="utf-8")


@pytest.mark.filterwarnings("ignore")
def test_a_training_learns_and_leaves_a_curve(tmp_path: Path) -> None:
    curve = tmp_path / "curves" / "toy.csv"
    train_loop.train(Regression(tmp_path / "model"), "toy", tmp_path, curve, processes=1, resume=False)
    rows = curve.read_text(encoding="utf-8").splitlines()
    assert rows[0] == "step,loss,learning_rate"
    losses = [float(row.split(",")[1]) for row in rows[1:]]
    assert losses[-1] < losses[0]
    assert (tmp_path / "model").read_text(encoding="utf-8") == "saved"
    assert not list(tmp_path.glob("*.checkpoint.safetensors"))


# --- quality ---


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_prompts_ask_for_what_can_be_seen(seed: int) -> None:
    for asked in quality.fresh_prompts(12, np.random.default_rng(seed)):
        assert asked.style in styles.BASE_STYLES
        assert set(asked.names) <= styles.readable(asked.who, asked.style)
        assert captions.prompt(asked.who, asked.style, asked.names) == asked.text


@given(classes=st.lists(st.integers(0, 4), min_size=1, max_size=30))
@settings(deadline=None)
def test_agreement_with_oneself_is_full_and_chance_is_that_of_shuffled_answers(classes: list[int]) -> None:
    answer = np.array(classes)
    found = quality.agreement(answer, answer)
    assert found["accuracy"] == 1
    assert found["chance"] == pytest.approx(np.mean(answer[:, None] == answer[None, :]))
    assert quality.agreement(answer, answer + 1)["accuracy"] == 0


def test_scores_count_what_is_asked_only() -> None:
    who, style, _ = drawings.person(1, 0, laureate=0.0)
    labels, _ = drawings.labels_of(who, style)
    given_classes = {name: np.array([label]) for name, label in zip(drawings.HEADS, labels, strict=True)}
    found = quality.score([(who, style, frozenset({"pose"}))], given_classes)
    assert set(found) == {"pose", "style", "attributes"}
    assert found["attributes"]["accuracy"] == 1
    assert set(drawings.counts(labels[None])) == {*VOCABULARY, "style"}


# --- the shipped layout ---


def test_random_models_load_as_a_pipeline_in_single_precision(tiny_models: Path) -> None:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(tiny_models / "base", local_files_only=True)
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        assert {p.dtype for p in part.parameters()} == {torch.float32}
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert pipeline.tokenizer.model_max_length == tokenizer.LENGTH
