"""The vision net: shapes, files, and outputs that do not depend on the other pictures of a batch."""

from pathlib import Path

import pytest
import torch

from laureate.core.errors import LaureateError
from laureate.evaluation.judges.vision_net import VisionConfig, VisionNet

HEADS = {"style": ("photo", "ink"), "hair": ("bald", "long", "bun")}  # neither heads nor classes sorted
CONFIG = VisionConfig(size=32, channels=(8, 16, 24), heads=HEADS)


@pytest.fixture
def net() -> VisionNet:
    torch.manual_seed(0)
    return VisionNet(CONFIG).eval()


def pictures(n: int) -> torch.Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_one_logit_per_class_and_one_map_per_stage(net: VisionNet) -> None:
    reading = net(pictures(2))
    assert {name: tuple(logits.shape) for name, logits in reading.logits.items()} == {
        "hair": (2, 3),
        "style": (2, 2),
    }
    assert [tuple(layer.shape) for layer in reading.layers] == [(2, 8, 16, 16), (2, 16, 8, 8), (2, 24, 4, 4)]
    assert reading.features.ndim == 2
    assert len(reading.features) == 2


def test_a_picture_is_read_alike_alone_and_in_a_batch(net: VisionNet) -> None:
    with torch.inference_mode():
        alone, together = net(pictures(1)), net(pictures(5))
    torch.testing.assert_close(alone.features[0], together.features[0])
    for name in HEADS:
        torch.testing.assert_close(alone.logits[name][0], together.logits[name][0])
    for layer, in_batch in zip(alone.layers, together.layers, strict=True):
        torch.testing.assert_close(layer[0], in_batch[0])
    assert not torch.allclose(together.features[0], together.features[1], rtol=1e-3, atol=1e-4)


def test_what_is_saved_is_loaded(net: VisionNet, tmp_path: Path) -> None:
    net.save(tmp_path / "vision", dtype=torch.float32)
    again = VisionNet.load(tmp_path / "vision")
    assert again.config == net.config
    assert {name: list(classes) for name, classes in again.config.heads.items()} == {
        "hair": ["bald", "long", "bun"],
        "style": ["photo", "ink"],  # in the order of the logits
    }
    with torch.inference_mode():
        loaded, saved = again(pictures(2)), net(pictures(2))
    assert torch.equal(loaded.features, saved.features)
    for name in HEADS:
        assert torch.equal(loaded.logits[name], saved.logits[name])


def test_half_precision_is_stored_and_single_loaded(net: VisionNet, tmp_path: Path) -> None:
    net.save(tmp_path)
    again = VisionNet.load(tmp_path)
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    with torch.inference_mode():
        torch.testing.assert_close(
            again(pictures(2)).features, net(pictures(2)).features, rtol=0.02, atol=0.01
        )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaureateError, match=r"config\.json does not exist"):
        VisionNet.load(tmp_path)


def test_a_wrong_config_is_named(net: VisionNet, tmp_path: Path) -> None:
    net.save(tmp_path)
    (tmp_path / "config.json").write_text('{"size": 32}', encoding="utf-8")
    with pytest.raises(LaureateError, match=r"config\.json is not a vision judge's config"):
        VisionNet.load(tmp_path)
