"""The pause that a site asks for, in both forms of the header."""

import pytest

from crawler.middlewares import retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        (b"7", 7.0),
        (b" 0 ", 0.0),
        (b"Sun, 06 Nov 1994 08:49:37 GMT", 37.0),
        (b"Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        (b"soon", None),
        (b"-3", None),
        (b"\xff", None),
    ],
)
def test_retry_after_in_seconds_and_as_a_date(header: bytes | None, seconds: float | None) -> None:
    assert retry_after(header, now=784111740.0) == seconds
