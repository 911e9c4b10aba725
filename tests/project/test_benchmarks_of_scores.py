"""The benchmarks of scores on little work: that they run, and that both sides find the same."""

import argparse
import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from benchmarks import fid


@pytest.mark.filterwarnings("ignore")  # of the package that is compared with
def test_fid_measures_two_formulas_that_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    fid.add_arguments(parser)
    out = tmp_path / "fid.json"
    fid.run(parser.parse_args(["--quick", "--repeats=1", "--sizes", "150", f"--out={out}"]))
    row = json.loads(out.read_text())["rows"][0]
    assert row["difference"] < 1e-6
    assert row["ratio"] == pytest.approx(row["peer_seconds"] / row["ours_seconds"])
    assert "clean-fid s" in capsys.readouterr().out


def test_suite_finds_the_same_as_the_packages(tmp_path: Path) -> None:
    """Its all-pairs LPIPS; the square roots of FID at the width of Inception take too long for a test."""
    import numpy as np
    import torch
    from PIL import Image

    from benchmarks import suite
    from laureate.evaluation import scores
    from laureate.evaluation.judges.lpips_nets import LpipsJudge, lpips_module

    torch.manual_seed(0)
    alex = LpipsJudge(lpips_module("alex").eval())
    rng = np.random.default_rng(1)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            picture = Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8))
            picture.save(tmp_path / name / f"{number}.png")
    ours = suite.Ours(None, alex, tmp_path / "b")
    theirs = suite.Peer(None, alex, tmp_path / "b")
    layers = [ours.layers(suite.opened(tmp_path / name)) for name in ("a", "b")]
    np.testing.assert_allclose(scores.lpips(*layers), theirs.all_pairs(tmp_path / "a"), atol=1e-5)


def test_portraits_go_through_the_vae_of_a_base(tmp_path: Path, tiny_models: Path) -> None:
    """With random weights they come back changed, under their names and of their size."""
    import numpy as np
    from PIL import Image

    from benchmarks import judges

    real, back = tmp_path / "real", tmp_path / "back"
    real.mkdir()
    back.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(real / f"{name}.png")
    judges.round_trip(tiny_models / "base", real, back)
    assert sorted(path.name for path in back.iterdir()) == ["a.png", "b.png"]
    pixels = [np.asarray(Image.open(folder / "a.png")) for folder in (real, back)]
    assert pixels[0].shape == pixels[1].shape
    assert (pixels[0] != pixels[1]).mean() > 0.5
