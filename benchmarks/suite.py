"""suite: every distance of seven models to the references, against clean-fid's FID and KID and the lpips
package.

Both sides use the same two networks, Inception-v3 and AlexNet in their published shape with random weights,
on the same pictures on disk. The peer is used as its documentation says, with Inception-v3 as clean-fid
builds it: `compute_fid` and the body of `compute_kid` on two folders, and the `lpips` module on all pairs,
one generated picture with all references at a time. Ours looks at every picture once, keeps the features, and
computes FID, KID, precision, recall and LPIPS from them, each with its interval over 1,000 resamples. The
sides take turns, model by model; the references are ours only once.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness

COLUMNS = {
    "model": "model",
    "ours_seconds": "ours s",
    "peer_seconds": "peer s",
    "ratio": "ratio",
    "fid_difference": "FID, relative difference",
    "lpips_difference": "LPIPS, largest difference",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--models, --pictures, --references, --side."""
    harness.add_common(parser, repeats=1)
    parser.add_argument("--models", type=int, default=7, metavar="N")
    parser.add_argument("--pictures", type=int, default=98, metavar="N", help="of each model")
    parser.add_argument("--references", type=int, default=34, metavar="N")
    parser.add_argument("--side", type=int, default=128, metavar="PIXELS", help="of the pictures on disk")


def run(options: argparse.Namespace) -> None:
    """One row per model, and their sum."""
    if options.quick:
        options.models, options.pictures, options.references = 1, 4, 3
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        sets = draw(Path(folder), options)
        inception, plain, alex = judges()
        mine, theirs = Ours(inception, alex, sets["references"]), Peer(plain, alex, sets["references"])
        for model in [name for name in sets if name != "references"]:
            ours = harness.timed(partial(mine.score, sets[model]))
            peer = harness.timed(partial(theirs.score, sets[model]))
            rows.append(
                {
                    "model": model,
                    "ours_seconds": ours,
                    "peer_seconds": peer,
                    "ratio": peer / ours,
                    "fid_difference": abs(mine.fid / theirs.fid - 1),
                    "lpips_difference": float(np.abs(mine.lpips - theirs.lpips).max()),
                }
            )
    total = {key: sum(row[key] for row in rows) for key in ("ours_seconds", "peer_seconds")}
    rows.append({"model": "all", **total, "ratio": total["peer_seconds"] / total["ours_seconds"]})
    harness.report("suite", options, rows, COLUMNS)


def draw(folder: Path, options: argparse.Namespace) -> dict[str, Path]:
    """Folders of pictures of coloured noise, each set in other colours."""
    from PIL import Image

    rng = np.random.default_rng(0)
    names = ["references", *(f"model-{number}" for number in range(options.models))]
    sets = {name: folder / name for name in names}
    for place, (name, target) in enumerate(sets.items()):
        target.mkdir()
        for number in range(options.references if name == "references" else options.pictures):
            coarse = rng.integers(10 * place, 256, (8, 8, 3)).astype(np.uint8)
            picture = Image.fromarray(coarse).resize((options.side,) * 2, Image.Resampling.BICUBIC)
            picture.save(target / f"{number:04}.png")
    return sets


def judges() -> tuple[Any, Any, Any]:
    """Inception-v3 with random weights as a judge and as clean-fid has it, and AlexNet as a judge."""
    import torch

    from laureate.evaluation.judges.inception import InceptionJudge, untrained
    from laureate.evaluation.judges.lpips_nets import LpipsJudge, lpips_module

    torch.manual_seed(0)
    plain = settled(untrained())
    judge = InceptionJudge(copy.deepcopy(plain))
    plain.fc = torch.nn.Identity()
    return judge, plain, LpipsJudge(lpips_module("alex").eval())


def settled(net: Any) -> Any:
    """Weights of the size that keeps numbers in range from layer to layer (He et al. 2015)."""
    import torch

    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    return net


class Ours:
    """Every picture is looked at once."""

    fid: float
    lpips: Any

    def __init__(self, inception: Any, alex: Any, references: Path) -> None:
        self.inception, self.alex, self.references = inception, alex, references
        self._real: tuple[Any, Any] | None = None

    def score(self, folder: Path) -> None:
        """All scores of one model with their intervals."""
        from laureate.evaluation import scores

        self._real = self._real or self._look(self.references)
        (features, layers), (real, real_layers) = self._look(folder), self._real
        self.lpips = scores.lpips(layers, real_layers)
        resamples = scores.resample(range(len(features)), len(real))
        frechet = scores.Frechet(features, real)
        self.fid = scores.estimate(frechet, resamples).value
        k = min(3, len(real) - 1)
        for score in (
            scores.polynomial_kernel(features, real),
            scores.Manifold(features, real, "precision", k),
            scores.Manifold(features, real, "recall", k),
            scores.mean_over_pairs(self.lpips),
        ):
            scores.estimate(score, resamples)

    def layers(self, pictures: list[Any]) -> Any:
        """AlexNet's layers, in which LPIPS is a squared distance."""
        from laureate.evaluation import scores

        seen = self.alex.extract(pictures)
        found = [[seen[f"{kind}/{index}"] for index in range(5)] for kind in ("layers", "weights")]
        return scores.lpips_embedding(*found)

    def _look(self, folder: Path) -> tuple[Any, Any]:
        pictures = opened(folder)
        return self.inception.extract(pictures)["features"], self.layers(pictures)


class Peer:
    """clean-fid on two folders, twice, and lpips on all pairs."""

    fid: float
    lpips: Any

    def __init__(self, net: Any, alex: Any, references: Path) -> None:
        self.net, self.alex, self.references = net, alex, references

    def score(self, folder: Path) -> None:
        """FID, KID and LPIPS of one model."""
        import torch
        from cleanfid import fid

        place = next(self.alex.module.parameters()).device
        options = {"device": place, "num_workers": 0, "verbose": False, "batch_size": 32}

        def net(pictures: Any) -> Any:
            """What clean-fid asks of another net, of its own Inception-v3."""
            return self.net((pictures.to(place) - 128) / 128)

        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            self.fid = fid.compute_fid(
                str(folder), str(self.references), custom_feat_extractor=net, **options
            )
            # compute_kid takes no other net: these are its two folders and its formula
            features = [fid.get_folder_features(str(f), net, **options) for f in (folder, self.references)]
            fid.kernel_distance(*features)
        self.lpips = self.all_pairs(folder)

    def all_pairs(self, folder: Path) -> Any:
        """The lpips package on all pairs, a generated picture with all references at a time => (n, m)."""
        import torch

        place = next(self.alex.module.parameters()).device
        ours, theirs = (self._pixels(part).to(place) for part in (folder, self.references))
        with torch.inference_mode():
            rows = [self.alex.module(one.expand_as(theirs), theirs).flatten() for one in ours[:, None]]
        return torch.stack(rows).cpu().numpy()

    def _pixels(self, folder: Path) -> Any:
        """The folder's pictures as the lpips package wants them: NCHW in [-1, 1]."""
        from laureate.evaluation.judges.batching import pixels
        from laureate.evaluation.judges.lpips_nets import SIZE

        return pixels(opened(folder), SIZE) / 127.5 - 1


def opened(folder: Path) -> list[Any]:
    """The folder's pictures, by name."""
    from PIL import Image

    return [Image.open(file).convert("RGB") for file in sorted(folder.glob("*.png"))]
