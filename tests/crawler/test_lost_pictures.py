"""No portrait is lost in silence: a crawl stores it, or counts it as a fault of its picture."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from sites_of_faults import body, crawled, few, image, key, picture_bytes, site
from twisted.python.failure import Failure

from crawler.items import Portrait
from crawler.pipelines import PictureCheck, ResultWriter
from laureate.imaging.image_io import decode

pytestmark = pytest.mark.usefixtures("warm_crawler")


def several(form: str, count: int = 2) -> bytes:
    """A picture of several frames."""
    frames = [Image.effect_noise((40, 60), 90).convert("RGB") for _ in range(count)]
    buffer = io.BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (several("MPO"), "jpg"),
        (several("GIF", 3), "gif"),
        (several("PNG", 3), "png"),
        (several("WEBP", 3), "webp"),
        (several("TIFF"), "tif"),
        (picture_bytes(icc_profile=b"broken"), "jpg"),
        (picture_bytes(form="TIFF", mode="F"), "tif"),
    ],
    ids=["mpo", "gif", "apng", "webp", "tiff", "profile", "float"],
)
def test_an_odd_picture_is_stored_as_it_came(tmp_path: Path, data: bytes, suffix: str) -> None:
    first, second = few(2)
    with site([first, second], {image(first): body(data)}) as (address, _):
        rows, report = crawled(address, tmp_path / "raw")
    assert len(rows) == 2
    stored = tmp_path / "raw" / f"{key(first)}.{suffix}"
    assert stored.read_bytes() == data
    assert decode(data).mode == "RGB"
    assert report["coverage"]["pictures"] == 1.0
    assert report["faults"] == []


def test_an_exception_in_the_check_is_a_fault_of_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any) -> None:
        raise KeyError("MPO")

    monkeypatch.setattr("crawler.pipelines.identify", explode)
    options = SimpleNamespace(megapixels=1.0, state=str(tmp_path))
    check = PictureCheck(SimpleNamespace(settings={"LAUREATE": options}))  # type: ignore[arg-type]
    item = Portrait("1", "A", None, 2000, "phy", "p", "i.jpg", "Ill.", "illustration", b"x")
    fault = check.process_item(item)
    assert (fault.about, fault.address) == ("picture", "i.jpg")
    assert "KeyError" in fault.reason


def test_an_exception_in_any_pipeline_is_a_fault_of_the_picture() -> None:
    options = SimpleNamespace(site="http://a.example", public=lambda address: address)
    signals = SimpleNamespace(connect=lambda *_, **__: None)
    crawler: Any = SimpleNamespace(settings={"LAUREATE": options}, signals=signals)
    writer = ResultWriter(crawler)
    item = Portrait("1", "A", None, 2000, "phy", "p", "i.jpg", "Ill.", "illustration", b"x")
    for lost in (item, {"image": "i.jpg"}):
        writer.add_item_error(lost, Failure(ValueError("no")))
    assert [(fault.about, fault.address) for fault in writer.faults] == [("picture", "i.jpg")] * 2
    assert "ValueError: no" in writer.faults[0].reason
