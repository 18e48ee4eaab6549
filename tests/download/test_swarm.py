"""Real swarms on this machine: several sessions, one image."""

from __future__ import annotations

import contextlib
import threading

import pytest
from tests.download.conftest import SECRET, SIZE, digest_of, told
from tests.download.origin import serving, slow_line
from tests.polling import until

from parallelops import load_executor
from parallelops.download import (
    Downloader,
    HerdOptions,
    HTTPSource,
    Image,
    SeedLimits,
    Swarm,
    TorrentWriter,
)
from parallelops.download.member import Member
from parallelops.errors import FetchCancelled, SwarmError, TransferError
from parallelops.landing import Landing

pytest.importorskip("libtorrent")

FAST = HerdOptions(grace=0.1, stall=1.0, patience=20.0)
# It ends as soon as they have found each other.
TOGETHER = HerdOptions(grace=5.0, stall=2.0, patience=20.0)


def torrent_of(data, **options):
    writer = TorrentWriter(len(data), piece_size=1 << 14)
    writer.update(data)
    return writer.finish(**options)


class Agent:
    """A machine that wants the image: a swarm of its own, and a folder."""

    def __init__(self, folder, number, **options):
        self.path = folder / str(number) / "image"
        self.path.parent.mkdir()
        self.swarm = Swarm(f"127.0.0.{number + 10}:0", **options)
        self.address = (f"127.0.0.{number + 10}", self.swarm.port)
        self.result = self.error = None
        self.thread = None

    def fetch(self, image, cancelled=None, **options):
        options = {"herd": FAST, "timeout": 30.0, **options}
        with load_executor("thread", max_workers=4) as executor:
            try:
                self.result = Downloader(
                    executor, swarm=self.swarm, **options
                ).fetch(image, self.path, cancelled=cancelled)
            except Exception as error:
                self.error = error
        told(self.error or self.result)
        return self.result

    def start(self, image, **options):
        self.thread = threading.Thread(
            target=self.fetch, args=(image,), kwargs=options
        )
        self.thread.start()


@pytest.fixture
def agents(tmp_path):
    """Makes agents; their swarms are closed afterwards."""
    with contextlib.ExitStack() as stack:

        def make(count, first=0, **options):
            made = []
            for number in range(first, first + count):
                agent = Agent(tmp_path, number, **options)
                stack.callback(agent.swarm.close)
                made.append(agent)
            return made

        yield make


def image_of(data, *urls, others=(), **options):
    return Image(
        digest=digest_of(data),
        torrent=torrent_of(data),
        sources=[
            HTTPSource([url + SECRET for url in urls], timeout=5.0),
        ]
        if urls
        else [],
        peers=[agent.address for agent in others],
        **options,
    )


def test_a_herd_reads_the_origin_about_once(data, agents):
    """All start at once, and each gets all of it."""
    herd = agents(6)
    with serving(data, behave=slow_line(SIZE / 2)) as origin:
        image = image_of(data, origin.url, others=herd)
        for agent in herd:
            agent.start(image, herd=TOGETHER)
        for agent in herd:
            agent.thread.join()
    for agent in herd:
        assert agent.error is None
        assert agent.path.read_bytes() == data
        assert agent.result.peers
    assert origin.sent <= 1.5 * SIZE
    received = [agent.result.received for agent in herd]
    assert sum(r["origin"] for r in received) == origin.sent
    assert sum(r["swarm"] for r in received) >= 3 * SIZE


@pytest.mark.once
def test_an_origin_may_go_once_the_swarm_has_all(data, agents, monkeypatch):
    """Each piece was handed in somewhere; the rest is up to the others."""
    herd = agents(4)
    handed_in, hand_in = set(), Member.add_piece
    gone = threading.Event()

    def add_piece(member, index, piece):
        hand_in(member, index, piece)
        handed_in.add(index)
        if len(handed_in) == len(member.torrent):
            gone.set()

    monkeypatch.setattr(Member, "add_piece", add_piece)
    slow = slow_line(SIZE / 1.5)

    def behave(request):
        if gone.is_set():
            return request.reset()
        return slow(request)

    with serving(data, behave=behave) as origin:
        image = image_of(data, origin.url, others=herd)
        for agent in herd:
            agent.start(image, herd=TOGETHER)
        assert gone.wait(30)
        for agent in herd:
            agent.thread.join()
    for agent in herd:
        assert agent.error is None
        assert agent.path.read_bytes() == data


