"""The search page, over real HTTP and in a real browser."""

from __future__ import annotations

import http.client
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from data.runtime.errors import InputError
from tests.trainer.use.conftest import ROOT, picture
from trainer import runs
from trainer.__main__ import main
from trainer.encoder import Encoder
from trainer.use import Desk, SearchServer, index_path, update_index
from trainer.use import server as serving

NASTY = "<script>alert('1')</script> & \"quoted\".png".replace("/", "\u2044")
BOUNDARY = "----a-boundary"
Look = Callable[..., Any]


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the gallery, with a photo that nobody may see."""
    folder = tmp_path / "my photos elsewhere"
    folder.mkdir()
    Image.fromarray(picture(99)).save(folder / "secret.png")
    return folder


@pytest.fixture
def server(run: runs.Run, gallery: Path, outside: Path) -> Iterator[SearchServer]:
    """A server of the gallery, to which a photo with a nasty name and two links that lead out were added."""
    Image.fromarray(picture(7)).save(gallery / NASTY)
    (gallery / "out.png").symlink_to(outside / "secret.png")
    (gallery / "out").symlink_to(outside)
    (gallery / "notes.txt").write_text("not for anybody")
    encoder = Encoder.load("demo", device="cpu")
    index = update_index(index_path(run, "last", gallery), encoder, gallery)
    desk = Desk(encoder, gallery, index, 3, "run demo")
    with SearchServer(desk, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server: SearchServer, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
    """Ask as a program may, word for word."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        if body:
            headers = {"Content-Length": str(len(body)), **headers}
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def upload(server: SearchServer, content: bytes, name: str = "q.png", field: str = "photo", **headers: str) -> Reply:
    """Send a file as a browser's form does."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return ask(server, "/", "POST", body, Content_Type=f"multipart/form-data; boundary={BOUNDARY}", **headers)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def found(page: str) -> list[str]:
    """The names of what was found, as they stand in the page."""
    return re.findall(r'<span class="name">(.*?)</span>', page)


def test_an_upload_is_answered_with_the_photos_most_like_it(server: SearchServer, gallery: Path) -> None:
    reply = upload(server, (gallery / "b c.png").read_bytes(), "東京 & anna.png")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "<h2>東京 &amp; anna.png</h2>" in reply.text
    assert found(reply.text)[0] == "b c.png"
    assert len(found(reply.text)) == 3
    assert '<span class="score">1.000</span>' in reply.text


def test_a_photo_is_given_by_number_and_asked_about_again(server: SearchServer, gallery: Path) -> None:
    numbers = [int(number) for number in re.findall(r"/photo/(\d+)", upload(server, png(picture(1))).text)]
    reply = ask(server, f"/photo/{numbers[0]}")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(reply.body)) as image:
        assert np.abs(np.asarray(image).astype(int) - picture(1)).mean() < 12
    again = ask(server, f"/like/{numbers[0]}").text
    assert "<h2>b c.png</h2>" in again
    assert len(found(again)) == 3
    assert "b c.png" not in found(again)
    (gallery / "b c.png").write_bytes(b"no picture any more")
    assert ask(server, f"/photo/{numbers[0]}").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.png",
        "/photo/../../my%20photos%20elsewhere/secret.png",
        "/photo/%2e%2e/%2e%2e/etc/passwd",
        "/photo/..%2f..%2fetc%2fpasswd",
        "/photo/%252e%252e%252f",
        "/photo//etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "/photo/a.png",
        "/photo/-1",
        "/photo/%d9%a1",
        "/photo/7",
        "/photo/999999999",
        "/photo/0/",
        "/photo/0?x",
        "/photo/0%00.png",
        "/like/999999999",
        "http://127.0.0.1/photo/0",
        "/notes.txt",
        "/work/runs/demo/run.json",
    ],
)
def test_nothing_but_the_gallerys_photos_can_be_read(server: SearchServer, path: str) -> None:
    reply = ask(server, path)
    assert (reply.status, reply.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert b"root:" not in reply.body


def test_links_that_lead_out_are_neither_ranked_nor_shown(
    server: SearchServer, gallery: Path, outside: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = {name for number in range(7) for name in found(ask(server, f"/like/{number}").text)}
    assert names
    assert not any("out" in name or "secret" in name for name in names)
    before = [ask(server, f"/photo/{number}") for number in range(8)]
    assert [reply.status for reply in before] == [200] * 7 + [404]
    # A photo that is a link by now.
    (gallery / "b c.png").unlink()
    (gallery / "b c.png").symlink_to(outside / "secret.png")
    assert [ask(server, f"/photo/{number}").status for number in range(7)].count(404) == 1


def test_a_gallery_of_nothing_but_links_out_is_one_line(run: runs.Run, tmp_path: Path, outside: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.png").symlink_to(outside / "secret.png")
    encoder = Encoder.load("demo", device="cpu")
    index = update_index(tmp_path / "i.h5", encoder, tmp_path / "links")
    with pytest.raises(InputError, match="links: all of its photos are links to other folders"):
        Desk(encoder, tmp_path / "links", index, 3, "")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "a@127.0.0.1", "127.0.0.1:x", "10.0.0.1", ""]
)
def test_a_name_that_was_made_to_lead_here_is_not_answered(server: SearchServer, host: str) -> None:
    for reply in (ask(server, "/", Host=host), ask(server, "/photo/0", Host=host), upload(server, b"x", Host=host)):
        assert (reply.status, reply.body) == (421, b"this server answers to 127.0.0.1 only\n")


def test_this_machine_may_be_named_as_one_likes(server: SearchServer) -> None:
    for host in ("localhost", "LOCALHOST:9000", f"127.0.0.1:{server.server_port}", "[::1]:80"):
        assert ask(server, "/", Host=host).status == 200
    assert server.server_address[0] == "127.0.0.1"


def test_pages_from_elsewhere_upload_nothing_and_embed_nothing(server: SearchServer) -> None:
    photo = png(picture(1))
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        assert upload(server, photo, Origin=origin).status == 403
    assert upload(server, photo, Origin=server.address.rstrip("/")).status == 200
    headers = ask(server, "/photo/0").headers
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Python" not in str(headers)


@pytest.mark.parametrize(
    ("content", "field", "said"),
    [
        (b"no picture", "photo", "q.png: this is not a picture in a known format"),
        (b"", "photo", "Choose a photo first."),
        (png(picture(1))[:90], "photo", "q.png: the picture cannot be read"),
        (png(picture(1)), "other", "Choose a photo first."),
    ],
    ids=["no picture", "empty", "cut short", "another field"],
)
def test_what_is_no_photo_is_refused_in_words(server: SearchServer, content: bytes, field: str, said: str) -> None:
    reply = upload(server, content, field=field)
    assert reply.status == 422
    assert said in reply.text
    assert "/photo: " not in reply.text
    assert ask(server, "/").status == 200


def test_a_huge_picture_in_a_small_file_is_refused(server: SearchServer) -> None:
    stream = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(stream, format="PNG")
    reply = upload(server, stream.getvalue())
    assert (reply.status, "are more than the 64,000,000 a photo may have" in reply.text) == (422, True)


def test_an_upload_that_is_too_large_or_of_no_length_is_refused(
    server: SearchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "MOST_BYTES", 3_000_000)
    reply = upload(server, b"x" * 4_000_000)
    assert (reply.status, "A photo may have 3 MB at most." in reply.text) == (413, True)
    for headers in ({}, {"Content_Length": "-5"}, {"Content_Length": "5x"}, {"Transfer_Encoding": "chunked"}):
        assert ask(server, "/", "POST", b"", **headers).status == 411
    assert ask(server, "/photo/0", "POST", b"x").status == 404
    assert ask(server, "/", "DELETE").status == 501


def test_whoever_leaves_in_the_middle_disturbs_nobody(server: SearchServer, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf")
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        connection.sendall(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
        assert b"400" in connection.recv(1000)
    assert ask(server, "/").status == 200
    assert capfd.readouterr().err == ""


def test_a_port_in_use_is_one_line(server: SearchServer) -> None:
    with pytest.raises(InputError, match=rf"port {server.server_port} cannot be taken .*: give another as --port"):
        SearchServer(server.desk, server.server_port)


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)])
def test_a_visitor_uploads_a_photo_and_sees_who_is_like_it(
    server: SearchServer, gallery: Path, look: Look, width: int, dark: bool
) -> None:
    page = look(server.address, width, dark)
    page.get_by_label("A photo").set_input_files(gallery / NASTY)
    page.get_by_role("button", name="Search").click()
    page.wait_for_selector(".found img")
    assert page.locator("h2").inner_text() == NASTY
    assert page.locator(".name").first.inner_text() == NASTY
    pictures = page.locator("figure img")
    assert pictures.count() == 4
    for number in range(4):
        pictures.nth(number).scroll_into_view_if_needed()
        page.wait_for_function("image => image.complete", arg=pictures.nth(number).element_handle())
        assert pictures.nth(number).evaluate("image => image.naturalWidth") == 32
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(".found a").nth(1).focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/like/\d+"))
    assert page.locator("h2").inner_text() != NASTY


@pytest.mark.usefixtures("interruptible")
def test_a_user_serves_a_gallery_and_ends_it_by_ctrl_c(run: runs.Run, gallery: Path) -> None:
    words = ["search", "--gallery", str(gallery), "--query", str(gallery / "a.png"), "--serve", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "trainer", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "open http" in line)
        found_port = re.search(r"run demo, last encoder: open http://127.0.0.1:(\d+)/ in a browser; Ctrl-C", line)
        assert found_port, line
        connection = http.client.HTTPConnection("127.0.0.1", int(found_port[1]), timeout=60)
        connection.request("GET", "/")
        assert found(connection.getresponse().read().decode())[0] == "a.png"
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def test_without_a_query_it_says_what_to_give(run: runs.Run, gallery: Path) -> None:
    done = CliRunner().invoke(main, ["search", "--gallery", str(gallery)])
    assert (done.exit_code, done.stderr) == (
        2,
        "error: no QUERY: give a photo or a folder of photos, or --serve to upload them on a page\n",
    )
