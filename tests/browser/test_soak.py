"""Hours of a playground in a few seconds: what is kept grows no more. NINELINE_SOAK=3600 makes an hour of it."""

from __future__ import annotations

import gc
import os
import time
import tracemalloc

import numpy as np

from .test_playground import choose, press, said, session_of, type_in

SECONDS = float(os.environ.get("NINELINE_SOAK", "8"))


def test_a_page_that_runs_on_leaks_nothing(page, playground):
    """Neither here nor in the browser, while it trains, is changed, is looked into, and starts again."""
    session = session_of(playground, page)
    devtools = page.context.new_cdp_session(page)
    choose(page, "speed", "null")
    page.click('[data-node="0,1"]')
    rng = np.random.default_rng(0)
    tracemalloc.start()
    here, there, nodes, rounds = [], [], [], 0
    until = time.monotonic() + SECONDS
    while time.monotonic() < until or rounds < 12:
        press(page, "run")
        page.wait_for_timeout(100)
        choose(page, "learning_rate", str(rng.choice(["0.003", "0.01", "0.03"])))
        type_in(page, "layers.0.nodes", 4 + rounds % 2)
        page.click('[data-node="0,1"]')
        page.focus('[data-action="surface"]')
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(100)
        press(page, "run")
        press(page, "rewind")
        rounds += 1
        if rounds % 2 == 0:
            gc.collect()
            here.append(tracemalloc.get_traced_memory()[0])
            devtools.send("HeapProfiler.collectGarbage")
            there.append(devtools.send("Runtime.getHeapUsage")["usedSize"])
            nodes.append(page.evaluate("document.querySelectorAll('*').length"))
    tracemalloc.stop()
    late = slice(len(here) // 2, None)
    assert max(here[late]) < max(here[: len(here) // 2]) + 3e6, here
    assert max(there[late]) < 1.3 * max(there[: len(there) // 2]) + 1e6, there
    assert max(nodes) < min(nodes) + 60, nodes
    assert len(session.run.marks) <= 400
    assert said(page).frames > 20
