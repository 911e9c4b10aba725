"""Keys and tokens: read from the environment, never printed, removed from every text that is shown."""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from laureate.core.errors import LaureateError

HIDDEN = "***"
PART = 6  # characters; no part of a secret of this length is shown
SHORTEST = 3  # characters; a shorter value is part of ordinary words
SUSPECT = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)  # names of variables
RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[^\s/]{16,}")  # values that are no words
PATTERNS = (
    (re.compile(r"(?i)\b(bearer|basic)(\s+)(?!\*)[A-Za-z0-9._~+/=-]{6,}"), rf"\1\2{HIDDEN}"),
    (re.compile(r"(\w+://)[^/\s@]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(?i)([?&]\w*(?:key|token|secret|signature|sig|password)=)[^&\s\"'#]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(hf_|sk-)[A-Za-z0-9_-]{16,}"), HIDDEN),
)

# The values that this process has read: whatever is printed or logged later must not hold them.
_read: set[str] = set()


class Secret:
    """A key or token. Printing, formatting and comparing do not show it; pickling and copying are refused."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value
        _read.add(value)

    def reveal(self) -> str:
        """The value, for the one call that sends it."""
        return self.__value

    def matches(self, text: str) -> bool:
        """Whether `text` is the value, in a time that does not depend on where they differ."""
        return hmac.compare_digest(self.__value.encode(), text.encode())

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, form: str) -> str:
        return HIDDEN

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


def from_environment(variable: str) -> Secret | None:
    """The secret in an environment variable; None if it is not set or empty.

    Raises LaureateError, which names the variable and not its value, for anything but visible ASCII
    characters: a line break, a space or an invisible character comes from copying, and no header may hold it.
    """
    value = os.environ.get(variable, "")
    if not value.strip():
        return None
    for part in {value, *value.split()}:
        if len(part) >= PART:
            _read.add(part)
    problem = _problem(value)
    if problem:
        raise LaureateError(f"the environment variable {variable} {problem}; set it again without that")
    return Secret(value)


def _problem(value: str) -> str | None:
    """What makes a value unfit for a header, or None."""
    if value[0] in "\"'`" or value[-1] in "\"'`":
        return "has quotation marks around its value"
    found = re.search(r"[^\x21-\x7e]", value)
    if found is None:
        return None
    character = found[0]
    if character in "\r\n":
        kind = "a line break"
    elif character in " \t":
        kind = "a space"
    else:
        kind = f"the character U+{ord(character):04X}, which no key has"
    return f"{'ends with' if found.end() == len(value) else 'holds'} {kind}"


def is_key_itself(name: str) -> bool:
    """Whether what should be the name of an environment variable looks like a key: long and random."""
    letters = r"(?=[A-Za-z0-9]*\d)(?=[A-Za-z0-9]*[a-z])[A-Za-z0-9]{16,}"
    return bool(re.search(letters, name) or re.match(r"(sk|hf|gsk|xai|key|pk)[-_][A-Za-z0-9]{6,}", name))


def redact(text: str) -> str:
    """`text` with *** in place of secrets: what was read, any part of it of PART characters, and lookalikes.

    Also hides the values of environment variables whose names say that they are secret (in parts, too, where
    they look random), and user and password in addresses.
    """
    for pattern, hidden in PATTERNS:
        text = pattern.sub(hidden, text)
    for value in _of_environment():
        text = text.replace(value, HIDDEN)
    random = [value for value in _of_environment() if RANDOM.fullmatch(value)]
    for value in (*_read, *random):
        for form in _forms(value):
            text = _without_parts(text, form)
    return text


def without_home(text: str) -> str:
    """`text` with ~ in place of the path of the home folder."""
    try:
        home = str(Path.home())
    except RuntimeError:
        return text
    return text.replace(home, "~") if len(home) > 1 else text


def _of_environment() -> list[str]:
    """Values of variables whose names say that they are secret, but for paths."""
    values = []
    for name, value in os.environ.items():
        if SUSPECT.search(name) and len(value) >= 8 and not name.endswith(("PATH", "FILE", "DIR", "SOCK")):
            values.append(value)
    return sorted(values, key=len, reverse=True)


def _forms(value: str) -> set[str]:
    """A value as it may stand in a text: as it is, in an address, in JSON, in base64."""
    return {
        value,
        quote(value, safe=""),
        json.dumps(value)[1:-1],
        base64.b64encode(value.encode()).decode().rstrip("="),
    }


def _without_parts(text: str, value: str) -> str:
    """Replace every run of characters of `text` that is made of parts of `value`."""
    size = min(PART, len(value))
    if size < SHORTEST or len(text) < size:
        return text
    parts = {value[i : i + size] for i in range(len(value) - size + 1)}
    kept, at = [], 0
    while at < len(text):
        if text[at : at + size] not in parts:
            kept.append(text[at])
            at += 1
            continue
        end = at + size
        while end - size + 1 < len(text) and text[end - size + 1 : end + 1] in parts and end < len(text):
            end += 1
        kept.append(HIDDEN)
        at = end
    return "".join(kept)
