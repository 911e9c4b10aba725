"""`laureate museum`: serve the simulated museum site on loopback, for a browser."""

import threading
from contextlib import suppress

from laureate.simulator.museum.server import PORT, opened


def run(port: int = PORT) -> None:
    """Serve the site until Ctrl-C."""
    with opened(port=port) as address:
        print(f"The museum is at {address}/ (stop it with Ctrl-C)", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
