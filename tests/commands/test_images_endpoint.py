"""What an endpoint may answer: refusals at any status, spent quotas, all forms of base64, odd pictures."""

from __future__ import annotations

import base64
import io
import json
import re
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import endpoints as e
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from laureate.commands import endpoint_answers, images, images_endpoint
from laureate.config import params
from laureate.core.errors import LaureateError
from laureate.formats import external, prompts

KEY = "k3y-0123456789"
PROMPTS = ("man", "woman", "hat")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three prompts, one seed, a key in the environment."""
    rows = [{"id": name, "text": f"A {name}.", "set": "seed"} for name in PROMPTS]
    (tmp_path / "prompts.yaml").write_text(yaml.safe_dump(rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAINTER_KEY", KEY)
    return tmp_path


def values(url: str, **endpoint: Any) -> params.Params:
    settings = {"url": url, "model": "painter-1", "key": "PAINTER_KEY", "size": "64x64", "timeout": 5}
    return params.Params.model_validate(
        {
            "sample": {"prompts": ["prompts.yaml"], "seeds": [1]},
            "external": {"painter": {"endpoint": settings | {"retries": 0} | endpoint}},
        }
    )


def only_hat(answer: e.Answer) -> Callable[[dict[str, Any], int], e.Answer]:
    return lambda body, number: answer if "hat" in body["prompt"] else e.good


def found() -> external.Pictures:
    return external.read("painter", prompts.load(["prompts.yaml"]))


MODERATED = {"message": "Your request was rejected by content moderation."}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, {"error": MODERATED | {"code": "content_policy_violation"}}),
        (403, {"error": MODERATED}),
        (451, {"detail": "The prompt was flagged as inappropriate."}),
        (400, {"error": "NSFW content detected"}),
        (400, {"error": {"message": "no", "inner_error": {"code": "ResponsibleAIPolicyViolation"}}}),
        (429, {"error": {"message": "no", "code": "moderation_blocked"}}),
        (500, {"error": {"message": "no", "code": "content_filter"}}),
        (200, {"error": MODERATED}),
        (200, {"created": 1, "data": [{"finish_reason": "CONTENT_FILTERED"}]}),
        (403, b"<html><style>x</style><h1>Blocked by our safety system</h1></html>"),
    ],
)
def test_a_refusal_at_any_status_lets_the_rest_go_on(study: Path, status: int, body: Any) -> None:
    with e.endpoint(only_hat(e.says(status, body))) as server:
        images.run(values(server.url), "painter")
    pictures = found()
    assert [row["prompt"] for row in pictures.drawn] == ["man", "woman"]
    assert [row["reason"].partition(":")[0] for row in pictures.missing] == ["refused"]
    assert "<" not in pictures.missing[0]["reason"]


QUOTA = {
    "message": "You exceeded your current quota, please check your plan and billing details.",
    "type": "insufficient_quota",
    "code": "insufficient_quota",
}


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (429, QUOTA, "exceeded your current quota"),
        (429, {"message": "Your credit balance: insufficient balance"}, "insufficient balance"),
        (402, {"message": "Payment required", "code": 402}, "Payment required"),
        (400, {"message": "Billing hard limit", "code": "billing_hard_limit_reached"}, "Billing hard limit"),
    ],
)
def test_a_spent_quota_stops_at_once(study: Path, status: int, error: dict[str, Any], words: str) -> None:
    with e.endpoint(lambda body, number: e.says(status, {"error": error})) as server:
        with pytest.raises(LaureateError, match=rf"answered {status}.*{words}"):
            images.run(values(server.url, retries=3), "painter")
        assert len(server.bodies) == 1


def test_a_rate_limit_is_waited_for(study: Path) -> None:
    limit = {"message": "Rate limit: quota per minute reached, try again in 20 ms", "code": "rate_limit"}
    busy = e.says(429, {"error": limit}, retry_after_ms="20")
    with e.endpoint(lambda body, number: busy if number == 1 else e.good) as server:
        images.run(values(server.url, retries=1), "painter")
        assert len(server.bodies) == 6
    assert len(found().drawn) == 3


def test_a_wait_of_an_hour_is_not_waited_for(study: Path) -> None:
    start = time.monotonic()
    with e.endpoint(only_hat(e.says(503, {}, retry_after="3600"))) as server:
        images.run(values(server.url, retries=3), "painter")
    assert time.monotonic() - start < 20
    assert [row["prompt"] for row in found().missing] == ["hat"]


def png() -> bytes:
    return base64.b64decode(e.png("tan"))


@pytest.mark.parametrize(
    "form",
    [
        lambda data: {"b64_json": "data:image/png;base64," + base64.b64encode(data).decode()},
        lambda data: {"b64_json": base64.encodebytes(data).decode()},
        lambda data: {"b64_json": base64.urlsafe_b64encode(data).decode()},
        lambda data: {"b64_json": base64.urlsafe_b64encode(data).decode().rstrip("=")},
        lambda data: {"url": "data:image/png;base64," + base64.b64encode(data).decode()},
        lambda data: {"url": "data:image/png;base64," + urllib.parse.quote(base64.b64encode(data), safe="")},
    ],
)
def test_base64_in_any_form_is_read(study: Path, form: Callable[[bytes], dict[str, str]]) -> None:
    answer = e.says(200, {"created": 1, "data": [form(png())]})
    with e.endpoint(lambda body, number: answer) as server:
        images.run(values(server.url), "painter")
    with Image.open("data/external/painter/man_1.png") as picture:
        assert picture.getpixel((5, 5)) == (210, 180, 140)


@given(st.binary(min_size=1, max_size=200), st.booleans(), st.booleans())
def test_any_bytes_survive(data: bytes, safe: bool, broken: bool) -> None:
    encode = base64.urlsafe_b64encode if safe else base64.b64encode
    text = encode(data).decode()
    assert endpoint_answers.decoded("\n".join(text) if broken else text) == data


@given(st.text(max_size=40))
def test_other_text_is_a_fault_and_no_other_error(text: str) -> None:
    try:
        images_endpoint.picture(endpoint_answers.decoded(text))
    except images_endpoint.Fault as fault:
        assert "not a picture" in str(fault)  # noqa: PT017
    except ValueError as error:
        assert "base64" in str(error)  # noqa: PT017


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "code", "message", "data", "detail"]), part, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON | st.text())
def test_every_error_body_has_words(value: Any) -> None:
    words, codes = endpoint_answers.said(json.dumps(value) if not isinstance(value, str) else value)
    assert "\n" not in words
    assert isinstance(codes, str)


def test_a_size_can_be_left_out(study: Path) -> None:
    def behave(body: dict[str, Any], number: int) -> e.Answer:
        bad = {"code": "400", "error": "Argument not supported: size"}
        return e.says(400, bad) if "size" in body else e.good

    with e.endpoint(behave) as server:
        with pytest.raises(LaureateError, match=r"Argument not supported: size; `size: null` leaves it out"):
            images.run(values(server.url), "painter")
        images.run(values(server.url, size=None), "painter")
        assert "size" not in server.bodies[-1]
    assert len(found().drawn) == 3


def encoded(picture: Image.Image, form: str = "PNG", **options: Any) -> str:
    data = io.BytesIO()
    picture.save(data, form, **options)
    return base64.b64encode(data.getvalue()).decode()


def drawn(study: Path, data: str) -> Image.Image:
    answer = e.says(200, {"created": 1, "data": [{"b64_json": data}]})
    with e.endpoint(lambda body, number: answer) as server:
        images.run(values(server.url), "painter")
    with Image.open("data/external/painter/man_1.png") as picture:
        picture.load()
    return picture


def test_transparency_lies_on_white(study: Path) -> None:
    picture = drawn(study, encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 0))))
    assert picture.mode == "RGB"
    assert picture.getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bits_are_scaled(study: Path) -> None:
    wide = Image.fromarray(np.full((64, 64), 32896, dtype=np.uint16))
    assert drawn(study, encoded(wide)).getpixel((5, 5)) == (128, 128, 128)


def test_a_turned_picture_is_put_upright(study: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert drawn(study, encoded(Image.new("RGB", (64, 32)), "JPEG", exif=exif)).size == (32, 64)


def test_the_organization_goes_only_where_it_is_wanted(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ours")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-ours")
    sent: list[dict[str, str]] = []

    def behave(body: dict[str, Any], number: int) -> e.Answer:
        def answer(handler: e.Handler, body: dict[str, Any]) -> None:
            sent.append(dict(handler.headers.items()))
            e.good(handler, body)

        return answer

    with e.endpoint(behave) as server:
        images.run(values(server.url), "painter")
        assert "ours" not in str(sent)
        images.run(values(server.url, size="32x32", send_organization=True), "painter")
        assert "org-ours" in str(sent[-1])
        assert "project-ours" in str(sent[-1])


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\u200b"])
def test_a_key_with_a_line_break_is_named_and_not_shown(
    study: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setenv("PAINTER_KEY", KEY + end)
    with e.endpoint(lambda body, number: e.good) as server:
        with pytest.raises(LaureateError, match="PAINTER_KEY") as caught:
            images.run(values(server.url), "painter")
        assert server.bodies == []
    assert not any(KEY[i : i + 6] in str(caught.value) for i in range(len(KEY) - 5))


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9", "SOCKS proxy.*pip install"),
        ("HTTP_PROXY", "http://127.0.0.1:9", "no connection"),
        ("SSL_CERT_FILE", "/no/such.pem", "SSL_CERT_FILE names /no/such.pem, which is not there"),
    ],
)
def test_proxies_and_certificates(
    study: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(LaureateError) as caught:
        images.run(values("http://192.0.2.1:1/v1", timeout=0.5), "painter")
    assert re.search(sentence, str(caught.value)), caught.value


def test_user_and_password_do_not_belong_into_an_address() -> None:
    with pytest.raises(ValueError, match="url"):
        values("http://user:password@example.org/v1")
