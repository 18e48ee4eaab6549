"""Certificates of peers that an intermediate has signed, and their dates."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.cli.test_cli import command
from tests.download.authority import Authority
from tests.download.conftest import SIZE
from tests.download.origin import serving
from tests.download.test_swarm import (  # noqa: F401 - a fixture
    TOGETHER,
    agents,
    image_of,
    torrent_of,
)
from tests.download.test_tls import ALONE, Intruder, flags

from parallelops.download.tls import read_ca
from parallelops.errors import CertificateRefused, TransferError

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The CA of a whole house."""
    return Authority(tmp_path_factory.mktemp("root") / "root")


@pytest.fixture(scope="module")
def intermediate(root, tmp_path_factory):
    """Another one, which the first one has signed."""
    folder = tmp_path_factory.mktemp("intermediate")
    return Authority(folder / "intermediate", by=root)


def chained(tls, *authorities):
    """The same, with the certificates of these in its file."""
    path = Path(tls.certificate)
    found = [path, *(each.ca for each in authorities)]
    chain = path.with_suffix(".chain")
    chain.write_text("".join(each.read_text() for each in found))
    return dataclasses.replace(tls, certificate=chain)


# -- who gets something


def test_those_of_an_intermediate_share(
    data,
    agents,  # noqa: F811
    root,
    intermediate,
):
    """Named as the CA, with and without certificates after their own."""
    herd = [
        *agents(1, tls=intermediate.issue()),
        *agents(1, first=1, tls=chained(intermediate.issue(), intermediate)),
        *agents(1, first=2, tls=chained(intermediate.issue(), root)),
    ]
    with serving(data) as origin:
        herd[0].fetch(image_of(data, origin.url))
        for number in (1, 2):
            image = image_of(data, origin.url, others=herd[:number])
            result = herd[number].fetch(image, herd=TOGETHER)
            assert herd[number].error is None
            assert result.received["swarm"] >= SIZE
        assert origin.sent == SIZE
    assert [agent.path.read_bytes() for agent in herd] == [data] * 3


def test_those_of_the_root_are_strangers(
    data,
    agents,  # noqa: F811
    root,
    intermediate,
    tmp_path,
):
    """And those of another intermediate, or of one that this has signed."""
    (seed,) = agents(1, tls=intermediate.issue())
    with serving(data) as origin:
        seed.fetch(image_of(data, origin.url))
    (member,) = seed.swarm._members.values()
    cousin = Authority(tmp_path / "cousin", by=root)
    child = Authority(tmp_path / "child", by=intermediate)
    image = image_of(data, others=[seed])
    torrent = image.torrent.among(read_ca(intermediate.ca))
    assert torrent == member.torrent
    for number, other in enumerate([root, cousin, child], 1):
        shown = other.issue()
        (intruder,) = agents(
            1,
            first=number,
            tls=Intruder(
                ca=intermediate.ca,
                certificate=shown.certificate,
                key=shown.key,
            ),
        )
        intruder.fetch(dataclasses.replace(image, torrent=torrent), herd=ALONE)
        assert isinstance(intruder.error, TransferError)
    assert member.view().sent == 0


def test_a_command_names_the_image_of_an_intermediate(
    data, intermediate, tmp_path
):
    """As those who share it do, so that a tracker knows it."""
    path = tmp_path / "torrent"
    path.write_bytes(torrent_of(data).dump())
    tls = intermediate.issue()
    shown = command("image", "torrent", "show", str(path), *flags(tls)[:2])
    among = torrent_of(data).among(tls.load().ca)
    assert f"info_hash: {among.info_hash.hex()}" in shown.stdout


def test_what_a_root_is_written_as_stays(root):
    """Those who have it already find each other as ever."""
    assert read_ca(root.ca) == root.ca.read_text()


# -- what is refused, and what to do


@pytest.fixture
def refused():
    """What a refusal says, without the path of the file that it names."""

    def refused(tls):
        with pytest.raises(CertificateRefused) as caught:
            tls.load()
        return Path(caught.value.path), caught.value.reason

    return refused


def test_the_ca_is_who_has_signed_it_itself(root, intermediate, refused):
    """libtorrent would show no intermediate, whatever file that is in."""
    tls = dataclasses.replace(intermediate.issue(), ca=root.ca)
    path, reason = refused(tls)
    assert path == tls.certificate
    assert "if an intermediate has signed it, that is the CA" in reason
    for chain, number in [
        ([intermediate], 2),
        ([intermediate, root], 2),
        ([root, intermediate], 3),
    ]:
        path, reason = refused(chained(tls, *chain))
        assert path == chained(tls).certificate
        assert f"{root.ca} has not signed it itself" in reason
        assert f"number {number} of the certificates" in reason
    path, reason = refused(chained(tls, root))
    assert "if an intermediate has signed it" in reason


def test_a_bundle_is_no_ca(root, intermediate, refused, tmp_path):
    """Peers would know the first one only."""
    bundle = tmp_path / "bundle"
    bundle.write_text(root.ca.read_text() + intermediate.ca.read_text())
    path, reason = refused(dataclasses.replace(root.issue(), ca=bundle))
    assert path == bundle
    assert "2 certificates" in reason
    assert "has signed those of all peers itself" in reason


def test_its_own_comes_first(intermediate, refused):
    """Else the key would not be of it."""
    tls = intermediate.issue()
    chain = Path(tls.certificate)
    chain.write_text(intermediate.ca.read_text() + chain.read_text())
    path, reason = refused(tls)
    assert path == tls.key
    assert "has to come first" in reason


def test_what_is_not_valid_yet_is_named(root, refused):
    """It may be the clock as well."""
    tls = root.issue(early=True)
    path, reason = refused(tls)
    assert path == tls.certificate
    assert "not yet valid" in reason
    assert "clock of this machine" in reason


@pytest.mark.parametrize("kind", ["a root", "an intermediate"])
def test_a_ca_that_has_expired_is_named(root, refused, tmp_path, kind):
    """Not the certificate, which can be renewed in vain."""
    by = root if kind == "an intermediate" else None
    expired = Authority(tmp_path / "expired", by=by, days=-1)
    path, reason = refused(expired.issue())
    assert path == expired.ca
    assert "expired; renew it" in reason
    tls = expired.issue(days=-1)
    assert refused(tls)[0] == tls.certificate


def test_a_key_of_another_kind_is_not_its_key(root, refused):
    """There is one in the file."""
    other = root.issue(new=("-newkey", "rsa:2048"))
    path, reason = refused(dataclasses.replace(root.issue(), key=other.key))
    assert path == other.key
    assert "not the key of" in reason


def test_a_key_that_is_too_short_is_named(root, refused):
    """By the certificate that is of it."""
    tls = root.issue(new=("-newkey", "rsa:512"))
    path, reason = refused(tls)
    assert path == tls.certificate
    assert "key too small; make it anew" in reason
