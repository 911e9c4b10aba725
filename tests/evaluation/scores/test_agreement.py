"""The scores against torch-fidelity's and clean-fid's own formulas on fixed random features."""

import numpy as np
import pytest
import torch

from laureate.evaluation import scores

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages that are compared with
KID = {
    "kid_kernel": "poly",
    "kid_kernel_poly_degree": 3,
    "kid_kernel_poly_gamma": None,
    "kid_kernel_poly_coef0": 1,
}


def features(seed: int, n: int, d: int, shift: float = 0.0) -> np.ndarray:
    """Correlated and at least 0, as those of a net are."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(n, 32)) @ rng.normal(size=(32, d)) / 6 + shift, 0)


@pytest.mark.parametrize(("n", "m", "d"), [(98, 34, 64), (45, 60, 256), (300, 200, 24)])
def test_frechet_distance(n: int, m: int, d: int) -> None:
    from torch_fidelity import metric_fid

    x, y = features(1, n, d), features(2, m, d, 0.2)
    stats = [metric_fid.fid_features_to_statistics(torch.from_numpy(z)) for z in (x, y)]
    theirs = metric_fid.fid_statistics_to_metric(*stats, verbose=False)[metric_fid.KEY_METRIC_FID]
    assert scores.frechet_distance(x, y) == pytest.approx(theirs, rel=1e-6)


def test_kernel_distance() -> None:
    from torch_fidelity import metric_kid

    x, y = features(3, 50, 64), features(4, 50, 64, 0.1)
    grams = [metric_kid.kernel_poly(a, b, **KID) for a, b in ((x, x), (x, y), (y, y))]
    assert scores.kernel_distance(x, y) == pytest.approx(metric_kid.mmd2(*grams), rel=1e-6)
    assert not np.isclose(scores.kernel_distance(x, y), metric_kid.mmd2(*grams, mmd_est="biased"), rtol=1e-2)


def test_kernel_distance_is_clean_fids_where_it_takes_every_picture() -> None:
    """With sets of equal size each of its random subsets is the whole, and the mean the same number."""
    from cleanfid.fid import kernel_distance

    x, y = features(5, 40, 32), features(6, 40, 32, 0.1)
    assert scores.kernel_distance(x, y) == pytest.approx(kernel_distance(x, y, num_subsets=2), rel=1e-6)


@pytest.mark.parametrize(("n", "splits"), [(98, 1), (60, 10)])
def test_inception_score(n: int, splits: int) -> None:
    from torch_fidelity import metric_isc

    logits = torch.from_numpy(np.random.default_rng(7).normal(size=(n, 20)) * 2)
    theirs = metric_isc.isc_features_to_metric(logits, splits=splits, shuffle=False)
    ours = scores.inception_score(logits.softmax(dim=1).numpy(), splits)
    assert ours == pytest.approx(theirs[metric_isc.KEY_METRIC_ISC_MEAN], rel=1e-6)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall(k: int) -> None:
    from torch_fidelity import metric_prc

    x, y = features(8, 98, 16), features(9, 34, 16, 0.05)
    theirs = metric_prc.calculate_precision_recall_full(torch.from_numpy(x), torch.from_numpy(y), k)
    assert scores.precision_recall(x, y, k) == pytest.approx(theirs, rel=1e-6)
    assert 0 < theirs[0] < 1  # else nothing is compared
