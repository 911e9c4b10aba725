"""Pictures as a stream: what is held at once, what is left out, what is remarked on."""

import gc
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from laureate.core.errors import LaureateError
from laureate.evaluation import feature_stream
from laureate.evaluation.feature_stream import ReadLog
from laureate.formats import generated_folder
from laureate.formats.generated_folder import Entry
from laureate.formats.generation_metadata import Generation


@pytest.fixture(scope="module", autouse=True)
def quick_collection() -> Iterator[None]:
    """`gc.collect` looks at what these tests make, not at all that is imported."""
    gc.freeze()
    yield
    gc.unfreeze()


class Counting:
    """A judge that counts how many of the pictures it was ever shown are still held by anybody."""

    def __init__(self) -> None:
        self.shown: list[weakref.ref[Image.Image]] = []
        self.most = 0

    def extract(self, pictures: Sequence[Image.Image]) -> dict[str, np.ndarray]:
        self.shown += [weakref.ref(picture) for picture in pictures]
        gc.collect()
        self.most = max(self.most, sum(one() is not None for one in self.shown))
        values = np.array([np.asarray(picture, dtype=np.float32).mean(axis=(0, 1)) for picture in pictures])
        maps = np.ones((len(pictures), 4, 16, 16), np.float32) * (1 + values[:, :1, None, None])
        return {"features": values, "layers/0": maps, "layers/1": maps}

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[len(text), 1.0, 0.0] for text in texts])


def folder(where: Path, count: int, size: tuple[int, int] = (16, 16)) -> list[Entry]:
    where.mkdir(exist_ok=True)
    rng = np.random.default_rng(count)
    for index in range(count):
        pixels = rng.integers(0, 256, (*size[::-1], 3)).astype(np.uint8)
        Image.fromarray(pixels).save(where / f"p{index % 3}x_{index}.png")
    return generated_folder.read(where, sorted(where.glob("*.png")))[0]


def test_pictures_are_let_go_and_features_stay(tmp_path: Path) -> None:
    entries, judge = folder(tmp_path / "a", 300), Counting()
    found, looked = feature_stream.extract_set("a", entries, {"judge": judge})
    assert len(judge.shown) == len(looked.entries) == 300
    assert judge.most <= 2 * feature_stream.BATCH  # one batch in work, and perhaps the one before
    assert found.seen["judge"]["looks"].shape == (300, 3)
    assert found.seen["judge"]["style"].shape == (300, 20)  # 4 x 5 / 2 of each layer
    held = [roles.base is None or roles.base.nbytes == roles.nbytes for roles in found.seen["judge"].values()]
    assert all(held)  # no view keeps feature maps alive
    assert found.keys[0] == ("p0x", 0)


def test_the_batches_do_not_change_the_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = folder(tmp_path / "a", 20)
    whole = feature_stream.extract_set("a", entries, {"j": Counting()}, ["j"])[0]
    monkeypatch.setattr(feature_stream, "BATCH", 3)
    parts = feature_stream.extract_set("a", entries, {"j": Counting()}, ["j"])[0]
    np.testing.assert_array_equal(whole.seen["j"]["looks"], parts.seen["j"]["looks"])
    np.testing.assert_array_equal(whole.text_scores["j"], parts.text_scores["j"])
    assert whole.text_scores["j"].shape == (20,)


def test_unreadable_and_blank_pictures_are_named(tmp_path: Path) -> None:
    entries = folder(tmp_path / "a", 5)
    broken, blank = entries[1].file, entries[2].file
    broken.write_bytes(broken.read_bytes()[:80])
    Image.new("RGB", (16, 16), "black").save(blank)
    found, looked = feature_stream.extract_set(
        "a", entries, {"j": Counting()}, unreadable=[(Path("x.png"), "no")]
    )
    assert len(found.keys) == 4
    sentences = feature_stream.remarks("a", looked)
    assert sentences[0] == "a: 2 files that cannot be read are left out, such as x.png: no."
    assert str(broken) in str(looked.unreadable)
    assert sentences[1].startswith(f"a: 1 of 4 pictures have one colour only, such as {blank}")
    assert feature_stream.remarks("r", looked, references=True)[-1].startswith("4 references are few")


def test_one_picture_is_too_few(tmp_path: Path) -> None:
    entries = folder(tmp_path / "a", 2)
    entries[0].file.write_bytes(b"")
    with pytest.raises(
        LaureateError, match="a has 1 picture that can be read, and a score needs two or more; 1 f"
    ):
        feature_stream.extract_set("a", entries, {"j": Counting()})


def test_sets_that_share_pictures_are_told(tmp_path: Path) -> None:
    looked = {}
    for name in ("a", "b", "c"):
        count = 4 if name == "c" else 3  # a and b are drawn alike, c is not
        looked[name] = feature_stream.extract_set(name, folder(tmp_path / name, count), {"j": Counting()})[1]
    assert feature_stream.shared_pictures(looked) == [
        "a and b share 3 pictures, pixel by pixel: their distance is too small."
    ]
    assert feature_stream.shared_pictures({"a": ReadLog(), "b": ReadLog()}) == []


def entry(width: int, height: int) -> Entry:
    return Entry(Path(f"{width}.png"), (width, height), Generation())


def test_pictures_of_one_square_size_stay_as_they_are() -> None:
    assert feature_stream.common_side([entry(64, 64)] * 3) == (None, "")


def test_mixed_sizes_are_brought_to_the_smallest_side(tmp_path: Path) -> None:
    side, sentence = feature_stream.common_side([entry(64, 64), entry(48, 90), entry(64, 64)])
    assert side == 48
    assert sentence.startswith("Pictures have 2 sizes, 48 x 90 (48.png), 64 x 64 (64.png): each is cut")
    assert feature_stream.common_side([entry(48, 90)] * 2)[0] == 48  # of one size, but not square
    batches = list(feature_stream.decoded(folder(tmp_path / "a", 3, (20, 30)), ReadLog(), 10))
    assert [picture.size for batch in batches for picture in batch] == [(10, 10)] * 3
