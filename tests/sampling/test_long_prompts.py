"""Prompts longer than the text encoder reads, in chunks: the encoding, the pictures, what depends on what."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_base
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from laureate.config import params  # noqa: E402
from laureate.core import paths  # noqa: E402
from laureate.formats.prompts import Prompt  # noqa: E402
from laureate.networks.diffusion import base_model, encoding  # noqa: E402
from laureate.networks.lora import adapter_files  # noqa: E402
from laureate.sampling import pipeline  # noqa: E402
from laureate.sampling.generator import Generator  # noqa: E402
from laureate.stages import sample  # noqa: E402

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STYLE = "in the style of Nobel Laureate"
LONG = "A man with a hat and round glasses and a beard, " * 13 + STYLE
LONGER = "A woman with a scarf, " * 40 + STYLE
PROMPTS = [Prompt("man", "A man.", "seed"), Prompt("long", LONG, "seed"), Prompt("longer", LONGER, "seed"),
           Prompt("hat", "A hat.", "seed")]  # fmt: skip


@pytest.fixture(scope="module")
def made(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base with an adapter that changes the picture a lot."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    unet = base_model.find(folder / "base").unet()
    adapter_files.save(folder / "models/lora/rank-2", *small_base.adapter(unet, 2, 2.0), small_base.TARGETS)
    return folder


@pytest.fixture
def study(made: Path, working_copy: Callable[[Path], Path]) -> params.Params:
    working_copy(made)
    found = params.load()
    own = found.sample.model_copy(update={"long_prompts": "chunks", "steps": 3, "precision": "float32"})
    return found.model_copy(update={"sample": own})


@pytest.fixture(scope="module")
def parts(made: Path) -> tuple[Any, Any]:
    found = base_model.find(made / "base")
    return found.tokenizer(), found.text_encoder()


def latents(study: params.Params, asked: list[Prompt], **values: Any) -> dict[str, Any]:
    """Prompt => the latents of its picture by the adapter."""
    own = study.model_copy(update={"sample": study.sample.model_copy(update=values)})
    found = base_model.expected(own.base)
    drawn = pipeline.latents(found, paths.ADAPTERS / "rank-2", [(prompt, 1) for prompt in asked], own)
    return dict(zip((prompt.id for prompt in asked), torch.cat(list(drawn)), strict=True))


def count(tokenizer: Any, text: str) -> int:
    """The number of chunks that a text has."""
    words = tokenizer(text, truncation=False, add_special_tokens=False, verbose=False).input_ids
    return max(1, -(-len(words) // 75))


@given(st.lists(st.sampled_from(["a", "man", "hat,", "glasses", "é", "帽", "!"]), max_size=200).map(" ".join))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_chunks_hold_every_token_once_between_start_and_end(parts: tuple[Any, Any], text: str) -> None:
    tokenizer = parts[0]
    words = tokenizer(text, truncation=False, add_special_tokens=False, verbose=False).input_ids
    rows = encoding.chunk_ids(tokenizer, text)
    assert rows.shape == (count(tokenizer, text), 77)
    assert (rows[:, 0] == tokenizer.bos_token_id).all()
    read = [word for row in rows.tolist() for word in row[1 : row.index(tokenizer.eos_token_id)]]
    assert read == words
    if len(rows) == 1:
        assert torch.equal(rows, encoding.token_ids(tokenizer, [text]))


def test_a_text_of_one_chunk_is_embedded_as_ever_and_a_long_one_chunk_by_chunk(
    parts: tuple[Any, Any],
) -> None:
    tokenizer, encoder = parts
    short, long, longer = encoding.embed_chunks(tokenizer, encoder, ["A man.", LONG, LONGER], batch=2)
    assert torch.allclose(short, encoding.embed(tokenizer, encoder, ["A man."])[0], atol=1e-6)
    assert 77 < len(long) < len(longer)
    assert (len(long), len(longer)) == (77 * count(tokenizer, LONG), 77 * count(tokenizer, LONGER))
    # computed by hand, one chunk after the other
    words = tokenizer(LONG, add_special_tokens=False, truncation=False, verbose=False).input_ids
    for number, start in enumerate(range(0, len(words), 75)):
        chunk = [tokenizer.bos_token_id, *words[start : start + 75], tokenizer.eos_token_id]
        chunk += [tokenizer.pad_token_id] * (77 - len(chunk))
        with torch.inference_mode():
            wanted = encoder(torch.tensor([chunk])).last_hidden_state[0]
        assert torch.allclose(long[77 * number : 77 * number + 77], wanted, atol=1e-5)


def test_both_sides_of_guidance_have_the_same_number_of_chunks(parts: tuple[Any, Any]) -> None:
    own = params.Sample(long_prompts="chunks", negative_prompt=LONG)
    states, negatives = pipeline.conditions(*parts, ["A man.", LONGER], own)
    long, longer = (77 * count(parts[0], text) for text in (LONG, LONGER))
    assert [len(text) for text in states] == [long, longer]
    assert {tokens: text.shape[:2] for tokens, text in negatives.items()} == {
        long: (1, long),
        longer: (1, longer),
    }
    (empty,) = encoding.embed_chunks(*parts, [""])
    assert torch.allclose(states[0][77:154], empty, atol=1e-6)
    assert torch.allclose(negatives[longer][0, long : long + 77], empty, atol=1e-6)


def test_a_picture_depends_on_neither_the_batch_nor_the_other_prompts(study: params.Params) -> None:
    together = latents(study, PROMPTS, batch=4)
    for batch in (1, 3):
        for name, other in latents(study, PROMPTS[::-1], batch=batch).items():
            assert torch.allclose(together[name], other, atol=1e-4)
    for prompt in PROMPTS:
        assert torch.allclose(latents(study, [prompt], batch=4)[prompt.id], together[prompt.id], atol=1e-4)


def test_short_prompts_are_drawn_as_without_chunks_and_long_ones_otherwise(study: params.Params) -> None:
    chunks, cut = latents(study, PROMPTS), latents(study, PROMPTS, long_prompts="cut")
    assert torch.allclose(chunks["man"], cut["man"], atol=1e-4)
    assert (chunks["long"] - cut["long"]).abs().max() > 1e-3


def test_the_picture_is_that_of_diffusers_from_the_same_embeddings(study: params.Params) -> None:
    from diffusers import StableDiffusionPipeline

    found = base_model.expected(study.base)
    tokenizer, encoder = found.tokenizer(), found.text_encoder()
    (states,), negatives = pipeline.conditions(tokenizer, encoder, [LONG], study.sample)
    peer = StableDiffusionPipeline.from_pretrained(
        found.folder, safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        local_files_only=True,
    )  # fmt: skip
    peer.set_progress_bar_config(disable=True)
    from laureate.sampling import sampler

    peer.scheduler = sampler.solver(found.scheduler, study.sample.scheduler)
    side = study.drawn_at // found.downscale
    noise = pipeline.starting_noise("long", 1, (peer.unet.config.in_channels, side, side))[None]
    wanted = peer(
        prompt_embeds=states[None], negative_prompt_embeds=negatives[len(states)], latents=noise,
        num_inference_steps=study.sample.steps, guidance_scale=study.sample.guidance,
        height=study.drawn_at, width=study.drawn_at, output_type="latent",
    ).images  # fmt: skip
    (drawn,) = pipeline.latents(found, None, [(PROMPTS[1], 1)], study)
    assert torch.allclose(drawn, wanted, atol=1e-3)


def test_nothing_is_said_to_be_cut_and_the_generator_draws_the_same(
    study: params.Params, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("long.yaml").write_text(f"- {{id: long, text: '{LONG}', set: seed}}\n")
    own = study.sample.model_copy(update={"prompts": ["long.yaml"], "seeds": [1], "plain": 0})
    study = study.model_copy(update={"sample": own})
    sample.run(study, "rank-2")
    assert "is not read" not in capsys.readouterr().err
    studio = Generator(study)
    assert studio.read(LONG) == (LONG, None)
    (picture,) = studio.draw("rank-2", LONG, [1], (study.drawn_at, study.drawn_at))
    from PIL import Image, ImageChops

    with Image.open(paths.SAMPLES / "rank-2/long_1.png") as drawn:
        apart = ImageChops.difference(drawn, picture).getextrema()
    assert max(high for _, high in apart) <= 1
