"""Secrets are not shown: not whole, not in part, not by printing, formatting, pickling or an error."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from laureate.config import error_messages
from laureate.config.params import Params
from laureate.core import secrets
from laureate.core.errors import LaureateError

VALUE = "marker-0123456789-abcdefghij"


@pytest.fixture(autouse=True)
def nothing_read_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_read", set())


@pytest.mark.parametrize(
    "shown",
    [repr, str, lambda s: f"{s}", lambda s: f"{s:>40}", lambda s: f"{s!r}", lambda s: str([s])],
)
def test_a_secret_is_not_shown(shown: Callable[[secrets.Secret], str]) -> None:
    text = shown(secrets.Secret(VALUE))
    assert "***" in text
    assert "marker" not in text


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_copied(copied: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        copied(secrets.Secret(VALUE))


def test_it_is_revealed_where_it_is_sent() -> None:
    secret = secrets.Secret(VALUE)
    assert secret.reveal() == VALUE
    assert secret.matches(VALUE)
    assert not secret.matches(VALUE[:-1])
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (f"{VALUE}\n", "ends with a line break"),
        (f"{VALUE}\r\n", "holds a line break"),
        (f"{VALUE}\n{VALUE}", "holds a line break"),
        (f"{VALUE} ", "ends with a space"),
        (f" {VALUE}", "holds a space"),
        (f"{VALUE}\u200b", r"U\+200B"),
        (f"\ufeff{VALUE}", r"U\+FEFF"),
        (f"{VALUE}\x1b", r"U\+001B"),
        (f"{VALUE[:8]}é", r"U\+00E9"),
        (f'"{VALUE}"', "quotation marks"),
        (f"'{VALUE}", "quotation marks"),
        (f"Bearer {VALUE}", "holds a space"),
    ],
)
def test_a_value_that_no_header_may_hold_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, value: str, problem: str
) -> None:
    monkeypatch.setenv("PAINTER", value)
    with pytest.raises(LaureateError, match=f"PAINTER .*{problem}") as caught:
        secrets.from_environment("PAINTER")
    said = "".join(traceback.format_exception(caught.value))
    assert not any(VALUE[i : i + 6] in said for i in range(len(VALUE) - 5))
    assert "***" in secrets.redact(f"Illegal header value b'Bearer {VALUE}'")


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PAINTER", value)
    assert secrets.from_environment("PAINTER") is None
    monkeypatch.delenv("PAINTER")
    assert secrets.from_environment("PAINTER") is None


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=6, max_size=60),
    st.lists(st.tuples(st.text(max_size=20), st.integers(0, 60), st.integers(6, 60)), max_size=5),
)
def test_no_part_of_six_characters_is_left(value: str, pieces: list[tuple[str, int, int]]) -> None:
    secrets.Secret(value)
    text = "".join(before + value[start : start + length] for before, start, length in pieces)
    shown = secrets.redact(text)
    parts = {value[i : i + 6] for i in range(len(value) - 5)}
    assert not any(part in shown for part in parts if part not in "******")
    secrets._read.clear()


def test_a_text_without_secrets_stays() -> None:
    secrets.Secret(VALUE)
    text = "prepare: 40 train, 20 holdout; see https://example.org/a@b and a bearer of news"
    assert secrets.redact(text) == text


def test_lookalikes_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "value-of-another-key")
    text = "http://user:password@proxy:3128 Authorization: Bearer abcdefgh123 value-of-another-key"
    assert secrets.redact(text) == "http://***@proxy:3128 Authorization: Bearer *** ***"


@pytest.mark.parametrize("name", ["key", "api_key", "apiKey", "access_token", "sig", "Signature"])
def test_a_key_in_an_address_is_hidden(name: str) -> None:
    shown = secrets.redact(f"GET https://a.example/v1?version=2&{name}=abc123&n=1 failed")
    assert shown == f"GET https://a.example/v1?version=2&{name}=***&n=1 failed"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("key", "sk-abc123def456"),
        ("key", "hf_AbCdEfGhIjKlMnOpQr"),
        ("key", "0123456789abcdef0123456789abcdef"),
        ("key", "AIzaSyA1234567890abcdefg"),
        ("url", "https://a.example/v1?api_key=abc123def456"),
    ],
)
def test_a_key_in_the_parameters_is_refused_and_not_shown(key: str, name: str) -> None:
    endpoint = {"url": "https://a.example/v1", "model": "m", key: name}
    with pytest.raises(ValidationError) as caught:
        Params.model_validate({"external": {"painter": {"endpoint": endpoint}}})
    said = error_messages.sentence(caught.value)
    assert said.startswith(f"external.painter.endpoint.{key} must be")
    secret = name.rpartition("=")[2]
    assert not any(secret[i : i + 6] in said for i in range(len(secret) - 5))


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "my_provider_key_1", "KEY2", "ABCDEFGH12345678IJKL", "k"])
def test_names_of_variables_are_no_keys(name: str) -> None:
    assert not secrets.is_key_itself(name)
