"""Server: one address on this machine, behind a token, for pages of its own alone."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from nineline.interactive.table import BYTES_AT_MOST

from .conftest import read
from .serving import served

websockets = pytest.importorskip("websockets", reason="websockets is not installed (extra playground)")
connect = pytest.importorskip("websockets.sync.client").connect
servers = pytest.importorskip("nineline.interactive.server", reason="starlette is not installed (extra playground)")


@pytest.fixture(scope="module")
def playground():
    with pytest.MonkeyPatch.context() as patch, served() as playground:
        patch.setattr(servers, "SECONDS_WITHOUT_A_PAGE", 1.0)
        yield playground


class Tab:
    """A tab of a browser, as far as its socket goes."""

    def __init__(self, playground, session=None, **options):
        options = {"origin": f"http://127.0.0.1:{playground.port}", "max_size": None, "proxy": None, **options}
        self._held = contextlib.ExitStack()
        self.socket = self._held.enter_context(
            connect(f"ws://127.0.0.1:{playground.port}/{playground.token}/socket", **options)
        )
        try:
            self.say("hello", session=session)
            self.name = self.hears("welcome")["session"]
            self.state = self.hears("state")
            self.hears("data")
        except BaseException:
            self.close()
            raise

    def close(self):
        self._held.close()

    def say(self, kind, **message):
        self.socket.send(json.dumps({"type": kind, **message}))

    def hears(self, *kinds):
        while True:
            header, _ = read(self.socket.recv(timeout=20))
            if header["type"] in kinds:
                return header

    def asks(self, kind, *kinds, **message):
        self.say(kind, **message)
        return self.hears(*kinds)

    def step(self):
        return self.asks("ready", "frame")["step"]


@pytest.fixture
def tab(playground):
    tab = Tab(playground)
    yield tab
    tab.close()


def got(playground, path, **headers):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", playground.port, timeout=20)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()


def test_it_listens_on_this_machine_alone(playground):
    assert playground.socket.getsockname()[0] == "127.0.0.1"


def test_the_page_and_its_modules_come_with_a_policy(playground):
    status, headers, page = got(playground, f"/{playground.token}/")
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert 'src="start.js"' in page
    assert not re.search(r"https?://", page)
    status, headers, _ = got(playground, f"/{playground.token}/main.js")
    assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")


@pytest.mark.parametrize("name", ["nothing.js", "..%2fserver.py", "%2e%2e/server.py", "__init__.py", ""])
def test_nothing_else_is_to_be_had(playground, name):
    status, _, text = got(playground, f"/{playground.token}/{name}" if name else "/")
    assert status in (403, 404)
    assert "import" not in text


def test_an_address_without_its_last_slash_is_mended(playground):
    status, headers, _ = got(playground, f"/{playground.token}")
    assert (status, headers["location"]) == (307, f"/{playground.token}/")


@pytest.mark.parametrize("path", ["/", "/wrong/", "/wrong/main.js", "/wrong"])
def test_a_wrong_token_is_told_what_to_do(playground, path):
    status, _, text = got(playground, path)
    assert status == 403
    assert "Open the address that nineline playground has printed" in text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:80"])
def test_a_foreign_host_is_refused(playground, host):
    status, _, text = got(playground, f"/{playground.token}/", Host=host)
    assert status == 403
    assert "alone" in text


def test_a_foreign_origin_is_refused(playground):
    status, _, _ = got(playground, f"/{playground.token}/main.js", Origin="http://evil.example")
    assert status == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:1", None])
def test_a_socket_of_a_foreign_origin_is_refused(playground, origin):
    with pytest.raises(websockets.InvalidStatus, match="403"):
        Tab(playground, origin=origin)


def test_a_socket_with_a_wrong_token_or_host_is_refused(playground):
    origin = f"http://127.0.0.1:{playground.port}"
    with pytest.raises(websockets.InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{playground.port}/wrong/socket", origin=origin, proxy=None).__enter__()
    headers = {"Host": "evil.example"}
    with pytest.raises((websockets.InvalidStatus, websockets.InvalidMessage)):
        Tab(playground, additional_headers=headers)


def test_a_page_that_is_lost_is_waited_for(monkeypatch):
    monkeypatch.setattr(servers, "SECONDS_WITHOUT_A_PAGE", 0.1)
    with served() as playground:
        tab = Tab(playground)
        tab.asks("epoch", "state")
        tab.socket.socket.shutdown(socket.SHUT_RDWR)  # as a machine that sleeps does, without a word
        time.sleep(0.5)
        again = Tab(playground, session=tab.name)
        assert again.step() == 14
        for each in (again, tab):
            each.close()


def test_the_browser_is_shown_a_file_and_no_token_on_a_command_line(monkeypatch):
    opened = []
    monkeypatch.setattr(servers.webbrowser, "open", opened.append)
    with servers._door("http://127.0.0.1:1/token/#a&b"):
        path = Path(urlsplit(opened[0]).path)
        assert "token" not in opened[0]
        assert "http://127.0.0.1:1/token/#a&amp;b" in path.read_text()
        assert path.stat().st_mode & 0o077 == 0
    assert not path.exists()


def test_two_tabs_share_nothing(playground):
    one, two = Tab(playground), Tab(playground)
    assert one.name != two.name
    one.asks("epoch", "state")
    assert (one.step(), two.step()) == (14, 0)
    same = Tab(playground, session=one.name)  # a tab that was copied has its name, too
    assert same.name != one.name
    for tab in (one, two, same):
        tab.close()


def test_a_page_that_is_loaded_again_finds_its_session(playground):
    tab = Tab(playground)
    tab.asks("epoch", "state")
    tab.close()
    again = Tab(playground, session=tab.name)
    assert (again.name, again.step()) == (tab.name, 14)
    again.close()


@pytest.mark.parametrize(
    "message",
    [
        *["", "no JSON", "[]", "{}", '{"type": 1}', "[" * 50_000, '{"type": "run", "x": NaN}', "x" * 200_000],
        *[b"", b"\xff\xff\xff\xff", b"\x02\x00\x00\x00{}", b"\x04\x00\x00\x00\xff\xfe\xfd\xfc", bytes(1000)],
    ],
    ids=range(13),
)
def test_what_is_no_message_is_refused_and_the_page_goes_on(tab, message):
    tab.socket.send(message)
    assert tab.hears("refused", "state")["type"] == "refused"
    assert tab.asks("step", "state")["step"] == 1


def test_whoever_does_not_say_hello_first_is_told_so(playground):
    origin = f"http://127.0.0.1:{playground.port}"
    with connect(f"ws://127.0.0.1:{playground.port}/{playground.token}/socket", origin=origin, proxy=None) as socket:
        socket.send('{"type": "run"}')
        assert read(socket.recv(timeout=20))[0]["text"] == "say hello first"


def test_a_file_of_100_megabytes_ends_its_page_and_no_other(playground, tab):
    other = Tab(playground)
    other.asks("step", "state")
    with contextlib.suppress(websockets.ConnectionClosed, ConnectionError, BrokenPipeError):
        tab.socket.send((2).to_bytes(4, "little") + b"{}" + bytes(100_000_000))
    with pytest.raises(websockets.ConnectionClosed) as closed:
        tab.hears("nothing")
    assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
    assert other.step() == 1
    other.close()


def test_a_file_that_is_just_too_large_is_refused_in_words(tab):
    header = json.dumps({"type": "table", "name": "large.csv"}).encode()
    tab.socket.send(len(header).to_bytes(4, "little") + header + bytes(BYTES_AT_MOST + 1))
    assert "takes 20 MB at most" in tab.hears("refused")["text"]


def test_a_page_that_does_not_read_is_let_go(playground, monkeypatch):
    monkeypatch.setattr(servers, "WAITING_AT_MOST", 5)
    tab = Tab(playground)
    tab.asks("change", "state", settings={"layers": [{"nodes": 32}] * 6})
    with contextlib.suppress(websockets.ConnectionClosed, ConnectionError):
        for _ in range(400):  # a hundred kilobytes each, which nobody takes
            tab.say("export", what="c")
    until = time.monotonic() + 60
    while tab.name in playground._pages:
        assert time.monotonic() < until
        time.sleep(0.02)
    with pytest.raises((websockets.ConnectionClosed, ConnectionError)):
        tab.hears("nothing")
    tab.close()


def test_there_are_so_many_playgrounds_and_no_more(monkeypatch):
    monkeypatch.setattr(servers, "SESSIONS_AT_MOST", 2)
    with served() as playground:
        tabs = [Tab(playground), Tab(playground)]
        with pytest.raises(websockets.ConnectionClosed) as closed:
            Tab(playground)
        assert "2 playgrounds are open" in closed.value.rcvd.reason
        for tab in tabs:
            tab.close()


def test_closing_the_last_tab_ends_the_work(monkeypatch):
    monkeypatch.setattr(servers, "SECONDS_WITHOUT_A_PAGE", 0.2)
    before, ended = threading.active_count(), threading.Event()
    with served(ended=ended.set) as playground:
        one, two = Tab(playground), Tab(playground)
        one.say("run")
        one.close()
        assert not ended.wait(0.6)
        assert playground.sessions == 1
        two.close()
        assert ended.wait(20)
        assert playground.sessions == 0
    assert threading.active_count() <= before


def test_many_pages_come_and_go_and_leave_nothing(monkeypatch):
    monkeypatch.setattr(servers, "SECONDS_WITHOUT_A_PAGE", 0.0)
    with served() as playground:
        before = threading.active_count()
        for _ in range(30):
            tab = Tab(playground)
            tab.say("run")
            tab.step()
            tab.close()
        until = time.monotonic() + 20
        while playground.sessions and time.monotonic() < until:
            time.sleep(0.02)
        assert playground.sessions == 0
        assert threading.active_count() <= before + 2  # of the loop's own pool


@contextlib.contextmanager
def begun(*arguments):
    """Yield the command, and its first line, which says where the page is."""
    command = [sys.executable, "-m", "nineline", "playground", "--no-browser", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1) as process:
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


class Address:
    def __init__(self, line):
        found = re.search(r"http://127\.0\.0\.1:(\d+)/([^/]+)/", line)
        self.port, self.token = int(found[1]), found[2]


def test_the_command_ends_when_its_last_page_is_closed(tmp_path):
    table = tmp_path / "flats.csv"
    table.write_text("area,rent\n" + "".join(f"{40 + n},{300 + 7 * n}.5\n" for n in range(60)))
    with begun(str(table), "--target", "rent") as (process, line):
        tab = Tab(Address(line))
        assert tab.state["settings"]["data"]["target"] == "rent"
        tab.close()
        rest = process.communicate(timeout=30)[0]
    assert process.returncode == 0
    assert "The last page was closed." in rest


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a signal")
def test_ctrl_c_ends_the_command(tmp_path):
    with begun("--example", "spirals") as (process, line):
        tab = Tab(Address(line))
        tab.say("run")
        tab.step()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[0]
        tab.close()
    assert process.returncode == 0
    assert "Traceback" not in rest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--example", "iris"], "example is 'iris'"),
        (["nothing.csv"], "say which column is to be predicted: --target COLUMN"),
        (["nothing.csv", "--target", "y"], "nothing.csv"),
        (["nothing.nineline"], "nothing.nineline"),
        (["--target", "y"], "no table is given"),
        (["a.csv", "--example", "xor"], "leave one of them out"),
        (["--link", "nonsense"], "expected the address of a playground"),
    ],
)
def test_what_cannot_be_opened_is_said_in_a_line(arguments, words, capsys, monkeypatch):
    from nineline.cli import main

    monkeypatch.setattr(sys, "argv", ["nineline", "playground", "--no-browser", *arguments])
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
