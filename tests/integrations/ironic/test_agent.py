"""The agent's own functions, from a real origin to a file and a device."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
from pathlib import Path

import pytest
from ironic_python_agent import errors, hardware
from ironic_python_agent.extensions import base, standby
from tests.download.conftest import SIZE, data  # noqa: F401 - a fixture
from tests.download.origin import serving
from tests.download.test_swarm import agents, torrent_of  # noqa: F401
from tests.loops import loop_device

from parallelops.download import HTTPSource, Image
from parallelops.integrations.ironic import AgentDownload

SECRET = "?temp_url_sig=hunter2&temp_url_expires=1"


@pytest.fixture
def info(data, tmp_path, monkeypatch):  # noqa: F811
    """What Ironic says of the image; URLs and changes as arguments."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(hardware, "NODE", None)

    def info(*urls, **changes):
        said = {
            "id": "image-id",
            "urls": list(urls),
            "os_hash_algo": "sha512",
            "os_hash_value": hashlib.sha512(data).hexdigest(),
            "image_type": "whole-disk-image",
            "disk_format": "raw",
        }
        said.update(changes)
        return {k: v for k, v in said.items() if v is not None}

    return info


@pytest.mark.usefixtures("installed")
def test_the_agent_downloads_to_a_file(data, info, tmp_path, caplog):  # noqa: F811
    """In ranges, and no secret is told."""
    with serving(data) as origin:
        standby._download_image(info(origin.url + SECRET))
        assert all(asked for asked, _ in origin.log)
        assert origin.sent <= SIZE + 1
    assert (tmp_path / "image-id").read_bytes() == data
    assert "hunter2" not in caplog.text
    ours = standby.ImageDownload
    assert type(ours).__name__ == "AgentDownloads"


@pytest.mark.usefixtures("installed")
def test_a_checksum_may_be_at_a_url(data, info, tmp_path):  # noqa: F811
    """As the agent has it."""
    sums = f"{hashlib.sha256(data).hexdigest()}  image\n".encode()
    with serving(data) as origin, serving(sums, ranged=False) as side:
        said = info(
            origin.url,
            os_hash_algo=None,
            os_hash_value=None,
            checksum=side.url,
        )
        standby._validate_image_info(None, said)
        assert isinstance(standby.ImageDownload(said), AgentDownload)
        standby._download_image(said)
    assert (tmp_path / "image-id").read_bytes() == data


@pytest.mark.parametrize(
    "changes",
    [
        {"proxies": {"http": None}, "no_proxy": "127.0.0.1"},
        {
            "image_server_auth_strategy": "http_basic",
            "image_server_user": "user",
            "image_server_password": "hunter2",
        },
        {"image_request_authorization": base64.b64encode(b"Bearer hunter2")},
    ],
    ids=["proxy", "password", "token"],
)
@pytest.mark.usefixtures("installed")
def test_what_needs_the_agents_requests_has_them(
    data,  # noqa: F811
    info,
    tmp_path,
    caplog,
    changes,
):
    """Without ranges, and with what the host wants to see."""
    seen = []

    def look(request):
        seen.append(request.headers["Authorization"])
        return False

    with serving(data, behave=look) as origin:
        standby._download_image(info(origin.url, **changes))
        assert not any(asked for asked, _ in origin.log)
    assert (tmp_path / "image-id").read_bytes() == data
    assert all(seen) == ("proxies" not in changes)
    assert "hunter2" not in caplog.text