@pytest.mark.once
def test_those_who_go_half_way_are_not_missed(data, agents):
    """What they had to read is read by the others, and hardly more."""
    herd = agents(6)
    half = threading.Event()
    slow = slow_line(SIZE / 2)

    def behave(request):
        if request.server.origin.sent > SIZE / 2:
            half.set()
        return slow(request)

    with serving(data, behave=behave) as origin:
        origin.server.origin = origin
        image = image_of(data, origin.url, others=herd)
        for number, agent in enumerate(herd):
            leaves = half.is_set if number < 2 else None
            agent.start(image, herd=TOGETHER, cancelled=leaves)
        for agent in herd:
            agent.thread.join()
    for agent in herd[2:]:
        assert agent.error is None
        assert agent.path.read_bytes() == data
    for agent in herd[:2]:
        assert isinstance(agent.error, FetchCancelled)
    assert origin.sent <= 1.5 * SIZE


def test_one_alone_reads_the_origin(data, agents):
    """Once, and says why."""
    (agent,) = agents(1)
    with serving(data) as origin:
        result = agent.fetch(image_of(data, origin.url))
    assert agent.error is None
    assert origin.sent == SIZE
    assert result.decision == "origin"
    assert "nobody else" in result.reason
    agent.swarm.close()
    assert list(agent.path.parent.iterdir()) == [agent.path]


def test_who_comes_late_needs_no_origin(data, agents):
    """The first one seeds."""
    first, second = agents(2)
    with serving(data) as origin:
        first.fetch(image_of(data, origin.url))
    assert first.error is None
    result = second.fetch(image_of(data, others=[first]), herd=TOGETHER)
    assert second.error is None
    assert second.path.read_bytes() == data
    assert result.decision == "swarm"
    assert result.received["swarm"] >= SIZE


@pytest.mark.once
def test_several_images_share_a_swarm(data, agents, tmp_path):
    """Each has members of its own (D9)."""
    other = data[::-1]
    first, second = agents(2)
    with serving(data) as one, serving(other) as two:
        first.fetch(image_of(data, one.url))
        first.path = first.path.with_name("other")
        first.fetch(image_of(other, two.url))
    assert first.error is None
    for each in (data, other):
        second.path = second.path.with_name(digest_of(each)[-9:])
        assert second.fetch(image_of(each, others=[first])), second.error
        assert second.path.read_bytes() == each


@pytest.mark.once
def test_without_an_origin_and_others_it_ends(data, agents):
    """Every wait has an end."""
    (agent,) = agents(1)
    agent.fetch(
        image_of(data), herd=HerdOptions(grace=0.1, stall=0.1, patience=0.5)
    )
    assert isinstance(agent.error, TransferError)
    assert not agent.path.exists()


@pytest.mark.once
def test_an_origin_that_fails_is_not_needed(data, agents):
    """If others have all of it."""
    first, second = agents(2)
    with serving(data) as origin:
        first.fetch(image_of(data, origin.url))
    with serving(data, behave=lambda r: r.refuse(404)) as origin:
        image = image_of(data, origin.url, others=[first])
        second.fetch(image, herd=TOGETHER)
    assert second.error is None
    assert second.path.read_bytes() == data


