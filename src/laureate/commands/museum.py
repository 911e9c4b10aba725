"""laureate museum: serve the museum of invented laureates to a browser."""

import threading
from contextlib import suppress

from laureate.simulator.museum.server import PORT, opened


def run(port: int = PORT) -> None:
    """Keep the museum open for a person with a browser, until Ctrl-C."""
    with opened(port=port) as address:
        print(f"The museum is open at {address}/ (Ctrl-C closes it)", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