def test_the_agents_own_log_has_no_secret(
    data,  # noqa: F811
    info,
    conf,
    installed,
    caplog,
):
    """While it downloads by this library: of a host that is busy, a checksum
    at a URL, a command, and an error with its traceback."""
    caplog.set_level(logging.DEBUG)
    proxy = {"proxies": {"http": None}, "no_proxy": "127.0.0.1"}
    agent = base.ExecuteCommandMixin()
    log = logging.getLogger(base.__name__)

    def busy(request):
        return request.number == 1 and request.refuse(503)

    with serving(data, behave=busy) as origin, serving(b"x") as side:
        url = origin.url + SECRET
        standby._download_image(info(url, **proxy))
        with pytest.raises(errors.RESTError):
            standby._fetch_checksum(side.url + SECRET, info(url))
        agent.ext_mgr = base.init_ext_manager(agent)
        with pytest.raises(errors.InvalidCommandError):
            agent.execute_command("no such command", urls=[url])
        try:
            raise ConnectionError(url)
        except ConnectionError:
            log.exception("it failed:\n  %s", url)
    for said in (
        "Unable to connect to http",
        "Downloading checksums file from http",
        "Executing command",
        "GET /image?temp_url_sig=",
        "ConnectionError: http",
        "  http",
    ):
        assert said in caplog.text
    assert "hunter2" not in caplog.text
    installed.remove()
    log.warning("%s", url)
    assert "hunter2" in caplog.text


TROUBLE = {
    "refused": lambda r: r.refuse(404),
    "forbidden": lambda r: r.refuse(403),
    "nothing": lambda r: r.answer(cut=0),
    "reset": lambda r: r.reset(),
}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.usefixtures("installed")
def test_what_fails_is_an_error_of_the_agent(
    data,  # noqa: F811
    info,
    caplog,
    monkeypatch,
    trouble,
):
    """It tries again, and says so, and tells no secret."""
    monkeypatch.setattr("parallelops.origin.copies._FIRST_PAUSE", 0.001)
    with (
        serving(data, behave=TROUBLE[trouble]) as origin,
        pytest.raises(errors.ImageDownloadError) as caught,
    ):
        standby._download_image(info(origin.url + SECRET))
    assert "1 of 1" in caplog.text or "0 of 1" in caplog.text
    assert "hunter2" not in caplog.text + str(caught.value)


@pytest.mark.usefixtures("installed")
def test_another_url_is_tried_whatever_is_wrong(data, info, tmp_path):  # noqa: F811
    """The agent itself ends at a status of 4xx."""
    with (
        serving(data, behave=lambda r: r.refuse(404)) as bad,
        serving(data) as good,
    ):
        standby._download_image(info(bad.url, good.url))
    assert (tmp_path / "image-id").read_bytes() == data


@pytest.mark.usefixtures("installed")
def test_wrong_bytes_are_told_as_the_agent_does(data, info):  # noqa: F811
    """By the error for that."""
    with (
        serving(bytes(SIZE)) as origin,
        pytest.raises(errors.ImageChecksumError),
    ):
        standby._download_image(info(origin.url))


@pytest.mark.usefixtures("installed")
def test_a_download_takes_no_longer_than_the_agent_allows(
    data,  # noqa: F811
    info,
    conf,
):
    """From when the agent began."""
    conf.set_override("image_download_max_duration", 5)
    with serving(data) as origin:
        late = standby.ImageDownload(info(origin.url), time_obj=1.0)
        with pytest.raises(errors.ImageDownloadTimeoutError, match="5 sec"):
            list(late)


@pytest.mark.parametrize("what", ["md5", "size"])
@pytest.mark.usefixtures("installed")
def test_what_cannot_be_done_is_left_to_the_agent(
    data,  # noqa: F811
    info,
    conf,
    tmp_path,
    what,
):
    """With a reason in the log."""
    conf.set_override("md5_enabled", True)
    changes = {}
    if what == "md5":
        changes = {
            "os_hash_algo": None,
            "os_hash_value": None,
            "checksum": hashlib.md5(data).hexdigest(),
        }

    def chunked(request):
        request.send_response(200)
        request.end_headers()
        request.send(data)
        request.close_connection = True
        return True

    behave = chunked if what == "size" else None
    with serving(data, behave=behave) as origin:
        made = standby.ImageDownload(info(origin.url, **changes))
        assert not isinstance(made, AgentDownload)
        standby._download_image(info(origin.url, **changes))
    assert (tmp_path / "image-id").read_bytes() == data


# -- together with others


@pytest.fixture
def seed(data, agents):  # noqa: F811
    """Somebody who has the image."""
    (seed,) = agents(1)
    with serving(data) as origin:
        seed.fetch(
            Image(
                digest="sha512:" + hashlib.sha512(data).hexdigest(),
                torrent=torrent_of(data),
                sources=[HTTPSource(origin.url)],
            )
        )
    return seed


