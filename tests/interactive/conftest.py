"""What the tests of the playground need: what is at the other end of a session."""

from __future__ import annotations

import json
import queue

import numpy as np
import pytest

from nineline.interactive.session import Session

TYPES = {"float32": np.float32, "float64": np.float64, "uint8": np.uint8}


def read(message):
    """Return a message's header and its arrays, as a page reads them."""
    length = int.from_bytes(message[:4], "little")
    header = json.loads(message[4 : 4 + length])
    arrays = {
        each["name"]: np.frombuffer(
            message, TYPES[each["type"]], int(np.prod(each["shape"])), 4 + length + each["start"]
        ).reshape(each["shape"])
        for each in header.pop("arrays")
    }
    return header, arrays


class Page:
    """A page without a browser: says messages to a session, and keeps what comes back."""

    def __init__(self, opened=None, **options):
        self.heard = queue.Queue()
        self.session = Session(self.heard.put, opened, **options)

    def say(self, kind, content=b"", **message):
        assert self.session.hear({"type": kind, **message}, content)

    def hears(self, *kinds, seconds=20.0):
        """Return the next message of one of some kinds; others are dropped."""
        while True:
            header, arrays = read(self.heard.get(timeout=seconds))
            if header["type"] in kinds:
                return header, arrays

    def asks(self, kind, *kinds, content=b"", **message):
        """Say a message, and return the header of its answer."""
        self.say(kind, content, **message)
        return self.hears(*kinds)[0]

    def frame(self):
        self.say("ready")
        return self.hears("frame")

    def parameters(self):
        return self.frame()[1]["parameters"]


@pytest.fixture
def pages():
    """Return what makes a page that has said hello; its session is closed when the test ends."""
    made = []

    def make(opened=None, settings=None, **options):
        page = Page(opened, **options)
        made.append(page)
        page.say("hello", settings=settings)
        page.hears("data")
        return page

    yield make
    for page in made:
        page.session.close()


@pytest.fixture
def page(pages):
    return pages()
