"""POST /v1/images/edits of laureate serve, by the `openai` package's own client."""

import base64
import io
import json
import shutil
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import small_base
import yaml
from PIL import Image

from laureate.commands import portrait as portrait_command
from laureate.commands import serve
from laureate.config import params
from laureate.core.files import write_json
from laureate.imaging import png
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_files
from laureate.sampling import generator

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, root: Path) -> Path:
    """A small base, an adapter of random weights, a captioner, and limits that a test can reach."""
    folder = small_base.study(tmp_path_factory.mktemp("edits"))
    found = base_model.find(folder / "base")
    target = folder / "models/lora/rank-2"
    adapter_files.save(target, *small_base.adapter(found.unet(), 2, 2.0), small_base.TARGETS)
    write_json(target / "config.json", {"base": found.fingerprint})
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["prepare"] |= {"clip": str(tiny_models / "clip")}
    values["sample"]["steps"] = 4
    values["crawl"] = {"megabytes": 3.0, "megapixels": 2.0}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    shutil.copy(root / "data/vocabulary.yaml", folder / "data/vocabulary.yaml")
    return folder


@pytest.fixture(scope="module")
def address(study: Path) -> Iterator[str]:
    """The application on loopback, in this process, in the study's folder."""
    import socket

    import uvicorn

    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as listening:
        patch.chdir(study)
        app = serve.build(generator.Generator(params.load()))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        server.should_exit = True
        thread.join()


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=address, api_key="none", max_retries=0, timeout=60) as found:
        yield found