@contextlib.contextmanager
def tracked(seed):
    """A tracker that knows them."""
    from parallelops import load_executor
    from parallelops.download import Register, Tracker
    from parallelops.download.register import Announcement

    with load_executor("thread", max_workers=4) as executor:
        register = Register(executor.runtime)
        with Tracker(executor, register, "127.0.0.1:0") as tracker:
            handle = executor.runtime.spawn(tracker.serve, name="tracker")
            image = seed
            register.announce(
                Announcement(
                    image=image.info_hash,
                    peer=b"-PO0100-----00000001",
                    host=image.host,
                    port=image.port,
                    left=0,
                )
            )
            yield tracker.url
        handle.join()


def test_the_answer_to_the_look_up_names_the_torrent(
    data,  # noqa: F811
    info,
    seed,
    installed,
    monkeypatch,
    tmp_path,
):
    """Then the image comes from others, and not from the origin."""
    torrent = torrent_of(data)
    monkeypatch.setattr(seed, "info_hash", torrent.info_hash, raising=False)
    monkeypatch.setattr(seed, "host", seed.address[0], raising=False)
    monkeypatch.setattr(seed, "port", seed.address[1], raising=False)
    with tracked(seed) as url, serving(data) as origin:
        shared = torrent_of(data, trackers=[url])
        text = base64.b64encode(shared.dump()).decode()
        answer = {"uuid": "1", "instance_info": {"image_torrent": text}}
        monkeypatch.setattr(hardware, "NODE", answer)
        standby._download_image(info(origin.url))
        assert origin.sent <= SIZE / 2
    assert (tmp_path / "image-id").read_bytes() == data
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["image-id"]


def test_the_kernel_names_the_torrent(
    data,  # noqa: F811
    info,
    installed,
):
    """By its URL and its digest; a bad one only means that nobody shares."""
    dump = torrent_of(data).dump()
    with serving(data) as origin, serving(dump) as side:
        digest = hashlib.sha256(dump).hexdigest()
        line = f"ro image-torrent-url={side.url} image-torrent-sha256="
        for said, shared in ((digest, True), ("0" * 64, False)):
            installed._command_line = line + said
            made = standby.ImageDownload(info(origin.url))
            torrent = made._stream.image.torrent
            assert (torrent is not None) == shared
            assert b"".join(made) == data
            made.verify_image("file")


def test_a_torrent_that_lied_is_not_used_again(
    data,  # noqa: F811
    info,
    installed,
    tmp_path,
):
    """The agent tries again, and has the image from the origin."""
    other = os.urandom(SIZE)
    text = base64.b64encode(torrent_of(other).dump()).decode()
    served = [other]

    def behave(request):
        return request.answer(served[0])

    with serving(data, behave=behave) as origin:
        said = info(origin.url, image_torrent=text)
        made = standby.ImageDownload(said)
        # Whichever is seen first.
        with pytest.raises(
            (errors.ImageChecksumError, errors.ImageDownloadError)
        ):
            made.verify_image(b"".join(made)[:4])
        served[0] = data
        standby._download_image(said)
    assert (tmp_path / "image-id").read_bytes() == data


# -- to a device


@pytest.fixture
def device(tmp_path):
    """A loop device."""
    backing = tmp_path / "disk"
    with backing.open("wb") as file:
        file.truncate(SIZE + (1 << 20))
    with loop_device(backing) as path:
        yield path


@pytest.mark.usefixtures("installed")
def test_the_agent_streams_to_a_device(
    data,  # noqa: F811
    info,
    device,
    tmp_path,
):
    """By its own extension, as it deploys a raw image."""
    extension = standby.StandbyExtension()
    extension.partition_uuids = {}
    with serving(data) as origin:
        extension._stream_raw_image_onto_device(info(origin.url), device)
        assert origin.sent <= SIZE + 1
    with Path(device).open("rb") as file:
        assert file.read(SIZE) == data
    assert not (tmp_path / "image-id").exists()
