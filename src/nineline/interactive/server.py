"""Server: a page in the browser for each tab that opens it, on this machine alone."""

from __future__ import annotations

import asyncio
import contextlib
import html
import os
import secrets
import socket
import tempfile
import webbrowser
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from nineline.interactive.messages import decode, encode
from nineline.interactive.session import Opened, Session
from nineline.interactive.table import BYTES_AT_MOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import HTTPConnection, Request

HOST: Final = "127.0.0.1"
SESSIONS_AT_MOST: Final = 20
SECONDS_WITHOUT_A_PAGE: Final = 5.0
"""So long a session waits for a page that was closed: it may have been loaded again."""
SECONDS_OF_A_LOSS: Final = 300.0
"""So long it waits for a page that was lost, such as on a machine that sleeps."""
WAITING_AT_MOST: Final = 200
"""Messages that are to be sent and were not yet taken."""

_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Playground:
    """The pages and sockets of a playground, at an address that holds a random token.

    Parameters
    ----------
    opened : Opened
        What each tab begins with.
    port : int
        0 for one that is free.
    ended : function, optional
        Called when the last tab has been closed for some seconds.

    Attributes
    ----------
    address : str
        Where the page is.
    """

    def __init__(self, opened: Opened, port: int = 0, ended: Callable[[], None] | None = None) -> None:
        self.opened, self._ended = opened, ended
        self.token = secrets.token_urlsafe(24)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind((HOST, port))
        except OSError as error:
            self.socket.close()
            raise OSError(f"port {port} cannot be had: {error.strerror}; choose another, or leave --port out") from None
        self.socket.listen()
        self.port = int(self.socket.getsockname()[1])
        self.address = f"http://{HOST}:{self.port}/{self.token}/"
        self._files = {file.name: file.read_bytes() for file in _page().iterdir() if _suffix(file.name) in _TYPES}
        self._sessions: dict[str, Session] = {}
        self._pages: dict[str, WebSocket] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self.app = Starlette(
            routes=[
                WebSocketRoute("/{token}/socket", self._serve_socket),
                Route("/{token}/{name}", self._serve_file),
                Route("/{token}/", self._serve_file),
                Route("/{token}", self._add_slash),
                Route("/{rest:path}", self._refuse),
            ]
        )

    @property
    def sessions(self) -> int:
        """How many there are."""
        return len(self._sessions)

    # Pages

    async def _serve_file(self, request: Request) -> Response:
        wrong = self._wrong(request)
        if wrong:
            return _plain(wrong, 403)
        name = request.path_params.get("name", "index.html")
        if name not in self._files:
            return _plain("There is no such page.", 404)
        return Response(self._files[name], media_type=f"{_TYPES[_suffix(name)]}; charset=utf-8", headers=_HEADERS)

    async def _add_slash(self, request: Request) -> Response:
        wrong = self._wrong(request)
        return _plain(wrong, 403) if wrong else RedirectResponse(f"/{self.token}/", headers=_HEADERS)

    async def _refuse(self, request: Request) -> Response:
        return _plain(self._wrong(request) or "There is no such page.", 403)

    def _wrong(self, request: HTTPConnection) -> str:
        """Return why a request is not answered; empty where it is."""
        names = (f"{HOST}:{self.port}", f"localhost:{self.port}")
        if request.headers.get("host") not in names:
            return f"This playground answers at {names[0]} alone."
        origin = request.headers.get("origin")
        if origin is not None and origin not in [f"http://{name}" for name in names]:
            return "A page from elsewhere has no business here."
        token = request.path_params.get("token", "")
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            return "Open the address that nineline playground has printed: it holds a token, and this one does not."
        return ""

    # Sockets

    async def _serve_socket(self, page: WebSocket) -> None:
        wrong = self._wrong(page)
        if wrong or page.headers.get("origin") is None:  # a browser always says where a page comes from
            await page.close(1008, wrong)
            return
        await page.accept()
        with contextlib.suppress(WebSocketDisconnect):
            await self._serve(page)

    async def _serve(self, page: WebSocket) -> None:
        outbox: asyncio.Queue[bytes] = asyncio.Queue(WAITING_AT_MOST)
        loop = asyncio.get_running_loop()

        letting_go = cast("asyncio.Task[None]", asyncio.current_task()).cancel

        def put(message: bytes) -> None:
            if outbox.full():  # it does not read: whoever asks for so much without listening is let go
                letting_go()
            else:
                outbox.put_nowait(message)

        def say(message: bytes) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there any more
                loop.call_soon_threadsafe(put, message)

        async def send() -> None:
            while True:
                await page.send_bytes(await outbox.get())

        session: Session | None = None
        lost = False
        sending = asyncio.create_task(send())
        try:
            while True:
                message = await page.receive()
                if message["type"] != "websocket.receive":
                    lost = message.get("code") not in (1000, 1001)
                    break
                try:
                    said, content = decode(message.get("bytes") or message.get("text") or "")
                except ValueError as error:
                    say(_refused(str(error)))
                    continue
                if session is None:
                    if said["type"] != "hello":
                        say(_refused("say hello first"))
                        continue
                    session = self._session(said.get("session"), page, say)
                    if session is None:
                        await page.close(1013, f"{SESSIONS_AT_MOST} playgrounds are open; close one")
                        break
                if not session.hear(said, content):
                    say(_refused("too many messages at once; some were left out"))
        except asyncio.CancelledError:
            await page.close(1008, "too many messages are waiting")
        finally:
            sending.cancel()
            if session is not None:
                self._left(session, page, SECONDS_OF_A_LOSS if lost else SECONDS_WITHOUT_A_PAGE)

    def _session(self, name: object, page: WebSocket, say: Callable[[bytes], None]) -> Session | None:
        """Return the session that a page had before it was reloaded, or a new one; None where there are too many."""
        if isinstance(name, str) and name in self._sessions and name not in self._pages:
            session = self._sessions[name]
            session.say = say
        elif len(self._sessions) >= SESSIONS_AT_MOST:
            return None
        else:
            session = Session(say, self.opened, name=secrets.token_urlsafe(16))
            self._sessions[session.name] = session
        self._pages[session.name] = page
        return session

    def _left(self, session: Session, page: WebSocket, seconds: float) -> None:
        if self._pages.get(session.name) is page:
            del self._pages[session.name]
            session.say = _nobody
            task = asyncio.get_running_loop().create_task(self._forget(session, seconds))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _forget(self, session: Session, seconds: float) -> None:
        """End a session whose page does not come back."""
        await asyncio.sleep(seconds)
        if session.name in self._pages or self._sessions.get(session.name) is not session:
            return
        del self._sessions[session.name]
        await asyncio.to_thread(session.close)
        if not self._sessions and self._ended is not None:
            self._ended()

    def close(self) -> None:
        """End all sessions."""
        for session in list(self._sessions.values()):
            session.close()
        self._sessions.clear()
        self.socket.close()

    def server(self) -> uvicorn.Server:
        """Return what serves it, once `serve` is awaited with `socket` among its sockets."""
        return uvicorn.Server(
            uvicorn.Config(
                self.app,
                log_level="warning",
                lifespan="off",
                ws="websockets-sansio",
                ws_max_size=BYTES_AT_MOST + 1_000_000,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=2,
            )
        )


