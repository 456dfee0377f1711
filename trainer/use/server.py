"""The server of a search page: HTTP on this machine's own address, for nobody but its own pages."""

from __future__ import annotations

import email
import email.policy
import errno
import re
import sys
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from data.runtime.errors import InputError
from data.runtime.logs import get_logger
from data.runtime.tables import printable
from trainer.use.desk import Answered, Desk

HOST = "127.0.0.1"
MOST_BYTES = 20_000_000
"""Of an upload: the largest photos of phones have about so many."""
_SWALLOWED = 1 << 30
"""Bytes of a larger upload that are read and dropped, since a browser shows no answer before it has sent all."""
_PIECE = 1 << 20
_PATIENCE = 30.0
"""Seconds that a visitor may be silent in the middle of a request."""
_HOSTS = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_NUMBERED = re.compile(r"/(photo|like)/([0-9]{1,9})")
_POLICY = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; form-action 'self'"

_log = get_logger(__name__)


class SearchServer(ThreadingHTTPServer):
    """Serves a desk at http://127.0.0.1:port/, which no other machine reaches; port 0 takes one that is free.

    A request must name this machine as its host, so that a page from elsewhere whose name was made to lead here reads
    nothing, and an upload must come from a page of the server's own.

    Args:
        desk: answers.
        port: where.
        first: what the page shows before anything was asked.

    Raises:
        InputError: something else listens at that port.
    """

    def __init__(self, desk: Desk, port: int, first: Sequence[Answered] = ()) -> None:
        self.desk, self.first = desk, first
        try:
            super().__init__((HOST, port), _Visit)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise InputError(f"port {port} cannot be taken ({error.strerror}): give another as --port") from None

    @property
    def address(self) -> str:
        """Where to look at it."""
        return f"http://{HOST}:{self.server_port}/"

    def serve(self) -> None:
        """Serve until Ctrl-C or SIGTERM."""
        try:
            self.serve_forever()
        except KeyboardInterrupt:
            self.desk.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a visitor who has left in the middle."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Visit(BaseHTTPRequestHandler):
    """One request: the page at /, a photo at /photo/N, and what is like it at /like/N."""

    server: SearchServer
    timeout = _PATIENCE
    server_version, sys_version = "search", ""

    def do_GET(self) -> None:
        """Answer a look at the page, at a photo, or at what is like a photo."""
        desk, numbered = self.server.desk, _NUMBERED.fullmatch(self.path)
        if not self._is_welcome():
            return
        try:
            if self.path == "/":
                self._send_page(HTTPStatus.OK, desk.page(self.server.first))
            elif self.path == "/favicon.ico":  # Browsers ask for one by themselves.
                self._send(HTTPStatus.NO_CONTENT, "image/x-icon", b"")
            elif numbered is None:
                self._refuse(HTTPStatus.NOT_FOUND, "There is no such page here.")
            elif numbered[1] == "photo":
                self._send(HTTPStatus.OK, "image/jpeg", desk.picture(int(numbered[2])))
            else:
                self._send_page(HTTPStatus.OK, desk.page([desk.ask_again(int(numbered[2]))]))
        except InputError as error:
            self._refuse(HTTPStatus.NOT_FOUND, str(error))

    def do_POST(self) -> None:
        """Answer an uploaded photo."""
        desk, length = self.server.desk, self.headers.get("Content-Length", "")
        if not self._is_welcome():
            return
        if self.headers.get("Origin", self._own_origin) != self._own_origin:
            self._refuse(HTTPStatus.FORBIDDEN, "Photos are taken from this page only.")
        elif self.path != "/":
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such page here.")
        elif not re.fullmatch("[0-9]{1,15}", length):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "The request does not say how long it is.")
        elif int(length) > MOST_BYTES:
            self._swallow(int(length))
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A photo may have {MOST_BYTES // 1_000_000} MB at most.")
        else:
            try:
                name, content = _uploaded(self.headers.get("Content-Type", ""), self.rfile.read(int(length)))
                self._send_page(HTTPStatus.OK, desk.page([desk.ask_content(name, content)]))
            except InputError as error:
                self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))

    def log_message(self, format: str, *args: Any) -> None:
        """Tell of a request only whoever wants details."""
        _log.debug("%s", printable(format % args))

    @property
    def _own_origin(self) -> str:
        return f"http://{self.headers.get('Host')}"

    def _is_welcome(self) -> bool:
        """Whether the request names this machine as its host; another one is answered here."""
        hosts = self.headers.get_all("Host", [])
        welcome = len(hosts) == 1 and _HOSTS.fullmatch(hosts[0]) is not None
        if not welcome:
            self._send(HTTPStatus.MISDIRECTED_REQUEST, "text/plain", b"this server answers to 127.0.0.1 only\n")
        return welcome

    def _swallow(self, length: int) -> None:
        left = min(length, _SWALLOWED)
        while left and (piece := self.rfile.read(min(left, _PIECE))):
            left -= len(piece)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send_page(status, self.server.desk.page(error=why))

    def _send_page(self, status: HTTPStatus, page: str) -> None:
        self._send(status, "text/html", page.encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind if kind.startswith("image/") else f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", f"{_POLICY}; base-uri 'none'; frame-ancestors 'none'")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "same-origin")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)


def _uploaded(kind: str, body: bytes) -> tuple[str, bytes]:
    """Give the name and the content of the file in a form's field `photo`; InputError where there is none."""
    head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1")
    form = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    for part in form.iter_parts():
        if part.get_param("name", header="content-disposition") == "photo":
            content = part.get_payload(decode=True)
            if isinstance(content, bytes) and content:
                return _name(part.get_filename() or "photo"), content
    raise InputError("Choose a photo first.")


def _name(sent: str) -> str:
    """Give a file's name as it was before a browser sent it: HTML's standard escapes three letters, and no others."""
    return sent.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
