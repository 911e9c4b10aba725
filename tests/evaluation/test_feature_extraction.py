"""Feature extraction: what a judge reads off a picture, and a prompt without its style phrase."""

import numpy as np

from laureate.evaluation import feature_extraction

CLASSES = {"hair": ("bald", "short", "long"), "headwear": ("none", "hat"), "style": ("comic", "laureate")}


def one_hot(*classes: int, of: int) -> np.ndarray:
    return np.eye(of, dtype=np.float32)[list(classes)]


def test_what_was_asked_is_read_back_attribute_by_attribute() -> None:
    seen = {
        "hair": one_hot(0, 1, 2, of=3),
        "headwear": one_hot(0, 0, 1, of=2),
        "style": one_hot(0, 1, 1, of=2),
    }
    asked = [{"hair": "bald", "headwear": "hat"}, {}, {"hair": "short"}]
    found = feature_extraction.content_read(seen, CLASSES, asked)
    np.testing.assert_array_equal(found, [[1, 0], [np.nan, np.nan], [0, np.nan]])
    assert np.isnan(feature_extraction.content_read(seen, CLASSES, [{}, {}, {}])).all()


def test_the_style_is_read_by_its_name() -> None:
    seen = {"style": one_hot(0, 1, 1, of=2)}
    np.testing.assert_array_equal(feature_extraction.style_read(seen, CLASSES, "laureate"), [0, 1, 1])
    np.testing.assert_array_equal(feature_extraction.style_read(seen, CLASSES, "comic"), [1, 0, 0])