def serve(opened: Opened, *, port: int = 0, browser: bool = True, fragment: str = "") -> None:
    """Serve a playground until its last page is closed, or until Ctrl-C.

    Parameters
    ----------
    opened : Opened
    port : int
        0 for one that is free.
    browser : bool
        Whether to open it in the browser.
    fragment : str
        What follows the address: the set-up that a link holds.

    Raises
    ------
    OSError
        The port cannot be had.
    """
    closed: list[bool] = []

    def ended() -> None:
        closed.append(True)
        server.should_exit = True

    playground = Playground(opened, port, ended)
    server = playground.server()
    address = playground.address + (f"#{fragment}" if fragment else "")
    print(f"The playground is at {address}\nIt ends when its last page is closed, or with Ctrl-C.", flush=True)
    with _door(address) if browser else contextlib.nullcontext():
        try:
            with contextlib.suppress(KeyboardInterrupt):
                asyncio.run(server.serve([playground.socket]))
        finally:
            playground.close()
    if closed:
        print("The last page was closed.")


@contextlib.contextmanager
def _door(address: str) -> Iterator[None]:
    """Open an address in the browser, by a file that none but its owner reads: a command line is read by everybody."""
    written = html.escape(address)
    handle, path = tempfile.mkstemp(".html", "nineline-playground-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(
                f'<!doctype html><meta http-equiv="refresh" content="0; url={written}"><title>nineline</title>'
                f'<p>The playground is at <a href="{written}">this address</a>.'
            )
        webbrowser.open(Path(path).as_uri())
        yield
    finally:
        Path(path).unlink(missing_ok=True)


def _page() -> Any:
    return resources.files("nineline.interactive").joinpath("page")


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]


def _plain(text: str, status: int) -> Response:
    return PlainTextResponse(text + "\n", status, headers=_HEADERS)


def _refused(text: str) -> bytes:
    return encode({"type": "refused", "of": "", "text": text})


def _nobody(_: bytes) -> None:
    """Say nothing: there is nobody."""
