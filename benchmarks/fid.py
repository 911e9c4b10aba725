"""fid: the Fréchet distance from features, against clean-fid's own formula, at the width of Inception-v3.

Both get the same features in memory. clean-fid's part is what its `fid_from_feats` does: means, covariances,
and the square root of a 2048 × 2048 matrix; ours is `scores.frechet_distance`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import warnings
from typing import Any

import numpy as np

from benchmarks import harness

WIDTH, SIZES = 2048, (45, 200)
COLUMNS = {
    "n": "n",
    "d": "d",
    "ours_seconds": "ours s",
    "peer_seconds": "clean-fid s",
    "ratio": "ratio",
    "ratio_low": "from",
    "ratio_high": "to",
    "difference": "relative difference",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--sizes, --width."""
    harness.add_common(parser, repeats=5)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="pictures in each set"
    )
    parser.add_argument("--width", type=int, default=WIDTH, metavar="D", help="features of a picture")


def run(options: argparse.Namespace) -> None:
    """One row per number of pictures."""
    width = 128 if options.quick else options.width
    rows = [measure(n, width, options.repeats) for n in options.sizes]
    harness.report("fid", options, rows, COLUMNS)


def measure(n: int, d: int, repeats: int) -> dict[str, Any]:
    """Both formulas on n pictures a set; features are those of a net, correlated and at least 0."""
    from laureate.evaluation import scores

    rng = np.random.default_rng(n)
    shared = rng.normal(size=(64, d))
    x, y = (np.maximum(rng.normal(size=(n, 64)) @ shared / 8 + shift, 0) for shift in (0.3, 0.4))
    found: dict[str, float] = {}

    def ours() -> None:
        found["ours"] = scores.frechet_distance(x, y)

    def peer() -> None:
        found["peer"] = clean_fid(x, y)

    # a warm round of ours only: the peer's takes long, and nothing of it is kept for the next
    ours()
    seconds = harness.interleaved({"ours": ours, "peer": peer}, repeats, warm=0)
    difference = abs(found["ours"] / found["peer"] - 1)
    return {"n": n, "d": d, "difference": float(difference), **harness.against(seconds, "ours", "peer")}


def clean_fid(x: Any, y: Any) -> float:
    """clean-fid's `fid_from_feats`."""
    from cleanfid.fid import fid_from_feats

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # it asks scipy in words that scipy no longer likes
        return float(fid_from_feats(x, y))
