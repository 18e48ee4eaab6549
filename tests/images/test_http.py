"""The handler of http URLs, against hosts that do what hosts do."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading

import pytest
from tests.images.hosts import DATA, WANTED, answer, redirect, serve
from tests.images.packages import good, vmdk

from parallelops.errors import NoLocationWorked
from parallelops.images import (
    Fetcher,
    FetchOptions,
    LocationEntry,
    LocationMetrics,
    SelectionContext,
    Wanted,
)


@pytest.fixture
def get(host, runtime, tmp_path):
    """Fetches the image of the host."""

    def get(wanted=None, url=None, **options):
        fetcher = Fetcher(
            context=SelectionContext(
                runtime=runtime, metrics=LocationMetrics(runtime=runtime)
            ),
            options=FetchOptions(**options),
        )
        location = LocationEntry(url=url or f"{host.url}/image")
        to = tmp_path / "image"
        to.unlink(missing_ok=True)
        try:
            result = fetcher.fetch([location], to, wanted)
        except NoLocationWorked:
            assert not list(tmp_path.iterdir())
            raise
        assert result.handler == "http"
        return to.read_bytes()

    return get


def test_the_data_comes_by_a_ranged_get(host, get):
    """Nobody is told more than needed."""
    assert get(WANTED) == DATA
    ((path, headers),) = host.seen
    assert path == "/image"
    assert headers["Range"] == f"bytes=0-{len(DATA) - 1}"
    assert headers["Accept-Encoding"] == "identity"
    assert headers["User-Agent"] == "parallelops"


SIZED = Wanted(size=len(DATA))


@pytest.mark.parametrize("wanted", [SIZED, WANTED])
def test_what_breaks_off_goes_on_where_it_was(host, get, wanted):
    """With a pause, and only if the data is still the same."""
    host.plan = [answer(cut=1000), answer(cut=5000)]
    assert get(wanted) == DATA
    begins = [h["Range"].rpartition("-")[0] for _, h in host.seen]
    assert begins == ["bytes=0", "bytes=1000", "bytes=6000"]
    assert [h.get("If-Match") for _, h in host.seen] == [None, '"1"', '"1"']


def test_it_does_not_try_for_ever(host, get):
    """A host that breaks off at once, again and again, is given up."""
    host.plan = [answer(cut=2000)] + [answer(cut=0), answer(cut=1)] * 10
    with pytest.raises(NoLocationWorked, match="too early"):
        get(SIZED)
    assert len(host.seen) == 9


def test_a_host_that_gave_nothing_is_not_asked_again(host, get):
    """Another location may be better."""
    host.plan = [answer(status=503)]
    with pytest.raises(NoLocationWorked, match="answers 503"):
        get(WANTED)
    assert len(host.seen) == 1


def test_what_has_no_mark_is_not_resumed(host, get):
    """Nobody could say whether it is still the same, but for a digest."""
    plan = [answer(cut=1000, ETag=None), answer(ETag=None)]
    host.plan = [*plan]
    with pytest.raises(NoLocationWorked, match="too early"):
        get(SIZED)
    host.plan = [*plan]
    assert get(WANTED) == DATA


REFUSED = {
    "changes meanwhile": ([answer(cut=999), answer(tag='"2"')], "412"),
    "does not look at marks": (
        [answer(cut=999), answer(ETag='"2"')],
        "data has changed meanwhile",
    ),
    "changes its size": ([answer(cut=999), answer(data=DATA + b"x")], "size"),
    "has another size": ([answer(data=b"less")], "size"),
    "has other data": ([answer(data=DATA[::-1])], "digest"),
    "answers 404": ([answer(status=404)], "answers 404"),
    "answers 500": ([answer(status=500)], "answers 500"),
    "sends a part that nobody asked for": (
        [answer(Content_Range="bytes 5-9/10", Content_Length="5")],
        "another range",
    ),
    "explains nothing": ([answer(Content_Range=None)], "does not say which"),
    "does not say the whole": (
        [answer(Content_Range="bytes 0-5/*")],
        "does not say which",
    ),
    "sends less than all": (
        [answer(Content_Range="bytes 0-5/10", Content_Length="6")],
        "another range",
    ),
    "says two sizes": ([answer(Content_Length="7")], "another size"),
    "compresses": ([answer(Content_Encoding="gzip")], "something else"),
    "redirects to nowhere": ([redirect(None)], "nowhere"),
    "redirects to a file": ([redirect("file:///etc/passwd")], "no http"),
    "redirects to a name": ([redirect("http://a:b@host/")], "user's name"),
    "redirects for ever": ([redirect("/image")] * 9, "more than 5 times"),
    "says nothing": ([lambda request: request.connection.close()], "closed"),
    "is no web server": (
        [lambda request: request.wfile.write(b"hello\r\n\r\n")],
        "BadStatusLine",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_host_is_not_believed(host, get, fault):
    """What it says is checked, and the reason is in the error."""
    host.plan, reason = REFUSED[fault]
    host.plan = list(host.plan)
    with pytest.raises(NoLocationWorked, match=reason):
        get(WANTED)


def test_what_is_too_large_is_refused_before_it_comes(host, runtime, tmp_path):
    """The host says how much there is; nothing of that is taken."""
    told = []
    with pytest.raises(NoLocationWorked, match="not up to 1000"):
        Fetcher(context=SelectionContext(runtime=runtime)).fetch(
            [LocationEntry(url=f"{host.url}/image")],
            tmp_path / "image",
            Wanted(max_size=1000),
            progress=told.append,
        )
    assert not told


def test_a_redirect_is_followed(host, get):
    """Five of them at the most, each kind."""
    host.plan = [
        redirect(f"{host.url}/{status}?x=1", status)
        for status in (301, 302, 303, 307, 308)
    ]
    assert get(WANTED) == DATA
    assert host.seen[-1][0] == "/308?x=1"


def test_a_host_without_ranges(host, get):
    """All at once does as well, if the size is said."""
    host.plan = [answer(status=200, Content_Range=None)]
    assert get() == DATA


def test_a_host_that_says_no_size(host, get):
    """The end of the connection may be an accident; a digest tells."""
    plain = answer(
        status=200, Content_Range=None, Content_Length=None, cut=len(DATA)
    )
    host.plan = [plain]
    with pytest.raises(NoLocationWorked, match="how much data"):
        get()
    host.plan = [plain]
    assert get(WANTED) == DATA
    host.plan = [plain, plain]
    assert get(Wanted(digest=WANTED.digest)) == DATA
    host.plan = [plain]
    endless = Wanted(digest=WANTED.digest, max_size=1000)
    with pytest.raises(NoLocationWorked, match="up to 1000"):
        get(endless)


def test_an_empty_image(host, get):
    """A range of nothing cannot be satisfied, and that is fine."""
    host.plan = [
        answer(
            data=b"",
            status=416,
            Content_Range="bytes */0",
            Content_Length="0",
        )
    ]
    assert get() == b""


def test_a_silent_host_is_not_waited_for(host, get):
    """Longer than the time-out."""
    release = threading.Event()
    host.plan = [lambda request: release.wait(30)]
    try:
        with pytest.raises(NoLocationWorked, match="timed out"):
            get(timeout=0.05)
    finally:
        release.set()


def test_a_slow_host_is_not_waited_for(host, get, runtime):
    """One that always gives just enough ends at the limit for all of it."""

    def drip(request):
        runtime.ahead += 100
        serve(request, cut=110_000)

    host.plan = [drip] * 50
    with pytest.raises(NoLocationWorked, match="more than 300 seconds"):
        get(time_limit=300)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@127.0.0.1/x",
        "http:///x",
        "http://127.0.0.1:99999/x",
        "http://127.0.0.1:x/",
        "http://[::1/x",
        "http://hóst/x",
    ],
)
def test_a_bad_url_is_refused(get, url):
    """Without a question to anybody, and without its secrets."""
    with pytest.raises(NoLocationWorked) as caught:
        get(url=url)
    assert "hunter2" not in str(caught.value)


def test_a_package_comes_over_http(host, runtime, tmp_path):
    """The disk is taken out while it comes, over a broken connection."""
    host.data = good()
    host.plan = [answer(cut=2000), answer(cut=3000)]
    fetcher = Fetcher(context=SelectionContext(runtime=runtime))
    result = fetcher.fetch(
        [LocationEntry(url=f"{host.url}/a.ova")],
        tmp_path / "disk",
        Wanted(container="ova", size=len(host.data)),
    )
    assert result.method == "ova"
    assert (tmp_path / "disk").read_bytes() == vmdk()


def test_https_is_verified(host, get, tmp_path_factory):
    """A host that nobody vouches for gets no request."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "key", folder / "certificate"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-keyout", str(key), "-out", str(certificate)),
            *("-subj", "/CN=localhost", "-days", "2"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    host.socket = context.wrap_socket(host.socket, server_side=True)
    url = host.url.replace("http:", "https:")
    with pytest.raises(NoLocationWorked, match="CERTIFICATE_VERIFY_FAILED"):
        get(url=f"{url}/image")
    assert not host.seen
    trusting = ssl.create_default_context(cafile=certificate)
    assert get(url=f"{url}/image", ssl_context=trusting) == DATA
    # From there no redirect leads to http.
    host.plan = [redirect("http://127.0.0.1/")]
    with pytest.raises(NoLocationWorked, match="from https to http"):
        get(url=f"{url}/image", ssl_context=trusting)
