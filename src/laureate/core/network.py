"""Say why a server was not reached, or what it answered: one policy for hub, endpoint and downloads.

The errors of requests, httpx and urllib3 are told by their names and texts, so that none is imported here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from laureate.core.secrets import redact

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
LONGEST_WAIT = 120.0  # seconds of a Retry-After that are waited
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def errors() -> tuple[type[BaseException], ...]:
    """What a client may raise for a network, a proxy, certificates or an answer that is no JSON."""
    from httpx2 import HTTPError, InvalidURL  # late, as all large packages

    others = (ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError)
    return (HTTPError, InvalidURL, OSError, *others)


def reason(error: BaseException) -> str:
    """Why a request failed, and what to do about it, without secrets."""
    chain = _chain(error)
    names = " ".join(type(part).__name__ for part in chain)
    text = " ".join(" ".join(str(part).split()) for part in chain)
    for variable in CERTIFICATES:
        path = os.environ.get(variable)
        if path and not Path(path).exists():
            return f"{variable} names {path}, which is not there; correct the variable or unset it"
    if "socks" in text.lower() and ("ImportError" in names or "package" in text or "dependencies" in text):
        packages = "socksio PySocks"
        return f"{_proxy('socks')} is a SOCKS proxy, which needs more packages: pip install {packages}"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its certificate cannot be verified; name your certificates in SSL_CERT_FILE"
    if "unknown url type" in text.lower() or "Unknown scheme for proxy" in text:
        return f"{_proxy('')} has an address that is no proxy's; correct or unset it"
    if "ProxyError" in names or "proxy" in text.lower():
        return f"{_proxy('')} does not let the request through; correct or unset it"
    if re.search(r"Timeout|timed out", f"{names} {text}"):
        return "no answer in time; try later"
    if re.search(r"gaierror|NameResolution|Name or service not known|getaddrinfo", f"{names} {text}"):
        return "its name is not known; check the address and the connection"
    if re.search(r"ConnectionRefused|Connection refused", f"{names} {text}"):
        return "it refuses the connection; check the address"
    if "TooManyRedirects" in names:
        return "it redirects in a circle"
    if re.search(r"SSL|certificate", f"{names} {text}"):
        return f"no secure connection ({short(chain[-1])})"
    if re.search(r"JSONDecodeError|Expecting value", f"{names} {text}"):
        return "it answers with a page or text instead of JSON; check the address"
    if re.search(r"RemoteProtocolError|RemoteDisconnected|IncompleteRead|ConnectionReset", names):
        return "it broke the connection off; try later"
    return f"{type(error).__name__}: {short(error)}"


def short(text: object, limit: int = 300) -> str:
    """A text of a server or library on one line, without secrets, at most `limit` characters."""
    return redact(" ".join(str(text).split())[: 4 * limit])[:limit]


def retry_after(headers: object, limit: float = LONGEST_WAIT) -> float | None:
    """The seconds that a server asks to wait, from Retry-After or retry-after-ms; None if it does not say.

    `headers` is a mapping without regard to case. A date is taken against this machine's clock. A longer
    wait than `limit` is given as it is: the caller decides.
    """
    from collections.abc import Mapping
    from email.utils import parsedate_to_datetime

    assert isinstance(headers, Mapping)
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = str(headers.get(name) or "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
            return float(value) * scale
    value = str(headers.get("retry-after") or "")
    try:
        then = parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    import time

    return max(0.0, then - time.time())


def is_web_page(data: bytes) -> bool:
    """Whether bytes are the start of a web page."""
    return data[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html"))


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file is a pointer of Git LFS instead of the content."""
    try:
        with path.open("rb") as file:
            return file.read(len(LFS_POINTER)) == LFS_POINTER
    except OSError:
        return False


def _proxy(kind: str) -> str:
    """Which variable sets a proxy whose address begins with `kind`."""
    for name in PROXIES:
        if os.environ.get(name, "").lower().startswith(kind) and os.environ.get(name):
            return f"the proxy in {name}"
    return "the proxy"


def _chain(error: BaseException) -> list[BaseException]:
    """An error and those that caused it."""
    found: list[BaseException] = []
    left: list[object] = [error]
    while left and len(found) < 20:
        one = left.pop(0)
        if not isinstance(one, BaseException) or any(one is other for other in found):
            continue
        found.append(one)
        left += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return found
