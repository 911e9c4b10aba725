"""Answers as image services of all kinds give them: refusals, spent quotas, pictures in every place."""

from __future__ import annotations

import base64
import json
from typing import Any

import endpoints as e
import pytest

from laureate.commands import endpoint_answers as answers

REFUSALS = [
    (400, {"error": {"code": "DataInspectionFailed", "message": "Input data may be bad."}}),
    (400, {"code": "sensitive_words_detected", "message": "no"}),
    (403, {"message": "Your prompt was blocked by our guardrails"}),
    (422, {"detail": [{"loc": ["body", "prompt"], "msg": "Prompt rejected: unsafe content", "type": "x"}]}),
    (200, {"id": "x", "status": "Request Moderated", "result": None}),
    (400, {"error": {"code": "1301", "message": "系统检测到输入内容可能包含不安全或敏感内容"}}),
    (400, {"error": {"code": 400, "message": "It may contain prohibited words"}}),
    (200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
    (200, {"candidates": [{"finishReason": "IMAGE_SAFETY"}]}),
    (400, {"name": "content_moderation", "errors": ["Your request was flagged"]}),
    (451, {}),
    (400, {"error": {"message": "Output image is filtered: harmful", "type": "x"}}),
]
NO_REFUSALS = [
    (401, {"error": {"message": "Your key was flagged"}}),
    (403, {"error": {"message": "Your account was flagged for unusual use"}}),
    (403, {"error": {"message": "Requests from your region are blocked; content is rejected there"}}),
    (429, {"error": {"message": "Too many prompts were rejected, slow down"}}),
    (400, {"error": {"message": "Unknown parameter: 'size'."}}),
    (200, {"data": []}),
    (500, {"error": "boom"}),
]
SPENT = [
    (402, {}),
    (402, {"error": "You have exceeded your monthly included credits."}),
    (429, {"error": {"message": "Your credit balance is too low to access the API"}}),
    (403, {"error": {"code": "insufficient_user_quota", "message": "x"}}),
    (400, {"error": {"code": "Arrearage", "message": "Access denied."}}),
    (403, {"message": "Your account has run out of credits"}),
    (429, {"error": {"message": "Daily limit reached. Upgrade your plan"}}),
    (429, {"error": {"message": "spending limit reached for this project"}}),
    (429, {"error": {"code": "1113", "message": "账户已欠费"}}),
]
NOT_SPENT = [
    (429, {"error": {"message": "Rate limit: quota of 5 per minute reached"}}),
    (429, {"error": {"message": "Usage limit reached, try again in 20 s"}}),
    (500, {"error": {"message": "billing service is down"}}),
    (429, {}),
]


def understood(status: int, body: Any) -> tuple[bool, bool]:
    """Whether an answer is a refusal, and whether it says that the quota is spent."""
    words, codes = answers.said(json.dumps(body))
    return answers.refuses(status, words, codes), answers.is_spent(status, words, codes)


@pytest.mark.parametrize(("status", "body"), REFUSALS)
def test_a_refusal_is_one_in_any_form_and_language(status: int, body: Any) -> None:
    assert understood(status, body) == (True, False)


@pytest.mark.parametrize(("status", "body"), NO_REFUSALS)
def test_what_concerns_the_account_or_the_request_is_no_refusal_of_a_prompt(status: int, body: Any) -> None:
    assert not understood(status, body)[0]


@pytest.mark.parametrize(("status", "body"), SPENT)
def test_spent_money_is_told_from_a_limit_that_passes(status: int, body: Any) -> None:
    assert understood(status, body)[1]


@pytest.mark.parametrize(("status", "body"), NOT_SPENT)
def test_a_limit_that_passes_is_no_spent_quota(status: int, body: Any) -> None:
    assert not understood(status, body)[1]


PNG = e.png("tan")
PLACES: dict[str, Any] = {
    "data": {"data": [{"b64_json": PNG}]},
    "one that is no list": {"data": {"b64_json": PNG}},
    "texts": {"data": [PNG]},
    "images": {"images": [{"b64_json": PNG}]},
    "texts in images": {"images": [PNG]},
    "artifacts": {"artifacts": [{"base64": PNG, "finishReason": "SUCCESS"}]},
    "predictions": {"predictions": [{"bytesBase64Encoded": PNG, "mimeType": "image/png"}]},
    "a list": [{"b64_json": PNG}],
    "at the top": {"image": PNG, "seed": 1},
    "an empty address": {"data": [{"b64_json": PNG, "url": ""}]},
    "no base64": {"data": [{"b64_json": None, "url": f"data:image/png;base64,{PNG}"}]},
    "an error that is none": {"error": None, "data": [{"b64_json": PNG}]},
    "DATA": {"data": [{"b64_json": f"DATA:image/png;BASE64,{PNG}"}]},
    "charset": {"data": [{"b64_json": f"data:image/png;charset=utf-8;base64,{PNG}"}]},
    "blanks": {"data": [{"b64_json": f"  data:image/png;base64,{PNG}\n"}]},
    "quotes": {"data": [{"b64_json": f'"{PNG}"'}]},
}


@pytest.mark.parametrize("name", PLACES)
def test_the_picture_is_found_wherever_it_is(name: str) -> None:
    data, revised = answers.first_picture(answers.parsed(b"\xef\xbb\xbf" + json.dumps(PLACES[name]).encode()))
    assert data is not None
    assert (answers.decoded(data), revised) == (base64.b64decode(PNG), None)


@pytest.mark.parametrize("value", [None, 5, [], {}, {"data": []}, {"data": [5]}, {"data": [{"b64_json": 5}]}])
def test_an_answer_without_a_picture_has_none(value: Any) -> None:
    assert answers.first_picture(value) == (None, None)


def test_an_address_is_none_of_our_pictures() -> None:
    assert answers.is_address(" HTTPS://a.example/p.png")
    assert not answers.is_address(PNG)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": [{"loc": ["body", "size"], "msg": "not permitted"}]}, "body.size: not permitted"),
        ({"errors": {"size": ["is not allowed"]}}, "size: is not allowed"),
        ({"error": {"message": "Invalid", "param": "size"}}, "Invalid; param: size"),
        ([{"size": "no"}], "size: no"),
        ("boom", "boom"),
        ({"code": "busy"}, "busy"),
    ],
)
def test_the_words_of_an_error_are_shown_wherever_they_are(body: Any, words: str) -> None:
    assert answers.said(json.dumps(body))[0] == words
    assert bool(answers.SIZE.search(json.dumps(body))) == ("size" in words)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 99 + "5" + "]" * 99, "{", "\0", ""])
def test_no_text_breaks_the_reading(text: str) -> None:
    words, codes = answers.said(text)
    assert len(words) <= 200
    assert codes == ""
    try:
        answers.parsed(text.encode())
    except ValueError:
        return
    assert text.startswith("[[")
