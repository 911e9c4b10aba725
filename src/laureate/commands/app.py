"""`laureate app`: one page in a browser to try the models, make portraits and posters, see the study."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from laureate.app.gradio_stubs import no_gradio_stubs
from laureate.config.params import Params
from laureate.core import secrets
from laureate.core.errors import LaureateError

CURE = "give a --token that browsers must show"


def run(
    params: Params,
    host: str = "127.0.0.1",
    port: int = 7860,
    token: str | None = None,
    keep: str | None = None,
) -> None:
    """Serve the page until interrupted; on another host than loopback only to browsers with `token`.

    `keep`: a folder for photos and what is made of them; without it, nothing is kept. Raises LaureateError
    for an invalid base, a port in use, a token that is too short, a missing package, and for a host other
    than loopback without a token.
    """
    from laureate.commands import serve

    secret = _secret(token)
    with serve.listen(host, port, secret is not None, CURE) as listening:
        _quiet()
        try:
            with no_gradio_stubs():
                import gradio  # noqa: F401  # late: it takes seconds
            import uvicorn
        except ImportError:
            raise LaureateError("the app needs gradio: pip install 'laureate[app]'") from None
        from laureate.app import cache, server
        from laureate.app.resources import Resources
        from laureate.img2img.generator import PortraitGenerator
        from laureate.sampling.generator import Generator

        generator = Generator(params)
        portraits = PortraitGenerator(params, found=generator.found)
        resources = Resources(params, generator, portraits, None if keep is None else Path(keep))
        with cache.opened():
            web = uvicorn.Server(server.configuration(server.build(resources, secret)))
            threading.Thread(target=resources.warm_up, daemon=True).start()
            address = serve.address_of(listening)
            print(f"{address} is the page: open it in a browser; stop it with Ctrl-C", flush=True)
            if not serve.is_loopback(listening):
                print(f"it is exposed: everyone who can reach {host} and has the token can use it",
                      file=sys.stderr)  # fmt: skip
            if keep is not None:
                print(f"photos and what is made of them are kept in {keep}", file=sys.stderr)
            web.run(sockets=[listening])


def _secret(token: str | None) -> secrets.Secret | None:
    """The token. Raises LaureateError for one that can be guessed or does not fit into an address."""
    if token is None:
        return None
    if len(token) < 8 or not token.isascii() or not token.isprintable() or " " in token:
        raise LaureateError("--token is too weak: give at least 8 letters, digits or signs, without spaces")
    return secrets.Secret(token)


def _quiet() -> None:
    """Set what Gradio reads from the environment when it is imported: no telemetry, a cache of our own."""
    from laureate.app.cache import own_folder

    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(own_folder())
    os.environ["HF_HUB_OFFLINE"] = "1"
