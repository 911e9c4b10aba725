"""The judges of the nobel world: the libraries' own nets with random weights, and finding weights."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.core.files import sha256_file
from laureate.evaluation import feature_extraction, scores
from laureate.evaluation.judges import loading, panel, weights
from laureate.evaluation.judges.batching import pixels
from laureate.evaluation.judges.dino import DinoJudge
from laureate.evaluation.judges.inception import InceptionJudge
from laureate.evaluation.judges.lpips_nets import LpipsJudge


def noise(count: int, size: int = 80, seed: int = 0) -> list[Image.Image]:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return [Image.fromarray(a).resize((size, size), Image.Resampling.BICUBIC) for a in small]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inception-v3, AlexNet, VGG-16 and a DINOv2, as the libraries make them, in safetensors."""
    import torch
    from safetensors.torch import save_file
    from torchvision.models import alexnet, vgg16
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    from laureate.evaluation.judges.inception import untrained

    where = tmp_path_factory.mktemp("judges")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = untrained()
        for module in net.modules():  # else a random net gives hardly any contrast
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.8, 1.2)
        save_file(net.state_dict(), where / "inception.safetensors")
        for name, maker in (("alexnet", alexnet), ("vgg16", vgg16)):
            backbone = maker(weights=None, init_weights=False) if name == "vgg16" else maker(weights=None)
            for (
                module
            ) in backbone.features:  # as above: torch's own initialisation gives deep layers no contrast
                if isinstance(module, torch.nn.Conv2d):
                    torch.nn.init.kaiming_normal_(module.weight)
            save_file(backbone.features.state_dict(prefix="features."), where / f"{name}.safetensors")
        config = Dinov2Config(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
        )
        Dinov2Model(config).save_pretrained(where / "dino")
    size = {"shortest_edge": 32}
    BitImageProcessorPil(size=size, crop_size={"height": 28, "width": 28}).save_pretrained(where / "dino")
    return where


def load(folder: Path, kind: str, batch: int) -> Any:
    if kind == "inception":
        return InceptionJudge.load(str(folder / "inception.safetensors"), batch)
    if kind == "dino":
        return DinoJudge.load(str(folder / "dino"), batch)
    net = kind.removeprefix("lpips-")
    file = {"alex": "alexnet", "vgg": "vgg16"}[net]
    judge = LpipsJudge.load(str(folder / f"{file}.safetensors"), net, batch)  # type: ignore[arg-type]
    return LpipsJudge(judge.module, batch, size=64)  # as LPIPS was fitted; the study uses 256


@pytest.mark.parametrize("kind", ["inception", "dino", "lpips-alex", "lpips-vgg"])
def test_features_do_not_depend_on_batch_and_order(folder: Path, kind: str) -> None:
    pictures = noise(2)
    whole, again = load(folder, kind, 2).extract(pictures), load(folder, kind, 1).extract(pictures[::-1])
    assert set(whole) == set(again)
    for name, values in whole.items():
        if not name.startswith("weights/"):
            assert len(values) == 2
            scale = float(np.abs(values).max())
            assert np.abs(values[0] - values[1]).max() > 1e-2 * scale, name  # else any order would do
            np.testing.assert_allclose(again[name][::-1], values, atol=1e-4 * scale, err_msg=name)


@pytest.mark.filterwarnings("ignore")  # of the package that calls the judge
def test_inception_agrees_with_clean_fid(folder: Path, tmp_path: Path) -> None:
    import torch
    from cleanfid import fid
    from safetensors.torch import load_file

    from laureate.evaluation.judges.inception import untrained

    judge, pictures, net = load(folder, "inception", 2), noise(2), untrained()
    net.load_state_dict(load_file(folder / "inception.safetensors"))
    net.fc = torch.nn.Identity()
    for index, picture in enumerate(pictures):
        picture.save(tmp_path / f"{index}.png")
    theirs = fid.get_folder_features(
        str(tmp_path),
        model=lambda images: net((images - 128) / 128),  # with its normalisation where it was
        num_workers=0,
        device=torch.device("cpu"),
        verbose=False,
    )
    seen = judge.extract(pictures)
    assert seen["features"].shape == (2, 2048)
    np.testing.assert_allclose(theirs, seen["features"], rtol=1e-3, atol=1e-5 * np.abs(theirs).max())
    assert seen["probabilities/imagenet"].shape == (2, 1008)
    np.testing.assert_allclose(seen["probabilities/imagenet"].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_all_pairs_lpips_is_the_lpips_package_pair_by_pair(folder: Path, net: str) -> None:
    import torch

    judge = load(folder, f"lpips-{net}", 2)
    x, y = noise(2, seed=1), noise(3, seed=2)
    found = scores.lpips(*(feature_extraction.lpips_of(judge.extract(part)) for part in (x, y)))
    a, b = (pixels(part, 64) / 127.5 - 1 for part in (x, y))
    with torch.inference_mode():
        expected = [[float(judge.module(p[None], q[None])) for q in b] for p in a]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.min(expected) > 1e-3
    assert scores.lpips(*(feature_extraction.lpips_of(judge.extract(x)) for _ in "12"))[
        0, 0
    ] == pytest.approx(0, abs=1e-5)


def test_weights_of_another_net_are_refused_by_name(folder: Path) -> None:
    with pytest.raises(LaureateError, match=r"alexnet\.safetensors does not fit FID's Inception-v3"):
        InceptionJudge.load(str(folder / "alexnet.safetensors"))
    with pytest.raises(LaureateError, match=r"vgg16\.safetensors lacks features\.3\.weight"):
        LpipsJudge.load(str(folder / "vgg16.safetensors"), "alex")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("judges/none.safetensors", r"judges/none\.safetensors is missing.*docs/scores\.md"),
        ("judges/none", r"judges/none/config\.json is missing.*evaluate\.judges\.looks\.source"),
        ("models/embedded/none", r"git checkout models/embedded/none"),
        ("hub:openai/clip", r"write hub:OWNER/NAME@REVISION"),
        (
            "hub:openai/clip-vit-large-patch14@32bd64288804",
            r"needs openai/clip-vit-large-patch14 at 32bd64288804.*"
            r"`hf download openai/clip-vit-large-patch14 --revision 32bd64288804`",
        ),
    ],
)
def test_absent_weights_are_one_sentence_that_says_what_to_fetch(
    source: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LaureateError, match=sentence):
        weights.find(source, "looks")


