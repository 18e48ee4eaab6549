"""What to download, as Ironic says it."""

from __future__ import annotations

import base64
import hashlib

import pytest
from tests.download.test_swarm import torrent_of

from parallelops.download import image_from_instance_info, image_from_kernel
from parallelops.errors import FetchError, TorrentRefused, TransferError

DATA = bytes(range(256)) * 200
URL = "http://127.0.0.1/image?temp_url_sig=hunter2"


@pytest.fixture
def info():
    """An ``instance_info``, with these changes."""

    def info(**changes):
        said = {
            "image_url": URL,
            "image_os_hash_algo": "sha256",
            "image_os_hash_value": hashlib.sha256(DATA).hexdigest(),
            **changes,
        }
        return {name: value for name, value in said.items() if value}

    return info


def test_all_of_an_image_is_in_the_answer(info):
    """URLs, digest, torrent and size; trackers may be others."""
    torrent = torrent_of(DATA, trackers=["http://a/announce"])
    text = base64.b64encode(torrent.dump()).decode()
    image = image_from_instance_info(info(image_torrent=text))
    assert image.torrent == torrent
    assert image.size == len(DATA)
    assert image.sources[0].urls == (URL,)
    assert str(image.digest).startswith("sha256:")
    two = info(image_url=f"{URL} http://127.0.0.1/other")
    image = image_from_instance_info(two)
    assert len(image.sources[0].urls) == 2
    image = image_from_instance_info(
        info(image_torrent=text, image_url=""), trackers=["http://b/announce"]
    )
    assert image.torrent.trackers == ("http://b/announce",)
    assert image.sources == []


def test_the_kernel_says_the_same(info):
    """With hyphens."""
    line = " ".join(
        f"{name.replace('_', '-')}={value}" for name, value in info().items()
    )
    image = image_from_kernel(f"ro quiet {line} image-other=x")
    assert image.sources[0].urls == (URL,)
    with pytest.raises(TorrentRefused, match="image-url"):
        image_from_kernel(f"{line} image-url=http://127.0.0.1/")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"image_os_hash_algo": None}, FetchError),
        ({"image_os_hash_value": "0"}, FetchError),
        ({"image_os_hash_algo": "md5"}, FetchError),
        ({"image_url": None}, FetchError),
        ({"image_url": "file:///etc/shadow"}, TransferError),
        ({"image_torrent": "?"}, TorrentRefused),
    ],
)
def test_what_is_not_there_is_named(info, changes, error):
    """And no secret."""
    with pytest.raises(error) as caught:
        image_from_instance_info(info(**changes))
    assert "hunter2" not in str(caught.value)
