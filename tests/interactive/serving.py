"""Serves a playground within the tests."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

from nineline.interactive.opening import open_example


@contextlib.contextmanager
def served(opened=None, **options):
    """Yield a playground that answers at its address."""
    from nineline.interactive.server import Playground

    playground = Playground(open_example("xor") if opened is None else opened, **options)
    server = playground.server()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([playground.socket])))
    thread.start()
    try:
        until = time.monotonic() + 20
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        yield playground
    finally:
        server.should_exit = True
        thread.join()
        playground.close()
