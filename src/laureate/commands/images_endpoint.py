"""One request to an images endpoint => a picture, a refusal, or a failure told from others that pass."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from laureate.commands import endpoint_answers as answers
from laureate.config.params import Endpoint
from laureate.core import network, secrets
from laureate.core.errors import LaureateError

if TYPE_CHECKING:
    from PIL.Image import Image

MEGAPIXELS = 50.0  # of one picture
MAX_BYTES = 200_000_000  # of one answer


class Refusal(Exception):
    """The model refuses to draw this: an answer without a picture, which is kept."""


class Fault(Exception):
    """A temporary failure: a time-out, a busy or broken server, or bytes that are not a picture.

    `again`: asking again may help; `wait`: the seconds that the server asks for, if it does.
    """

    def __init__(self, text: str, again: bool = False, wait: float | None = None) -> None:
        super().__init__(text)
        self.again, self.wait = again, wait


def ask(client: Any, body: dict[str, Any], retries: int = 0) -> dict[str, Any]:
    """Send one request => {"picture": base64, "revised_prompt": text or None}.

    A failure that may pass is tried again `retries` times, after the wait that the server asks for. Raises
    Refusal, Fault, and LaureateError for errors that would repeat.
    """
    for done in range(retries + 1):
        try:
            return _ask(client, body)
        except Fault as fault:
            wait = min(8.0, 0.5 * 2**done) if fault.wait is None else fault.wait
            if not fault.again or done == retries or wait > network.LONGEST_WAIT:
                raise
            time.sleep(wait)
    raise AssertionError("not reached")


def _ask(client: Any, body: dict[str, Any]) -> dict[str, Any]:
    import openai

    known = {key: body[key] for key in ("model", "n", "size", "prompt") if key in body}
    extra = {key: value for key, value in body.items() if key not in known}
    try:
        answer = client.images.with_raw_response.generate(**known, extra_body=extra)
        value = answers.parsed(answer.content)
    except openai.APITimeoutError:
        raise Fault("timed out", again=True) from None
    except openai.APIConnectionError as error:
        raise Fault(f"no connection: {network.reason(error.__cause__ or error)}", again=True) from None
    except openai.APIStatusError as error:
        raise _of_status(error.response, error.status_code, body) from None
    except (openai.OpenAIError, ValueError) as error:
        raise Fault(f"not an answer of the images API: {network.short(error)}") from None
    data, revised = answers.first_picture(value)
    if data is None:
        raise _without_picture(value)
    if answers.is_address(data):
        raise LaureateError("the endpoint answers with URLs; set options: {response_format: b64_json}")
    try:
        content = answers.decoded(data)
    except ValueError as error:
        raise Fault(f"bytes that are not a picture: {error}") from None
    picture(content)
    return {"picture": base64.b64encode(content).decode("ascii"), "revised_prompt": revised}


def _of_status(response: Any, status: int, body: dict[str, Any]) -> Exception:
    """What an answer with an error status means."""
    words, codes = answers.said(response.text)
    if answers.is_spent(status, words, codes):
        return LaureateError(
            f"the endpoint answered {status}: {words or 'payment required'}; answers so far are kept, run it "
            "again to continue"
        )
    if answers.refuses(status, words, codes):
        return Refusal(f"refused: {words or f'status {status}'}")
    if status in (408, 409, 429) or status >= 500:
        told = f": {words}" if words else ""
        return Fault(f"status {status}{told}", again=True, wait=network.retry_after(response.headers))
    if status in (400, 422):
        of_size = "size" in body and answers.SIZE.search(response.text[: answers.LARGEST_ERROR])
        cure = "; `size: null` leaves it out" if of_size else ""
        return LaureateError(f"the endpoint rejects the request: {words or f'status {status}'}{cure}")
    return LaureateError(
        f"the endpoint answered {status}: {words or 'nothing'}; check url, model and key of the endpoint"
    )


def _without_picture(value: Any) -> Exception:
    """What a good status without a picture means: some servers refuse so."""
    words, codes = answers.said(json.dumps(value))
    if answers.refuses(200, words, codes):
        return Refusal(f"refused: {words}")
    return Fault(f"an answer without a picture{f': {words}' if words else ''}")


def picture(content: bytes) -> Image:
    """Encoded bytes => RGB picture, upright, on white. Raises Fault."""
    from laureate.imaging.image_io import PictureError, decode

    try:
        return decode(content, MEGAPIXELS)
    except PictureError as error:
        raise Fault(f"bytes that are not a picture: {error}") from None


def connect(endpoint: Endpoint) -> Any:
    """An OpenAI client for the endpoint. Raises LaureateError for a missing key or package, a bad proxy."""
    key = secrets.from_environment(endpoint.key)
    if key is None:
        raise LaureateError(f"the environment has no {endpoint.key}; it must hold the key of {endpoint.url}")
    try:
        from openai import OpenAI
    except ImportError:
        raise LaureateError("an endpoint needs the openai package: pip install 'laureate[images]'") from None
    try:
        bounded = _bounded(endpoint.timeout)
    except (ImportError, OSError, ValueError) as error:
        raise LaureateError(f"{endpoint.url} cannot be reached: {network.reason(error)}") from None
    client = OpenAI(
        base_url=endpoint.url,
        api_key=key.reveal(),
        timeout=endpoint.timeout,
        max_retries=0,
        http_client=bounded,
    )
    client.admin_api_key = None  # from the environment, too, and for no endpoint but OpenAI's own
    if not endpoint.send_organization:
        client.organization = client.project = None  # OpenAI takes both from the environment
    return client


def _bounded(seconds: float) -> Any:
    """An HTTP client that limits the time and size of a whole answer; a time-out limits each read only."""
    import httpx2

    class Bounded(httpx2.SyncByteStream):
        def __init__(self, stream: Any) -> None:
            self.stream, self.end = stream, time.monotonic() + seconds

        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for part in self.stream:
                size += len(part)
                if time.monotonic() > self.end or size > MAX_BYTES:
                    raise httpx2.ReadTimeout("the answer takes too long or is too large")
                yield part

        def close(self) -> None:
            self.stream.close()

    def bound(answer: httpx2.Response) -> None:
        answer.stream = Bounded(answer.stream)

    # no redirects: the key is for one host
    return httpx2.Client(timeout=seconds, follow_redirects=False, event_hooks={"response": [bound]})
