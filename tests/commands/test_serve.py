"""`laureate serve`: base and adapters as an images endpoint; external models get a row in the table."""

import base64
import io
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import requests
import small_base
import yaml
from drawn_study import draw_study
from PIL import Image

from laureate.commands import images, serve, serve_limits
from laureate.comparison import results_table
from laureate.config import params
from laureate.core import secrets
from laureate.core.errors import LaureateError
from laureate.core.files import write_json
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_files
from laureate.sampling import generator
from laureate.stages import compare, evaluate, report, sample

# diffusers' DPM-Solver hands a tensor to np.array, which NumPy 2 dislikes in torch's __array__
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def study(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base with one trained adapter, whose weights are large enough to be seen in a picture."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    unet = base_model.find(folder / "base").unet()
    adapter_files.save(folder / "models/lora/rank-2", *small_base.adapter(unet, 2, 2.0), small_base.TARGETS)
    return folder


@pytest.fixture(scope="module")
def address(study: Path) -> Iterator[str]:
    """The command itself, in a process of its own."""
    command = [sys.executable, "-m", "laureate", "serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=study, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    found = re.match(r"(http://127\.0\.0\.1:\d+/v1) serves", line)
    assert found, line + process.stderr.read()
    yield found[1]
    process.terminate()
    process.communicate(timeout=20)


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=address, api_key="none", max_retries=0, timeout=60) as found:
        yield found


def opened(data: str | None) -> Image.Image:
    assert data is not None
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_it_lists_what_it_can_draw(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["baseline", "rank-2"]  # rank-4 is not trained
    assert client.models.retrieve("rank-2").owned_by == "laureate"
    with pytest.raises(openai.NotFoundError, match="rank-4"):
        client.models.retrieve("rank-4")


def test_a_prompt_of_the_study_gives_the_picture_of_the_study(
    study: Path, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    for model in ("baseline", "rank-2"):
        sample.run(params.load(), model)
        answer = client.images.generate(
            prompt="A woman.",
            model=model,
            n=2,
            size="32x32",
            response_format="b64_json",
            extra_body={"seed": 1},
        )
        assert answer.data is not None
        for picture, seed in zip(answer.data, (1, 2), strict=True):
            with Image.open(f"data/samples/{model}/woman_{seed}.png") as wanted:
                apart = np.asarray(opened(picture.b64_json), dtype=int) - np.asarray(wanted, dtype=int)
            assert abs(apart).max() <= 1  # another batch size may round another way


def test_models_and_seeds_differ_and_the_same_gives_the_same(client: openai.OpenAI) -> None:
    def draw(model: str, seed: int | None) -> str | None:
        body = {} if seed is None else {"seed": seed}
        answer = client.images.generate(prompt="A hat.", model=model, size="32x32", extra_body=body)
        assert answer.data is not None
        return answer.data[0].b64_json

    first = draw("baseline", 7)
    assert draw("baseline", 7) == first
    assert len({first, draw("baseline", 8), draw("rank-2", 7), draw("baseline", None)}) == 4


def test_other_sizes(client: openai.OpenAI) -> None:
    answer = client.images.generate(prompt="A hat.", model="baseline", size="64x24")  # type: ignore[call-overload]
    assert opened(answer.data[0].b64_json).size == (64, 24)


@pytest.mark.parametrize(
    ("body", "status", "param", "says"),
    [
        ({"prompt": "x", "model": "dall-e-3"}, 404, "model", "does not exist; there are baseline, rank-2"),
        ({"model": "baseline"}, 400, "prompt", "Field required"),
        ({"prompt": ""}, 400, "prompt", "at least 1 character"),
        ({"prompt": "x" * 2001}, 400, "prompt", "at most 2000 characters"),
        ({"prompt": "x", "n": 5}, 400, "n", "less than or equal to 4"),
        ({"prompt": "x", "n": 0}, 400, "n", "greater than or equal to 1"),
        ({"prompt": "x", "size": "4096x4096"}, 400, "size", "multiples of 8 up to 1024"),
        ({"prompt": "x", "size": "30x32"}, 400, "size", "multiples of 8 up to 1024"),
        ({"prompt": "x", "size": "0x32"}, 400, "size", "multiples of 8 up to 1024"),
        ({"prompt": "x", "size": "large"}, 400, "size", "pattern"),
        ({"prompt": "x", "seed": -1}, 400, "seed", "greater than or equal to 0"),
        ({"prompt": "x", "response_format": "url"}, 400, "response_format", "b64_json"),
        ({"prompt": "x", "stream": True}, 400, "stream", "False"),
    ],
)
def test_an_error_has_the_shape_of_the_api(
    client: openai.OpenAI, body: dict[str, Any], status: int, param: str, says: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.post("/images/generations", body=body, cast_to=object)
    assert caught.value.status_code == status
    assert caught.value.param == param
    assert says in caught.value.message
    assert caught.value.type == "invalid_request_error"


def test_what_is_no_request_has_the_shape_too(client: openai.OpenAI) -> None:
    for path, status in (("/nothing", 404), ("/models", 405)):
        with pytest.raises(openai.APIStatusError) as caught:
            client.post(path, body={}, cast_to=object)
        assert caught.value.status_code == status
        assert caught.value.type == "invalid_request_error"


NULLS = {"model": None, "n": None, "size": None, "seed": None, "response_format": None, "stream": None}


def test_null_is_absent(address: str) -> None:
    answer = requests.post(f"{address}/images/generations", json={"prompt": "A hat.", **NULLS}, timeout=60)
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 1
    refused = requests.post(f"{address}/images/generations", json={"prompt": None}, timeout=60)
    assert refused.status_code == 400
    assert "prompt: Field required" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("data", "kind", "status", "says"),
    [
        (b'{"prompt": "A hat."}', None, 415, "Content-Type: application/json (it is missing)"),
        (b'{"prompt": "A hat."}', "text/plain", 415, "got 'text/plain'"),
        (b"prompt=hat", "application/x-www-form-urlencoded", 415, "application/json"),
        (b"{", "application/json", 400, "the body is not JSON"),
        (b"\xff\xfe", "application/json", 400, "body"),
        (b"[" * 100_000, "application/json", 400, "body"),
        (b"[]", "application/json", 400, "body"),
        (b'{"prompt": "\\ud800"}', "application/json", 400, "prompt: Input should be a valid string"),
        (b'{"prompt": "  "}', "application/json", 400, "empty"),
        (b"x" * 300_000, "application/json", 413, "more than 0.2 MB"),
    ],
)
def test_a_bad_body_is_told_clearly(
    address: str, data: bytes, kind: str | None, status: int, says: str
) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = requests.post(f"{address}/images/generations", data=data, headers=headers, timeout=60)
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]


def test_a_prompt_that_is_cut_is_said_and_not_given_back_whole(address: str) -> None:
    prompt = "A hat and a man, " * 60
    answer = requests.post(f"{address}/images/generations", json={"prompt": prompt}, timeout=60).json()
    assert "is not read" in answer["warning"]
    assert prompt.startswith(answer["data"][0]["revised_prompt"])
    assert len(answer["data"][0]["revised_prompt"]) < len(prompt) / 2


def test_another_host_than_loopback_needs_a_key() -> None:
    for host in ("0.0.0.0", "::"):
        with pytest.raises(LaureateError, match=r"is not loopback.*set LAUREATE_KEY"):
            serve.listen(host, 0, has_key=False)
    with serve.listen("0.0.0.0", 0, has_key=True), serve.listen("localhost", 0, has_key=False) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LaureateError, match=f"{port} is not available"):
            serve.listen(taken.getsockname()[0], port, has_key=False)
    for host in ("no.such.host.invalid", "a..b", "x" * 300):
        with pytest.raises(LaureateError, match="is not available"):
            serve.listen(host, 0, has_key=False)


def test_a_key_in_the_environment_is_asked_for(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study)
    monkeypatch.setenv(serve.KEY, "q7x2vk")
    with running(serve.build(generator.Generator(params.load()), secrets.from_environment(serve.KEY))) as url:
        with (
            openai.OpenAI(base_url=url, api_key="wrong", max_retries=0) as stranger,
            pytest.raises(openai.AuthenticationError, match="Incorrect API key"),
        ):
            stranger.models.list()
        with openai.OpenAI(base_url=url, api_key="q7x2vk") as friend:
            assert len(friend.models.list().data) == 2
        for scheme, status in (("bearer", 200), ("BEARER ", 200), ("Basic", 401)):
            answer = requests.get(f"{url}/models", headers={"Authorization": f"{scheme} q7x2vk"}, timeout=20)
            assert answer.status_code == status, scheme


def test_an_adapter_of_another_base_is_an_error_of_the_server(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(study, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    shutil.rmtree("base")
    small_base.write(Path("base"), seed=1)
    with (
        running(serve.build(generator.Generator(params.load()))) as url,
        openai.OpenAI(base_url=url, api_key="x", max_retries=0) as asking,
        pytest.raises(openai.InternalServerError, match="trained on another base"),
    ):
        asking.images.generate(prompt="A hat.", model="rank-2")


def test_an_endpoint_and_a_folder_each_get_a_row(
    address: str, tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetched from `laureate serve`, put there by hand, scored, compared, shown."""
    monkeypatch.chdir(draw_study(tmp_path, prompts=9))
    monkeypatch.setenv("OWN_KEY", "any")
    values = yaml.safe_load(Path("params.yaml").read_text())
    settings = {"url": address, "model": "rank-2", "size": "32x32", "key": "OWN_KEY", "send_seed": True}
    values["external"] = {"served": {"endpoint": settings}, "by-hand": {}}
    for judge in ("clip", "vision"):
        values["evaluate"]["judges"][judge]["source"] = str(tiny_models / judge)
    values["compare"]["judges"] = ["vision", "clip"]
    Path("params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    loaded = params.load()
    images.run(loaded, "served")
    by_hand(Path("data/external/by-hand"))
    for model in loaded.models:
        evaluate.run(loaded, model)
    compare.run(loaded)
    table = results_table.read_csv("metrics/comparison.csv")
    rows = {model: results_table.metrics_of(table, model) for model in table.index}
    assert list(rows) == ["noise-floor", "vae-ceiling", "baseline", "rank-4", "rank-16", "served", "by-hand"]
    assert (rows["served"]["n_generated"], rows["by-hand"]["n_generated"]) == (18, 8)
    assert "rank" not in rows["served"]
    for model in ("served", "by-hand"):
        assert all(key in rows[model] for key in ("fid", "kid", "lpips", "clip", "style_read"))
    shown = Path("metrics/comparison.md").read_text()
    assert "| served | 18 |" in shown
    assert "| by-hand | 8 |" in shown
    report.run(loaded)
    page = Path("metrics/report/index.html").read_text()
    for words in ("served", "by-hand", "refused: not my style"):
        assert words in page


def by_hand(folder: Path) -> None:
    """One picture for every prompt but the last, which was refused."""
    asked = yaml.safe_load(Path("data/prompts.yaml").read_text())
    folder.mkdir(parents=True)
    rows = []
    for number, prompt in enumerate(asked[:-1]):
        picture = Image.new("RGB", (200, 120), (25 * number, 90, 200))
        picture.paste((250, 240, 20 * number), (20, 30, 90, 70))
        picture.save(folder / f"{number}.jpg")
        rows.append({"file": f"{number}.jpg", "prompt": prompt["id"], "seed": 1})
    missing = [{"prompt": asked[-1]["id"], "seed": 1, "reason": "refused: not my style"}]
    write_json(folder / "manifest.json", {"source": "a browser", "pictures": rows, "missing": missing})


class running:
    """An application on loopback while the block runs."""

    def __init__(self, app: Any) -> None:
        import socket

        import uvicorn

        self.socket = socket.create_server(("127.0.0.1", 0))
        self.server = uvicorn.Server(serve_limits.configuration(app))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})

    def __enter__(self) -> str:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}/v1"

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()