def photo(side: int = 80, form: str = "PNG") -> bytes:
    picture = Image.new("RGB", (side, side), (120, 150, 170))
    picture.paste((90, 20, 20), (side // 4, side // 4, 3 * side // 4, side))
    data = io.BytesIO()
    picture.save(data, form)
    return data.getvalue()


def opened(data: str | None) -> bytes:
    assert data is not None
    return base64.b64decode(data)


def test_the_same_client_generates_and_edits(client: openai.OpenAI) -> None:
    generated = client.images.generate(prompt="A hat.", model="rank-2", size="32x32")  # type: ignore[call-overload]
    assert Image.open(io.BytesIO(opened(generated.data[0].b64_json))).size == (32, 32)
    edited = client.images.edit(image=photo(), prompt="A hat.", model="rank-2", n=2)
    assert edited.data is not None
    pictures = [Image.open(io.BytesIO(opened(each.b64_json))) for each in edited.data]
    assert [picture.size for picture in pictures] == [(32, 32), (32, 32)]
    assert pictures[0].tobytes() != pictures[1].tobytes()


def test_an_edit_is_the_portrait_of_the_command(
    client: openai.OpenAI, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same photo, seed and strength: the same bytes, with the record in them, and the captioner's prompt."""
    monkeypatch.chdir(study)
    (tmp_path / "me.png").write_bytes(photo())
    out = str(tmp_path / "out.png")
    portrait_command.run(params.load(), str(tmp_path / "me.png"), strength=0.9, seed=5, out=out)
    answer = client.images.edit(image=photo(), prompt="", extra_body={"seed": 5, "strength": 0.9})
    assert answer.data is not None
    data = opened(answer.data[0].b64_json)
    assert data == Path(out).read_bytes()
    record = png.record_of(data)
    assert record is not None
    assert record["generated"] is True
    assert answer.data[0].revised_prompt == record["prompt"]
    assert record["prompt"].endswith("in the style of Nobel Laureate.")


def test_a_photo_given_as_a_list_or_with_a_name(client: openai.OpenAI) -> None:
    for image in ([("one.jpg", photo(form="JPEG"))], ("one.jpg", photo(form="JPEG"), "image/jpeg")):
        answer = client.images.edit(image=image, prompt="A hat.", size="64x64")  # type: ignore[call-overload]
        assert Image.open(io.BytesIO(opened(answer.data[0].b64_json))).size == (64, 64)


def large() -> bytes:
    data = io.BytesIO()
    Image.new("L", (2000, 1001)).save(data, "PNG")
    return data.getvalue()


def animation() -> bytes:
    data = io.BytesIO()
    first = Image.new("RGB", (64, 64), "red")
    first.save(data, "GIF", save_all=True, append_images=[Image.new("RGB", (64, 64), "blue")])
    return data.getvalue()


@pytest.mark.parametrize(
    ("given", "status", "param", "says"),
    [
        ({"image": b"no picture"}, 400, "image", "the photo cannot be used: it is no picture"),
        ({"image": large()}, 400, "image", "2000 x 1001 pixels, more than 2 million"),
        ({"image": animation()}, 400, "image", "an animation of 2 frames"),
        ({"image": photo(12)}, 400, "image", "the photo is too small: 12 x 12 pixels"),
        ({"image": bytes(3_100_000)}, 413, "image", "the body has more than 3 MB"),
        ({"image": [photo(), photo()]}, 400, "image", "send one photo as `image`, got 2"),
        ({"mask": photo()}, 400, "mask", "masks are not supported"),
        ({"model": "dall-e-3"}, 404, "model", "does not exist; there are baseline, rank-2"),
        ({"model": "rank-4"}, 404, "model", "does not exist"),
        ({"n": 5}, 400, "n", "less than or equal to 4"),
        ({"size": "64x32"}, 400, "size", "portraits are square, got 64x32"),
        ({"size": "30x30"}, 400, "size", "multiples of 8 up to 1024"),
        ({"prompt": "x" * 2001}, 400, "prompt", "at most 2000 characters"),
        ({"extra_body": {"strength": 0}}, 400, "strength", "greater than 0"),
        ({"extra_body": {"strength": 1.5}}, 400, "strength", "less than or equal to 1"),
        ({"extra_body": {"strength": "nan"}}, 400, "strength", "finite number"),
        ({"extra_body": {"strength": 0.05}}, 400, "strength", "no step is left at strength 0.05 of 12 steps"),
        ({"extra_body": {"start": "paint"}}, 400, "start", "'ink' or 'photo'"),
        ({"extra_body": {"seed": -1}}, 400, "seed", "greater than or equal to 0"),
        ({"response_format": "url"}, 400, "response_format", "b64_json"),
    ],
)
def test_an_error_has_the_shape_of_the_api(
    client: openai.OpenAI, given: dict[str, Any], status: int, param: str, says: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.images.edit(**({"image": photo(), "prompt": "A hat."} | given))
    assert caught.value.status_code == status
    assert caught.value.param == param
    assert says in caught.value.message
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"--y no"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: text/plain\r\n\r\nno name\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b""),
    ],
)
def test_a_body_that_is_no_form_is_said_to_be_none(address: str, kind: str, body: bytes) -> None:
    asked = urllib.request.Request(f"{address}/images/edits", body, {"Content-Type": kind})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(asked)
    with caught.value as answer:
        assert answer.code == 400
        error = json.loads(answer.read())["error"]
    assert error["type"] == "invalid_request_error"
    assert "form" in error["message"] or "send one photo" in error["message"]


def test_no_photo_goes_to_a_disk_or_a_log(
    client: openai.OpenAI, study: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A photo of more than a megabyte, beyond which frameworks write temporary files."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file was opened")

    noise = np.random.default_rng(1).integers(0, 256, (700, 700, 3)).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, "PNG")
    assert len(data.getvalue()) > 1_100_000
    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    monkeypatch.setattr(tempfile, "_TemporaryFileWrapper", refused)
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*")}
    answer = client.images.edit(image=("Ada Private.png", data.getvalue()), prompt="A hat.")
    assert answer.data is not None
    assert {path: path.stat().st_mtime_ns for path in study.rglob("*")} == before
    assert "Ada" not in caplog.text
    assert b"Ada" not in opened(answer.data[0].b64_json)