def test_weights_in_the_hubs_cache_are_found_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout of the hub's cache, as its client leaves it."""
    import shutil

    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    revision = "f" * 40
    snapshot = tmp_path / "models--facebook--dinov2-base" / "snapshots" / revision
    shutil.copytree(folder / "dino", snapshot)
    found = weights.find(f"hub:facebook/dinov2-base@{revision}", "dino")
    assert found.path == snapshot
    assert set(found.hashes) == {"config.json", "preprocessor_config.json", "model.safetensors"}
    assert found.sha256 == sha256_file(folder / "dino/model.safetensors")
    with pytest.raises(LaureateError, match=r"is not what evaluate\.judges\.dino\.sha256 says"):
        weights.find(f"hub:facebook/dinov2-base@{revision}", "dino", "0" * 64)


def test_every_kind_of_judge_is_loaded_by_its_section(
    folder: Path, tmp_path: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole panel of the nobel world, with small weights: each judge runs once, then is cached."""
    sources: dict[str, tuple[str, Path]] = {
        "inception": ("inception", folder / "inception.safetensors"),
        "clip": ("clip", tiny_models / "clip"),
        "dino": ("dino", folder / "dino"),
        "alex": ("lpips-alex", folder / "alexnet.safetensors"),
    }
    evaluate = params.Evaluate(
        judges={
            name: params.Judge(kind=kind, source=str(path))  # type: ignore[arg-type]
            for name, (kind, path) in sources.items()
        },
        roles=params.Roles(
            looks="inception",
            text="clip",
            cmmd="clip",
            dino="dino",
            lpips="alex",
            style="alex",
            attributes=None,
        ),
    )
    pictures = panel.PictureSet([Path(f"{i}.png") for i in range(3)], noise(3))
    cold = panel.Panel(evaluate, tmp_path / "judged")
    before = {role: cold.extract(role, pictures) for role, _ in evaluate.roles}
    assert before["attributes"] is None
    assert cold.classes() == {}
    record = cold.record()
    assert record["alex"]["roles"] == ["lpips", "style"]
    assert record["inception"]["sha256"] == {
        "inception.safetensors": sha256_file(folder / "inception.safetensors")
    }
    assert "resize to 299" in record["inception"]["preprocessing"]
    assert "resize to 256" in record["alex"]["preprocessing"]
    for judge in ("clip", "dino"):
        assert "preprocessor_config.json" in record[judge]["preprocessing"]

    def refuse(*_: Any) -> None:
        raise AssertionError("a judge was loaded although its outputs are cached")

    monkeypatch.setattr(loading, "load", refuse)
    warm = panel.Panel(evaluate, tmp_path / "judged")
    for role, seen in before.items():
        again = warm.extract(role, pictures)
        assert (again is None) == (seen is None)
        for name, values in (seen or {}).items():
            np.testing.assert_array_equal(again[name], values)  # type: ignore[index]


def test_the_judges_of_the_worlds_are_valid_and_pinned(root: Path) -> None:
    import yaml

    from_hub = []
    for world in ("embedded", "nobel"):
        section = yaml.safe_load((root / f"worlds/{world}.yaml").read_text())["evaluate"]
        evaluate = params.Evaluate.model_validate(section)
        assert params._check_roles(evaluate) is None
        for judge in evaluate.judges.values():
            if judge.source.startswith("hub:"):
                from_hub.append(judge.source)
                match = weights.HUB.fullmatch(judge.source)
                assert match, judge.source
                assert re.fullmatch(r"[0-9a-f]{40}", match[2]), judge.source
    assert from_hub
