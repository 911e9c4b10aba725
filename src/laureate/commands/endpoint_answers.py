"""Read the answers of an images endpoint: the words of an error, what it means, and where the picture is."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from laureate.core import network
from laureate.core.text_files import TextError, decode_text

LARGEST_ERROR = 100_000  # bytes of an error that are read
# keys under which answers have words for people, and codes
WORDS = frozenset({"message", "error", "errors", "detail", "details", "msg", "title", "reason", "description",
                   "error_description", "error_message"})  # fmt: skip
CODES = frozenset({"code", "type", "status", "name", "errorcode", "errortype", "finishreason", "blockreason"})
REFUSAL_CODES = re.compile(
    r"(?i)content_?policy|moderat|content_?filter|responsible_?ai|safety|nsfw|prohibited|sensitive|guardrail"
    r"|inspection_?failed|blocklist"
)
REFUSAL_WORDS = re.compile(
    r"(?i)(safety|content) (system|filter|checker|polic)|content[ _]moderation|moderat(ed|ion)|responsible ai"
    r"|nsfw|flagged|prohibited (content|word)|inappropriate|usage polic|violat\w* .*(polic|guideline|terms)"
    r"|sensitive (content|word|information)|unsafe|harmful|guardrail|explicit content"
    r"|(prompt|content|image) .*\b(blocked|rejected|refused|filtered)\b|敏感|违规|不安全|不適切"
)
# what is said of an account, not of a prompt
ACCOUNT = re.compile(r"(?i)\b(account|api[ _-]?key|organi[sz]ation|ip|ip address|region|country)\b")
QUOTA_CODES = re.compile(
    r"(?i)insufficient_\w*(quota|funds|credit|balance)|billing|quota_exceeded|payment|arrear|out_of_credit"
)
QUOTA_WORDS = re.compile(
    r"(?i)quota|billing|insufficient (balance|credit|fund)|(out of|no)( \w+)? credits|payment required"
    r"|(balance|credits?) .*(too low|exhausted|depleted|used up)|exceeded .*credits"
    r"|(spending|usage|daily|weekly|monthly) limits?|upgrade your plan|欠费|余额不足"
)
PASSING = re.compile(r"(?i)(retry|try again) (in|after)|per (second|minute)|rate limit")
SIZE = re.compile(r"(?i)\b(size|width|height|dimensions?|resolution)\b")
LISTS = ("data", "images", "output", "artifacts", "predictions", "result")  # where an answer has its pictures
PICTURE = ("b64_json", "b64", "base64", "image", "image_base64", "bytesBase64Encoded", "url")


def said(text: str) -> tuple[str, str]:
    """The body of an error => its words for people, and its codes and types; both without secrets.

    An answer without words for people gives all that it has.
    """
    try:
        value = json.loads(text[:LARGEST_ERROR])
    except (ValueError, RecursionError):
        plain = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", text[:LARGEST_ERROR])
        return network.short(plain, 200), ""
    words, codes, others = [], [], []
    for keys, found in _texts(value):
        last = "".join(c for c in keys[-1].lower() if c.isalnum()) if keys else ""
        if last in CODES:
            codes.append(found)
        elif keys and keys[-1].lower() in WORDS:
            words.append(found)
        elif WORDS.intersection(keys):  # below one, as in {"errors": {"size": ["is not allowed"]}}
            words.append(f"{keys[-1]}: {found}")
        else:
            others.append(f"{keys[-1]}: {found}" if keys else found)
    return network.short("; ".join(dict.fromkeys(words or others or codes)), 200), " ".join(codes)


def refuses(status: int, words: str, codes: str) -> bool:
    """Whether an answer refuses to draw this prompt: it would refuse again, and may draw others."""
    if status == 401 or (status == 403 and ACCOUNT.search(words)):
        return False
    return bool(
        status == 451 or REFUSAL_CODES.search(codes) or (status != 429 and REFUSAL_WORDS.search(words))
    )


def is_spent(status: int, words: str, codes: str) -> bool:
    """Whether an answer says that the quota or the money is used up, which waiting does not change."""
    limited = status == 429 and PASSING.search(words)
    spent = QUOTA_CODES.search(codes) or (QUOTA_WORDS.search(words) and not limited)
    return status == 402 or (status in (400, 403, 429) and bool(spent))


def first_picture(value: Any) -> tuple[str | None, str | None]:
    """An answer => the text that holds its first picture, base64 or an address, and the revised prompt."""
    if isinstance(value, dict):
        value = next((value[key] for key in LISTS if value.get(key)), value)
    first = next(iter(value), None) if isinstance(value, list) else value
    if isinstance(first, str):
        return first, None
    if not isinstance(first, dict):
        return None, None
    found = next((first[key] for key in PICTURE if isinstance(first.get(key), str) and first[key]), None)
    revised = first.get("revised_prompt")
    return found, revised if isinstance(revised, str) else None


def is_address(data: str) -> bool:
    """Whether the text in place of a picture is its address in the network."""
    return data.strip().lower().startswith(("http://", "https://"))


def decoded(data: str) -> bytes:
    """Base64 in any of its forms => bytes: a data URI, in quotes, with line breaks, URL-safe, unpadded.

    Raises ValueError.
    """
    data = data.strip().strip("\"'")
    if data[:5].lower() == "data:":
        head, comma, data = data.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise ValueError("a data URI without base64")
    data = "".join(unquote(data).split()).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("no base64") from None


def parsed(content: bytes) -> Any:
    """The JSON of an answer. Raises ValueError for other bytes."""
    try:
        return json.loads(decode_text(content))
    except TextError as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("JSON of too many levels") from None


def _texts(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts of a JSON value, at most a hundred, each with the keys that lead to it.

    The place that FastAPI gives beside a message, {"loc": ["body", "size"], "msg": ...}, is a part of it.
    """
    left: list[tuple[tuple[str, ...], Any]] = [(keys, value)]
    for _ in range(1000):
        if not left:
            return
        keys, found = left.pop(0)
        if isinstance(found, str):
            yield keys, found
        elif isinstance(found, list):
            left += [(keys, item) for item in found[:100]]
        elif isinstance(found, dict):
            place = found.get("loc")
            if isinstance(place, list) and isinstance(found.get("msg"), str):
                where = ".".join(map(str, place))
                found = {key: item for key, item in found.items() if key != "loc"} | {
                    "msg": f"{where}: {found['msg']}"
                }
            left += [((*keys, key), item) for key, item in found.items()]