@pytest.mark.once
def test_a_seed_with_a_wrong_byte_is_no_end(data, agents):
    """Trap 16: others stay short of it, and say nothing."""
    first, second = agents(2)
    with serving(data) as origin:
        first.fetch(image_of(data, origin.url))
        with first.path.open("r+b") as file:
            file.seek(SIZE // 2)
            file.write(bytes([data[SIZE // 2] ^ 1]))
        result = second.fetch(
            image_of(data, origin.url, others=[first]),
            herd=HerdOptions(grace=5.0, stall=0.5, patience=20.0),
        )
    assert second.error is None
    assert second.path.read_bytes() == data
    assert 0 < result.received["origin"] < SIZE


@pytest.mark.once
def test_an_origin_with_wrong_bytes_is_found_out(data, agents):
    """By the first piece, and nobody else gets it."""
    (agent,) = agents(1)
    with serving(b"x" * SIZE) as origin:
        agent.fetch(
            image_of(data, origin.url),
            herd=HerdOptions(grace=0.1, stall=0.1, patience=0.5),
        )
    assert agent.error is not None
    assert not agent.path.exists()


@pytest.mark.once
def test_a_torrent_of_another_image_is_found_out(data, agents):
    """The digest has the last word; the origin has the image."""
    other = data[::-1]
    first, second = agents(2)
    with serving(other) as origin:
        first.fetch(image_of(other, origin.url))
    with serving(data) as origin:
        image = Image(
            digest=digest_of(data),
            torrent=torrent_of(other),
            sources=[HTTPSource(origin.url)],
            peers=[first.address],
        )
        result = second.fetch(image, herd=TOGETHER)
    assert second.error is None
    assert second.path.read_bytes() == data
    assert result.decision == "origin"


@pytest.mark.once
def test_what_was_there_is_used_again(data, agents):
    """What came before a crash is checked, and kept if it is good."""
    (agent,) = agents(1)
    with Landing(agent.path, SIZE, digest_of(data)) as landing:
        half = SIZE // 2
        landing.write(1 << 14, data[1 << 14 : half])
        landing.write(half, bytes(SIZE - half))
    with serving(data) as origin:
        agent.fetch(image_of(data, origin.url))
    assert agent.error is None
    assert agent.path.read_bytes() == data
    assert origin.sent <= 0.6 * SIZE


def test_what_is_new_is_not_looked_at(data, agents, tmp_path):
    """A file that is still full of holes takes a second for each GiB."""
    (agent,) = agents(1)
    torrent = torrent_of(data)
    (tmp_path / "data").write_bytes(data)
    member = agent.swarm.join(torrent, tmp_path / "data", fresh=True)
    until(lambda: not member.view().checking)
    assert not any(member.view().have)
    member.leave()
    member = agent.swarm.join(torrent, tmp_path / "data")
    until(lambda: all(member.view().have))


def test_a_port_in_use_is_an_error(agents):
    """Trap 13: it would take the next one, without a word."""
    (agent,) = agents(1)
    host, port = agent.address
    with pytest.raises(SwarmError, match="cannot listen"):
        Swarm(f"{host}:{port}")


@pytest.mark.parametrize("listen", ["203.0.113.1:0", "nonsense"])
def test_an_address_that_is_none_is_an_error(listen):
    """Trap 13: it would be posted, and no more."""
    with pytest.raises(SwarmError):
        Swarm(listen).close()


@pytest.mark.once
def test_a_stranger_is_not_talked_to(data, agents):
    """The list of networks holds."""
    first, second = agents(2, networks=["127.0.0.10/32"])
    with serving(data) as origin:
        first.fetch(image_of(data, origin.url))
    second.fetch(
        image_of(data, others=[first]),
        herd=HerdOptions(grace=0.1, stall=0.1, patience=1.0),
    )
    assert isinstance(second.error, TransferError)


@pytest.mark.once
@pytest.mark.parametrize("ip", [None, "127.0.0.81"])
def test_a_machine_has_the_address_that_it_is_told(
    data,
    agents,
    ip,
):
    """For those whom it calls, whatever the system would choose."""
    (seed,) = agents(1, networks=["127.0.0.81/32"])
    (agent,) = agents(1, first=1, ip=ip)
    with serving(data) as origin:
        seed.fetch(image_of(data, origin.url))
    agent.fetch(
        image_of(data, others=[seed]),
        herd=HerdOptions(grace=0.1, stall=0.1, patience=1.5),
    )
    assert (agent.error is None) == (ip is not None), agent.error


@pytest.mark.once
@pytest.mark.parametrize("limit", [{"seconds": 0}, {"free_memory": 1 << 60}])
def test_a_seed_ends_at_its_limit(data, agents, limit):
    """And leaves nothing but the image (D8)."""
    (agent,) = agents(1, seed_limits=SeedLimits(**limit))
    with serving(data) as origin:
        agent.fetch(image_of(data, origin.url))
    assert agent.error is None
    until(lambda: list(agent.path.parent.iterdir()) == [agent.path])


def test_a_swarm_is_closed_at_once(data, agents):
    """Trap 7: it would hold the interpreter up."""
    (agent,) = agents(1)
    with serving(data) as origin:
        agent.fetch(image_of(data, origin.url))
    agent.swarm.close()
    with pytest.raises(SwarmError, match="closed"):
        agent.swarm.join(torrent_of(data), agent.path)
