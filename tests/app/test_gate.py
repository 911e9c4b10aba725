"""Who may use the app: a token, known names of loopback, and a policy that binds the browser."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from laureate.app.gate import POLICY, Gate
from laureate.core.secrets import Secret

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of starlette's test client


def client(token: str | None, base: str = "http://127.0.0.1") -> TestClient:
    app = FastAPI()
    app.get("/")(lambda: {"inside": True})
    gate: Any = Gate(app, None if token is None else Secret(token))
    return TestClient(gate, base_url=base, follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.1:7860", "[::1]:7860"])
def test_loopback_is_open_under_its_own_names(host: str) -> None:
    answer = client(None).get("/", headers={"host": host})
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[", "localhost.evil.example:7860"]
)
def test_another_name_that_leads_here_is_refused(host: str) -> None:
    """A site whose name is made to resolve to loopback (DNS rebinding) reads nothing."""
    answer = client(None).get("/", headers={"host": host})
    assert answer.status_code == 403
    assert "inside" not in answer.text


def test_without_the_token_nothing_is_seen() -> None:
    for shown in ({}, {"token": "Zk3Hn8Pw5Sd1"}, {"token": ""}, {"token": "Xq7Vb2Lm9Rt4 "}):
        answer = client("Xq7Vb2Lm9Rt4").get("/", params=shown)
        assert answer.status_code == 401
        assert "inside" not in answer.text
        assert "Xq7Vb2Lm9Rt4" not in answer.text
    answer = client("Xq7Vb2Lm9Rt4").get("/", headers={"cookie": "laureate-app=Xq7Vb2Lm9Rt4"})
    assert answer.status_code == 401


def test_the_token_opens_the_app_for_this_browser_and_leaves_the_address() -> None:
    browser = client("Xq7Vb2Lm9Rt4", "http://10.0.0.7:7860")
    answer = browser.get("/", params={"token": "Xq7Vb2Lm9Rt4"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert "Xq7Vb2Lm9Rt4" not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert browser.get("/").json() == {"inside": True}
