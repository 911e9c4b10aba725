"""`laureate fetch` with faults around it: pages, pointers, proxies, certificates, busy servers."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import fake_hub
import pytest
import yaml
from base_sources import HUB, MIRROR, UNET, of, refused
from fake_hub import Hub

from laureate.commands import fetch
from laureate.core.errors import LaureateError
from laureate.networks.diffusion import base_model

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123456\n"


@pytest.mark.parametrize("data", [b"<!DOCTYPE html><html>log in</html>", b"\n<html>", POINTER])
def test_a_page_or_a_pointer_in_place_of_weights_sends_on_to_the_next_source(
    hub: Hub, made: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    def answer(handler: fake_hub.Handler, folder: Path, name: str) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    monkeypatch.setattr(fake_hub.Handler, "_file", answer)
    said = refused(of(HUB))
    assert "instead of model_index.json" in said
    fetch.run(of(HUB, {"folder": str(made)}))
    assert base_model.find("base").fingerprint == base_model.find(made).fingerprint


@pytest.mark.parametrize("source", [HUB, MIRROR])
def test_a_hub_that_answers_with_a_web_page(
    hub: Hub, made: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, Any]
) -> None:
    def page(handler: fake_hub.Handler, *_: object) -> None:
        body = b"<!DOCTYPE html><html>Welcome to the hotel's network</html>"
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    monkeypatch.setattr(fake_hub.Handler, "do_GET", page)
    said = refused(of(source))
    assert "instead of JSON" in said or "without a list of files" in said
    fetch.run(of(source, {"folder": str(made)}))


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"HTTP_PROXY": "socks5h://127.0.0.1:9"}, "SOCKS proxy"),
        ({"HTTP_PROXY": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"SSL_CERT_FILE": "/no/such.pem"}, "SSL_CERT_FILE names /no/such.pem"),
        ({"HTTP_PROXY": "nonsense://x"}, "cannot be reached"),
    ],
    ids=str,
)
@pytest.mark.parametrize("source", [HUB, MIRROR])
def test_a_proxy_or_certificates_that_do_not_work(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    words: str,
    source: dict[str, Any],
) -> None:
    """In a process of its own: the hub library keeps its client."""
    from shell import run

    (tmp_path / "data").mkdir()
    (tmp_path / "data/p.yaml").write_text("- {id: a, text: A., set: seed}")
    values = {
        "base": {"path": "base", "sources": [source, {"folder": str(made)}], "lock": "lock.json"},
        "sample": {"prompts": ["data/p.yaml"]},
    }
    first = {"base": values["base"] | {"sources": [source]}, "sample": values["sample"]}
    for name in ("NO_PROXY", "no_proxy", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"):
        monkeypatch.setenv(name, "http://192.0.2.1:1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if "SSL_CERT_FILE" in variables and source is MIRROR:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", "https://192.0.2.1:1")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(first))
    said = run(sys.executable, "-m", "laureate", "fetch", cwd=tmp_path, fails=True)
    assert words in said
    assert "Traceback" not in said
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    run(sys.executable, "-m", "laureate", "fetch", cwd=tmp_path)
    assert (tmp_path / "base/model_index.json").is_file()


def test_a_busy_server_is_waited_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, busy = fake_hub.Handler._file, ["model_index.json", UNET]

    def answer(handler: fake_hub.Handler, folder: Path, name: str) -> None:
        if name not in busy:
            whole(handler, folder, name)
            return
        busy.remove(name)
        handler.send_response(429)
        handler.send_header("Retry-After", "0")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    monkeypatch.setattr(fake_hub.Handler, "_file", answer)
    fetch.run(of(HUB))
    assert not busy


def test_a_folder_and_a_checkpoint_that_are_pointers(made: Path, tmp_path: Path) -> None:
    clone = Path(shutil.copytree(made, tmp_path / "clone"))
    (clone / UNET).write_bytes(POINTER)
    (tmp_path / "sd.safetensors").write_bytes(POINTER)
    base = {"path": str(tmp_path / "base"), "lock": str(tmp_path / "lock.json")}
    checkpoint = {"file": str(tmp_path / "sd.safetensors"), "layout": "sd2", "tokenizer": str(tmp_path)}
    for source in ({"folder": str(clone)}, checkpoint):
        with pytest.raises(LaureateError, match=r"Git LFS pointer.*git lfs pull"):
            fetch.run(of(source, **base))
    fetch.run(of({"folder": str(clone)}, checkpoint, {"folder": str(made)}, **base))
    (tmp_path / "base" / UNET).unlink()
    (tmp_path / "base" / UNET).write_bytes(POINTER)
    with pytest.raises(LaureateError, match="git lfs pull"):
        base_model.find(tmp_path / "base")


def test_a_full_disk_is_no_fault_of_the_source(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def full(path: Path, mode: str = "r", *words: Any, **named: Any) -> Any:
        if path.name.endswith(".safetensors.part"):
            raise OSError(28, "No space left on device")
        return opened(path, mode, *words, **named)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left") as caught:
        fetch.run(of(HUB, MIRROR))
    assert ".safetensors" in str(caught.value.filename)


def test_a_token_with_a_line_break_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", f"{fake_hub.TOKEN}\n")
    with pytest.raises(LaureateError, match="HF_TOKEN ends with a line break") as caught:
        fetch.run(of(HUB))
    assert fake_hub.TOKEN[:8] not in str(caught.value)
