"""`laureate card` and `laureate push`: content of the card, rights to the pictures, uploads."""

import base64
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import huggingface_hub
import pytest
import small_base
import yaml
from drawn_study import ROOT, write_metrics
from processes import imported

pytest.importorskip("torch")

from trained import changed

from laureate import cli
from laureate.commands import card, push
from laureate.config import params
from laureate.core import paths
from laureate.core.errors import LaureateError
from laureate.networks.diffusion import base_model
from laureate.networks.lora import adapter_files
from laureate.stages import compare, encode, train
from laureate.torch_utils import safetensors_io

NOBEL = "https://www.nobelprize.org"


@pytest.fixture(scope="module")
def made(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study with its trained adapter, and a table."""
    return compared(trained, tmp_path_factory.mktemp("compared"))


def compared(trained: Path, folder: Path) -> Path:
    """A copy of a trained study with evidence of every model, compared."""
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["evaluate"] = {"bootstrap": 50}
    values["compare"] = {"published": str(ROOT / "data/published.yaml")}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    write_metrics(folder, (2, 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        compare.run(params.load())
    return folder


def train_again(**settings: object) -> None:
    """Encode the data set of the working folder as it is now, and train rank 2 on it."""
    encode.run(params.load())
    train.run(changed(params.load(), pack=False, **settings), 2)


def take_from(host: str, count: int = -1) -> None:
    """Let the first `count` pictures of the data set, by default all, come from another host."""
    listing = Path("data/dataset/train/metadata.jsonl")
    listing.write_text(listing.read_text().replace(small_base.MUSEUM, host, count))


@pytest.fixture
def study(made: Path, working_copy: Callable[[Path], Path]) -> Path:
    return working_copy(made)


def test_the_card_says_what_was_measured_and_has_no_gaps(study: Path) -> None:
    assert cli.main(["card", "--rank", "2"]) == 0
    folder = study / "exports/rank-2"
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "config.json",
        "pytorch_lora_weights.safetensors",
        "rank-2-kohya.safetensors",
    }
    text = (folder / "README.md").read_text()
    found = huggingface_hub.ModelCard(text)
    assert found.data.license == "apache-2.0"
    assert found.data.library_name == "diffusers"
    scores = json.loads(Path("metrics/models/rank-2.json").read_text())
    measured = {result.metric_type: result.metric_value for result in found.data.eval_results}
    assert measured["kid"] == scores["kid"]
    assert "| rank 2 | 98 |" in text
    assert "30 held-out portraits" in text
    assert base_model.find("base").fingerprint in text
    for line in ("rank 2, α 2,", "- precision: float32", "- learning_rate: 0.001", "- steps: 14"):
        assert line in text
    assert "- targets: to_q, to_k, to_v, to_out.0" in text
    assert "drawn by the project itself" in text
    for left in ("More Information Needed", "<!--", "[optional]", "None", "Environmental", " \n"):
        assert left not in text
    headings = re.findall(r"^(#+) (.+)$", text, re.MULTILINE)
    for (marks, name), (following, _) in pairwise(headings):
        between = text.partition(f"{marks} {name}\n")[2].partition("\n#")[0].strip()
        assert between or len(following) > len(marks), f"nothing under {name}"
    assert {"Direct Use", "Out-of-Scope Use", "Results"} <= {name for _, name in headings}


def test_the_card_says_step_and_strength_and_which_weights_were_measured(study: Path) -> None:
    card.run(params.load(), 2)
    usual = (study / "exports/rank-2/README.md").read_text()
    assert "- **Weights:** after step 14 of 14, strength 1\n" in usual
    assert "other weights of this rank" not in usual
    train_again(snapshots=[5], seeds=[42, 43])
    several = changed(params.load(), seeds=[42, 43])
    text = (card.run(several, 2, step=5, strength=0.5) / "README.md").read_text()
    assert "- **Weights:** after step 5 of 14, strength 0.5, which α holds already\n" in text
    assert "rank 2, α 1," in text
    assert "made with other weights of this rank: those that `laureate choose` chose." in text
    assert "pictures of 2 trainings of its rank" in text
    assert not huggingface_hub.ModelCard(text).data.eval_results, "they are not of these weights"
    assert "| rank 2 | 98 |" in text


def test_the_card_says_what_was_adapted(study: Path) -> None:
    card.run(params.load(), 2)
    assert "text encoder" not in (study / "exports/rank-2/README.md").read_text()
    train_again(text_encoder=["q_proj", "v_proj"])
    card.run(params.load(), 2)
    text = (study / "exports/rank-2/README.md").read_text()
    assert (
        "the attention layers of a Stable Diffusion UNet, and for q_proj, v_proj of its text encoder" in text
    )


@pytest.mark.parametrize(
    ("settings", "says", "kohya"),
    [
        ({"alpha": 8.0}, "A LoRA adapter of rank 2, α 8,", True),
        ({"variant": "rslora", "alpha": 2.0}, "A LoRA adapter of rank 2, α 2.8284", True),
        ({"init": "pissa"}, "(trained as rank 2; with the correction for its PiSSA start the file", True),
        ({"variant": "dora"}, "- variant: dora", False),
    ],
)
def test_every_variant_that_can_be_trained_has_a_card(
    study: Path, settings: dict[str, object], says: str, kohya: bool
) -> None:
    train_again(**settings)
    folder = card.run(params.load(), 2)
    text = (folder / "README.md").read_text()
    assert says in text
    assert (folder / "rank-2-kohya.safetensors").is_file() == kohya
    assert ("Kohya" in text) == kohya
    assert set(huggingface_hub.ModelCard(text).data.to_dict()) >= {"license", "library_name", "model-index"}


def test_a_card_needs_neither_torch_nor_networks(study: Path) -> None:
    """They would take longer than the card itself, which reads the table of scores."""
    assert imported("card", "--rank", "2") == {"pandas"}


def test_the_weights_load_in_diffusers(study: Path) -> None:
    from diffusers import StableDiffusionPipeline

    card.run(params.load(), 2)
    state, _ = adapter_files.load("models/lora/rank-2")
    loaded, _, metadata = StableDiffusionPipeline.lora_state_dict(
        str(study / "exports/rank-2"), weight_name=paths.ADAPTER_WEIGHTS, return_lora_metadata=True
    )
    assert set(loaded) == set(state)
    assert metadata["unet.r"] == 2
    assert safetensors_io.metadata("exports/rank-2/rank-2-kohya.safetensors")["ss_network_dim"] == "2"


def test_pictures_of_others_are_told_on_the_card(study: Path) -> None:
    take_from(NOBEL)
    train_again()
    card.run(params.load(), 2)
    text = Path("exports/rank-2/README.md").read_text()
    assert huggingface_hub.ModelCard(text).data.license == "other"
    assert "from www.nobelprize.org" in text
    assert "**Rights**: not cleared" in text
    card.run(params.load(), 2, "the artist, by letter")
    assert "**Rights**: the artist, by letter" in Path("exports/rank-2/README.md").read_text()


@pytest.mark.parametrize("case", ["nobel", "unknown", "another data set", "mixed"])
def test_what_others_hold_the_rights_to_is_not_sent(
    study: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    listing = Path("data/dataset/train/metadata.jsonl")
    if case == "nobel":
        take_from(NOBEL)
        train_again()
    if case == "unknown":
        listing.unlink()
    if case == "another data set":
        listing.write_text(listing.read_text().replace("Person", "People"))
    if case == "mixed":
        take_from(NOBEL, 1)
        train_again()
    with hub(monkeypatch) as received:
        with pytest.raises(LaureateError, match=r"whose rights are not ours: nothing is sent.*--rights"):
            push.run(params.load(), 2, "me/style", yes=True)
        assert received == {}
        push.run(params.load(), 2, "me/style", rights="all of them are mine", yes=True)
    assert "all of them are mine" in received["README.md"].decode()


def test_nothing_is_sent_without_yes(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with hub(monkeypatch) as received:
        assert cli.main(["push", "--rank", "2", "--repo", "me/style"]) == 0
    assert received == {}
    printed = capsys.readouterr().out
    assert "pytorch_lora_weights.safetensors" in printed
    assert "would go to me/style, private if it is new; add --yes" in printed


def test_with_yes_the_hub_has_what_the_folder_has(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with hub(monkeypatch) as received:
        assert cli.main(["push", "--rank", "2", "--repo", "me/style", "--yes"]) == 0
    folder = study / "exports/rank-2"
    assert json.loads(received.pop("created")) == {
        "name": "style", "organization": "me", "visibility": "private"
    }  # fmt: skip
    assert received == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "/me/style/commit/abc" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "says"), [(401, "did not take me/style.*401"), (403, "403"), (500, "500")]
)
def test_a_hub_that_refuses_is_one_sentence(
    study: Path, monkeypatch: pytest.MonkeyPatch, status: int, says: str
) -> None:
    with hub(monkeypatch, status), pytest.raises(LaureateError, match=says):
        push.run(params.load(), 2, "me/style", yes=True)


@pytest.mark.parametrize("fault", ["page", "closes", "no JSON object"])
@pytest.mark.parametrize("at", ["/api/repos/create", "/preupload/", "/commit/"])
def test_a_hub_that_is_none_or_dies_is_one_sentence(
    study: Path, monkeypatch: pytest.MonkeyPatch, fault: str, at: str
) -> None:
    post = Hub.do_POST

    def broken(handler: Hub) -> None:
        if at not in handler.path:
            post(handler)
            return
        handler.rfile.read(int(handler.headers["Content-Length"]))
        if fault == "closes":
            handler.close_connection = True
            return
        content = b"<html>Log in</html>" if fault == "page" else b"[1]"
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    monkeypatch.setattr(Hub, "do_POST", broken)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    with hub(monkeypatch), pytest.raises(LaureateError, match="did not take me/style") as caught:
        push.run(params.load(), 2, "me/style", yes=True)
    assert "secret" not in str(caught.value)


def test_no_token_no_row_no_name(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub(monkeypatch):
        with pytest.raises(LaureateError, match="--repo not/a/name"):
            push.run(params.load(), 2, "not/a/name", yes=True)
        monkeypatch.delenv("HF_TOKEN")
        with pytest.raises(LaureateError, match="no HF_TOKEN"):
            push.run(params.load(), 2, "me/style", yes=True)
    table = Path("metrics/comparison.csv")
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if not line.startswith("rank-2,")))
    with pytest.raises(LaureateError, match="no row for rank-2"):
        card.run(params.load(), 2)


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's API as a small upload needs: make a repository, ask how to send, commit."""

    received: dict[str, bytes]
    status: int

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Authorization"] == "Bearer secret"
        host = f"http://127.0.0.1:{self.server.server_address[1]}"
        if self.status != 200:
            self.answer(self.status, {"error": "no"})
        elif self.path == "/api/repos/create":
            kept = {key: value for key, value in json.loads(body).items() if key != "type"}
            self.received["created"] = json.dumps(kept).encode()
            self.answer(200, {"url": f"{host}/me/style", "id": "me/style"})
        elif "/preupload/" in self.path:
            files = [{"path": f["path"], "uploadMode": "regular"} for f in json.loads(body)["files"]]
            self.answer(200, {"files": [f | {"shouldIgnore": False} for f in files]})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    self.received[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.answer(200, {"commitUrl": f"{host}/me/style/commit/abc", "commitOid": "abc"})
        else:
            self.answer(200, {})  # checks of the card

    def do_GET(self) -> None:
        self.answer(404 if self.status == 200 else self.status, {"error": "no"})

    def answer(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def hub(monkeypatch: pytest.MonkeyPatch, status: int = 200) -> Iterator[dict[str, bytes]]:
    """A hub on loopback; gives what it received, by name."""
    received: dict[str, bytes] = {}
    handler = type("Mine", (Hub,), {"received": received, "status": status})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(huggingface_hub.HfApi, "__init__", _at(f"http://127.0.0.1:{server.server_port}"))
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _at(address: str) -> Callable[..., None]:
    made = huggingface_hub.HfApi.__init__
    return lambda self, **options: made(self, endpoint=address, **options)
