"""The caches of the documentation, before an origin that counts."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import os
import random
import shutil
import threading
from pathlib import Path

import pytest
from tests.download.conftest import digest_of
from tests.download.origin import serving
from tests.services import nginx
from tests.services.processes import Server, free_ports

from parallelops import load_executor
from parallelops.download import Downloader, HTTPSource, Image
from parallelops.errors import TransferError

CONFIGURATIONS = Path(__file__).parents[2] / "docs" / "how-to" / "cache"

AGENTS = 16
EXTENT = 1 << 18
EXTENTS = 17
SIZE = (EXTENTS - 1) * EXTENT + 1


def configured(name, changes):
    """A configuration of the page, with some of it replaced."""
    text = (CONFIGURATIONS / name).read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, str(new))
    return text


@contextlib.contextmanager
def nginx_before(origin, folder):
    """The port of an nginx that caches what an origin at a port has."""
    if nginx.missing():
        pytest.skip(nginx.missing())
    (port,) = free_ports(1)
    http = configured(
        "nginx.conf",
        {
            "/var/cache/nginx/images": folder / "cache",
            "listen 8080": f"listen 127.0.0.1:{port}",
            "origin.example:8080": f"127.0.0.1:{origin}",
            "slice 16m": f"slice {EXTENT}",
        },
    )
    with nginx.running(folder, port, http):
        yield port


@contextlib.contextmanager
def varnish_before(origin, folder):
    """The same of a Varnish."""
    if shutil.which("varnishd") is None:
        pytest.skip("Varnish is not installed: apt install varnish")
    (port,) = free_ports(1)
    file = folder / "images.vcl"
    file.write_text(
        configured(
            "varnish.vcl",
            {"origin.example": "127.0.0.1", '"8080"': f'"{origin}"'},
        )
    )
    server = Server(
        [
            *("varnishd", "-F", "-n", folder / "work", "-f", file),
            *("-a", f"127.0.0.1:{port}", "-s", "images=malloc,64m"),
            # It would ask for a user of its own, if root runs it.
            *(("-j", "none") if os.geteuid() == 0 else ()),
        ],
        port,
        folder / "log",
    )
    try:
        server.wait()
        yield port
    finally:
        server.stop()


@pytest.fixture(scope="module")
def data():
    """An image."""
    return random.Random(3).randbytes(SIZE)


@pytest.fixture(params=[nginx_before, varnish_before])
def cached(request, tmp_path):
    """Puts a cache before an origin at a port."""
    folder = tmp_path / "cache"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        yield lambda origin: stack.enter_context(request.param(origin, folder))


def fetch_all(url, data, folder, agents=AGENTS):
    """Download the image to so many files at once; what failed."""
    failed = []

    def fetch(number):
        image = Image(
            size=len(data), digest=digest_of(data), sources=[HTTPSource(url)]
        )
        try:
            with load_executor("thread", max_workers=4) as executor:
                Downloader(executor, extent=EXTENT).fetch(
                    image, folder / f"image{number}"
                )
        except TransferError as error:
            failed.append(error)

    threads = [
        threading.Thread(target=fetch, args=(n,)) for n in range(agents)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def test_agents_behind_a_cache_have_the_origin_send_the_image_once(
    cached, data, tmp_path
):
    """They all ask for the same parts, so that each is fetched once."""
    with serving(data) as origin:
        port = cached(origin.server.server_port)
        url = f"http://127.0.0.1:{port}/image"
        assert fetch_all(url, data, tmp_path) == []
        ranges, sent = [asked for asked, _ in origin.log], origin.sent
    # An nginx asks for all of the last part, whatever the image has of it.
    begins = collections.Counter(each.partition("-")[0] for each in ranges)
    assert begins == {f"bytes={EXTENT * n}": 1 for n in range(EXTENTS)}, ranges
    assert sent == SIZE


def test_another_url_is_another_image(cached, data, tmp_path):
    """Who has no signature gets nothing that was fetched with one."""
    expected = hashlib.sha256(b"signature").hexdigest()

    def behave(request):
        return expected not in request.path and request.refuse(401)

    with serving(data, behave=behave) as origin:
        port = cached(origin.server.server_port)
        url = f"http://127.0.0.1:{port}/image?temp_url_sig="
        assert fetch_all(url + expected, data, tmp_path, 1) == []
        other = tmp_path / "other"
        other.mkdir()
        (error,) = fetch_all(url + expected[::-1], data, other, 1) or [None]
    assert "401" in str(error)


@pytest.mark.parametrize("name", ["plain", "large"])
def test_the_origin_may_be_swift(cached, swift, data, tmp_path, name):
    """With temporary URLs, as Ironic hands out the same one for a while."""
    if name == "plain":
        swift.proxy.put("/cached/plain", data)
    else:
        swift.proxy.put_large("/cached/large", data, 1_000_001)
    port = cached(swift.proxy.port)
    url = swift.proxy.temporary(f"/cached/{name}")
    url = url.replace(str(swift.proxy.port), str(port), 1)
    assert fetch_all(url, data, tmp_path, 4) == []


def test_an_image_that_was_replaced_is_not_mixed_with_the_old_one(
    cached, data, tmp_path
):
    """Parts of the old one may be in the cache, and of the new one not."""
    old = data[::-1]
    with serving(old, tag='"old"') as origin:
        port = cached(origin.server.server_port)
        url = f"http://127.0.0.1:{port}/image"
        with load_executor("serial") as executor:
            source = HTTPSource(url).open(executor.runtime, SIZE)
            for _ in source.stream(0, EXTENT):
                pass
            source.close()
        origin.data, origin.tag = data, '"new"'
        (error,) = fetch_all(url, data, tmp_path, 1) or [None]
    assert error is not None
    assert not (tmp_path / "image0").exists()
